// What the page is told by its worker, and how often.
import { beforeEach, expect, it, vi } from "vitest";
import { aCommand, aDevice, anAnsweredCommand, aPresence } from "../../dev/samples.mjs";
import { Api } from "../../src/api";
import type { GatewayStats } from "../../src/generated/protocol";
import { Engine } from "../../src/worker/engine";
import type { FleetView, Patch, ToPage, WatchEvent } from "../../src/worker/messages";
import { firstSort, noFilter } from "../../src/worker/select";
import { FakeConnection, update } from "../client/fake-gateway";

const now = 1_700_000_000_000;
const all: FleetView = { filter: noFilter, sort: firstSort, from: 0, to: 10 };
let gateway: FakeConnection;
let connections: number;
let engine: Engine;
let said: ToPage[];
let list: object[];
/** What is said of any one device; null: there is none. */
let one: object | null;

beforeEach(() => {
  vi.useFakeTimers({ now });
  said = [];
  list = [];
  one = null;
  connections = 0;
  const json = (body: object, status = 200) =>
    Promise.resolve(new Response(JSON.stringify(body), { status }));
  const api = new Api(new URL("http://gateway/api/v1/"), (input) =>
    String(input).includes("devices?")
      ? json({ items: list, next: null })
      : one === null
        ? json({ detail: "no such device" }, 404)
        : json(one),
  );
  engine = new Engine({
    open: (handlers) => {
      connections += 1;
      const connection = new FakeConnection(handlers);
      gateway = connection;
      return {
        send: (text) => connection.accept(text),
        close: () => {},
        bufferedBytes: () => 0,
      };
    },
    api,
    hasNetwork: true,
    post: (message) => said.push(structuredClone(message)),
  });
  engine.start();
});

it("tells at most once a frame, all that changed together", async () => {
  await goLive();
  engine.handle({ kind: "look", view: all });
  gateway.columns(telemetry("a", 1), telemetry("b", 1));
  await vi.advanceTimersByTimeAsync(300);
  await drawAll();
  for (let n = 2; n <= 50; n += 1) {
    gateway.columns(telemetry("a", n), telemetry("b", n));
    await vi.advanceTimersByTimeAsync(2);
  }
  expect(said).toHaveLength(1);
  said = [];
  const patch = await draw();
  const values = patch.devices?.map(({ id, metrics }) => [id, metrics[0]?.value]);
  expect(values?.sort()).toEqual([
    ["a", 50],
    ["b", 50],
  ]);
});

it("tells what devices measure ten times a second, and what somebody does with the next frame", async () => {
  await goLive();
  engine.handle({ kind: "look", view: all });
  gateway.columns(telemetry("a", 1, 1), telemetry("b", 1, 1));
  await drawAll();
  let patches = 0;
  for (let n = 2; n <= 101; n += 1) {
    gateway.columns(telemetry("a", n, n));
    await vi.advanceTimersByTimeAsync(10);
    patches += said.length;
    said = [];
    engine.handle({ kind: "drawn" });
  }
  expect(patches).toBeGreaterThanOrEqual(8);
  expect(patches).toBeLessThanOrEqual(10);
  engine.handle({ kind: "look", view: { ...all, from: 1, to: 2 } });
  await vi.advanceTimersByTimeAsync(1);
  expect(said).toHaveLength(1);
});

it("spreads what many devices measured over frames, a row that is empty still at once, and forgets none", async () => {
  await goLive();
  const view: FleetView = { ...all, to: 100 };
  const ids = Array.from({ length: 60 }, (_, index) => `device-${String(index).padStart(2, "0")}`);
  gateway.columns(...ids.map((id) => telemetry(id, 1, 1)));
  engine.handle({ kind: "look", view });
  expect((await drawAll()).devices).toHaveLength(60);
  const told: string[] = [];
  for (let n = 2; told.length < 240; n += 1) {
    gateway.columns(...ids.map((id) => telemetry(id, n, n)));
    await vi.advanceTimersByTimeAsync(17);
    const devices = patches().devices ?? [];
    engine.handle({ kind: "drawn" });
    expect(devices.length).toBeLessThanOrEqual(5);
    told.push(...devices.map(({ id }) => id));
  }
  expect(new Set(told.slice(0, 60)).size).toBe(60);
});

it("tells only of what is in view", async () => {
  await goLive();
  gateway.columns(telemetry("a", 1), telemetry("b", 2), telemetry("c", 3));
  engine.handle({ kind: "look", view: { ...all, from: 1, to: 2 } });
  const patch = await drawAll();
  expect(patch.rows).toEqual({ shown: 3, from: 1, ids: ["b"], isHeld: false });
  expect(patch.devices?.map(({ id }) => id)).toEqual(["b"]);
  expect(patch.fleet).toMatchObject({ known: 3, metrics: ["t"] });
  gateway.columns(telemetry("a", 9, 2));
  expect(await draw()).toEqual({});
  engine.handle({ kind: "look", view: { ...all, from: 0, to: 1 } });
  const next = await drawAll();
  expect(next).toMatchObject({ gone: ["b"], devices: [{ id: "a", isWhole: true }] });
});

