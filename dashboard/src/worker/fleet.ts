// All devices that are known, with their newest values: what the page shows is a part of it.

import { matcher } from "../client/filter";
import { channelOf, numbersOf, type Table, valueAt } from "../client/table";
import type { Device, DeviceId, Presence, Severity, Update } from "../generated/protocol";
import { Digits } from "./digits";
import type { FleetState } from "./messages";
import { DeviceState } from "./record";
import { compareTexts } from "./select";

/** What a page can hold; further devices are counted, and the page says so. */
const devicesMax = 20_000;
/** Tags that the filter offers. */
const tagsMax = 300;

/** What the devices need from their surroundings. */
export interface FleetOptions {
  /** Something changed that somebody may be shown. */
  readonly changed: () => void;
  /** The gateway's clock. */
  readonly serverNow: () => number;
  /** A device was heard that the list has not told of. */
  readonly unknown: (id: DeviceId) => void;
}

/** The devices, by id. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #records = new Map<DeviceId, DeviceState>();
  /** Whose telemetry comes on which channel: for each of thousands of rows a second no id is cut out of a name. */
  readonly #measuring = new Map<string, DeviceState>();
  readonly #digits = new Digits();
  /** Counts the loads of the list, to tell who joined while one was under way. */
  #loads = 0;
  readonly #joined = new Map<DeviceId, number>();
  readonly #beyond = new Set<DeviceId>();
  /** Counts the changes of all devices together. */
  #revision = 0;
  /** The revision in which one last joined, left, or changed its presence, type or tags. */
  #listRevision = 0;
  /** All of them by id; null where somebody joined or left since. */
  #sorted: DeviceState[] | null = null;
  /** Of devices that are not known yet, too. */
  readonly #alerts = new Map<DeviceId, Severity>();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** All devices, by id: `pump-2` before `pump-10`. */
  sorted(): readonly DeviceState[] {
    this.#sorted ??= [...this.#records.values()].sort((a, b) => compareTexts(a.id, b.id));
    return this.#sorted;
  }

  /** One device. */
  get(id: DeviceId): DeviceState | undefined {
    return this.#records.get(id);
  }

  /** How many are known. */
  get size(): number {
    return this.#records.size;
  }

  /** Grows with each change. */
  get revision(): number {
    return this.#revision;
  }

  /** Grows when a device joins, leaves, or changes its presence, type, tags or metrics' names, or how they are shown. */
  get listRevision(): number {
    return this.#listRevision + this.#digits.revision;
  }

  /** The fleet as a whole. */
  state(): FleetState {
    const types = new Set<string>();
    const metrics = new Set<string>();
    const tags = new Set<string>();
    for (const record of this.#records.values()) {
      if (record.type !== null) types.add(record.type);
      for (const [name, value] of Object.entries(record.tags)) {
        if (tags.size < tagsMax) tags.add(`${name}:${value}`);
      }
      for (const name of record.metrics.keys()) metrics.add(name);
    }
    return {
      known: this.#records.size,
      beyond: this.#beyond.size,
      types: [...types].sort(compareTexts),
      tags: [...tags].sort(compareTexts),
      metrics: [...metrics].sort(compareTexts),
      digits: this.#digits.all(),
    };
  }

  /** Whether the list has told of a device. */
  isListed(id: DeviceId): boolean {
    return this.#records.get(id)?.isListed === true;
  }

  /** Notes that the list is being loaded, and gives the mark for `keepOnly`. */
  startLoad(): number {
    this.#loads += 1;
    return this.#loads;
  }

  /** The list is read: who is not in it is gone, unless it joined since the load began. */
  keepOnly(load: number, devices: readonly Device[]): void {
    const listed = new Set(devices.map(({ id }) => id));
    for (const id of this.#records.keys()) {
      if (!listed.has(id) && (this.#joined.get(id) ?? 0) < load) this.#remove(id);
    }
  }

  /** Takes what the API says of one device. */
  fill(device: Device): void {
    const record = this.#records.get(device.id) ?? this.#join(device.id);
    if (record === null) return;
    record.fill(device, this.#next());
    this.#listChanged();
  }

  /** Notes how grave a device's gravest open alert is. */
  mark(id: DeviceId, alert: Severity | null): void {
    if (alert === null) this.#alerts.delete(id);
    else this.#alerts.set(id, alert);
    const record = this.#records.get(id);
    if (record === undefined || record.alert === alert) return;
    record.alert = alert;
    this.#listChanged();
    record.revision = this.#revision;
  }

  /** Takes an update of `telemetry/{device}`. */
  measure(update: Update): void {
    const record = this.#measured(update.channel);
    if (record === null || !isObject(update.data)) return;
    const revision = this.#next();
    const isSnapshot = update.snapshot === true;
    const at = isSnapshot ? null : update.timestamp;
    for (const [name, value] of Object.entries(update.data)) {
      if (record.put(name, value, at, revision)) this.#listChanged();
    }
    this.#heard(record, update.timestamp, isSnapshot);
  }

  /** Takes updates of `telemetry/{device}` as columns. */
  measureTable(table: Table): void {
    const columns = table.columns.map((column) => numbersOf(column) ?? column);
    const isSnapshot = table.mark === "snapshot";
    const revision = this.#next();
    for (let row = 0; row < table.rows; row += 1) {
      const record = this.#measured(channelOf(table, row));
      if (record === null) continue;
      const heardAt = table.timestamps[row] ?? 0;
      const at = isSnapshot ? null : heardAt;
      for (const [index, column] of columns.entries()) {
        const value = column instanceof Float64Array ? column[row] : valueAt(column, row);
        if (record.put(table.metrics[index] ?? "", value, at, revision)) this.#listChanged();
      }
      this.#heard(record, heardAt, isSnapshot);
    }
  }

  /** Throws the values away of devices whose telemetry one of these channels or filters matches. */
  forget(channels: readonly string[]): void {
    const matchers = channels.map(matcher);
    const revision = this.#next();
    for (const record of this.#records.values()) {
      if (matchers.some((matches) => matches(`telemetry/${record.id}`))) record.empty(revision);
    }
    this.#listChanged();
  }

  /** The gateway's clock is another than was thought. */
  clockSet(): void {
    const [now, revision] = [this.#options.serverNow(), this.#next()];
    for (const record of this.#records.values()) record.notLater(now, revision);
    this.#options.changed();
  }

  /** Takes an update of `presence/{device}`. */
  appear(update: Update): void {
    const record = this.#find(idIn(update.channel));
    if (record === null || !isPresence(update.data)) return;
    record.appear(update.data, this.#next());
    record.seen(update.timestamp);
    this.#listChanged();
  }

  /** A device's own clock may be wrong: what comes live was heard now, whatever it says. */
  #heard(record: DeviceState, at: number, isSnapshot: boolean): void {
    const now = this.#options.serverNow();
    record.seen(isSnapshot ? Math.min(at, now) : now);
    record.revision = this.#revision;
    this.#options.changed();
  }

  #next(): number {
    this.#revision += 1;
    return this.#revision;
  }

  #listChanged(): void {
    this.#listRevision = this.#next();
    this.#options.changed();
  }

  #measured(channel: string): DeviceState | null {
    const known = this.#measuring.get(channel);
    if (known !== undefined) return known;
    const record = this.#find(idIn(channel));
    if (record !== null) this.#measuring.set(channel, record);
    return record;
  }

  #find(id: DeviceId): DeviceState | null {
    const known = this.#records.get(id);
    if (known !== undefined) return known;
    const record = this.#join(id);
    if (record !== null) this.#options.unknown(id);
    return record;
  }

  #join(id: DeviceId): DeviceState | null {
    if (this.#records.size >= devicesMax) {
      if (this.#beyond.size < devicesMax) this.#beyond.add(id);
      return null;
    }
    const record = new DeviceState(id, this.#digits);
    record.alert = this.#alerts.get(id) ?? null;
    this.#records.set(id, record);
    this.#sorted = null;
    this.#joined.set(id, this.#loads);
    this.#listChanged();
    return record;
  }

  #remove(id: DeviceId): void {
    this.#records.delete(id);
    this.#measuring.delete(`telemetry/${id}`);
    this.#joined.delete(id);
    this.#sorted = null;
    this.#listChanged();
  }
}

/** The device that a channel `kind/{device}` is about. */
function idIn(channel: string): DeviceId {
  return channel.slice(channel.indexOf("/") + 1);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether it is what `presence/{device}` tells. */
export function isPresence(value: unknown): value is Presence {
  return isObject(value) && (value.status === "online" || value.status === "offline");
}
