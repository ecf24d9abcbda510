// Which of a device's metrics stand in its row of the table.
import type { MetricPatch } from "../worker/messages";

/** Names that say most about how a device is, the first ones most. */
const telling: readonly string[] = [
  "temperature",
  "pressure",
  "speed",
  "level",
  "flow",
  "target",
  "humidity",
  "power",
  "battery",
];

/** At most `max` names: the telling ones first, then numbers, then the others as they came. */
export function readingsOf(
  metrics: Iterable<MetricPatch>,
  without: readonly string[],
  max: number,
): string[] {
  return [...metrics]
    .filter(({ name }) => !without.includes(name))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, max)
    .map(({ name }) => name);
}

function rank({ name, value }: MetricPatch): number {
  const place = telling.indexOf(name.toLowerCase());
  if (place >= 0) return place;
  return typeof value === "number" ? telling.length : telling.length + 1;
}
