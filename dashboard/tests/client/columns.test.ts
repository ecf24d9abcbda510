// The compact encoding: what is encoded is what is read, and what is broken is never a value.
import { expect, it } from "vitest";
import { BadFrame, Columns } from "../../src/client/columns";
import { keepTable, numbersOf, pickRows, toUpdates, valueAt } from "../../src/client/table";
import type { Update } from "../../src/generated/protocol";
import { dice, randomUpdates } from "./chance";
import { ColumnsEncoder } from "./columns-encoder.mjs";

it.each(Array.from({ length: 60 }, (_, seed) => seed))("reads what was encoded, with the seed %i", (seed) => {
  const random = dice(seed);
  const [encoder, columns] = [new ColumnsEncoder(), new Columns()];
  let offset = Math.floor(random() * 1e9);
  for (let frame = 0; frame < 8; frame += 1) {
    const updates = randomUpdates(random, offset);
    offset += updates.length;
    const read = encoder.encode(updates).flatMap((bytes) => columns.decode(bytes).flatMap(toUpdates));
    expect(read.sort(byOffset)).toEqual([...updates].sort(byOffset));
  }
});

it.each([
  0, -0, 1, -1, 21.53, 0.1, 0.30000000000000004, 1e22, 1e-22, 5e-324, 1.7976931348623157e308, 123456.789,
  -0.007, 4294967295, 4294967296, -2147483648, -2147483649, 9007199254740994, 1e21,
])("gives the very number %d back", (value) => {
  const [table] = decode([update({ data: { value, zero: 0 } })]);
  const [column] = table?.columns ?? [];
  if (column === undefined) throw new Error("there is a column");
  expect(Object.is(valueAt(column, 0), value)).toBe(true);
  expect(Object.is(numbersOf(column)?.[0], value)).toBe(true);
});

it("numbers channels and shapes through all frames of a connection", () => {
  const [encoder, columns] = [new ColumnsEncoder(), new Columns()];
  const first = encoder.encode([update({ channel: "telemetry/a" }), update({ channel: "telemetry/b" })]);
  const second = encoder.encode([update({ channel: "telemetry/b", seq: 2 })]);
  expect((second[0]?.byteLength ?? 0) < (first[0]?.byteLength ?? 0)).toBe(true);
  expect([...first, ...second].flatMap((frame) => columns.decode(frame).flatMap(toUpdates))).toMatchObject([
    { channel: "telemetry/a" },
    { channel: "telemetry/b" },
    { channel: "telemetry/b", seq: 2 },
  ]);
});

it("takes a metric of any name for a metric", () => {
  const data = JSON.parse('{"__proto__":1,"constructor":2,"":3}') as object;
  const [read] = decode([update({ data })]).flatMap(toUpdates);
  expect(JSON.stringify(read?.data)).toBe('{"__proto__":1,"constructor":2,"":3}');
});

it("keeps a table as it was when it was asked to, whatever is read after it", () => {
  const [encoder, columns] = [new ColumnsEncoder(), new Columns()];
  const first = [update({ seq: 5, offset: 9 }), update({ channel: "telemetry/b", seq: 6, offset: 10 })];
  const kept = encoder.encode(first).flatMap((frame) => columns.decode(frame).map(keepTable));
  for (const frame of encoder.encode([update({ seq: 7, offset: 11 })])) columns.decode(frame);
  expect(kept.flatMap(toUpdates)).toEqual(first);
});

it("refuses a table that claims more rows than the frame can hold, and takes no memory for it", () => {
  const bytes = frameOf([update({ channel: "telemetry/a", data: { t: 1 } })]);
  const view = new DataView(bytes.buffer);
  view.setUint32(24 + Math.ceil(view.getUint32(4, true) / 8) * 8, 0xffff_ffff, true);
  expect(() => new Columns().decode(bytes.buffer)).toThrow(/4294967295 rows in \d+ bytes/);
});

it("picks rows of every kind of column", () => {
  const updates = [0, 1, 2].map((n) =>
    update({
      channel: `telemetry/${n}`,
      offset: n + 1,
      data: { n, half: n / 2, far: n * 1e100, on: n === 1, text: `t${n}` },
    }),
  );
  const [table] = decode(updates);
  if (table === undefined) throw new Error("there is a table");
  expect(toUpdates(pickRows(table, [0, 2]))).toEqual([updates[0], updates[2]]);
});

it("refuses every frame that is cut short", () => {
  const [frame] = new ColumnsEncoder().encode([update({ data: { t: 1.5, on: true, mode: "eco" } })]);
  if (frame === undefined) throw new Error("there is a frame");
  // The last part's filling may be left out.
  for (let length = 0; length < frame.byteLength - 7; length += 1) {
    expect(() => new Columns().decode(frame.slice(0, length)), `${length} bytes`).toThrow(BadFrame);
  }
});

