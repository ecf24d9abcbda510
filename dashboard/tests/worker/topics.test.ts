// The tree of topics: what was published where, how often, and the last payloads.
import { beforeEach, expect, it, vi } from "vitest";
import type { Wish } from "../../src/client/subscriptions";
import type { TopicsView } from "../../src/worker/messages";
import { Topics } from "../../src/worker/topics";
import { update } from "../client/fake-gateway";

const all: TopicsView = { filter: "#", text: "", open: [], from: 0, to: 50, chosen: null };
let wishes: Wish[];
let topics: Topics;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  wishes = [];
  topics = new Topics({
    listen: (wish) => {
      wishes.push(wish);
      return { close: () => wishes.splice(wishes.indexOf(wish), 1), cursor: () => null };
    },
    changed: () => {},
  });
  topics.look(all);
});

it("listens as long as it is looked at, and to what is asked for", () => {
  expect(wishes.map(({ channels }) => channels)).toEqual([["topics/#"]]);
  topics.look({ ...all, filter: "devices/+/events" });
  expect(wishes.map(({ channels }) => channels)).toEqual([["topics/devices/+/events"]]);
  topics.look(null);
  expect(wishes).toEqual([]);
  expect(topics.take()).toBeNull();
});

it("tells whether it listens: not before the gateway lets it, nor to another filter yet", () => {
  expect(topics.take()?.isListening).toBe(false);
  wishes[0]?.live?.();
  expect(topics.take()?.isListening).toBe(true);
  topics.look({ ...all, filter: "devices/#/events" });
  expect(topics.take()?.isListening).toBe(false);
});

it("counts what was merged on the way by its numbers, on each level", () => {
  hear("a/b", 1);
  hear("a/b", 5);
  hear("a/c", 1);
  topics.look({ ...all, open: ["a"] });
  expect(rows()).toEqual([
    ["a", 6],
    ["a/b", 5],
    ["a/c", 1],
  ]);
});

it("takes rates once a second, each an average over some", () => {
  for (let seq = 1; seq <= 4; seq += 1) hear("a/b", seq);
  vi.advanceTimersByTime(1_000);
  expect(topics.take()?.perSecond).toBeCloseTo(4, 1);
  vi.advanceTimersByTime(1_000);
  expect(topics.take()?.perSecond).toBeCloseTo(4 * Math.exp(-1 / 4), 1);
  vi.advanceTimersByTime(30_000);
  expect(topics.take()?.perSecond).toBeLessThan(0.05);
});

it("keeps the payload before the last one, to compare", () => {
  hear("a", 1, { n: 1 });
  hear("a", 2, { n: 2 });
  topics.look({ ...all, chosen: "a" });
  expect(topics.take()?.chosen).toMatchObject({
    last: { payload: { n: 2 } },
    before: { payload: { n: 1 } },
  });
});

it("says how many messages between those two did not come here", () => {
  topics.look({ ...all, chosen: "a" });
  hear("a", 1);
  hear("a", 5);
  expect(topics.take()?.chosen?.skipped).toBe(3);
  hear("a", 6);
  expect(topics.take()?.chosen?.skipped).toBe(0);
});

it("shows what contains a text, with the levels above it", () => {
  hear("a/b/c", 1);
  hear("a/x", 1);
  topics.look({ ...all, text: "c" });
  expect(rows().map(([topic]) => topic)).toEqual(["a", "a/b", "a/b/c"]);
});

it("tells only the rows in view", () => {
  for (let n = 0; n < 30; n += 1) hear(`t${n}`, 1);
  topics.look({ ...all, from: 10, to: 12 });
  expect(rows().map(([topic]) => topic)).toEqual(["t10", "t11"]);
  expect(topics.take()?.shown).toBe(30);
});

it("holds a bounded number of topics and counts the others", () => {
  for (let n = 0; n < 20_005; n += 1) hear(`t${n}`, 1);
  expect(topics.take()).toMatchObject({ topics: 20_000, beyond: 5 });
});

function hear(topic: string, seq: number, payload: unknown = seq): void {
  const data = { payload, encoding: "json", qos: 0, retain: false };
  wishes[0]?.updated(update(`topics/${topic}`, seq, { data }));
}

function rows(): [string, number][] {
  return (topics.take()?.rows ?? []).map(({ topic, messages }) => [topic, messages]);
}
