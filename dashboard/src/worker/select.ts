// Which devices the table shows, and in what order.
import type { Severity } from "../generated/protocol";
import type { DeviceState } from "./record";

/** Which devices to show. */
export interface Filter {
  /** Words that must all be found: in the id, the type or a tag; `online` and `offline` mean the status. */
  readonly text: string;
  readonly status: "any" | "online" | "offline";
  /** Empty for any. */
  readonly type: string;
  /** `name` or `name:value`; empty for any. */
  readonly tag: string;
  /** Devices with an open alert, at least so grave. */
  readonly alert: "any" | Severity;
}

/** What to sort by. */
export type SortKey = "id" | "type" | "status" | "seen" | "alert" | `metric:${string}`;

/** How to sort. */
export interface Sort {
  readonly key: SortKey;
  readonly descending: boolean;
}

/** Everything, by id. */
export const noFilter: Filter = { text: "", status: "any", type: "", tag: "", alert: "any" };
/** Everything, by id. */
export const firstSort: Sort = { key: "id", descending: false };

/** Whether two filters let the same devices pass. */
export function isSameFilter(one: Filter, other: Filter): boolean {
  return (
    one.text === other.text &&
    one.status === other.status &&
    one.type === other.type &&
    one.tag === other.tag &&
    one.alert === other.alert
  );
}

/** Whether this order changes with every message, so that it should be renewed in steps. */
export function isRestless({ key }: Sort): boolean {
  return key === "seen" || key.startsWith("metric:");
}

/** The devices that pass, in order; equal ones as they came, which is by id, and those without a value last. */
export function select(devices: readonly DeviceState[], filter: Filter, sort: Sort): readonly DeviceState[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const passing = isSameFilter(filter, noFilter)
    ? devices
    : devices.filter((device) => passes(device, filter, words));
  if (sort.key === "id") return sort.descending ? passing.toReversed() : passing;
  const keyed = passing.map((device) => ({ device, key: keyOf(device, sort.key) }));
  const direction = sort.descending ? -1 : 1;
  keyed.sort((a, b) => compareKeys(a.key, b.key, direction));
  return keyed.map(({ device }) => device);
}

/** The order after a click on a column's head. */
export function sortAfterClick(sort: Sort, key: SortKey): Sort {
  if (sort.key === key) return { key, descending: !sort.descending };
  // The interesting end first: those just heard, those online, the highest value.
  return { key, descending: key === "seen" || key === "alert" || key.startsWith("metric:") };
}

/** The devices whose id a text fits best, at most `max`. */
export function find(devices: readonly DeviceState[], text: string, max: number): string[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const first: string[] = [];
  const other: string[] = [];
  for (const device of devices) {
    if (first.length >= max) break;
    if (!words.every((word) => hasWord(device, word))) continue;
    if (device.id.toLowerCase().startsWith(words[0] ?? "")) first.push(device.id);
    else if (other.length < max) other.push(device.id);
  }
  return [...first, ...other].slice(0, max);
}

const ranks: Record<Severity, number> = { info: 1, warning: 2, critical: 3 };

type Key = string | number | null;

function passes(device: DeviceState, filter: Filter, words: readonly string[]): boolean {
  if (filter.status !== "any" && device.presence.status !== filter.status) return false;
  if (filter.type !== "" && device.type !== filter.type) return false;
  if (filter.tag !== "" && !hasTag(device, filter.tag)) return false;
  if (filter.alert !== "any" && (device.alert === null || ranks[device.alert] < ranks[filter.alert]))
    return false;
  return words.every((word) => hasWord(device, word));
}

function hasTag({ tags }: DeviceState, tag: string): boolean {
  const colon = tag.indexOf(":");
  if (colon < 0) return Object.hasOwn(tags, tag);
  return tags[tag.slice(0, colon)] === tag.slice(colon + 1);
}

function hasWord(device: DeviceState, word: string): boolean {
  if (word === "online" || word === "offline") return device.presence.status === word;
  if (device.id.toLowerCase().includes(word)) return true;
  if (device.type?.toLowerCase().includes(word) === true) return true;
  return Object.entries(device.tags).some(([name, value]) => `${name}:${value}`.toLowerCase().includes(word));
}

function keyOf(device: DeviceState, key: SortKey): Key {
  switch (key) {
    case "id":
      return device.id;
    case "type":
      return device.type;
    case "status":
      return { online: 0, offline: 1, unknown: 2 }[device.presence.status];
    case "alert":
      return device.alert === null ? null : ranks[device.alert];
    case "seen":
      return device.lastSeenAt;
    default:
      return keyOfValue(device.metrics.get(key.slice("metric:".length))?.value);
  }
}

function keyOfValue(value: unknown): Key {
  if (typeof value === "number" || typeof value === "string") return value;
  if (typeof value === "boolean") return Number(value);
  return null;
}

function compareKeys(a: Key, b: Key, direction: number): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "number" && typeof b === "number") return (a - b) * direction;
  return compareTexts(String(a), String(b)) * direction;
}

const collator = new Intl.Collator("en", { numeric: true });

/** So that `pump-2` stands before `pump-10`. */
export function compareTexts(a: string, b: string): number {
  return collator.compare(a, b);
}
