// Telemetry as tables of typed columns: what they are, and how values are taken out of them.
import type { Update } from "../generated/protocol";

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

/** Updates of the same metrics, a row each. It is good while it is being handed out: to keep it, use `keepTable`. */
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

/**
 * All numbers of a column, ready to be read fast; null where it does not hold numbers. They are written to `into` where
 * one is given that is long enough: who reads frame after frame spares the engine the garbage.
 */
export function numbersOf(column: Column, into?: Float64Array): Float64Array | null {
  if (column.kind === "doubles") return column.data;
  if (column.kind !== "integers") return null;
  const { data, divisor } = column;
  const fits = into !== undefined && into.length >= data.length;
  const numbers = fits ? into.subarray(0, data.length) : new Float64Array(data.length);
  // The engine widens in one go; a loop over six kinds of array would be many times slower.
  numbers.set(data);
  if (divisor !== 1) divide(numbers, divisor);
  return numbers;
}

function divide(numbers: Float64Array, divisor: number): void {
  for (let row = 0; row < numbers.length; row += 1) numbers[row] = (numbers[row] as number) / divisor;
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

/** The same table, to be kept beyond the next frame. */
export function keepTable(table: Table): Table {
  const { channels, seqs, offsets, timestamps } = table;
  return {
    ...table,
    channels: channels.slice(),
    seqs: seqs.slice(),
    offsets: offsets.slice(),
    timestamps: timestamps.slice(),
  };
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

/** An element that is there. */
function at(from: Integers | Float64Array, row: number): number {
  return from[row] as number;
}
