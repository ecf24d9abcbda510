// How nothing is lost, doubled or turned back through broken connections, holes and slow times.
import { beforeEach, expect, it, vi } from "vitest";
import { dice } from "./chance";
import { type Heard, seqs, update, World } from "./fake-gateway";

let world: World;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  world = new World();
});

it("goes on after the last update that was seen, without snapshot and history", () => {
  const heard = world.listen(["telemetry/a"], { history: { last: 5 }, snapshot: true, mode: "every" });
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1, { offset: 40 }), update("telemetry/a", 2, { offset: 41 }));
  world.comeBack();
  expect(world.gateway.last("subscribe")).toMatchObject({
    channels: ["telemetry/a"],
    options: { mode: "every", since: { epoch: "e1", offset: 41 } },
  });
  expect(world.gateway.last("subscribe").options).not.toHaveProperty("history");
  expect(world.gateway.last("subscribe").options).not.toHaveProperty("snapshot");
  world.gateway.grant(undefined, update("telemetry/a", 3, { offset: 50, replayed: true }));
  expect(world.state.kind).toBe("recovering");
  world.gateway.live(undefined, 50);
  expect(world.state.kind).toBe("live");
  expect(seqs(heard)).toEqual([1, 2, 3]);
  expect(heard).toMatchObject({ live: 2, resets: [], gaps: [] });
});

it("counts the offset of `live` as seen", () => {
  const heard = world.listen(["presence/#"]);
  world.client.start();
  world.gateway.welcome();
  world.gateway.grant();
  expect(heard.cursor()).toBeNull();
  world.gateway.live(undefined, 77);
  expect(heard.cursor()).toEqual({ epoch: "e1", offset: 77 });
  world.comeBack();
  expect(world.gateway.last("subscribe").options).toEqual({ since: { epoch: "e1", offset: 77 } });
});

it("holds the cursor of who is still catching up, while others go on", () => {
  const late = world.listen(["telemetry/a"]);
  world.listen(["presence/#"]);
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1, { offset: 10 }));
  world.comeBack();
  const [first, second] = world.gateway.ofType("subscribe");
  world.gateway.grant(first, update("telemetry/a", 2, { offset: 11, replayed: true }));
  world.gateway.grant(second);
  world.gateway.live(second, 30);
  world.gateway.frame(update("presence/x", 1, { offset: 31 }));
  world.comeBack();
  const [again, other] = world.gateway.ofType("subscribe");
  expect(again?.options?.since).toEqual({ epoch: "e1", offset: 10 });
  expect(other?.options?.since).toEqual({ epoch: "e1", offset: 31 });
  world.gateway.grant(
    again,
    update("telemetry/a", 2, { offset: 11, replayed: true }),
    update("telemetry/a", 3, { offset: 12, replayed: true }),
  );
  expect(seqs(late)).toEqual([1, 2, 3]);
});

it("keeps what comes live behind what is still being caught up", () => {
  const heard = world.listen(["telemetry/a"]);
  world.listen(["telemetry/#"], { throttle: 4 });
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1));
  world.comeBack();
  const [mine, others] = world.gateway.ofType("subscribe");
  world.gateway.grant(others);
  world.gateway.live(others, 1);
  world.gateway.grant(mine, update("telemetry/a", 2, { replayed: true }));
  world.gateway.frame(update("telemetry/a", 4));
  world.gateway.columns(update("telemetry/b", 9), update("telemetry/a", 5));
  world.gateway.columns(update("telemetry/a", 6));
  world.gateway.frame(update("telemetry/a", 3, { replayed: true }));
  expect(seqs(heard)).toEqual([1, 2, 3]);
  world.gateway.live(mine, 6);
  expect(seqs(heard)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(world.health?.holes).toBe(0);
});

