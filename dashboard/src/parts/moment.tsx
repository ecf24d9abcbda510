// A moment: as the reader's own clock shows it, in UTC under the pointer.
import { formatClock, formatDateTime, formatMoment } from "../text/time";

const halfDay = 43_200_000;

/** Only the time of day where that is clear. */
export function Moment(props: { at: number; now: number }) {
  const isClear = () => Math.abs(props.now - props.at) < halfDay;
  return (
    <time class="num" datetime={new Date(props.at).toISOString()} title={formatMoment(props.at)}>
      {isClear() ? formatClock(props.at) : formatDateTime(props.at)}
    </time>
  );
}
