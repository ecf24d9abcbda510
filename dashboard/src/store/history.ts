// What a device has measured while its page was open: the material of the charts.
import type { Update } from "../generated/protocol";
import type { DeviceRecord } from "./device";

/** How far back the charts go. */
export const windowMs = 300_000;
/** Samples kept for a metric: 20 a second for 5 minutes. */
const samplesMax = 6_000;

/** The samples of one metric, oldest first, in columns of equal length. */
export interface Series {
  /** Milliseconds since the epoch. */
  readonly times: number[];
  /** `null` is a gap: what was measured there, if anything, did not come. */
  readonly values: (number | null)[];
}

/** The numeric metrics of one device. */
export class History {
  readonly #series = new Map<string, Series>();
  /** The series whose next sample begins after a gap. */
  readonly #interrupted = new Set<string>();

  /** Begins with what the sparklines of the table have kept. */
  seed(device: DeviceRecord): void {
    for (const { name, trend } of device.metrics.values()) {
      if (trend === null || this.#series.has(name)) continue;
      for (const { time, value } of trend) this.#add(name, time, value);
    }
  }

  /** Takes an update of `telemetry/{device}`. A snapshot is the value, not a new sample. */
  hear(update: Update): void {
    if (update.snapshot === true || typeof update.data !== "object" || update.data === null) return;
    for (const [name, value] of Object.entries(update.data)) {
      if (typeof value === "number") this.#add(name, update.timestamp, value);
    }
  }

  /** The device or the connection went: no line joins what was before with what comes after. */
  interrupt(): void {
    for (const name of this.#series.keys()) this.#interrupted.add(name);
  }

  /** The samples of a metric. */
  of(name: string): Series {
    return this.#series.get(name) ?? { times: [], values: [] };
  }

  #add(name: string, time: number, value: number): void {
    const series = this.#series.get(name) ?? { times: [], values: [] };
    this.#series.set(name, series);
    const last = series.times.at(-1) ?? Number.NEGATIVE_INFINITY;
    // What a device kept while it was away comes late and in order; a chart needs rising times.
    if (time <= last) return;
    if (this.#interrupted.delete(name) && time > last + 1) {
      series.times.push(last + 1);
      series.values.push(null);
    }
    series.times.push(time);
    series.values.push(value);
    trim(series, time - windowMs);
  }
}

/** Drops what is too old or too much; a few at a time, for moving an array costs its length. */
function trim({ times, values }: Series, from: number): void {
  const excess = times.length - samplesMax;
  let gone = Math.max(0, excess);
  while ((times[gone] ?? from) < from) gone += 1;
  if (gone < 64) return;
  times.splice(0, gone);
  values.splice(0, gone);
}
