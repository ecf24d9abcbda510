// The compact encoding `sluice.v1.columns`: a binary frame read in place, as tables of typed columns. What is not
// exactly as docs/protocol.md (section 3) has it is a `BadFrame`, never a value.
import { type Column, type Integers, type Mark, numbersOf, type Table } from "./table";

/** A frame that cannot be read; the message says why. The connection it came on is of no use any more. */
export class BadFrame extends Error {}

/** Whether this machine lays out numbers as the wire does, so that frames can be read in place. */
export const readsInPlace = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Reads the binary frames of one connection, in their order: names are sent once. */
export class Columns {
  readonly #names: string[] = [];
  readonly #shapes: (readonly string[])[] = [];
  readonly #memory = new Memory();

  /**
   * The tables of a frame, good until the next frame is read: `keepTable` makes one that stays.
   *
   * @throws BadFrame where it is not exactly what the contract says; read no further frames of the connection then
   */
  decode(frame: ArrayBuffer): Table[] {
    const reader = new Reader(frame);
    this.#memory.reset();
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

  /** A dictionary without bytes has nothing new. */
  #learn(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
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
    // A row takes a byte at least: what claims more must not have memory for it.
    if (rows > reader.buffer.byteLength)
      throw new BadFrame(`${rows} rows in ${reader.buffer.byteLength} bytes`);
    const numbers = this.#memory.take(4 * rows);
    const channels = numbers.subarray(0, rows);
    const seqs = numbers.subarray(rows, 2 * rows);
    const offsets = numbers.subarray(2 * rows, 3 * rows);
    const timestamps = numbers.subarray(3 * rows);
    whole(reader, channels, { what: "channel", base: 0, least: 0, most: names.length - 1 });
    whole(reader, seqs, { what: "seq", base: 0, least: 1, most: Number.MAX_SAFE_INTEGER });
    whole(reader, offsets, { what: "offset", base: base.offset, least: 0, most: Number.MAX_SAFE_INTEGER });
    whole(reader, timestamps, {
      what: "timestamp",
      base: base.timestamp,
      least: Number.MIN_SAFE_INTEGER,
      most: Number.MAX_SAFE_INTEGER,
    });
    const columns = metrics.map(() => column(reader, rows));
    return { mark, rows, names, channels, seqs, offsets, timestamps, metrics, columns };
  }
}

const marks: readonly Mark[] = ["live", "snapshot", "replayed"];
const exponentMax = 22;
const divisors = Array.from({ length: exponentMax + 1 }, (_, exponent) => Number(`1e${exponent}`));
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Memory that is used again for each frame: fresh memory costs more than all reading. */
class Memory {
  #numbers = new Float64Array(0);
  #used = 0;

  reset(): void {
    this.#used = 0;
  }

  take(length: number): Float64Array {
    if (this.#used + length > this.#numbers.length) {
      // What was taken before stays with who has it.
      this.#numbers = new Float64Array(Math.max(length, 2 * this.#numbers.length));
      this.#used = 0;
    }
    this.#used += length;
    return this.#numbers.subarray(this.#used - length, this.#used);
  }
}

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

/** What the numbers of a column may be, once they are increased by `base`. */
interface Bounds {
  readonly what: string;
  readonly base: number;
  readonly least: number;
  readonly most: number;
}

/** Reads a column of whole numbers into `into`. */
function whole(reader: Reader, into: Float64Array, bounds: Bounds): void {
  const from = column(reader, into.length);
  const numbers = numbersOf(from, into);
  if (numbers === null) throw new BadFrame(`the column of each ${bounds.what} holds no numbers`);
  // Doubles lie in the frame, which stays as it is.
  if (from.kind === "doubles") into.set(numbers);
  const mayBreak = from.kind === "doubles" || (from.kind === "integers" && from.divisor !== 1);
  if (mayBreak || !Number.isInteger(bounds.base)) refuseFractions(into, bounds);
  raise(into, bounds);
}

function raise(numbers: Float64Array, { what, base, least, most }: Bounds): void {
  for (let row = 0; row < numbers.length; row += 1) {
    const number = (numbers[row] as number) + base;
    if (!(number >= least && number <= most)) throw new BadFrame(`${what} ${number}`);
    numbers[row] = number;
  }
}

function refuseFractions(numbers: Float64Array, { what, base }: Bounds): void {
  const fraction = numbers.find((number) => !Number.isInteger(number + base));
  if (fraction !== undefined) throw new BadFrame(`${what} ${fraction + base}`);
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
