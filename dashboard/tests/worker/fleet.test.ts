// What the page knows of the fleet.
import { beforeEach, expect, it } from "vitest";
import { aDevice, aPresence } from "../../dev/samples.mjs";
import { Columns } from "../../src/client/columns";
import type { Update } from "../../src/generated/protocol";
import { Fleet } from "../../src/worker/fleet";
import { ColumnsEncoder } from "../client/columns-encoder.mjs";

const start = 1_700_000_000_000;
let now: number;
let strangers: string[];
let devices: Fleet;

beforeEach(() => {
  now = start;
  strangers = [];
  devices = new Fleet({ changed: () => {}, serverNow: () => now, unknown: (id) => strangers.push(id) });
});

it("keeps the newest value of each metric and counts its changes", () => {
  telemetry("a", { temperature: 20, heating: true });
  telemetry("a", { temperature: 21 });
  telemetry("a", { temperature: 21 });
  const { metrics } = known("a");
  expect(metrics.get("temperature")).toMatchObject({ value: 21, changes: 1 });
  expect(metrics.get("heating")).toMatchObject({ value: true, changes: 0, trend: null });
});

it("keeps the last 40 samples for the little line", () => {
  for (let n = 1; n <= 50; n += 1) telemetry("a", { t: n });
  const values = [...(known("a").metrics.get("t")?.trend?.values() ?? [])];
  expect(values).toHaveLength(40);
  expect(values[0]).toBe(11);
  expect(values.at(-1)).toBe(50);
});

it("takes a live update for heard now, whatever the device's clock says", () => {
  telemetry("a", { t: 1 }, { timestamp: now - 86_400_000 });
  expect(known("a").lastSeenAt).toBe(now);
});

it("takes a snapshot for heard when it was measured, but never later than now", () => {
  telemetry("a", { t: 1 }, { timestamp: now - 5_000, snapshot: true });
  telemetry("b", { t: 1 }, { timestamp: now + 5_000, snapshot: true });
  expect(known("a").lastSeenAt).toBe(now - 5_000);
  expect(known("b").lastSeenAt).toBe(now);
});

it("dates a value by an update of its own, and not by a snapshot or the list, whose time is that of the newest", () => {
  devices.fill(aDevice("a", { last_seen_at: now - 1_000, values: { u: 1 } }));
  telemetry("a", { humidity: 50, t: 1 }, { timestamp: now - 1_000, snapshot: true });
  telemetry("a", { t: 2 }, { timestamp: now - 500 });
  const at = (name: string) => known("a").metrics.get(name)?.at;
  expect([at("u"), at("humidity"), at("t")]).toEqual([null, null, now - 500]);
});

it("has heard nobody later than now when the clock turns out to be another", () => {
  now = start + 7_200_000;
  telemetry("a", { t: 1 });
  now = start;
  devices.clockSet();
  expect(known("a").lastSeenAt).toBe(start);
});

it("asks who a device is that the list has not told of, once", () => {
  devices.fill(aDevice("a"));
  telemetry("a", { t: 1 });
  telemetry("b", { t: 1 });
  telemetry("b", { t: 2 });
  expect(strangers).toEqual(["b"]);
});

it("keeps what came live when the list comes later", () => {
  telemetry("a", { t: 2 });
  presence("a", "offline");
  devices.fill(aDevice("a", { type: "pump", status: "online", values: { t: 1, u: 7 } }));
  expect(known("a")).toMatchObject({ type: "pump", presence: { status: "offline" } });
  expect(known("a").metrics.get("t")?.value).toBe(2);
  expect(known("a").metrics.get("u")?.value).toBe(7);
});

it("forgets who is not in the list any more, but not who joined while it was read", () => {
  for (const id of ["a", "b"]) devices.fill(aDevice(id));
  const load = devices.startLoad();
  telemetry("c", { t: 1 });
  devices.keepOnly(load, [aDevice("a")]);
  expect([...devices.sorted()].map(({ id }) => id)).toEqual(["a", "c"]);
});

it("takes columns for what the same updates would be", () => {
  const updates = [
    update("telemetry/a", { t: 1.5, on: true }),
    { ...update("telemetry/b", { t: 2, on: false }), offset: 2 },
    { ...update("telemetry/a", { t: 3.25, on: true }), offset: 3, seq: 2 },
  ];
  const columns = new Columns();
  for (const frame of new ColumnsEncoder().encode(updates)) {
    for (const table of columns.decode(frame)) devices.measureTable(table);
  }
  const other = new Fleet({ changed: () => {}, serverNow: () => now, unknown: () => {} });
  for (const one of updates) other.measure(one);
  for (const id of ["a", "b"]) expect(known(id).patch(0)).toEqual(other.get(id)?.patch(0));
});

it("tells what has changed since it was last told, and all of it where values were thrown away", () => {
  telemetry("a", { t: 1, u: 1 });
  const told = devices.revision;
  telemetry("b", { t: 1 });
  expect(known("a").revision).toBeLessThanOrEqual(told);
  telemetry("a", { u: 2 });
  expect(known("a").patch(told)).toMatchObject({ isWhole: false, metrics: [{ name: "u", value: 2 }] });
  devices.forget(["telemetry/a"]);
  telemetry("a", { t: 5 });
  expect(known("a").patch(told)).toMatchObject({ isWhole: true, metrics: [{ name: "t", value: 5 }] });
  expect(known("b").metrics.size).toBe(1);
});

it("ignores data that is no telemetry and no presence", () => {
  devices.fill(aDevice("a"));
  devices.measure(update("telemetry/a", [1, 2]));
  devices.appear(update("presence/a", { status: "asleep" }));
  expect(known("a").metrics.size).toBe(0);
  expect(known("a").presence.status).toBe("online");
});

it("bounds the metrics of a device that never stops inventing names", () => {
  for (let n = 0; n < 1_000; n += 1) telemetry("a", { [`m${n}`]: n });
  expect(known("a").metrics.size).toBe(256);
});

it("bounds the devices and says how many it left out", () => {
  for (let n = 0; n < 20_003; n += 1) telemetry(`d${n}`, { t: n });
  expect(devices.state()).toMatchObject({ known: 20_000, beyond: 3 });
});

it("shows one metric with the same digits for all devices", () => {
  telemetry("a", { t: 20.25 });
  telemetry("b", { t: 20 });
  expect(devices.state().digits.get("t")).toBe(2);
});

function known(id: string) {
  const device = devices.get(id);
  if (device === undefined) throw new Error(`${id} is not known`);
  return device;
}

function telemetry(id: string, data: Record<string, unknown>, more: Partial<Update> = {}): void {
  devices.measure({ ...update(`telemetry/${id}`, data), ...more });
}

function presence(id: string, status: "online" | "offline"): void {
  devices.appear(update(`presence/${id}`, aPresence({ status })));
}

function update(channel: string, data: unknown): Update {
  return { channel, seq: 1, offset: 1, timestamp: now, data };
}
