// The material of the charts.
import { expect, it } from "vitest";
import { DeviceRecord } from "../../src/store/device";
import { Digits } from "../../src/store/digits";
import { History, windowMs } from "../../src/store/history";

const start = 1_700_000_000_000;

it("begins with what the table has kept", () => {
  const device = new DeviceRecord("a", new Digits());
  device.measure({ t: 1 }, start);
  device.measure({ t: 2, name: "x" }, start + 1_000);
  const history = new History();
  history.seed(device);
  expect(history.of("t")).toEqual({ times: [start, start + 1_000], values: [1, 2] });
  expect(history.of("name").times).toEqual([]);
});

it("leaves out snapshots, what is no number, and times that do not rise", () => {
  const history = new History();
  hear(history, 0, { t: 1 }, true);
  hear(history, 10, { t: 2, on: true });
  hear(history, 10, { t: 3 });
  hear(history, 5, { t: 4 });
  expect(history.of("t")).toEqual({ times: [start + 10], values: [2] });
});

it("leaves a gap where the device or the connection was away", () => {
  const history = new History();
  hear(history, 0, { t: 1, u: 1 });
  history.interrupt();
  history.interrupt();
  hear(history, 500, { t: 2 });
  hear(history, 600, { t: 3 });
  expect(history.of("t")).toEqual({
    times: [start, start + 1, start + 500, start + 600],
    values: [1, null, 2, 3],
  });
  expect(history.of("u").values).toEqual([1]);
});

it("keeps five minutes, and not much more", () => {
  const history = new History();
  for (let second = 0; second <= 1_000; second += 1) hear(history, second * 1_000, { t: second });
  const { times, values } = history.of("t");
  const from = start + 1_000_000 - windowMs;
  expect(times.filter((time) => time >= from)).toHaveLength(301);
  expect(times.length).toBeLessThan(301 + 64);
  expect(values.at(-1)).toBe(1_000);
});

it("bounds a device that sends without a breath", () => {
  const history = new History();
  for (let n = 0; n < 20_000; n += 1) hear(history, n, { t: n });
  expect(history.of("t").times.length).toBeLessThan(6_064);
});

function hear(history: History, afterMs: number, data: object, snapshot = false): void {
  history.hear({ channel: "telemetry/a", seq: 1, offset: 1, timestamp: start + afterMs, data, snapshot });
}
