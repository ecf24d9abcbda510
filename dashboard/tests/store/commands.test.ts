// The commands of a device, from whatever comes first.
import { beforeEach, expect, it } from "vitest";
import { aCommand } from "../../dev/samples.mjs";
import type { Command, CommandState } from "../../src/generated/protocol";
import { type CommandRecord, Commands, wholeSince } from "../../src/store/commands";

const start = 1_700_000_000_000;
let commands: Commands;
let seq: number;

beforeEach(() => {
  seq = 0;
  commands = new Commands();
});

it("notes each stage with its time as it comes", () => {
  hear("queued", 0);
  hear("sent", 12);
  hear("started", 80);
  hear("started", 90, { progress: 40 });
  hear("succeeded", 500, { result: { rpm: 900 } });
  expect(stages()).toEqual([
    ["queued", 0],
    ["sent", 12],
    ["started", 80],
    ["succeeded", 500],
  ]);
  expect(only().command).toMatchObject({ state: "succeeded", result: { rpm: 900 } });
});

it("goes back from cancelling when the device could not cancel", () => {
  for (const state of ["queued", "started", "cancelling", "started", "succeeded"] as const) hear(state, seq);
  expect(stages().map(([state]) => state)).toEqual([
    "queued",
    "started",
    "cancelling",
    "started",
    "succeeded",
  ]);
});

it("is not turned back by an answer that comes after its stages", () => {
  hear("succeeded", 50);
  commands.add(aCommand({ state: "queued" }));
  expect(only().command.state).toBe("succeeded");
});

it("tells what was seen to happen from what was read afterwards", () => {
  commands.fill(commands.startLoad(), [aCommand({ state: "rejected" })]);
  expect(only().isWitnessed).toBe(false);
  commands.add(aCommand({ state: "rejected" }));
  expect(only().isWitnessed).toBe(true);
});

it("is not turned back by a list that was read before its stages came", () => {
  hear("queued", 0);
  const load = commands.startLoad();
  hear("sent", 10);
  commands.fill(load, [aCommand({ state: "queued" })]);
  expect(only().command.state).toBe("sent");
});

it("takes from a list what happened while nobody listened", () => {
  hear("sent", 10);
  commands.fill(commands.startLoad(), [aCommand({ state: "timed_out" })]);
  expect(only()).toMatchObject({ command: { state: "timed_out" }, isWhole: false });
});

it("tells the whole story when it has been read, without the notes", () => {
  commands.fill(commands.startLoad(), [aCommand({ state: "failed" })]);
  expect(only().isWhole).toBe(false);
  const steps: CommandState[] = ["queued", "sent", "sent", "failed"];
  commands.tellStory({
    ...aCommand({ state: "failed" }),
    transitions: steps.map((state, at) => ({ state, at: start + at, by: "gateway", reason: null })),
  });
  expect(stages()).toEqual([
    ["queued", 0],
    ["sent", 1],
    ["failed", 3],
  ]);
  expect(only().isWhole).toBe(true);
});

it("is not turned back by updates that come after the story they are in", () => {
  const tell = (...steps: [state: CommandState, at: number][]) => {
    const state = steps.at(-1)?.[0] ?? "queued";
    const transitions = steps.map(([state, at]) => ({ state, at: start + at, by: "gateway", reason: null }));
    commands.tellStory({ ...aCommand({ state }), transitions });
  };
  commands.fill(commands.startLoad(), [aCommand({ state: "sent" })]);
  tell(["queued", 1], ["sent", 1]);
  hear("queued", 1);
  hear("sent", 1);
  hear("started", 1);
  hear("started", 5, { progress: 40 });
  expect(stages().map(([state]) => state)).toEqual(["queued", "sent", "started"]);
  expect(only().command).toMatchObject({ state: "started", progress: 40 });
  hear("cancelling", 9);
  tell(["queued", 1], ["sent", 1], ["started", 1], ["started", 7], ["cancelling", 9]);
  hear("started", 7, { progress: 80 });
  expect(only().command.state).toBe("cancelling");
  hear("succeeded", 8);
  expect(only().command.state).toBe("succeeded");
});

it("does not take a story that is behind", () => {
  hear("queued", 0);
  hear("sent", 10);
  commands.tellStory({ ...aCommand({ state: "queued" }), transitions: [] });
  expect(stages()).toHaveLength(2);
});

it("lists the newest first and keeps a hundred", () => {
  const many = Array.from({ length: 120 }, (_, n) => aCommand({ id: `c${n}`, created_at: start + n }));
  commands.fill(commands.startLoad(), many);
  expect(commands.all()).toHaveLength(100);
  expect(commands.all()[0]?.command.id).toBe("c119");
  expect(commands.all().at(-1)?.command.id).toBe("c20");
});

it("drops what a reading does not have any more, and keeps what was told since it began", () => {
  commands.fill(commands.startLoad(), [aCommand({ id: "gone" }), aCommand({ id: "here" })]);
  const load = commands.startLoad();
  hear("queued", 0, { id: "heard" });
  commands.add(aCommand({ id: "answered" }));
  fillWith(load, [aCommand({ id: "here" })], null);
  expect(ids().sort()).toEqual(["answered", "heard", "here"]);
  fillWith(commands.startLoad(), [], null);
  expect(ids()).toEqual([]);
});

it("drops nothing of what may stand on the next page", () => {
  const last = aCommand({ id: "last", created_at: start + 2 });
  commands.fill(commands.startLoad(), [
    aCommand({ id: "gone", created_at: start + 3 }),
    last,
    aCommand({ id: "beside", created_at: start + 2 }),
    aCommand({ id: "older", created_at: start + 1 }),
  ]);
  fillWith(commands.startLoad(), [last], "next");
  expect(ids().sort()).toEqual(["beside", "last", "older"]);
});

/** Takes a first page that goes on at `next`. */
function fillWith(load: number, items: Command[], next: string | null): void {
  commands.fill(load, items, wholeSince({ items, next }));
}

function ids(): string[] {
  return commands.all().map(({ command }) => command.id);
}

function hear(state: CommandState, afterMs: number, more: Partial<Command> = {}): void {
  seq += 1;
  const data = aCommand({ state, ...more });
  commands.hear(data, start + afterMs);
}

function only(): CommandRecord {
  const [record, ...others] = commands.all();
  if (record === undefined || others.length > 0) throw new Error("there is not exactly one command");
  return record;
}

function stages(): [state: CommandState, afterMs: number][] {
  return only().stages.map(({ state, at }) => [state, at - start]);
}
