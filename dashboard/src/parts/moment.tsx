// A moment: as the reader's own clock shows it, in UTC under the pointer.
import { formatClock, formatDateTime, formatMoment } from "../text/time";

const day = 86_400_000;

/** Only the time of day where that is clear. */
export function Moment(props: { at: number; now: number }) {
  const text = () => (props.now - props.at < day / 2 ? formatClock(props.at) : formatDateTime(props.at));
  return (
    <time class="num" datetime={new Date(props.at).toISOString()} title={formatMoment(props.at)}>
      {text()}
    </time>
  );
}
