// How far the lines of a chart's grid are apart: as close as their texts allow, so that there are two at least.

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const month = 30 * day;

/** Each is so close to the next that there is no span for which all of them are too close or too far. */
const timeSteps = [
  ...[1, 2, 3, 4, 6, 10, 15, 20, 30, 40].map((step) => step * second),
  ...[1, 2, 3, 5, 10, 15, 30].map((step) => step * minute),
  ...[1, 2, 3, 6, 12].map((step) => step * hour),
  ...[1, 2, 4, 7, 14].map((step) => step * day),
  // The plot takes 30 days for a month.
  ...[1, 2, 3, 6].map((step) => step * month),
];
const valueSteps = [1, 2, 2.5, 5, 10, 20];
const countSteps = [1, 2, 5, 10, 20];
/** The widths of a time with seconds and of one without, or of a day, in the axis' font. */
const longTextPx = 52;
const shortTextPx = 38;
/** Between two texts beside each other. */
const gapPx = 4;
/** From one text to the next below it. */
const linePx = 20;

/** The time between two lines of the grid, in milliseconds. */
export function timeStep(spanMs: number, widthPx: number): number {
  const fits = (step: number) => (step / spanMs) * widthPx >= timeTextPx(step) + gapPx;
  return timeSteps.find(fits) ?? 6 * month;
}

/** The width of a time beside lines that are so far apart. */
export function timeTextPx(stepMs: number): number {
  return stepMs < minute ? longTextPx : shortTextPx;
}

/** The values between two lines of the grid; nothing lies between two counts. */
export function valueStep(span: number, heightPx: number, isCount: boolean): number {
  const least = (span * linePx) / heightPx;
  const power = Math.floor(Math.log10(least));
  if (isCount && power < 0) return 1;
  const factor = (isCount ? countSteps : valueSteps).find((step) => Number(`${step}e${power}`) >= least);
  // As text: the product of two numbers may be off by a hair.
  return Number(`${factor ?? 10}e${power}`);
}