it("says how the connection stands although nothing else changes", async () => {
  await goLive();
  const closedAt = Date.now();
  gateway.close(4001);
  const patch = await drawAll();
  expect(patch.state).toMatchObject({ kind: "refused", code: 4001 });
  expect(patch.lastLiveAt).toBe(closedAt);
  engine.handle({ kind: "tryNow" });
  expect(connections).toBe(2);
});

it("hands the watched device's past, samples and commands to its page, in order", async () => {
  await goLive();
  engine.handle({ kind: "watch", watch: 1, id: "a" });
  const asked = gateway.ofType("subscribe").find(({ channels }) => channels?.[0] === "telemetry/a");
  const since = Date.now() - 300_000;
  expect(asked?.options).toEqual({ mode: "every", history: { since, points: 600 } });
  gateway.grant(asked, { ...telemetry("a", 1), snapshot: true });
  gateway.frame({
    type: "history",
    channel: "telemetry/a",
    from: 0,
    to: now,
    bucket_ms: null,
    timestamps: [5],
    metrics: { t: { values: [1] } },
  });
  gateway.live(asked);
  gateway.columns(telemetry("a", 2, 2));
  gateway.frame(telemetry("a", 3, 3), update("commands/a", 1, { data: aCommand({}) }));
  const commands = gateway.last("subscribe");
  gateway.grant(commands);
  gateway.live(commands);
  gateway.frame(update("commands/a", 2, { data: aCommand({ state: "sent" }) }));
  const events = await watchEvents();
  expect(events.map(({ kind }) => kind)).toEqual(["past", "samples", "commandsMissed", "command"]);
  expect(events[1]).toMatchObject({ samples: { name: "t", values: [2, 3], isLate: false } });
});

it("gives a page that drew nothing for long the past anew, and keeps no more than a bound", async () => {
  await goLive();
  engine.handle({ kind: "watch", watch: 1, id: "a" });
  await drawAll();
  for (const asked of gateway.ofType("subscribe").slice(3)) {
    gateway.grant(asked);
    gateway.live(asked);
  }
  await vi.advanceTimersByTimeAsync(100);
  said = [];
  for (let n = 1; n <= 20_100; n += 1) gateway.frame(telemetry("a", n, n));
  const before = gateway.ofType("subscribe").length;
  const events = (await draw()).watched?.events ?? [];
  expect(events.map(({ kind }) => kind)).toEqual(["void", "commandsMissed"]);
  expect(gateway.ofType("subscribe")).toHaveLength(before + 1);
});

it("asks for the past of a watched device again where continuity was lost", async () => {
  await goLive();
  engine.handle({ kind: "watch", watch: 1, id: "a" });
  await drawAll();
  for (const asked of gateway.ofType("subscribe").slice(3)) {
    gateway.grant(asked);
    gateway.live(asked);
  }
  const before = gateway.ofType("subscribe").length;
  const reset = { type: "reset", epoch: "e1", offset: 9, reason: "crash" } as const;
  gateway.frame({ ...reset, channels: ["telemetry/a"] });
  await vi.advanceTimersByTimeAsync(1);
  const again = gateway.ofType("subscribe").slice(before);
  expect(again).toMatchObject([{ channels: ["telemetry/a"], options: { history: { points: 600 } } }]);
});

it("says why nothing is known of a watched device", async () => {
  await goLive();
  engine.handle({ kind: "watch", watch: 7, id: "nobody" });
  const patch = await drawAll();
  expect(patch.watched).toMatchObject({ watch: 7, problem: "no such device" });
});

it("goes on saying so while something else of it is told", async () => {
  await goLive();
  engine.handle({ kind: "watch", watch: 7, id: "nobody" });
  await drawAll();
  for (const asked of gateway.ofType("subscribe").slice(3)) {
    gateway.grant(asked);
    gateway.live(asked);
  }
  const patch = await drawAll();
  expect(patch.watched?.events.map(({ kind }) => kind)).toContain("commandsMissed");
  expect(patch.watched?.problem).toBe("no such device");
});

it("reads type and tags again of a device whose page is opened", async () => {
  list = [aDevice("a", { type: "pump" })];
  await goLive();
  engine.handle({ kind: "look", view: all });
  await drawAll();
  one = aDevice("a", { type: "fan" });
  engine.handle({ kind: "watch", watch: 1, id: "a" });
  expect((await drawAll()).devices).toMatchObject([{ id: "a", type: "fan" }]);
});

