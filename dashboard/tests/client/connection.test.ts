// How the client comes, stays and comes back.
import { beforeEach, expect, it, vi } from "vitest";
import { World } from "./fake-gateway";

let world: World;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  world = new World();
});

it("is live only when every subscription has its values", () => {
  world.listen(["presence/#"]);
  world.client.start();
  expect(world.state.kind).toBe("connecting");
  world.gateway.welcome();
  expect(world.state.kind).toBe("connecting");
  world.gateway.grantAll();
  expect(world.state).toMatchObject({ kind: "live", session: "s1" });
});

it("is live at once where nothing is subscribed", () => {
  world.client.start();
  world.gateway.welcome();
  expect(world.state.kind).toBe("live");
});

it("gives up a gateway that does not greet", () => {
  world.client.start();
  vi.advanceTimersByTime(10_000);
  expect(world.gateway.closedByClient).not.toBeNull();
  expect(world.state).toMatchObject({ kind: "recovering", why: "the gateway did not greet in time" });
});

it.each([1006, 1001, 4100, 4108, 4112, 4113])("backs off after %i", (code) => {
  world.goLive();
  world.gateway.close(code);
  expect(world.state).toMatchObject({ kind: "recovering", attempt: 1, nextTryAt: Date.now() + 750 });
  vi.advanceTimersByTime(749);
  expect(world.connections).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(world.connections).toHaveLength(2);
  expect(world.state).toMatchObject({ kind: "recovering", nextTryAt: null });
});

it("comes back when a gateway that shuts down asks it to", () => {
  world.goLive();
  world.gateway.close(4100, "shutting down; come back after 12345 ms");
  const why = "the gateway is shutting down";
  expect(world.state).toMatchObject({ kind: "recovering", attempt: 1, nextTryAt: Date.now() + 12_345, why });
  vi.advanceTimersByTime(12_345);
  expect(world.connections).toHaveLength(2);
});

it("keeps saying why the connection broke while tries find nobody, until one tells more", () => {
  world.goLive();
  world.gateway.close(4100);
  vi.advanceTimersByTime(750);
  world.gateway.close(1006);
  expect(world.state).toMatchObject({ kind: "recovering", attempt: 2, why: "the gateway is shutting down" });
  world.client.tryNow();
  world.gateway.close(4113);
  expect(world.state).toMatchObject({ attempt: 3, why: "this page sent too many messages" });
});

it("says why a later connection broke, not why an earlier one did", () => {
  world.goLive();
  world.gateway.close(4100);
  world.client.tryNow();
  world.gateway.welcome();
  expect(world.state.kind).toBe("live");
  world.gateway.close(1006);
  expect(world.state).toMatchObject({ kind: "recovering", why: "the connection was closed (1006)" });
});

it.each([
  [4100, "shutting down; come back after 20001 ms"],
  [4100, "shutting down; come back after -1 ms"],
  [4100, "shutting down; come back after soon"],
  [4108, "too slow; come back after 100 ms"],
])("backs off as ever where %i says '%s'", (code, reason) => {
  world.goLive();
  world.gateway.close(code, reason);
  expect(world.state).toMatchObject({ kind: "recovering", nextTryAt: Date.now() + 750 });
});

it("waits between half a second and a ceiling that doubles up to 20 s", () => {
  world.client.start();
  const ceilings: number[] = [];
  for (let attempt = 1; attempt <= 8; attempt += 1) {
    world.dice = attempt % 2 === 0 ? 0 : 0.999_999;
    world.gateway.close(1006);
    const { state } = world;
    if (state.kind !== "recovering" || state.nextTryAt === null) throw new Error(`is ${state.kind}`);
    ceilings.push(Math.round(state.nextTryAt - Date.now()));
    world.client.tryNow();
  }
  expect(ceilings).toEqual([1_000, 500, 4_000, 500, 16_000, 500, 20_000, 500]);
});

it("starts with a short wait again once a connection has held", () => {
  world.client.start();
  world.gateway.close(1006);
  world.client.tryNow();
  world.gateway.welcome();
  world.gateway.pong();
  vi.advanceTimersByTime(9_999);
  world.gateway.close(1006);
  expect(world.state).toMatchObject({ attempt: 2 });
  world.client.tryNow();
  world.gateway.welcome();
  world.gateway.pong();
  vi.advanceTimersByTime(10_000);
  world.gateway.close(1006);
  expect(world.state).toMatchObject({ attempt: 1 });
});

it("comes back at once after 42xx", () => {
  world.goLive();
  world.gateway.close(4201);
  vi.advanceTimersByTime(0);
  expect(world.connections).toHaveLength(2);
});

it("backs off when it is moved again before it was live", () => {
  world.goLive();
  world.gateway.close(4201);
  vi.advanceTimersByTime(0);
  world.gateway.close(4201);
  vi.advanceTimersByTime(0);
  expect(world.connections).toHaveLength(2);
  expect(world.state).toMatchObject({ kind: "recovering", attempt: 1 });
});

it.each([4001, 4003, 4004, 4005, 1009])("stays away after %i until a person tries again", (code) => {
  world.goLive();
  world.gateway.close(code);
  expect(world.state).toMatchObject({ kind: "refused", code });
  vi.advanceTimersByTime(3_600_000);
  expect(world.connections).toHaveLength(1);
  world.client.tryNow();
  world.gateway.welcome();
  expect(world.state.kind).toBe("live");
});

