// The time that a device's charts show: the last of it, live, or a part of the past. It stands in the address.
import type { Query } from "../router";
import { windowMs } from "../worker/messages";

/** A time. */
export type Range = { kind: "live"; spanMs: number } | { kind: "past"; from: number; to: number };

const minute = 60_000;
const hour = 60 * minute;

/** The spans that are offered. */
export const spans: readonly [name: string, ms: number][] = [
  ["5m", windowMs],
  ["1h", hour],
  ["6h", 6 * hour],
  ["24h", 24 * hour],
  ["7d", 7 * 24 * hour],
];
/** How much a time of the address may be off, which stands there in whole milliseconds. */
const roundedMs = 1;
/** Nothing shorter can be told apart, and nothing longer is kept. */
const spanLeastMs = 2_000;
const spanMostMs = 400 * 24 * hour;

/** Reads it out of an address. */
export function readRange(query: Query): Range {
  const [from, to] = [Number(query.from), Number(query.to)];
  if (query.from !== undefined && Number.isFinite(from) && Number.isFinite(to) && to > from) {
    return { kind: "past", from, to };
  }
  const spanMs = spans.find(([name]) => name === query.span)?.[1] ?? windowMs;
  return { kind: "live", spanMs };
}

/** What stands in the address for it. */
export function writeRange(range: Range): Query {
  if (range.kind === "past") {
    return { from: String(Math.round(range.from)), to: String(Math.round(range.to)), span: "" };
  }
  const name = spans.find(([, ms]) => ms === range.spanMs)?.[0] ?? "";
  return { from: "", to: "", span: range.spanMs === windowMs ? "" : name };
}

/** Its ends, at the time `now`. */
export function endsOf(range: Range, now: number): [from: number, to: number] {
  return range.kind === "past" ? [range.from, range.to] : [now - range.spanMs, now];
}

/** The last of it, live: in the shortest span that is offered and as long as this time. */
export function liveAgain(range: Range): Range {
  const [from, to] = endsOf(range, 0);
  const [, spanMs] = spans.find(([, ms]) => ms >= to - from - roundedMs) ?? [null, 7 * 24 * hour];
  return { kind: "live", spanMs };
}

/** A part of the past, moved by a share of itself; live again where one that is as long as a span that is offered comes to `now`. */
export function pan(range: Range, share: number, now: number): Range {
  const [from, to] = endsOf(range, now);
  const isOffered = spans.some(([, ms]) => Math.abs(to - from - ms) <= roundedMs);
  if (share > 0 && isOffered && to + (to - from) * share >= now) return liveAgain(range);
  const step = Math.min((to - from) * share, Math.max(0, now - to));
  const by = share < 0 ? (to - from) * share : step;
  return { kind: "past", from: from + by, to: to + by };
}

/** A part of the past, longer or shorter by a factor around its middle. */
export function zoom(range: Range, factor: number, now: number): Range {
  const [from, to] = endsOf(range, now);
  const [middle, half] = [(from + to) / 2, ((to - from) * factor) / 2];
  return between(middle - half, middle + half, now);
}

/** A part of the past between two moments, kept within bounds. */
export function between(from: number, to: number, now: number): Range {
  const span = Math.min(spanMostMs, Math.max(spanLeastMs, to - from));
  const end = Math.min(now, Math.max(to, from + span));
  return { kind: "past", from: end - span, to: end };
}