it.each<[what: string, at: number, value: number, says: RegExp]>([
  ["another version", 0, 2, /version 2/],
  ["a header's second byte that is not 0", 1, 1, /second byte/],
  ["more tables than there are", 2, 2, /ends within/],
  ["fewer tables than there are", 2, 0, /behind its end/],
  ["a dictionary that is no JSON", 24, 0xff, /dictionary is no JSON/],
])("refuses %s", (_, at, value, says) => {
  const bytes = frameOf([update({})]);
  bytes[at] = value;
  expect(() => new Columns().decode(bytes.buffer)).toThrow(says);
});

it.each<[what: string, at: number, value: number, says: RegExp]>([
  ["a shape that was never sent", 4, 7, /shape 7 was never sent/],
  ["an unknown mark", 6, 3, /mark 3/],
  ["a table's last byte that is not 0", 7, 1, /last byte/],
  ["an unknown type", 8, 10, /column type 10/],
  ["the type 0", 8, 0, /column type 0/],
  ["an exponent beyond 22", 9, 23, /exponent 23/],
  ["a column whose reserved bytes are not 0", 10, 1, /third and fourth/],
  ["a column that is too long for its rows", 12, 2, /2 bytes for 1 rows/],
  ["a channel that was never sent", 16, 1, /channel 1/],
  ["a seq of 0", 32, 0, /seq 0/],
])("refuses a table with %s", (_, at, value, says) => {
  const bytes = frameOf([update({ channel: "telemetry/a", data: { t: 1 } })]);
  const head = new DataView(bytes.buffer).getUint32(4, true);
  const table = 24 + Math.ceil(head / 8) * 8;
  bytes[table + at] = value;
  expect(() => new Columns().decode(bytes.buffer)).toThrow(says);
});

it.each(["", '{"channels":[],"shapes":[]}'])("takes the dictionary '%s' for nothing new", (dictionary) => {
  expect(new Columns().decode(frameWith(dictionary))).toEqual([]);
});

it.each<[what: string, dictionary: string]>([
  ["no object", "[]"],
  ["no shapes", '{"channels":[]}'],
  ["a channel that is no text", '{"channels":[1],"shapes":[]}'],
  ["a shape that is no list", '{"channels":[],"shapes":["t"]}'],
  ["a metric twice in a shape", '{"channels":[],"shapes":[["t","t"]]}'],
])("refuses a dictionary with %s", (_, dictionary) => {
  expect(() => new Columns().decode(frameWith(dictionary))).toThrow(BadFrame);
});

it("refuses values that JSON could not have meant", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const bytes = frameOf([update({ data: { t: 1e300 } })]);
    new DataView(bytes.buffer).setFloat64(bytes.length - 8, value, true);
    expect(() => new Columns().decode(bytes.buffer)).toThrow(/not finite/);
  }
  const bytes = frameOf([update({ data: { on: true } })]);
  bytes[bytes.length - 8] = 2;
  expect(() => new Columns().decode(bytes.buffer)).toThrow(/neither 0 nor 1/);
});

it("reads a frame with flipped bits as updates or refuses it, whatever the seed", { timeout: 60_000 }, () => {
  const random = dice(7);
  let refused = 0;
  for (let round = 0; round < 1_000; round += 1) {
    const bytes = frameOf(randomUpdates(random, 100));
    for (let flips = 1 + Math.floor(random() * 3); flips > 0; flips -= 1) {
      const at = Math.floor(random() * bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }
    try {
      for (const { channel, seq } of new Columns().decode(bytes.buffer).flatMap(toUpdates)) {
        expect(channel).not.toBe("");
        expect(Number.isSafeInteger(seq)).toBe(true);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(BadFrame);
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(200);
});

function decode(updates: Update[]) {
  const columns = new Columns();
  return new ColumnsEncoder().encode(updates).flatMap((frame) => columns.decode(frame));
}

/** A frame without tables. */
function frameWith(dictionary: string): ArrayBuffer {
  const text = new TextEncoder().encode(dictionary);
  const frame = new Uint8Array(24 + Math.ceil(text.length / 8) * 8);
  frame[0] = 1;
  new DataView(frame.buffer).setUint32(4, text.length, true);
  frame.set(text, 24);
  return frame.buffer;
}

function frameOf(updates: Update[]): Uint8Array<ArrayBuffer> {
  const [frame] = new ColumnsEncoder().encode(updates);
  if (frame === undefined) throw new Error("there is a frame");
  return new Uint8Array(frame);
}

function update(more: Partial<Update>): Update {
  return { channel: "telemetry/a", seq: 1, offset: 1, timestamp: 1_700_000_000_000, data: { t: 1 }, ...more };
}

function byOffset(a: Update, b: Update): number {
  return a.offset - b.offset;
}
