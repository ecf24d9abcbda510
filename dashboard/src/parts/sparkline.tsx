// A metric's newest samples as a little line.

const width = 48;
const height = 16;

/** The line; it says nothing that the value beside it does not, so assistive technology skips it. */
export function Sparkline(props: { samples: Float64Array }) {
  const path = () => sparkPath([...props.samples]);
  return (
    <span class="spark">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
        <path d={path()} />
      </svg>
    </span>
  );
}

/** The path through the values, spread over the whole width; a flat line where they are all equal. */
export function sparkPath(values: readonly number[]): string {
  if (values.length < 2) return "";
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const step = width / (values.length - 1);
  const y = (value: number) =>
    span === 0 ? height / 2 : height - 1.5 - ((value - low) / span) * (height - 3);
  return values
    .map((value, index) => `${index === 0 ? "M" : "L"}${(index * step).toFixed(1)} ${y(value).toFixed(1)}`)
    .join("");
}
