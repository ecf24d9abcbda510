// The little line of a metric's newest samples.
import { expect, it } from "vitest";
import { sparkPath } from "../../src/worker/spark";

it("goes over the whole width, the highest value at the top", () => {
  expect(sparkPath(Float64Array.of(1, 3, 2))).toBe("M0 145L240 15L480 80");
});

it("is flat where all values are equal, and there is none of a single sample", () => {
  expect(sparkPath(Float64Array.of(7, 7))).toBe("M0 80L480 80");
  expect(sparkPath(Float64Array.of(7))).toBe("");
});