it("answers a command by its request, and needs no frame for it", async () => {
  await goLive();
  engine.handle({ kind: "command", request: 3, device: "a", command: { name: "reboot" } });
  gateway.frame({ type: "ok", id: gateway.last("command").id, command: anAnsweredCommand({}) });
  await vi.advanceTimersByTimeAsync(1);
  expect(said).toContainEqual({
    kind: "answer",
    request: 3,
    answer: { kind: "ok", reply: anAnsweredCommand({}) },
  });
});

it("throws away the values of devices that a reset names", async () => {
  await goLive();
  engine.handle({ kind: "look", view: all });
  gateway.columns(telemetry("a", 1), telemetry("b", 1));
  await drawAll();
  gateway.frame({ type: "reset", channels: ["telemetry/a"], epoch: "e1", offset: 9, reason: "overflow" });
  const patch = await drawAll();
  expect(patch.devices).toMatchObject([{ id: "a", isWhole: true, metrics: [] }]);
});

it("asks for the gateway's word about itself anew, for it has no past", async () => {
  await goLive();
  gateway.frame(update("gateway/stats", 1, { data: { uptime_ms: 5 } as GatewayStats }));
  gateway.close(4201);
  await vi.advanceTimersByTimeAsync(10);
  gateway.welcome();
  const options = gateway.ofType("subscribe").map(({ channels, options }) => [channels?.[0], options]);
  expect(Object.fromEntries(options)).toMatchObject({
    "gateway/stats": {},
    "presence/#": { since: { epoch: "e1" } },
    "telemetry/#": { since: { epoch: "e1" }, throttle: 4 },
  });
  expect(options.find(([channel]) => channel === "gateway/stats")?.[1]).toEqual({});
});

it("shows no figures of a gateway that stops, but those of the next one, where devices are away since it stopped", async () => {
  await goLive();
  const figures = (seq: number, lagging: number) =>
    update("gateway/stats", seq, { data: { lagging_connections: lagging } as GatewayStats });
  const away = { data: aPresence({ status: "offline", reason: "shutdown" }) };
  gateway.frame(figures(1, 0));
  gateway.frame(update("presence/x", 1, away), figures(2, 6));
  expect((await drawAll()).stats).toMatchObject({ lagging_connections: 0 });
  gateway.close(4100);
  await vi.advanceTimersByTimeAsync(20_000);
  gateway.welcome();
  gateway.grantAll(update("presence/x", 1, { ...away, snapshot: true }));
  gateway.frame(figures(3, 1));
  expect((await drawAll()).stats).toMatchObject({ lagging_connections: 1 });
});

it("shows the rows in the order that is asked for, also when it changes", async () => {
  list = [aDevice("x", { type: "pump" }), aDevice("y")];
  await goLive();
  engine.handle({ kind: "look", view: { ...all, sort: { key: "id", descending: true } } });
  expect((await drawAll()).rows?.ids).toEqual(["y", "x"]);
  engine.handle({ kind: "look", view: { ...all, filter: { ...noFilter, status: "offline" } } });
  expect((await drawAll()).rows).toEqual({ shown: 0, from: 0, ids: [], isHeld: false });
  gateway.frame(update("presence/x", 1, { data: aPresence({ status: "offline" }) }));
  await vi.advanceTimersByTimeAsync(300);
  expect((await drawAll()).rows?.ids).toEqual(["x"]);
});

async function goLive(): Promise<void> {
  gateway.welcome();
  gateway.grantAll();
  await drawAll();
}

/** Draws the frame and gives what the next patch tells, empty where there is none. */
async function draw(): Promise<Patch> {
  engine.handle({ kind: "drawn" });
  await vi.advanceTimersByTimeAsync(100);
  const [patch, ...more] = said.flatMap((message) => (message.kind === "patch" ? [message.patch] : []));
  expect(more).toEqual([]);
  said = [];
  return patch ?? {};
}

/** Draws until nothing more is told; gives it all together. */
async function drawAll(): Promise<Patch> {
  await vi.advanceTimersByTimeAsync(1);
  let together: Patch = patches();
  for (let next = await draw(); Object.keys(next).length > 0; next = await draw()) {
    together = { ...together, ...next };
  }
  return together;
}

function patches(): Patch {
  const told = said.flatMap((message) => (message.kind === "patch" ? [message.patch] : []));
  said = said.filter(({ kind }) => kind !== "patch");
  return Object.assign({}, ...told) as Patch;
}

async function watchEvents(): Promise<WatchEvent[]> {
  await vi.advanceTimersByTimeAsync(1);
  const events: WatchEvent[] = [];
  for (let patch = patches(); Object.keys(patch).length > 0; patch = await draw()) {
    events.push(...(patch.watched?.events ?? []));
  }
  return events;
}

function telemetry(id: string, t: number, seq = t) {
  return update(`telemetry/${id}`, seq, { data: { t } });
}
