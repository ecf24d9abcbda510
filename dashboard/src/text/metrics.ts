// The text form of Prometheus: names, labels, values.

/** A measured value. */
export interface Sample {
  readonly name: string;
  /** As they stand there, without the braces. */
  readonly labels: string;
  readonly value: number;
  /** What it is, for people. */
  readonly help: string;
}

/** Reads it; lines that are none of it are left out, and of histograms the buckets. */
export function readMetrics(text: string): Sample[] {
  const helps = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const [, named, help] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    if (named !== undefined) helps.set(named, help ?? "");
    const [, name, , labels = "", value] = /^([a-zA-Z_:][\w:]*)(\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined || value === undefined || name.endsWith("_bucket")) continue;
    const family = name.replace(/_(sum|count|total)$/, "");
    samples.push({ name, labels, value: numberOf(value), help: helps.get(name) ?? helps.get(family) ?? "" });
  }
  return samples;
}

function numberOf(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}
