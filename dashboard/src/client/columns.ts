// The compact encoding `sluice.v1.columns`: a binary frame read in place, as tables of typed columns. What is not
// exactly as docs/protocol.md (section 3) has it is a `BadFrame`, never a value.
import type { Update } from "../generated/protocol";

/** A frame that cannot be read; the message says why. The connection it came on is of no use any more. */
export class BadFrame extends Error {}

/** Why rows were sent. */
export type Mark = "live" | "snapshot" | "replayed";

/** The integer columns of the wire, as they lie in the frame. */
export type Integers = Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;

/** One metric, a value a row. */
export type Column =
  /** Each value is the integer divided by `divisor`, a power of ten. */
  | { readonly kind: "integers"; readonly data: Integers; readonly divisor: number }
  | { readonly kind: "doubles"; readonly data: Float64Array }
  /** 0 or 1. */
  | { readonly kind: "booleans"; readonly data: Uint8Array }
  | { readonly kind: "json"; readonly data: readonly unknown[] };

/** Updates of the same metrics, a row each. */
export interface Table {
  readonly mark: Mark;
  /** How many rows; each array below is as long, but `names` and `metrics`. */
  readonly rows: number;
  /** The channels of the connection, by number. */
  readonly names: readonly string[];
  /** The number of each row's channel. */
  readonly channels: Float64Array;
  readonly seqs: Float64Array;
  readonly offsets: Float64Array;
  /** Milliseconds since the epoch. */
  readonly timestamps: Float64Array;
  readonly metrics: readonly string[];
  /** One for each metric, in their order. */
  readonly columns: readonly Column[];
}

/** Whether this machine lays out numbers as the wire does, so that frames can be read in place. */
export const readsInPlace = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Reads the binary frames of one connection, in their order: names are sent once. */
export class Columns {
  readonly #names: string[] = [];
  readonly #shapes: (readonly string[])[] = [];

  /**
   * The tables of a frame.
   *
   * @throws BadFrame where it is not exactly what the contract says; read no further frames of the connection then
   */
  decode(frame: ArrayBuffer): Table[] {
    const reader = new Reader(frame);
    const header = reader.part(24, "the header");
    if (header.getUint8(0) !== 1) throw new BadFrame(`version ${header.getUint8(0)}, not 1`);
    if (header.getUint8(1) !== 0) throw new BadFrame("the header's second byte is not 0");
    const base = { offset: header.getFloat64(8, true), timestamp: header.getFloat64(16, true) };
    this.#learn(reader.bytes(header.getUint32(4, true), "the dictionary"));
    const tables: Table[] = [];
    for (let left = header.getUint16(2, true); left > 0; left -= 1) tables.push(this.#table(reader, base));
    reader.end();
    return tables;
  }

  #learn(bytes: Uint8Array): void {
    const dictionary = parse(bytes, "the dictionary");
    if (!isDictionary(dictionary)) throw new BadFrame("the dictionary does not list channels and shapes");
    for (const name of dictionary.channels) this.#names.push(name);
    for (const shape of dictionary.shapes) {
      if (new Set(shape).size < shape.length) throw new BadFrame(`the shape ${shape} has a metric twice`);
      this.#shapes.push(shape);
    }
  }

  #table(reader: Reader, base: { offset: number; timestamp: number }): Table {
    const head = reader.part(8, "a table");
    const rows = head.getUint32(0, true);
    const metrics = this.#shapes[head.getUint16(4, true)];
    const mark = marks[head.getUint8(6)];
    if (metrics === undefined) throw new BadFrame(`shape ${head.getUint16(4, true)} was never sent`);
    if (mark === undefined) throw new BadFrame(`mark ${head.getUint8(6)}`);
    if (head.getUint8(7) !== 0) throw new BadFrame("a table's last byte is not 0");
    const names = this.#names;
    const channels = whole(column(reader, rows), 0, 0, names.length - 1, "channel");
    const seqs = whole(column(reader, rows), 0, 1, Number.MAX_SAFE_INTEGER, "seq");
    const offsets = whole(column(reader, rows), base.offset, 0, Number.MAX_SAFE_INTEGER, "offset");
    const earliest = Number.MIN_SAFE_INTEGER;
    const timestamps = whole(
      column(reader, rows),
      base.timestamp,
      earliest,
      Number.MAX_SAFE_INTEGER,
      "timestamp",
    );
    const columns = metrics.map(() => column(reader, rows));
    return { mark, rows, names, channels, seqs, offsets, timestamps, metrics, columns };
  }
}