it("throws the values away that a reset names, and takes the snapshots that follow", () => {
  const all = world.listen(["telemetry/#"], { throttle: 4 });
  const one = world.listen(["telemetry/a"]);
  const other = world.listen(["presence/#"]);
  world.goLive(update("telemetry/a", 90, { snapshot: true }));
  world.comeBack("e2");
  const [asked] = world.gateway.ofType("subscribe");
  world.gateway.grant(
    asked,
    { type: "reset", channels: ["telemetry/#"], epoch: "e2", offset: 3, reason: "epoch" },
    update("telemetry/a", 2, { snapshot: true }),
  );
  expect(all.resets).toEqual([["telemetry/#"]]);
  expect(one.resets).toEqual([["telemetry/#"]]);
  expect(other.resets).toEqual([]);
  world.gateway.live(asked, 3);
  world.gateway.frame(update("telemetry/a", 3));
  expect(seqs(all).slice(-2)).toEqual([2, 3]);
});

it("begins anew where the gateway cannot resume", () => {
  const heard = world.listen(["telemetry/a"], { mode: "every" });
  world.goLive(update("telemetry/a", 5, { snapshot: true }));
  world.comeBack();
  const { id } = world.gateway.last("subscribe");
  world.gateway.frame({ type: "error", id, code: "bad_options", message: "there is no `since` yet" });
  expect(heard).toMatchObject({ resets: [["telemetry/a"]], refused: [] });
  expect(world.gateway.last("subscribe").options).toEqual({ mode: "every" });
  world.gateway.grant(undefined, update("telemetry/a", 2, { snapshot: true }));
  world.gateway.live();
  expect(seqs(heard)).toEqual([5, 2]);
  expect(world.state.kind).toBe("live");
});

it("begins anew after a break that is longer than what was missed is worth", () => {
  const heard = world.listen(["telemetry/#"], { throttle: 4 }, { resumeWithinMs: 30_000 });
  world.goLive(update("telemetry/a", 5, { snapshot: true }));
  world.comeBack();
  expect(world.gateway.last("subscribe").options).toHaveProperty("since");
  world.gateway.grantAll();
  world.gateway.close(4001);
  vi.advanceTimersByTime(30_001);
  world.client.tryNow();
  world.gateway.welcome();
  expect(world.gateway.last("subscribe").options).toEqual({ throttle: 4 });
  expect(heard.resets).toEqual([["telemetry/#"]]);
});

it("resumes from a cursor that the caller kept", () => {
  const heard = world.listen(["telemetry/a"], { since: { epoch: "e0", offset: 5 } });
  world.client.start();
  world.gateway.welcome();
  expect(world.gateway.last("subscribe").options).toEqual({ since: { epoch: "e0", offset: 5 } });
  expect(heard.cursor()).toEqual({ epoch: "e0", offset: 5 });
  world.gateway.grantAll(update("telemetry/a", 8, { offset: 6, replayed: true }));
  expect(heard.cursor()).toEqual({ epoch: "e1", offset: 1 });
});

it("has a hole filled, and tells nobody of it", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive(update("telemetry/a", 7, { snapshot: true }));
  world.gateway.frame(update("telemetry/a", 8), update("telemetry/a", 12));
  const asked = world.gateway.last("replay");
  expect(asked).toMatchObject({ channel: "telemetry/a", from: 9, to: 11 });
  world.gateway.frame(
    ...[9, 10, 10, 11].map((seq) => update("telemetry/a", seq, { replayed: true })),
    { type: "ok", id: asked.id },
    update("telemetry/a", 13),
  );
  expect(seqs(heard)).toEqual([7, 8, 12, 9, 10, 11, 13]);
  expect(heard.gaps).toEqual([]);
  expect(world.health).toMatchObject({ holes: 1, missed: 0 });
});

it("finds and fills holes in columns too", () => {
  const heard = world.listen(["telemetry/#"]);
  world.goLive();
  world.gateway.columns(update("telemetry/a", 1), update("telemetry/b", 1));
  world.gateway.columns(update("telemetry/a", 2, { offset: 3 }), update("telemetry/b", 3, { offset: 5 }));
  const asked = world.gateway.last("replay");
  expect(asked).toMatchObject({ channel: "telemetry/b", from: 2, to: 2 });
  world.gateway.columns(update("telemetry/b", 2, { offset: 4, replayed: true }));
  world.gateway.frame({ type: "ok", id: asked.id });
  expect(heard.updates).toHaveLength(5);
  expect(heard.gaps).toEqual([]);
});

