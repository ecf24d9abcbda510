// Which samples a chart draws as points.
import { expect, it } from "vitest";
import { lonePlaces } from "../src/parts/lone";

it("finds the values that no line goes through", () => {
  expect(lonePlaces([1], 0, 0)).toEqual([0]);
  expect(lonePlaces([1, null, 2, 3, null, 0], 0, 5)).toEqual([0, 5]);
  expect(lonePlaces([1, null, 2, null, 3], 1, 3)).toEqual([2]);
  expect(lonePlaces([1, 2, 3], 0, 2)).toEqual([]);
});
