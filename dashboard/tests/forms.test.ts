// Forms from schemas, comparisons, metrics, and messages by hand.
import { describe, expect, it } from "vitest";
import { connectPacket, publishPacket } from "../src/client/mqtt-publish";
import { membersOf } from "../src/store/shadow";
import { batchOf, firstTarget } from "../src/store/target";
import { diffLines } from "../src/text/diff";
import { readMetrics } from "../src/text/metrics";
import { fieldsOf, initialOf } from "../src/text/schema";

describe("fields from a schema", () => {
  const schema = {
    type: "object",
    properties: {
      rpm: { type: "integer", title: "Speed", minimum: 0, maximum: 3000, default: 1500 },
      mode: { enum: ["eco", "full"] },
      force: { type: "boolean" },
      plan: { type: "array" },
      note: { type: "string", maxLength: 5 },
    },
    required: ["rpm", "force"],
  };

  it("have the kinds, bounds and names that it gives", () => {
    const fields = fieldsOf(schema) ?? [];
    expect(fields.map(({ kind }) => kind)).toEqual(["integer", "choice", "boolean", "json", "text"]);
    expect(fields[0]).toMatchObject({ title: "Speed", min: 0, max: 3000, step: 1, isRequired: true });
    expect(fields[1]).toMatchObject({ choices: ["eco", "full"], isRequired: false });
  });

  it("let every multiple pass that the schema lets pass", () => {
    const properties = {
      litres: { type: "integer", minimum: 1, multipleOf: 5 },
      share: { type: "number", minimum: 0.3, multipleOf: 0.1 },
      count: { type: "integer", minimum: 0.5 },
    };
    const fields = fieldsOf({ properties }) ?? [];
    expect(fields.map(({ min, step }) => [min, step])).toEqual([
      [5, 5],
      [0.3, 0.1],
      [1, 1],
    ]);
  });

  it("begin with what it gives; a switch that is needed begins switched off", () => {
    expect(initialOf(fieldsOf(schema) ?? [])).toEqual({ rpm: 1500, force: false });
  });

  it("are not made where a form could not say all", () => {
    expect(fieldsOf({ type: "object", oneOf: [] })).toBeNull();
    expect(fieldsOf({ type: "array" })).toBeNull();
    expect(fieldsOf({ type: "object" })).toEqual([]);
  });
});

it("tells which lines came and went", () => {
  const lines = diffLines("{\na: 1\nb: 2\n}", "{\na: 1\nb: 3\nc: 4\n}") ?? [];
  expect(lines.map(({ kind, text }) => `${kind[0]} ${text}`)).toEqual([
    ...["s {", "s a: 1", "r b: 2", "a b: 3", "a c: 4", "s }"],
  ]);
  expect(diffLines("x\n".repeat(500), "y")).toBeNull();
});

it("reads metrics with their labels and what they are", () => {
  const text = [
    "# HELP sluice_in_total Messages in.",
    "# TYPE sluice_in_total counter",
    'sluice_in_total{qos="1"} 12',
    "sluice_queue 0.5",
    'sluice_time_bucket{le="+Inf"} 3',
  ].join("\n");
  expect(readMetrics(text)).toEqual([
    { name: "sluice_in_total", labels: 'qos="1"', value: 12, help: "Messages in." },
    { name: "sluice_queue", labels: "", value: 0.5, help: "" },
  ]);
});

it("puts what is desired beside what is reported", () => {
  const state = {
    ...{ version: 1, in_sync: false },
    desired: { a: 1, b: { x: [1, 2] }, c: 3 },
    reported: { a: 1, b: { x: [1, 2] }, d: 4 },
  };
  const standings = membersOf(state).map(({ name, standing }) => [name, standing]);
  expect(standings).toEqual([
    ["a", "same"],
    ["b", "same"],
    ["c", "differs"],
    ["d", "only_reported"],
  ]);
});

it("asks for a batch only where somebody is named, and for no pace that was not given", () => {
  const command = { name: "reboot" };
  expect(batchOf({ ...firstTarget, kind: "type" }, new Set(), command)).toBeNull();
  expect(batchOf({ ...firstTarget, kind: "selected" }, new Set(["a"]), command)).toEqual({
    devices: ["a"],
    command,
  });
  const paced = {
    ...firstTarget,
    kind: "tag",
    tag: "k",
    rate: 5,
    abortAfter: 10,
    abortUnit: "percent",
  } as const;
  expect(batchOf(paced, new Set(), command)).toEqual({
    ...{ tag: "k", command, rate: 5 },
    abort_after: { percent: 10 },
  });
});

describe("a message by hand", () => {
  it("begins with a session that ends with the connection", () => {
    const expected = [0x10, 13, 0, 4, 77, 81, 84, 84, 4, 2, 0, 30, 0, 1, 97];
    expect([...connectPacket("a")]).toEqual(expected);
  });

  it("bears its quality, its topic and its payload", () => {
    const message = { topic: "a/b", payload: "hi", qos: 1, retain: true } as const;
    expect([...publishPacket(message)]).toEqual([0x33, 9, 0, 3, 97, 47, 98, 0, 1, 104, 105]);
  });

  it("says its length in as many bytes as it takes", () => {
    const message = { topic: "t", payload: "x".repeat(200), qos: 0, retain: false } as const;
    expect([...publishPacket(message).slice(0, 3)]).toEqual([0x30, 0xcb, 1]);
  });
});
