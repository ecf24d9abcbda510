// Which metrics pass a filter of names.
import { expect, it } from "vitest";
import { hasText } from "../src/store/metric-filter";

it("lets pass what has each word, in letters of any size", () => {
  expect(hasText("Motor_Temperature", "temp motor")).toBe(true);
  expect(hasText("Motor_Temperature", "temp pump")).toBe(false);
  expect(hasText("anything", "")).toBe(true);
  expect(hasText("anything", "  ")).toBe(true);
});