it("tries at once when asked to, and only once", () => {
  world.goLive();
  world.gateway.close(1006);
  world.client.tryNow();
  world.client.tryNow();
  vi.advanceTimersByTime(5_000);
  expect(world.connections).toHaveLength(2);
});

it("says offline while the browser has no network, and tries when it has one again", () => {
  world.goLive();
  world.gateway.close(1006);
  world.network = false;
  world.client.networkChanged();
  expect(world.state.kind).toBe("offline");
  world.network = true;
  world.client.networkChanged();
  expect(world.connections).toHaveLength(2);
  expect(world.state.kind).toBe("recovering");
});

it("keeps trying while offline, since a gateway on this machine needs no network", () => {
  world.network = false;
  world.client.start();
  world.gateway.close(1006);
  expect(world.state.kind).toBe("offline");
  vi.advanceTimersByTime(1_000);
  expect(world.connections).toHaveLength(2);
});

it("remembers since when it is broken through all tries", () => {
  world.goLive();
  const brokenAt = Date.now();
  world.gateway.close(1006);
  vi.advanceTimersByTime(1_000);
  world.gateway.close(1006);
  expect(world.state).toMatchObject({ since: brokenAt, attempt: 2 });
});

it("leaves a gateway that stopped answering pings", () => {
  world.goLive();
  expect(world.gateway.ofType("ping")).toHaveLength(1);
  vi.advanceTimersByTime(10_000);
  expect(world.gateway.closedByClient).not.toBeNull();
  expect(world.state).toMatchObject({ kind: "recovering", why: "the gateway stopped answering" });
});

it("stays with a gateway whose answers stand behind much else, for a minute", () => {
  const heard = world.listen(["presence/#"]);
  world.client.start();
  world.gateway.welcome();
  for (let second = 1; second < 60; second += 1) {
    vi.advanceTimersByTime(1_000);
    world.gateway.frame({ channel: "presence/a", seq: second, offset: second, timestamp: 0, data: {} });
  }
  expect(world.gateway.closedByClient).toBeNull();
  world.gateway.grantAll();
  world.gateway.frame({ channel: "presence/a", seq: 60, offset: 60, timestamp: 0, data: {} });
  expect(world.state.kind).toBe("live");
  vi.advanceTimersByTime(1_000);
  expect(world.state).toMatchObject({ kind: "recovering", why: "the gateway stopped answering" });
  expect(heard.updates.at(-1)?.seq).toBe(60);
});

it("says that the gateway is silent while a ping is unanswered, until its pong", () => {
  world.goLive();
  const askedAt = Date.now();
  vi.advanceTimersByTime(1_999);
  expect(world.health?.silentSince).toBeNull();
  vi.advanceTimersByTime(1);
  expect(world.health?.silentSince).toBe(askedAt);
  expect(world.state.kind).toBe("live");
  world.gateway.pong(Date.now());
  expect(world.health?.silentSince).toBeNull();
});

it("hears nothing more from a socket it has left", () => {
  const heard = world.listen(["presence/#"]);
  world.goLive();
  const left = world.gateway;
  vi.advanceTimersByTime(10_000);
  left.frame({ channel: "presence/a", seq: 1, offset: 1, timestamp: 0, data: {} });
  left.close(4001);
  expect(heard.updates).toEqual([]);
  expect(world.state.kind).toBe("recovering");
});

it("measures the round trip and the gateway's clock", () => {
  world.goLive();
  vi.advanceTimersByTime(40);
  world.gateway.pong(Date.now() + 60_000 - 20);
  expect(world.health).toMatchObject({ roundTripMs: 40 });
  vi.advanceTimersByTime(3_000);
  world.gateway.pong(Date.now() + 60_000);
  expect(world.health).toMatchObject({ roundTripMs: 0, clockOffsetMs: 60_000 });
  expect(world.client.serverNow()).toBe(Date.now() + 60_000);
});

it("counts what it cannot read and goes on", () => {
  world.goLive();
  world.gateway.raw("{");
  world.gateway.raw('{"type":"ok"}');
  world.gateway.raw('[{"type":"weather"},{"channel":7},null]');
  expect(world.health?.unreadable).toBe(5);
  expect(world.state.kind).toBe("live");
});

it("leaves a gateway whose columns cannot be read, and says why", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive();
  const left = world.gateway;
  left.raw(new ArrayBuffer(2));
  const why = "the gateway sent a frame that cannot be read: it ends within the header, after 2 bytes";
  expect(left.closedByClient).toEqual({ code: 4004, reason: why });
  expect(world.state).toMatchObject({ kind: "recovering", why });
  left.columns({ channel: "telemetry/a", seq: 1, offset: 1, timestamp: 0, data: { t: 1 } });
  expect(heard.updates).toEqual([]);
});

it("does not come back after it was stopped", () => {
  world.goLive();
  world.client.stop();
  vi.advanceTimersByTime(60_000);
  expect(world.connections).toHaveLength(1);
  expect(world.gateway.closedByClient).not.toBeNull();
});
