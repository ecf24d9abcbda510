// Who is asked for when, and what comes of an API that fails.
import { beforeEach, expect, it, vi } from "vitest";
import { aDevice } from "../../dev/samples.mjs";
import { Api } from "../../src/api";
import type { Device } from "../../src/generated/protocol";
import { Fleet } from "../../src/worker/fleet";
import type { RosterState } from "../../src/worker/messages";
import { Roster } from "../../src/worker/roster";

let asked: string[];
let answers: Map<string, Response>;
let devices: Fleet;
let told: RosterState[];
let roster: Roster;
/** What answers wait for. */
let held: Promise<void>;

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  held = Promise.resolve();
  answers = new Map();
  const api = new Api(new URL("http://gateway/api/v1/"), (input) => {
    const url = new URL(String(input));
    const path = `${url.pathname.slice("/api/v1/".length)}${url.search}`;
    asked.push(path);
    return held.then(() => answers.get(path) ?? json({ status: 404, detail: `no ${path}` }, 404));
  });
  devices = new Fleet({
    changed: () => {},
    serverNow: () => 0,
    unknown: (id) => roster.meet(id),
  });
  told = [];
  roster = new Roster(api, devices, (state) => told.push(state));
});

it("reads all pages of the list", async () => {
  answers.set("devices?limit=1000", page([aDevice("a")], "n1"));
  answers.set("devices?limit=1000&cursor=n1", page([aDevice("b", { type: "pump" })], null));
  await roster.load();
  expect([...devices.sorted()].map(({ id, type }) => [id, type])).toEqual([
    ["a", null],
    ["b", "pump"],
  ]);
  expect(told).toEqual([
    { isKnown: false, read: 1, problem: null },
    { isKnown: false, read: 2, problem: null },
    { isKnown: true, read: 0, problem: null },
  ]);
});

it("fills in each page as it comes, and lets nobody go before the last", async () => {
  devices.fill(aDevice("gone"));
  answers.set("devices?limit=1000", page([aDevice("a", { type: "pump" })], "n1"));
  const broken = { detail: "the store is closed" };
  answers.set("devices?limit=1000&cursor=n1", json(broken, 503));
  await roster.load();
  expect(devices.get("a")?.type).toBe("pump");
  expect(devices.get("gone")).toBeDefined();
  expect(told.at(-1)).toEqual({ isKnown: false, read: 0, problem: broken.detail });
  answers.set("devices?limit=1000", page([aDevice("a"), aDevice("b")], null));
  await roster.load();
  expect([...devices.sorted()].map(({ id }) => id)).toEqual(["a", "b"]);
});

it("asks nobody else who a newcomer is while the list is read", async () => {
  answers.set("devices?limit=1000", page([aDevice("a")], null));
  const fleet = Array.from({ length: 50 }, (_, n) => `d${n}`);
  let answer = () => {};
  held = new Promise((resolve) => {
    answer = resolve;
  });
  const reading = roster.load();
  for (const id of fleet) hear(id);
  await vi.advanceTimersByTimeAsync(3_500);
  expect(asked).toEqual(["devices?limit=1000"]);
  answers.set(
    "devices?limit=1000",
    page(
      fleet.map((id) => aDevice(id)),
      null,
    ),
  );
  answer();
  await reading;
  await vi.advanceTimersByTimeAsync(3_500);
  expect(asked).toEqual(["devices?limit=1000"]);
});

it("says why the list could not be read and keeps what it knows", async () => {
  devices.fill(aDevice("a"));
  answers.set("devices?limit=1000", json({ detail: "the store is closed" }, 503));
  await roster.load();
  expect(told).toEqual([{ isKnown: false, read: 0, problem: "the store is closed" }]);
  expect([...devices.sorted()]).toHaveLength(1);
});

it("asks for a few newcomers one by one, after a moment", async () => {
  answers.set("devices/n%3A1", json(aDevice("n:1", { type: "tracker" })));
  hear("n:1");
  expect(asked).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual(["devices/n%3A1"]);
  expect(devices.get("n:1")?.type).toBe("tracker");
});

it("reads the whole list for many newcomers, once", async () => {
  const fleet = Array.from({ length: 50 }, (_, n) => aDevice(`d${n}`, { type: "pump" }));
  answers.set("devices?limit=1000", page(fleet, null));
  for (const { id } of fleet) hear(id);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual(["devices?limit=1000"]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toHaveLength(1);
});

it("asks for nobody whom the list has told of meanwhile", async () => {
  answers.set("devices?limit=1000", page([aDevice("a")], null));
  hear("a");
  await roster.load();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual(["devices?limit=1000"]);
});

it("reads once more when it was asked to while reading", async () => {
  answers.set("devices?limit=1000", page([], null));
  const first = roster.load();
  await roster.load();
  answers.set("devices?limit=1000", page([aDevice("late")], null));
  await first;
  expect(asked).toHaveLength(2);
  expect([...devices.sorted()].map(({ id }) => id)).toEqual(["late"]);
});

it("reads the list again where devices came or went unheard, but not for a number that never was ours", async () => {
  answers.set("devices?limit=1000", page([aDevice("a")], null));
  await roster.load();
  // Who sees a part of the fleet knows fewer than the gateway.
  for (let second = 0; second < 20; second += 1) roster.counted(7);
  expect(asked).toHaveLength(1);
  for (let second = 0; second < 4; second += 1) roster.counted(8);
  expect(asked).toHaveLength(1);
  answers.set("devices?limit=1000", page([aDevice("a"), aDevice("never-connected")], null));
  roster.counted(8);
  await vi.advanceTimersByTimeAsync(1);
  expect([...devices.sorted()].map(({ id }) => id)).toEqual(["a", "never-connected"]);
});

it("reads types and tags again after some minutes, for they are changed without a word", async () => {
  answers.set("devices?limit=1000", page([aDevice("a")], null));
  await roster.load();
  answers.set("devices?limit=1000", page([aDevice("a", { type: "pump", tags: { hall: "n" } })], null));
  for (let second = 0; second < 300; second += 1) roster.counted(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(devices.get("a")).toMatchObject({ type: "pump", tags: { hall: "n" } });
  expect(asked).toHaveLength(2);
});

function hear(id: string): void {
  devices.measure({ channel: `telemetry/${id}`, seq: 1, offset: 1, timestamp: 0, data: { t: 1 } });
}

function page(items: Device[], next: string | null): Response {
  return json({ items: items.map(plain), next });
}

function json(body: object, status = 200): Response {
  return new Response(JSON.stringify(plain(body)), { status });
}

/** JSON has no bigint; the API writes a number. */
function plain<T extends object>(body: T): object {
  return "version" in body ? { ...body, version: 1 } : body;
}
