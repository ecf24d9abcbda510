// When each metric was last measured.
import { expect, it } from "vitest";
import type { History, HistoryColumn } from "../../src/generated/protocol";
import { Dates } from "../../src/store/dates";

it("finds the newest time of each metric in the past, whatever its values are", () => {
  const dates = new Dates();
  dates.take(past({ t: { values: [1, 2, null] }, door: { values: ["open", null, "shut"] } }));
  expect([dates.of("t"), dates.of("door"), dates.of("humidity")]).toEqual([2_000, 3_000, null]);
});

it("finds it where values were put together", () => {
  const dates = new Dates();
  const column = { min: [1, null, null], max: [2, null, null], last: [2, "off", null] };
  dates.take(past({ t: column }));
  expect(dates.of("t")).toBe(2_000);
});

it("keeps nothing of the past that was read before, nor of what came before something was missed", () => {
  const dates = new Dates();
  dates.take(past({ t: { values: [1, 2, 3] } }));
  dates.take(past({ u: { values: [1, 2, 3] } }));
  expect([dates.of("t"), dates.of("u")]).toEqual([null, 3_000]);
  dates.forget();
  expect(dates.of("u")).toBeNull();
});

function past(metrics: Record<string, HistoryColumn>): History {
  const timestamps = [1_000, 2_000, 3_000];
  return { channel: "telemetry/a", from: 0, to: 4_000, bucket_ms: null, timestamps, metrics };
}