/** All numbers of a column, ready to be read fast; null where it does not hold numbers. A copy but for doubles. */
export function numbersOf(column: Column): Float64Array | null {
  if (column.kind === "doubles") return column.data;
  if (column.kind !== "integers") return null;
  // The engine widens in one go; a loop over seven kinds of array would be many times slower.
  const numbers = new Float64Array(column.data);
  const { divisor } = column;
  if (divisor !== 1)
    for (let row = 0; row < numbers.length; row += 1) numbers[row] = at(numbers, row) / divisor;
  return numbers;
}

/** One value of a column, as JSON would have it. */
export function valueAt(column: Column, row: number): unknown {
  switch (column.kind) {
    case "integers":
      return at(column.data, row) / column.divisor;
    case "doubles":
      return column.data[row];
    case "booleans":
      return column.data[row] === 1;
    case "json":
      return column.data[row];
  }
}

/** The rows as updates, for who wants objects. */
export function toUpdates(table: Table): Update[] {
  const values = table.columns.map((column) => numbersOf(column) ?? column);
  return Array.from({ length: table.rows }, (_, row) => {
    const data: [string, unknown][] = table.metrics.map((metric, index) => {
      const column = values[index];
      if (column === undefined) throw new Error("a table has a column for each metric");
      return [metric, column instanceof Float64Array ? column[row] : valueAt(column, row)];
    });
    const update: Update = {
      channel: channelOf(table, row),
      seq: at(table.seqs, row),
      offset: at(table.offsets, row),
      timestamp: at(table.timestamps, row),
      // A metric may be called `__proto__`: entries make it a member like any other.
      data: Object.fromEntries(data),
    };
    if (table.mark === "snapshot") update.snapshot = true;
    if (table.mark === "replayed") update.replayed = true;
    return update;
  });
}

/** The name of a row's channel. */
export function channelOf(table: Table, row: number): string {
  return table.names[at(table.channels, row)] ?? "";
}

/** A table of some rows of another, in the order given. */
export function pickRows(table: Table, rows: readonly number[]): Table {
  const pick = (from: Float64Array) => Float64Array.from(rows, (row) => at(from, row));
  return {
    ...table,
    rows: rows.length,
    channels: pick(table.channels),
    seqs: pick(table.seqs),
    offsets: pick(table.offsets),
    timestamps: pick(table.timestamps),
    columns: table.columns.map((column) => pickColumn(column, rows)),
  };
}

function pickColumn(column: Column, rows: readonly number[]): Column {
  switch (column.kind) {
    case "integers":
    case "doubles":
      return { kind: "doubles", data: Float64Array.from(rows, (row) => Number(valueAt(column, row))) };
    case "booleans":
      return { kind: "booleans", data: Uint8Array.from(rows, (row) => at(column.data, row)) };
    case "json":
      return { kind: "json", data: rows.map((row) => column.data[row]) };
  }
}

const marks: readonly Mark[] = ["live", "snapshot", "replayed"];
const exponentMax = 22;
const divisors = Array.from({ length: exponentMax + 1 }, (_, exponent) => Number(`1e${exponent}`));
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Walks through a frame; every part begins at a multiple of 8. */
class Reader {
  readonly #frame: ArrayBuffer;
  #at = 0;

  constructor(frame: ArrayBuffer) {
    this.#frame = frame;
  }

