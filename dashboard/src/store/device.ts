// One device, as far as this page knows it.
import type { Device, DeviceId, Presence, PresenceReason, Status } from "../generated/protocol";
import type { Digits } from "./digits";
import { Ring } from "./ring";
import { Watched } from "./watched";

/** Samples kept for a sparkline. */
const trendLength = 40;
/** A device that sends ever new names for metrics fills this many and no more. */
const metricsMax = 256;

/** The newest value of a metric. */
export interface Metric {
  readonly name: string;
  value: unknown;
  /** When the value was taken, by the device's clock or that of its arrival. */
  at: number;
  /** Counts the times that the value became another. */
  changes: number;
  /** The newest samples, where it is a number. */
  trend: Ring | null;
}

/** Whether a device is there, as far as it is known. */
export interface Whereabouts {
  status: Status | "unknown";
  since: number | null;
  reason: PresenceReason | null;
  address: string | null;
  protocol: string | null;
  node: string | null;
}

const unknownWhereabouts: Whereabouts = {
  status: "unknown",
  since: null,
  reason: null,
  address: null,
  protocol: null,
  node: null,
};

/** A device. Its fields change in place; read them through `read`, which makes the reader follow them. */
export class DeviceRecord extends Watched {
  readonly id: DeviceId;
  /** Whether the list has told of it; until then type and tags are not known. */
  isListed = false;
  type: string | null = null;
  tags: Record<string, string> = {};
  presence: Whereabouts = unknownWhereabouts;
  lastSeenAt: number | null = null;
  readonly metrics = new Map<string, Metric>();
  /** How to show its metrics. */
  readonly digits: Digits;

  constructor(id: DeviceId, digits: Digits) {
    super();
    this.id = id;
    this.digits = digits;
  }

  /** Takes what the list of devices says; what came live stays, for it is newer. */
  fill(device: Device): void {
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
      if (!this.metrics.has(name)) this.#put(name, value, seenAt);
    }
  }

  /** Takes values; gives whether there was a metric among them that it had not. */
  measure(values: Record<string, unknown>, at: number): boolean {
    const known = this.metrics.size;
    for (const [name, value] of Object.entries(values)) this.#put(name, value, at);
    return this.metrics.size > known;
  }

  /** Takes a presence. */
  appear(presence: Presence): void {
    this.presence = presence;
  }

  /** Notes that it was heard of. */
  seen(at: number): void {
    this.lastSeenAt = Math.max(this.lastSeenAt ?? 0, at);
  }

  #put(name: string, value: unknown, at: number): void {
    const metric = this.metrics.get(name) ?? this.#add(name);
    if (metric === null) return;
    if (!isSame(metric.value, value)) metric.changes += 1;
    metric.value = value;
    metric.at = at;
    if (typeof value !== "number") return;
    this.digits.see(name, value);
    metric.trend ??= new Ring(trendLength);
    metric.trend.push(at, value);
  }

  #add(name: string): Metric | null {
    if (this.metrics.size >= metricsMax) return null;
    const metric: Metric = { name, value: undefined, at: 0, changes: -1, trend: null };
    this.metrics.set(name, metric);
    return metric;
  }
}

function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  return (
    typeof one === "object" && typeof other === "object" && JSON.stringify(one) === JSON.stringify(other)
  );
}
