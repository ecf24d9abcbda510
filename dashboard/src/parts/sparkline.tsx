// A metric's newest samples as a little line.
import { sparkRoom } from "../worker/spark";

/** The line; it says nothing that the value beside it does not, so assistive technology skips it. */
export function Sparkline(props: { path: string }) {
  return (
    <span class="spark">
      <svg
        viewBox={`0 0 ${sparkRoom.width} ${sparkRoom.height}`}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        <path d={props.path} />
      </svg>
    </span>
  );
}
