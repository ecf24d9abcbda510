// What the page knows of the fleet.
import { createEffect, createRoot } from "solid-js";
import { beforeEach, expect, it } from "vitest";
import type { Update } from "../../src/generated/protocol";
import { Devices } from "../../src/store/devices";
import { Frames } from "../../src/store/frames";
import { aDevice, aPresence } from "../samples";

const now = 1_700_000_000_000;
let frame: (() => void) | null;
let frames: Frames;
let strangers: string[];
let devices: Devices;

beforeEach(() => {
  frame = null;
  frames = new Frames((run) => {
    expect(frame).toBeNull();
    frame = run;
  });
  strangers = [];
  devices = new Devices({ frames, serverNow: () => now, unknown: (id) => strangers.push(id) });
});

it("draws once a frame, however much comes in between", () => {
  telemetry("a", { temperature: 1 });
  nextFrame();
  let drawn = 0;
  createRoot(() => {
    createEffect(() => {
      devices.get("a")?.read();
      drawn += 1;
    });
  });
  for (let n = 0; n < 100; n += 1) telemetry("a", { temperature: n });
  expect(drawn).toBe(1);
  nextFrame();
  expect(drawn).toBe(2);
});

it("leaves the views of other devices alone", () => {
  telemetry("a", { t: 1 });
  telemetry("b", { t: 1 });
  nextFrame();
  let drawn = 0;
  createRoot(() => {
    const b = devices.get("b");
    createEffect(() => {
      b?.read();
      drawn += 1;
    });
  });
  telemetry("a", { t: 2 });
  nextFrame();
  expect(drawn).toBe(1);
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
  const values = [...(known("a").metrics.get("t")?.trend ?? [])].map(({ value }) => value);
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
  devices.replaceAll(devices.startLoad(), [aDevice("a"), aDevice("b")]);
  const load = devices.startLoad();
  telemetry("c", { t: 1 });
  devices.replaceAll(load, [aDevice("a")]);
  nextFrame();
  expect(devices.all().map(({ id }) => id)).toEqual(["a", "c"]);
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
  nextFrame();
  expect(devices.all()).toHaveLength(20_000);
  expect(devices.beyondMax()).toBe(3);
});

it("shows one metric with the same digits for all devices", () => {
  telemetry("a", { t: 20.25 });
  telemetry("b", { t: 20 });
  expect(known("b").digits.of("t")).toBe(2);
});

function nextFrame(): void {
  const run = frame;
  frame = null;
  run?.();
}

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
