// All devices that this page knows.
import { createSignal } from "solid-js";
import type { Device, DeviceId, Presence, Update } from "../generated/protocol";
import { DeviceRecord } from "./device";
import { Digits } from "./digits";
import type { Frames } from "./frames";

/** What a page can hold; further devices are counted, and the page says so. */
const devicesMax = 20_000;

/** What the devices need from their surroundings. */
export interface DevicesOptions {
  readonly frames: Frames;
  /** The gateway's clock. */
  readonly serverNow: () => number;
  /** A device was heard that the list has not told of. */
  readonly unknown: (id: DeviceId) => void;
}

/** The devices, by id. */
export class Devices {
  readonly #options: DevicesOptions;
  readonly #records = new Map<DeviceId, DeviceRecord>();
  readonly #digits = new Digits();
  /** Counts the loads of the list, to tell who joined while one was under way. */
  #loads = 0;
  readonly #joined = new Map<DeviceId, number>();
  readonly #beyond = new Set<DeviceId>();
  readonly #readAll: () => readonly DeviceRecord[];
  readonly #tellAll: () => void;
  readonly #readMetrics: () => ReadonlySet<string>;
  readonly #tellMetrics: () => void;

  constructor(options: DevicesOptions) {
    this.#options = options;
    const [all, setAll] = createSignal<readonly DeviceRecord[]>([]);
    this.#readAll = all;
    this.#tellAll = () => setAll([...this.#records.values()]);
    const [metrics, setMetrics] = createSignal<ReadonlySet<string>>(new Set());
    this.#readMetrics = metrics;
    this.#tellMetrics = () => setMetrics(this.#gatherMetrics());
  }

  /** All devices; readers hear when one joins, leaves, or changes its presence, type or tags. */
  all(): readonly DeviceRecord[] {
    return this.#readAll();
  }

  /** The names of all metrics, in order. */
  metricNames(): ReadonlySet<string> {
    return this.#readMetrics();
  }

  /** One device; readers hear when it joins. */
  get(id: DeviceId): DeviceRecord | undefined {
    this.#readAll();
    return this.#records.get(id);
  }

  /** Whether the list has told of a device. */
  isListed(id: DeviceId): boolean {
    return this.#records.get(id)?.isListed === true;
  }

  /** How many devices this page could not hold. */
  beyondMax(): number {
    this.#readAll();
    return this.#beyond.size;
  }

  /** Notes that the list is being loaded, and gives the mark for `replaceAll`. */
  startLoad(): number {
    this.#loads += 1;
    return this.#loads;
  }

  /** Takes the whole list: who is not in it is gone, unless it joined since the load began. */
  replaceAll(load: number, devices: readonly Device[]): void {
    const listed = new Set(devices.map(({ id }) => id));
    for (const id of this.#records.keys()) {
      if (!listed.has(id) && (this.#joined.get(id) ?? 0) < load) this.#remove(id);
    }
    for (const device of devices) this.fill(device);
  }

  /** Takes what the API says of one device. */
  fill(device: Device): void {
    const record = this.#records.get(device.id) ?? this.#join(device.id);
    if (record === null) return;
    record.fill(device);
    this.#options.frames.mark(record.tell);
    this.#options.frames.mark(this.#tellAll);
    this.#options.frames.mark(this.#tellMetrics);
  }

  /** Takes an update of `telemetry/{device}`. */
  measure(update: Update): void {
    const record = this.#find(idIn(update.channel));
    if (record === null || !isObject(update.data)) return;
    const isNewName = record.measure(update.data, update.timestamp);
    // A device's own clock may be wrong: what comes live was heard now, whatever it says.
    const now = this.#options.serverNow();
    record.seen(update.snapshot === true ? Math.min(update.timestamp, now) : now);
    this.#options.frames.mark(record.tell);
    if (isNewName) this.#options.frames.mark(this.#tellMetrics);
  }

  /** Takes an update of `presence/{device}`. */
  appear(update: Update): void {
    const record = this.#find(idIn(update.channel));
    if (record === null || !isPresence(update.data)) return;
    record.appear(update.data);
    record.seen(update.timestamp);
    this.#options.frames.mark(record.tell);
    this.#options.frames.mark(this.#tellAll);
  }

  #find(id: DeviceId): DeviceRecord | null {
    const known = this.#records.get(id);
    if (known !== undefined) return known;
    const record = this.#join(id);
    if (record !== null) this.#options.unknown(id);
    return record;
  }

  #join(id: DeviceId): DeviceRecord | null {
    if (this.#records.size >= devicesMax) {
      if (this.#beyond.size < devicesMax) this.#beyond.add(id);
      return null;
    }
    const record = new DeviceRecord(id, this.#digits);
    this.#records.set(id, record);
    this.#joined.set(id, this.#loads);
    this.#options.frames.mark(this.#tellAll);
    return record;
  }

  #remove(id: DeviceId): void {
    this.#records.delete(id);
    this.#joined.delete(id);
    this.#options.frames.mark(this.#tellAll);
  }

  #gatherMetrics(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { metrics } of this.#records.values()) for (const name of metrics.keys()) names.add(name);
    return new Set([...names].sort());
  }
}

/** The device that a channel `kind/{device}` is about. */
function idIn(channel: string): DeviceId {
  return channel.slice(channel.indexOf("/") + 1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPresence(value: unknown): value is Presence {
  return isObject(value) && (value.status === "online" || value.status === "offline");
}
