// The material of the charts.
import { beforeEach, expect, it } from "vitest";
import { History } from "../../src/store/history";
import { windowMs } from "../../src/worker/messages";

const start = 1_700_000_000_000;
let clock = start;

beforeEach(() => {
  clock = start;
});

it("keeps samples in the order of their time", () => {
  const history = new History(() => clock);
  hear(history, [10, 2]);
  hear(history, [10, 3], [5, 4], [11, 5]);
  expect(history.of("t")).toEqual({ times: [start + 5, start + 10, start + 11], values: [4, 2, 5] });
  expect(history.of("u").times).toEqual([]);
});

it("leaves a gap where the device was away", () => {
  const history = new History(() => clock);
  hear(history, [0, 1]);
  history.interrupt();
  history.interrupt();
  hear(history, [500, 2], [600, 3]);
  expect(history.of("t")).toEqual({
    times: [start, start + 1, start + 500, start + 600],
    values: [1, null, 2, 3],
  });
});

it("leaves a gap where the device was silent while somebody looked on, by its own rhythm", () => {
  const history = new History(() => clock);
  for (const second of [0, 1, 2, 3, 60, 61]) hear(history, [second * 1_000, second]);
  expect(history.of("t").values).toEqual([0, 1, 2, 3, null, 60, 61]);
  const slow = new History(() => clock);
  for (const minute of [0, 1, 2, 3]) hear(slow, [minute * 60_000, minute]);
  expect(slow.of("t").values).toEqual([0, 1, 2, 3]);
});

it("draws one line again where the device has taken to another rhythm", () => {
  const history = new History(() => clock);
  const seconds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 19, 29, 39, 49, 59, 69, 79];
  for (const second of seconds) hear(history, [second * 1_000, second]);
  expect(history.of("t").values.slice(-3)).toEqual([59, 69, 79]);
});

it("goes on with a device whose clock was ahead and has been set right", () => {
  const history = new History(() => clock);
  hear(history, [0, 1], [1_000, 2]);
  clock = start + 2_000;
  hear(history, [3_600_000, 3]);
  expect(history.deviceNow()).toBe(start + 3_600_000);
  clock = start + 3_000;
  hear(history, [3_000, 4]);
  expect(history.of("t").values).toEqual([1, 2, 4]);
  expect(history.deviceNow()).toBe(clock);
});

it("goes by the clock of a device that lives in the past", () => {
  const history = new History(() => clock);
  hear(history, [-7_200_000, 1]);
  clock = start + 4_000;
  expect(history.deviceNow()).toBe(start - 7_200_000 + 4_000);
});

it("keeps five minutes, and not much more", () => {
  const history = new History(() => clock);
  for (let second = 0; second <= 1_000; second += 1) hear(history, [second * 1_000, second]);
  const { times, values } = history.of("t");
  const from = start + 1_000_000 - windowMs;
  expect(times.filter((time) => time >= from)).toHaveLength(301);
  expect(times.length).toBeLessThan(301 + 64);
  expect(values.at(-1)).toBe(1_000);
});

it("bounds a device that sends without a breath", () => {
  const history = new History(() => clock);
  for (let n = 0; n < 20_000; n += 1) hear(history, [n, n]);
  expect(history.of("t").times.length).toBeLessThan(6_064);
});

it("begins with the past that the gateway has kept, and goes on with what came meanwhile", () => {
  const history = new History(() => clock);
  hear(history, [2_000, 2], [3_000, 3]);
  history.backfill(
    past([0, 1_000, 2_000], { t: { values: [0, null, 2] }, name: { values: ["x", "y", "z"] } }),
  );
  expect(history.of("t").values).toEqual([0, 2, 3]);
  expect(history.of("name").times).toEqual([]);
});

it("draws the least and the greatest value of each bucket of the past", () => {
  const history = new History(() => clock);
  const t = { min: [1, null, 5], max: [4, null, 5], last: [2, null, 5] };
  history.backfill({ ...past([0, 100, 200], { t }), bucket_ms: 100 });
  expect(history.of("t")).toEqual({ times: [start, start + 50, start + 200], values: [1, 4, 5] });
});

it("leaves a gap in the past where the device paused, by its own rhythm", () => {
  const history = new History(() => clock);
  const seconds = [0, 1, 2, 3, 60, 61];
  history.backfill(
    past(
      seconds.map((s) => s * 1_000),
      { t: { values: seconds } },
    ),
  );
  expect(history.of("t").values).toEqual([0, 1, 2, 3, null, 60, 61]);
  const slow = new History(() => clock);
  slow.backfill(past([0, 30_000, 60_000, 90_000], { t: { values: [0, 1, 2, 3] } }));
  expect(slow.of("t").values).toEqual([0, 1, 2, 3]);
});

it("puts what fills a hole where its time is", () => {
  const history = new History(() => clock);
  hear(history, [0, 0], [1_000, 1], [4_000, 4]);
  history.hear({ name: "t", times: [start + 2_000, start + 3_000], values: [2, 3], isLate: true });
  expect(history.of("t").values).toEqual([0, 1, 2, 3, 4]);
});

it("joins what was missed while the connection was broken, but not over a pause of the device", () => {
  const history = new History(() => clock);
  hear(history, [0, 0], [1_000, 1]);
  const late = [2_000, 3_000, 60_000, 61_000].map((afterMs) => start + afterMs);
  history.hear({ name: "t", times: late, values: [2, 3, 60, 61], isLate: true });
  expect(history.of("t").values).toEqual([0, 1, 2, 3, null, 60, 61]);
});

function past(afterMs: number[], metrics: Parameters<History["backfill"]>[0]["metrics"]) {
  const timestamps = afterMs.map((ms) => start + ms);
  return { channel: "telemetry/a", from: start, to: start + 300_000, bucket_ms: null, timestamps, metrics };
}

function hear(history: History, ...samples: [afterMs: number, value: number][]): void {
  history.hear({
    name: "t",
    times: samples.map(([afterMs]) => start + afterMs),
    values: samples.map(([, value]) => value),
    isLate: false,
  });
}