it("tells of what a replay does not bring", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive(update("telemetry/a", 1, { snapshot: true }));
  world.gateway.frame(update("telemetry/a", 6));
  const asked = world.gateway.last("replay");
  world.gateway.frame(update("telemetry/a", 3, { replayed: true }), { type: "ok", id: asked.id });
  expect(heard.gaps).toEqual([
    ["telemetry/a", { from: 2, to: 2 }],
    ["telemetry/a", { from: 4, to: 5 }],
  ]);
  expect(world.health?.missed).toBe(3);
});

it("tells of a hole that is no longer kept, once, with the reset that says so", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive(update("telemetry/a", 1, { snapshot: true }));
  world.gateway.frame(update("telemetry/a", 4));
  const { id } = world.gateway.last("replay");
  world.gateway.frame(
    { type: "reset", channels: ["telemetry/a"], epoch: "e1", offset: 4, reason: "expired" },
    update("telemetry/a", 4, { snapshot: true }),
    { type: "ok", id },
    update("telemetry/a", 5),
  );
  expect(heard.gaps).toEqual([["telemetry/a", { from: 2, to: 3 }]]);
  expect(world.health).toMatchObject({ missed: 2, resets: 1 });
  expect(seqs(heard)).toEqual([1, 4, 4, 5]);
});

it("asks again on the next connection for a hole that was being filled when it broke", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive(update("telemetry/a", 1, { snapshot: true }));
  world.gateway.frame(update("telemetry/a", 4));
  world.comeBack();
  world.gateway.grant();
  expect(world.gateway.ofType("replay")).toEqual([]);
  world.gateway.live();
  expect(world.gateway.last("replay")).toMatchObject({ from: 2, to: 3 });
  expect(heard.gaps).toEqual([]);
});

it("sees a hole in presence although its options say latest, for presence always comes whole", () => {
  world.listen(["presence/#"], { mode: "latest" });
  world.goLive(update("presence/a", 1, { snapshot: true }));
  world.gateway.frame(update("presence/a", 3));
  expect(world.gateway.last("replay")).toMatchObject({ channel: "presence/a", from: 2, to: 2 });
});

it("resumes merged channels from what was certain at a pong, for one may have been held back", () => {
  const heard = world.listen(["telemetry/#"], { throttle: 1 });
  world.listen(["presence/#"]);
  world.goLive();
  const offsetAt = () => heard.cursor()?.offset;
  world.gateway.frame(update("telemetry/a", 1, { offset: 10 }));
  world.gateway.pong();
  expect(offsetAt()).toBe(1);
  vi.advanceTimersByTime(3_000);
  world.gateway.frame(update("telemetry/b", 1, { offset: 20 }));
  world.gateway.pong();
  expect(offsetAt()).toBe(10);
  vi.advanceTimersByTime(3_000);
  world.gateway.frame(update("presence/a", 1, { offset: 30 }));
  world.gateway.pong();
  expect(offsetAt()).toBe(20);
  world.gateway.frame(update("telemetry/b", 2, { offset: 50 }));
  world.comeBack();
  const [merged, whole] = world.gateway.ofType("subscribe");
  expect(merged?.options?.since?.offset).toBe(20);
  expect(whole?.options?.since?.offset).toBe(30);
});

it("does not move the cursor while the gateway merges for a slow reader", () => {
  const heard = world.listen(["telemetry/a", "telemetry/b"]);
  world.listen(["presence/#"]);
  world.goLive();
  world.gateway.frame(update("telemetry/a", 1, { offset: 10 }), { type: "lag", on: true, dropped: 0 });
  world.gateway.frame(update("telemetry/a", 9, { offset: 30 }), update("presence/x", 1, { offset: 28 }));
  expect(heard.cursor()?.offset).toBe(10);
  world.gateway.frame(update("telemetry/b", 4, { offset: 25 }), { type: "lag", on: false, dropped: 9 });
  expect(heard.cursor()?.offset).toBe(30);
});

