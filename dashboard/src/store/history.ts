// What a device has measured in the last minutes: the material of the charts.
import type { History as Past } from "../generated/protocol";
import { type Samples, windowMs } from "../worker/messages";
import { goingOn, raw, type Sample, type Series, spread, withGaps } from "./samples";

/** Samples kept for a metric: 20 a second for 5 minutes. */
const samplesMax = 6_000;
/** A clock that is further from the gateway's is wrong. */
const clockErrorMaxMs = 60_000;

/** The numeric metrics of one device. */
export class History {
  readonly #series = new Map<string, Series>();
  /** The series whose next sample begins after a gap. */
  readonly #interrupted = new Set<string>();
  /** The gateway's clock. */
  readonly #now: () => number;
  /** How far the device's clock is ahead, as its newest sample has it. */
  #aheadMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Now, as the device has it where its clock is wrong. */
  deviceNow(): number {
    return this.#now() + (Math.abs(this.#aheadMs) > clockErrorMaxMs ? this.#aheadMs : 0);
  }

  /** Takes what was measured before, as the gateway keeps it: it takes the place of what is here. */
  backfill({ timestamps, metrics, bucket_ms }: Past): void {
    for (const [name, column] of Object.entries(metrics)) {
      const kept = this.#series.get(name);
      this.#series.delete(name);
      const samples =
        "values" in column ? raw(timestamps, column.values) : spread(timestamps, column, bucket_ms ?? 0);
      this.#append(name, withGaps(samples));
      // What came meanwhile is newer.
      if (kept !== undefined)
        this.#append(
          name,
          kept.times.map((time, at) => [time, kept.values[at] ?? null]),
        );
    }
  }

  /** Takes samples of one metric. */
  hear({ name, times, values, isLate }: Samples): void {
    const samples = times.map((time, index): Sample => [time, values[index] ?? null]);
    samples.sort(([a], [b]) => a - b);
    const series = this.of(name);
    const first = samples[0]?.[0] ?? 0;
    if (!isLate) {
      this.#setClock(series, times);
      if (first > (series.times.at(-1) ?? 0)) return this.#append(name, goingOn(series, samples));
    }
    const before = series.times.findLastIndex((time) => time < first);
    if (before === series.times.length - 1) {
      const newest = series.times.at(-1);
      return this.#append(name, withGaps(newest === undefined ? samples : [[newest, null], ...samples]));
    }
    this.#merge(name, series, samples);
  }

  /** A clock that was ahead and has been set right leaves samples that have not been yet: they would hide all others. */
  #setClock({ times, values }: Series, heard: readonly number[]): void {
    const now = this.#now();
    this.#aheadMs = (heard.at(-1) ?? now) - now;
    if (this.#aheadMs > clockErrorMaxMs) return;
    const isAhead = (time: number) => time > now + clockErrorMaxMs;
    if (!isAhead(times.at(-1) ?? now)) return;
    const kept = times.findLastIndex((time, at) => !isAhead(time) && values[at] !== null) + 1;
    times.length = kept;
    values.length = kept;
  }

  /** The device or the connection went: no line joins what was before with what comes after. */
  interrupt(): void {
    for (const name of this.#series.keys()) this.#interrupted.add(name);
  }

  /** Forgets everything. */
  clear(): void {
    this.#series.clear();
    this.#interrupted.clear();
  }

  /** The samples of a metric. */
  of(name: string): Series {
    return this.#series.get(name) ?? { times: [], values: [] };
  }

  /** What fills a hole comes late: it goes where its time is. */
  #merge(name: string, { times, values }: Series, late: readonly Sample[]): void {
    const known = times.map((time, index): Sample => [time, values[index] ?? null]);
    const all = [...known, ...late].filter(([, value]) => value !== null).sort(([a], [b]) => a - b);
    this.#series.delete(name);
    this.#append(name, withGaps(all));
  }

  #append(name: string, samples: readonly Sample[]): void {
    const series = this.#series.get(name) ?? { times: [], values: [] };
    this.#series.set(name, series);
    for (const [time, value] of samples) this.#add(name, series, time, value);
    trim(series, (series.times.at(-1) ?? 0) - windowMs);
  }

  #add(name: string, series: Series, time: number, value: number | null): void {
    const last = series.times.at(-1) ?? Number.NEGATIVE_INFINITY;
    // A chart needs rising times.
    if (time <= last) return;
    if (this.#interrupted.delete(name) && value !== null && time > last + 1 && series.values.length > 0) {
      series.times.push(last + 1);
      series.values.push(null);
    }
    series.times.push(time);
    series.values.push(value);
  }
}

/** What was measured in a time, as the gateway keeps it: the series of each numeric metric. */
export function seriesOf({ timestamps, metrics, bucket_ms }: Past): Map<string, Series> {
  const all = new Map<string, Series>();
  for (const [name, column] of Object.entries(metrics)) {
    const samples = withGaps(
      "values" in column ? raw(timestamps, column.values) : spread(timestamps, column, bucket_ms ?? 0),
    );
    if (samples.length === 0) continue;
    all.set(name, { times: samples.map(([time]) => time), values: samples.map(([, value]) => value) });
  }
  return all;
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