  part(length: number, what: string): DataView {
    return new DataView(this.#frame, this.skip(length, what), length);
  }

  bytes(length: number, what: string): Uint8Array {
    return new Uint8Array(this.#frame, this.skip(length, what), length);
  }

  /** Where a part of this length begins. */
  skip(length: number, what: string): number {
    const start = this.#at;
    if (start + length > this.#frame.byteLength) {
      throw new BadFrame(`it ends within ${what}, after ${this.#frame.byteLength} bytes`);
    }
    this.#at = Math.ceil((start + length) / 8) * 8;
    return start;
  }

  get buffer(): ArrayBuffer {
    return this.#frame;
  }

  /** The last part may be filled up or not. */
  end(): void {
    const behind = this.#frame.byteLength - this.#at;
    if (behind > 0) throw new BadFrame(`${behind} bytes behind its end`);
  }
}

function column(reader: Reader, rows: number): Column {
  const head = reader.part(8, "a column");
  const type = head.getUint8(0);
  const exponent = head.getUint8(1);
  const bytes = head.getUint32(4, true);
  const kind = kinds[type];
  if (kind === undefined) throw new BadFrame(`column type ${type}`);
  if (head.getUint16(2, true) !== 0) throw new BadFrame("a column's third and fourth byte are not 0");
  if (exponent > (kind.isInteger ? exponentMax : 0)) {
    throw new BadFrame(`exponent ${exponent} in a column of type ${type}`);
  }
  if (kind.width > 0 && bytes !== rows * kind.width) {
    throw new BadFrame(`${bytes} bytes for ${rows} rows in a column of type ${type}`);
  }
  const start = reader.skip(bytes, "a column's data");
  return kind.read(reader.buffer, start, rows, bytes, divisors[exponent] ?? 1);
}

interface Kind {
  /** Bytes a row; 0 where they differ. */
  readonly width: number;
  readonly isInteger: boolean;
  read(frame: ArrayBuffer, start: number, rows: number, bytes: number, divisor: number): Column;
}

type View<T> = { new (frame: ArrayBuffer, start: number, length: number): T; BYTES_PER_ELEMENT: number };

function integers(view: View<Integers>): Kind {
  return {
    width: view.BYTES_PER_ELEMENT,
    isInteger: true,
    read: (frame, start, rows, _, divisor) => ({
      kind: "integers",
      data: new view(frame, start, rows),
      divisor,
    }),
  };
}

const doubles: Kind = {
  width: 8,
  isInteger: false,
  read: (frame, start, rows) => {
    const data = new Float64Array(frame, start, rows);
    if (!data.every(Number.isFinite)) throw new BadFrame("a number that is not finite");
    return { kind: "doubles", data };
  },
};

const booleans: Kind = {
  width: 1,
  isInteger: false,
  read: (frame, start, rows) => {
    const data = new Uint8Array(frame, start, rows);
    if (data.some((value) => value > 1)) throw new BadFrame("a boolean that is neither 0 nor 1");
    return { kind: "booleans", data };
  },
};

const json: Kind = {
  width: 0,
  isInteger: false,
  read: (frame, start, rows, bytes) => {
    const data = parse(new Uint8Array(frame, start, bytes), "a column of JSON");
    if (!Array.isArray(data) || data.length !== rows) {
      throw new BadFrame(`a column of JSON that is not an array of ${rows}`);
    }
    return { kind: "json", data };
  },
};

/** By the number on the wire. */
const kinds: readonly (Kind | undefined)[] = [
  undefined,
  integers(Uint8Array),
  integers(Uint16Array),
  integers(Uint32Array),
  integers(Int8Array),
  integers(Int16Array),
  integers(Int32Array),
  doubles,
  booleans,
  json,
];

/** A column of whole numbers, each increased by `base`, none outside `least` to `most`. */
function whole(from: Column, base: number, least: number, most: number, what: string): Float64Array {
  const numbers = numbersOf(from);
  if (numbers === null) throw new BadFrame(`the column of each ${what} holds no numbers`);
  const summed = base === 0 ? numbers : numbers.map((number) => number + base);
  for (let row = 0; row < summed.length; row += 1) {
    const number = at(summed, row);
    if (!(number >= least && number <= most && Math.trunc(number) === number)) {
      throw new BadFrame(`${what} ${number}`);
    }
  }
  return summed;
}

/** An element that is there. */
function at(from: Integers | Float64Array, row: number): number {
  return from[row] as number;
}

function parse(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(text.decode(bytes));
  } catch (error) {
    throw new BadFrame(`${what} is no JSON`, { cause: error });
  }
}

function isDictionary(value: unknown): value is { channels: string[]; shapes: string[][] } {
  return (
    typeof value === "object" &&
    value !== null &&
    "channels" in value &&
    isTexts(value.channels) &&
    "shapes" in value &&
    Array.isArray(value.shapes) &&
    value.shapes.every(isTexts)
  );
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
