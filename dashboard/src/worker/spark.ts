// A metric's newest samples as a little line. Made here and not by the page: a text is less to hand over and to draw than
// the samples are.

/** The room that a line fills, in whole units: fine enough for what is 48 pixels wide. */
export const sparkRoom = { width: 480, height: 160 };
/** Half of the line's width, so that it is not cut off. */
const margin = 15;

/** The path through the values, spread over the whole width; a flat line where they are all equal. */
export function sparkPath(values: Float64Array): string {
  if (values.length < 2) return "";
  const { width, height } = sparkRoom;
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const step = width / (values.length - 1);
  const scale = span === 0 ? 0 : (height - 2 * margin) / span;
  const foot = span === 0 ? height / 2 : height - margin;
  let path = "";
  for (const [index, value] of values.entries()) {
    path += `${index === 0 ? "M" : "L"}${Math.round(index * step)} ${Math.round(foot - (value - low) * scale)}`;
  }
  return path;
}
