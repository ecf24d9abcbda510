// Who hears what, and how a loss is noticed.
import { beforeEach, expect, it, vi } from "vitest";
import type { Table } from "../../src/client/table";
import { seqs, update, World } from "./fake-gateway";

let world: World;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  world = new World();
});

it("gives an update to everyone whose filter matches", () => {
  const all = world.listen(["telemetry/#"], { throttle: 4 });
  const one = world.listen(["telemetry/a"]);
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1), update("telemetry/b", 1));
  expect(all.updates.map(({ channel }) => channel)).toEqual(["telemetry/a", "telemetry/b"]);
  expect(one.updates.map(({ channel }) => channel)).toEqual(["telemetry/a"]);
});

it.each([{ mode: "latest" as const }, { throttle: 4 }, { fields: ["t"] }])(
  "takes no hole for a loss with %o",
  (options) => {
    world.listen(["telemetry/#"], options);
    world.goLive();
    world.gateway.frame(update("telemetry/a", 1), update("telemetry/a", 9));
    expect(world.health?.holes).toBe(0);
    expect(world.gateway.ofType("replay")).toEqual([]);
  },
);

it("takes what conflation swallowed for dropped, not for missed", () => {
  world.listen(["telemetry/a"]);
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1), { type: "lag", on: true, dropped: 0 });
  expect(world.health?.lagging).toBe(true);
  world.gateway.frame(update("telemetry/a", 5), { type: "lag", on: false, dropped: 3 });
  world.gateway.frame(update("telemetry/a", 9));
  expect(world.health).toMatchObject({ holes: 0, dropped: 3, lagging: false });
});

it("keeps an update that comes twice from turning values back", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1), update("telemetry/a", 2), update("telemetry/a", 1));
  expect(heard.updates.map(({ seq }) => seq)).toEqual([1, 2]);
});

it("begins anew where the gateway says that continuity is lost", () => {
  const heard = world.listen(["commands/a"]);
  world.goLive(update("commands/a", 4, { snapshot: true }));
  world.gateway.frame(
    { type: "reset", channels: ["commands/a"], epoch: "e1", offset: 9, reason: "overflow" },
    update("commands/a", 9, { snapshot: true }),
    update("commands/a", 10),
  );
  expect(heard.resets).toEqual([["commands/a"]]);
  expect(seqs(heard)).toEqual([4, 9, 10]);
  expect(world.health).toMatchObject({ holes: 0, resets: 1 });
});

it("does not judge an update that was under way before a subscription was granted", () => {
  world.listen(["telemetry/#"], { throttle: 4 });
  world.goLive();
  world.listen(["telemetry/a"]);
  const { id } = world.gateway.last("subscribe");
  world.gateway.frame(
    update("telemetry/a", 3),
    update("telemetry/a", 8),
    { type: "subscribed", id, channels: ["telemetry/a"] },
    update("telemetry/a", 20, { snapshot: true }),
    { type: "live", id, offset: 1 },
    update("telemetry/a", 21),
  );
  expect(world.health?.holes).toBe(0);
});

it("hands tables to who takes them, and each the rows that it wants", () => {
  const tables: Table[] = [];
  const all = world.listen(["telemetry/#"], { throttle: 4 }, { tabled: (table) => tables.push(table) });
  const one = world.listen(["telemetry/a"]);
  world.goLive();
  world.gateway.columns(update("telemetry/a", 1), update("telemetry/b", 2), update("telemetry/b", 3));
  world.gateway.columns(update("telemetry/a", 4));
  expect(all.updates).toEqual([]);
  expect(tables.map(({ rows }) => rows)).toEqual([3, 1]);
  expect(one.updates).toEqual([update("telemetry/a", 1), update("telemetry/a", 4)]);
});

it("gives the history that was asked for before what is live", () => {
  const order: string[] = [];
  const heard = world.listen(
    ["telemetry/a"],
    { history: { since: 5, points: 100 } },
    { pasted: () => order.push("history"), updated: ({ seq }) => order.push(`update ${seq}`) },
  );
  world.client.start();
  world.gateway.welcome();
  world.gateway.grant(undefined, update("telemetry/a", 7, { snapshot: true }));
  world.gateway.frame(update("telemetry/a", 8), {
    type: "history",
    channel: "telemetry/a",
    from: 5,
    to: 10,
    bucket_ms: null,
    timestamps: [6],
    metrics: { n: { values: [1] } },
  });
  world.gateway.live();
  expect(order).toEqual(["update 7", "history", "update 8"]);
  expect(heard.live).toBe(1);
});

it("gives the newest updates that were asked for although the value came before them", () => {
  const heard = world.listen(["telemetry/a"], { history: { last: 2 } });
  world.client.start();
  world.gateway.welcome();
  world.gateway.grant(
    undefined,
    update("telemetry/a", 7, { snapshot: true }),
    update("telemetry/a", 6, { replayed: true }),
    update("telemetry/a", 7, { replayed: true }),
  );
  world.gateway.live();
  world.gateway.frame(update("telemetry/a", 7), update("telemetry/a", 8));
  expect(seqs(heard)).toEqual([7, 6, 7, 8]);
  expect(world.health?.holes).toBe(0);
});

it("tells the one whose wish was refused, and is live all the same", () => {
  const heard = world.listen(["secret/#"]);
  world.client.start();
  world.gateway.welcome();
  const { id } = world.gateway.last("subscribe");
  world.gateway.frame({ type: "error", id, code: "forbidden", message: "no" });
  expect(heard.refused).toEqual(["forbidden"]);
  expect(world.state.kind).toBe("live");
});

it("leaves a gateway that does not answer a subscription", () => {
  world.listen(["presence/#"]);
  world.client.start();
  world.gateway.welcome();
  world.gateway.pong();
  vi.advanceTimersByTime(10_000);
  expect(world.state).toMatchObject({ kind: "recovering", why: "the gateway did not answer a subscription" });
});

it("unsubscribes what is given up and does not ask for it again", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive();
  heard.close();
  expect(world.gateway.last("unsubscribe").channels).toEqual(["telemetry/a"]);
  world.gateway.frame(update("telemetry/a", 1));
  expect(heard.updates).toEqual([]);
  world.gateway.close(1006);
  vi.advanceTimersByTime(1_000);
  world.gateway.welcome();
  expect(world.gateway.ofType("subscribe")).toEqual([]);
});

it("does not let two wishes fight over one filter", () => {
  world.listen(["presence/#"]);
  expect(() => world.listen(["presence/#"])).toThrow("presence/# is already subscribed");
});