it("leaves a connection on which more comes live than can wait, and begins that wish anew", () => {
  const heard = world.listen(["telemetry/a"]);
  world.goLive(update("telemetry/a", 1, { snapshot: true }));
  world.comeBack();
  world.gateway.grant();
  for (let seq = 2; seq <= 50_002; seq += 1) world.gateway.frame(update("telemetry/a", seq));
  expect(world.state).toMatchObject({ kind: "recovering" });
  expect(heard.resets).toEqual([["telemetry/a"]]);
  world.client.tryNow();
  world.gateway.welcome();
  expect(world.gateway.last("subscribe").options).toEqual({});
});

it.each(Array.from({ length: 40 }, (_, seed) => seed))(
  "hands each update out once whatever breaks, loses or repeats, with the seed %i",
  (seed) => {
    const random = dice(seed);
    const heard = world.listen(["telemetry/#"]);
    const said: { channel: string; seq: number; offset: number }[] = [];
    const seqOf: Record<string, number> = { a: 0, b: 0, c: 0 };
    const say = () => {
      const name = ["a", "b", "c"][Math.floor(random() * 3)] ?? "a";
      const seq = (seqOf[name] ?? 0) + 1;
      seqOf[name] = seq;
      const one = { channel: `telemetry/${name}`, seq, offset: said.length + 1 };
      said.push(one);
      return update(one.channel, one.seq, { offset: one.offset });
    };
    world.client.start();
    world.gateway.welcome({}, "e1", 0);
    world.gateway.grant();
    world.gateway.live(undefined, 0);
    for (const name of ["a", "b", "c"]) {
      void name;
      world.gateway.frame(say());
    }
    for (let step = 0; step < 200; step += 1) {
      const roll = random();
      const one = say();
      if (roll < 0.6) world.gateway.columns(one);
      else if (roll < 0.75) world.gateway.frame(one);
      else if (roll < 0.85) world.gateway.frame(one, one);
      else if (roll < 0.95) answerReplays(world, said);
      else resume(world, said, random() < 0.3);
    }
    world.gateway.frame(...["a", "b", "c"].map((name) => finish(name, seqOf, said)));
    answerReplays(world, said);
    expectAllOnce(heard, said);
  },
);

type Said = { channel: string; seq: number; offset: number }[];

function finish(name: string, seqOf: Record<string, number>, said: Said) {
  const seq = (seqOf[name] ?? 0) + 1;
  const one = { channel: `telemetry/${name}`, seq, offset: said.length + 1 };
  said.push(one);
  return update(one.channel, seq, { offset: one.offset });
}

/** Breaks the connection; the gateway sends what came after the cursor, or breaks again in its midst. */
function resume(world: World, said: Said, breaksAgain: boolean): void {
  world.comeBack("e1", said.length);
  const since = world.gateway.last("subscribe").options?.since?.offset ?? 0;
  const past = said
    .filter(({ offset }) => offset > since)
    .map(({ channel, seq, offset }) => update(channel, seq, { offset, replayed: true }));
  if (breaksAgain) {
    world.gateway.grant(undefined, ...past.slice(0, past.length / 2));
    return resume(world, said, false);
  }
  world.gateway.grant(undefined, ...past);
  world.gateway.live(undefined, said.length);
}

const answered = new WeakSet<object>();

function answerReplays({ gateway }: World, said: Said): void {
  for (const asked of gateway.ofType("replay")) {
    if (answered.has(asked)) continue;
    answered.add(asked);
    const again = said.filter(
      ({ channel, seq }) =>
        channel === asked.channel &&
        seq >= (asked.from ?? 0) &&
        seq <= (asked.to ?? Number.POSITIVE_INFINITY),
    );
    gateway.columns(
      ...again.map(({ channel, seq, offset }) => update(channel, seq, { offset, replayed: true })),
    );
    gateway.frame({ type: "ok", id: asked.id });
  }
}

function expectAllOnce(heard: Heard, said: Said): void {
  const name = ({ channel, seq }: { channel: string; seq: number }) => `${channel} ${seq}`;
  expect(heard.updates.map(name).sort()).toEqual(said.map(name).sort());
  expect(heard.gaps).toEqual([]);
}
