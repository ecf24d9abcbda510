// Values as text.

const places = new Set(["lat", "lon", "lng", "latitude", "longitude"]);

/** The most digits after the point that a metric is shown with: 2, for geographic coordinates 5. */
export function decimalsMost(metric: string): number {
  return places.has(metric.toLowerCase()) ? 5 : 2;
}

/** The digits after the point worth showing, at most `most`. */
export function decimalsOf(value: number, most: number): number {
  const fraction = value.toFixed(most).split(".")[1]?.replace(/0+$/, "") ?? "";
  return fraction.length;
}

/** No more than this share of a value is rounded away. */
const roundedMost = 0.05;

/** A number with a fixed count of digits after the point, fewer where it is large, more where little would be left. */
export function formatNumber(value: number, decimals: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e9) return value.toExponential(3);
  const kept = size >= 10_000 ? 0 : size >= 1_000 ? Math.min(1, decimals) : decimals;
  const text = value.toFixed(kept);
  return Math.abs(Number(text) - value) > size * roundedMost ? value.toPrecision(2) : text;
}

/** Any value of a metric on one line. */
export function formatValue(value: unknown, decimals: number): string {
  if (typeof value === "number") return formatNumber(value, decimals);
  if (typeof value === "string") return value;
  if (value === undefined) return "";
  return JSON.stringify(value);
}

/** The same with all that is known of it: every digit, every line. */
export function exactText(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value, null, 1) : String(value);
}

/** A rate or count with thousands set apart: `12,400`; below 10 with one digit. */
export function formatRate(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
}

/** Bytes in the unit that fits. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}
