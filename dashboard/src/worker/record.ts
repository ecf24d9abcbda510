// One device, as far as the worker knows it.
import type { Device, DeviceId, Presence, Severity } from "../generated/protocol";
import type { Digits } from "./digits";
import { type DevicePatch, type MetricPatch, metricsMax } from "./messages";
import { Ring } from "./ring";
import { sparkPath } from "./spark";
import { unknownWhereabouts, type Whereabouts } from "./whereabouts";

/** Samples kept for a sparkline. */
const trendLength = 40;

/** The newest value of a metric. */
export interface Metric {
  readonly name: string;
  value: unknown;
  /**
   * When the value was taken, by the device's clock or that of its arrival; null where it was told together with others
   * that may be newer.
   */
  at: number | null;
  /** Counts the times that the value became another. */
  changes: number;
  /** The newest samples, where it is a number. */
  trend: Ring | null;
  /** The revision of the fleet in which it was last put. */
  revision: number;
}

/** A device. Each change bears a revision of the fleet: higher than all before. */
export class DeviceState {
  readonly id: DeviceId;
  /** Whether the list has told of it; until then type and tags are not known. */
  isListed = false;
  type: string | null = null;
  tags: Record<string, string> = {};
  presence: Whereabouts = unknownWhereabouts;
  lastSeenAt: number | null = null;
  /** How grave its gravest open alert is. */
  alert: Severity | null = null;
  readonly metrics = new Map<string, Metric>();
  /** The revision of its last change. */
  revision = 0;
  /** The revision in which its values were last thrown away. */
  #emptied = 0;
  readonly #digits: Digits;

  constructor(id: DeviceId, digits: Digits) {
    this.id = id;
    this.#digits = digits;
  }

  /** Takes what the list of devices says; what came live stays, for it is newer. */
  fill(device: Device, revision: number): void {
    this.revision = revision;
    this.isListed = true;
    this.type = device.type;
    this.tags = device.tags;
    if (this.presence.status === "unknown") {
      this.presence = { ...unknownWhereabouts, status: device.status, since: device.since };
    }
    const seenAt = device.last_seen_at;
    if (seenAt === null) return;
    this.seen(seenAt);
    for (const [name, value] of Object.entries(device.values)) {
      if (!this.metrics.has(name)) this.put(name, value, null, revision);
    }
  }

  /** Takes a presence. */
  appear(presence: Presence, revision: number): void {
    this.revision = revision;
    this.presence = presence;
  }

  /** Notes that it was heard of. */
  seen(at: number): void {
    this.lastSeenAt = Math.max(this.lastSeenAt ?? 0, at);
  }

  /** The clock was set: nothing was heard later than now. */
  notLater(now: number, revision: number): void {
    if (this.lastSeenAt === null || this.lastSeenAt <= now) return;
    this.lastSeenAt = now;
    this.revision = revision;
  }

  /** Takes the value of a metric; gives whether it had none of that name. */
  put(name: string, value: unknown, at: number | null, revision: number): boolean {
    const known = this.metrics.get(name);
    const metric = known ?? this.#add(name);
    if (metric === null) return false;
    this.revision = revision;
    metric.revision = revision;
    if (!isSame(metric.value, value)) metric.changes += 1;
    metric.value = value;
    metric.at = at;
    if (typeof value === "number") {
      this.#digits.see(name, value);
      metric.trend ??= new Ring(trendLength);
      metric.trend.push(value);
    }
    return known === undefined;
  }

  /** Throws its values away. */
  empty(revision: number): void {
    this.revision = revision;
    this.#emptied = revision;
    this.metrics.clear();
  }

  /** What has changed since a revision; all of it since 0. */
  patch(since: number): DevicePatch {
    const { id, isListed, type, tags, presence, lastSeenAt, alert } = this;
    const isWhole = since < this.#emptied || since === 0;
    const changed = [...this.metrics.values()].filter(({ revision }) => isWhole || revision > since);
    const metrics = changed.map(patchOf);
    return { id, isListed, type, tags, presence, lastSeenAt, alert, isWhole, metrics };
  }

  #add(name: string): Metric | null {
    if (this.metrics.size >= metricsMax) return null;
    const metric: Metric = { name, value: undefined, at: null, changes: -1, trend: null, revision: 0 };
    this.metrics.set(name, metric);
    return metric;
  }
}

function patchOf({ name, value, at, changes, trend }: Metric): MetricPatch {
  return { name, value, at, changes, trend: trend === null ? null : sparkPath(trend.values()) };
}

function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  return (
    typeof one === "object" && typeof other === "object" && JSON.stringify(one) === JSON.stringify(other)
  );
}
