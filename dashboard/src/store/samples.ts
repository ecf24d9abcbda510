// Samples of a metric in the order of their time, and where the line between them breaks: pure.

/** A pause this many times as long as the usual one is a gap, where nobody told of one. */
const pauseFactor = 5;
/** No shorter pause is a gap. */
const pauseLeastMs = 3_000;
/** The usual pause of who measures is that between so many of the newest samples. */
const rhythmLength = 9;

/** The samples of one metric, oldest first, in columns of equal length. */
export interface Series {
  /** Milliseconds since the epoch. */
  readonly times: number[];
  /** `null` is a gap: what was measured there, if anything, did not come. */
  readonly values: (number | null)[];
}

/** A value and its time. */
export type Sample = [time: number, value: number | null];

/** Values as they came. */
export function raw(timestamps: readonly number[], values: readonly unknown[]): Sample[] {
  return timestamps.flatMap((time, index): Sample[] => {
    const value = values[index];
    return typeof value === "number" ? [[time, value]] : [];
  });
}

/** The least and the greatest value of each bucket, so that no spike is lost. */
export function spread(
  timestamps: readonly number[],
  { min, max }: { min: readonly (number | null)[]; max: readonly (number | null)[] },
  bucketMs: number,
): Sample[] {
  return timestamps.flatMap((time, index): Sample[] => {
    const [low, high] = [min[index] ?? null, max[index] ?? null];
    if (low === null || high === null) return [];
    if (low === high) return [[time, low]];
    return [
      [time, low],
      [time + bucketMs / 2, high],
    ];
  });
}

/** Breaks the line where the device's own rhythm pauses: it was away then, or what it sent was not kept. */
export function withGaps(samples: readonly Sample[]): Sample[] {
  const longest = longestOf(stepsOf(samples.map(([time]) => time)));
  return samples.flatMap((sample, index): Sample[] => {
    const before = samples[index - 1]?.[0];
    return before !== undefined && sample[0] - before > longest ? [[before + 1, null], sample] : [sample];
  });
}

/** Breaks the line where what comes live comes after a pause, by the rhythm of the samples before it. */
export function goingOn(before: Series, samples: readonly Sample[]): Sample[] {
  let last = before.times.at(-1) ?? Number.POSITIVE_INFINITY;
  return samples.flatMap((sample): Sample[] => {
    const stepMs = sample[0] - last;
    const gap: Sample = [last + 1, null];
    last = sample[0];
    return stepMs > pauseLeastMs && stepMs > longestAfter(before) ? [gap, sample] : [sample];
  });
}

/** The longest step that is no pause yet after these samples; any, where there are too few to tell. */
function longestAfter({ times, values }: Series): number {
  const newest: number[] = [];
  for (let at = times.length - 1; at >= 0 && newest.length <= rhythmLength; at -= 1) {
    if (values[at] !== null) newest.unshift(times[at] ?? 0);
  }
  return newest.length < 2 ? Number.POSITIVE_INFINITY : longestOf(stepsOf(newest));
}

function stepsOf(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? time));
}

/** What is longer than these steps suggest is a pause. */
function longestOf(steps: readonly number[]): number {
  const usual = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  return Math.max(pauseLeastMs, usual * pauseFactor);
}
