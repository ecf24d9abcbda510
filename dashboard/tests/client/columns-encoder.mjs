// A reference encoder of `sluice.v1.columns` (docs/protocol.md, section 3), for tests and measurements only: it is
// written to be checked by eye, not to be fast.

/** @typedef {import("../../src/generated/protocol").Update} Update */
/** @typedef {{ type: number, exponent: number, bytes: Uint8Array }} Encoded */

const exponentMax = 22;
/** Integer columns: type, least, most, how to lay them out. The unsigned ones come first. */
const integerTypes = /** @type {const} */ ([
  [1, 0, 0xff, Uint8Array],
  [4, -0x80, 0x7f, Int8Array],
  [2, 0, 0xffff, Uint16Array],
  [5, -0x8000, 0x7fff, Int16Array],
  [3, 0, 0xffff_ffff, Uint32Array],
  [6, -0x8000_0000, 0x7fff_ffff, Int32Array],
]);

/** Encodes the frames of one connection. */
export class ColumnsEncoder {
  /** @type {Map<string, number>} */
  #channels = new Map();
  /** @type {Map<string, number>} */
  #shapes = new Map();

  /**
   * The frames for some updates: one, but where a channel would stand in two tables of it.
   * @param {readonly Update[]} updates
   * @returns {ArrayBuffer[]}
   */
  encode(updates) {
    /** @type {ArrayBuffer[]} */
    const frames = [];
    /** @type {Map<string, Update[]>} */
    let tables = new Map();
    /** @type {Map<string, string>} */
    let tableOf = new Map();
    for (const update of updates) {
      const key = JSON.stringify([markOf(update), Object.keys(/** @type {object} */ (update.data))]);
      if ((tableOf.get(update.channel) ?? key) !== key) {
        frames.push(this.#frame(tables));
        tables = new Map();
        tableOf = new Map();
      }
      tableOf.set(update.channel, key);
      tables.set(key, [...(tables.get(key) ?? []), update]);
    }
    if (tables.size > 0) frames.push(this.#frame(tables));
    return frames;
  }

  /** @param {Map<string, Update[]>} tables */
  #frame(tables) {
    const all = [...tables.values()].flat();
    const base = {
      offset: Math.min(...all.map(({ offset }) => offset)),
      timestamp: Math.min(...all.map(({ timestamp }) => timestamp)),
    };
    /** @type {{ channels: string[], shapes: string[][] }} */
    const dictionary = { channels: [], shapes: [] };
    const body = [...tables].flatMap(([key, rows]) => this.#table(key, rows, base, dictionary));
    const isNew = dictionary.channels.length + dictionary.shapes.length > 0;
    const text = new TextEncoder().encode(isNew ? JSON.stringify(dictionary) : "");
    const header = new DataView(new ArrayBuffer(24));
    header.setUint8(0, 1);
    header.setUint16(2, tables.size, true);
    header.setUint32(4, text.length, true);
    header.setFloat64(8, base.offset, true);
    header.setFloat64(16, base.timestamp, true);
    return join([new Uint8Array(header.buffer), text, ...body]);
  }

  /**
   * @param {string} key
   * @param {Update[]} updates
   * @param {{ offset: number, timestamp: number }} base
   * @param {{ channels: string[], shapes: string[][] }} dictionary
   */
  #table(key, updates, base, dictionary) {
    const [mark, metrics] = JSON.parse(key);
    const rows = [...updates].sort((a, b) => a.offset - b.offset);
    const head = new DataView(new ArrayBuffer(8));
    head.setUint32(0, rows.length, true);
    head.setUint16(
      4,
      numberOf(this.#shapes, JSON.stringify(metrics), () => dictionary.shapes.push(metrics)),
      true,
    );
    head.setUint8(6, mark);
    const channels = rows.map(({ channel }) =>
      numberOf(this.#channels, channel, () => dictionary.channels.push(channel)),
    );
    const columns = [
      channels,
      rows.map(({ seq }) => seq),
      rows.map(({ offset }) => offset - base.offset),
      rows.map(({ timestamp }) => timestamp - base.timestamp),
      ...metrics.map((/** @type {string} */ metric) =>
        rows.map(({ data }) => /** @type {Record<string, unknown>} */ (data)[metric]),
      ),
    ];
    return [new Uint8Array(head.buffer), ...columns.flatMap((values) => column(values))];
  }
}

/** @param {Update} update */
function markOf(update) {
  if (update.snapshot === true) return 1;
  return update.replayed === true ? 2 : 0;
}

/**
 * @param {Map<string, number>} numbers
 * @param {string} name
 * @param {() => void} tell
 */
function numberOf(numbers, name, tell) {
  const known = numbers.get(name);
  if (known !== undefined) return known;
  numbers.set(name, numbers.size);
  tell();
  return numbers.size - 1;
}

/** @param {readonly unknown[]} values */
function column(values) {
  const { type, exponent, bytes } = encodeValues(values);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint8(0, type);
  head.setUint8(1, exponent);
  head.setUint32(4, bytes.length, true);
  return [new Uint8Array(head.buffer), bytes];
}

/**
 * @param {readonly unknown[]} values
 * @returns {Encoded}
 */
function encodeValues(values) {
  if (values.every((value) => typeof value === "boolean")) {
    return { type: 8, exponent: 0, bytes: Uint8Array.from(values, Number) };
  }
  if (values.every((value) => typeof value === "number")) return encodeNumbers(values);
  return { type: 9, exponent: 0, bytes: new TextEncoder().encode(JSON.stringify(values)) };
}

/**
 * @param {readonly number[]} values
 * @returns {Encoded}
 */
function encodeNumbers(values) {
  const exponent = Math.max(0, ...values.map(digitsOf));
  const integers = values.map((value) => Math.round(value * 10 ** exponent) + 0);
  const isExact = values.every((value, row) =>
    Object.is(Number(integers[row]) / Number(`1e${exponent}`), value),
  );
  if (exponent <= exponentMax && isExact) {
    const [least, most] = [Math.min(...integers), Math.max(...integers)];
    const fitting = integerTypes.find(([, from, to]) => from <= least && most <= to);
    if (fitting !== undefined) {
      const [type, , , Layout] = fitting;
      return { type, exponent, bytes: new Uint8Array(Layout.from(integers).buffer) };
    }
  }
  return { type: 7, exponent: 0, bytes: new Uint8Array(Float64Array.from(values).buffer) };
}

/**
 * How many digits a number's shortest text has behind the point.
 * @param {number} value
 */
function digitsOf(value) {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  return Math.max(0, (mantissa.split(".")[1]?.length ?? 0) - Number(exponent));
}

/**
 * The parts one after the other, each filled up to a multiple of 8.
 * @param {Uint8Array[]} parts
 * @returns {ArrayBuffer}
 */
function join(parts) {
  const length = parts.reduce((sum, part) => sum + Math.ceil(part.length / 8) * 8, 0);
  const frame = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    frame.set(part, at);
    at += Math.ceil(part.length / 8) * 8;
  }
  return frame.buffer;
}
