// The lines of a chart's grid.
import { expect, it } from "vitest";
import { timeStep, timeTextPx, valueStep } from "../src/parts/axes";

const minute = 60_000;
/** The least width of a chart's lines, on a phone too, and their height. */
const [widthPx, heightPx] = [204, 100];
/** How much of a text may stand beyond the right edge. */
const paddingPx = 8;

it.each([
  ["a minute", minute],
  ["five minutes", 5 * minute],
  ["an hour", 60 * minute],
  ["six hours", 360 * minute],
  ["a day", 1_440 * minute],
  ["a week", 10_080 * minute],
])("has two times at least below %s, wherever it begins, and none over another", (_, spanMs) => {
  twoTimes(spanMs);
});

it("has two times at least below any span from ten seconds to 400 days", () => {
  for (let spanMs = 10_000; spanMs <= 576_000 * minute; spanMs *= 1.013) twoTimes(Math.round(spanMs));
});

it.each([false, true])(
  "has two values at least beside any range (counts: %s), and no more than six",
  (isCount) => {
    for (let span = isCount ? 1.2 : 1e-6; span < 1e9; span *= 1.037) {
      const step = valueStep(span, heightPx, isCount);
      expect(Math.floor(span / step), `${span} by ${step}`).toBeGreaterThanOrEqual(
        span < 2 && isCount ? 1 : 2,
      );
      expect(span / step).toBeLessThanOrEqual(5.000_001);
      if (isCount) expect(Number.isInteger(step)).toBe(true);
    }
  },
);

function twoTimes(spanMs: number): void {
  const step = timeStep(spanMs, widthPx);
  const stepPx = (step / spanMs) * widthPx;
  const labelledPx = widthPx + paddingPx - timeTextPx(step) / 2;
  expect(Math.floor(labelledPx / stepPx), `${spanMs} ms by ${step} ms`).toBeGreaterThanOrEqual(2);
  expect(stepPx).toBeGreaterThan(timeTextPx(step));
}
