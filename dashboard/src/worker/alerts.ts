// The alerts that are open, and the newest of those that are over: what was read, and what came since.
import type { Api } from "../api";
import type { Alert, DeviceId, Severity } from "../generated/protocol";
import type { AlertsState } from "./messages";

/** Open alerts that are kept; the oldest go first. */
const openMax = 5_000;
/** Alerts that are over and still shown. */
const clearedMax = 100;
/** So many more than that of either are kept before the oldest go. */
const slack = 50;
/** Alerts that are told to the page. */
const toldMax = 1_000;

/** From the least to the gravest. */
export const severities: readonly Severity[] = ["info", "warning", "critical"];

/** What the book needs from its surroundings. */
export interface AlertBookOptions {
  readonly api: Api;
  readonly changed: () => void;
  /** An alert was raised that was not open before. */
  readonly raised: (alert: Alert) => void;
  /** How grave a device's gravest open alert is now. */
  readonly marked: (device: DeviceId, worst: Severity | null) => void;
}

/** All alerts that are known. */
export class AlertBook {
  readonly #options: AlertBookOptions;
  readonly #alerts = new Map<string, Alert>();
  readonly #byDevice = new Map<DeviceId, Set<string>>();
  readonly #cleared = new Set<string>();
  /** How many updates had come when each was heard of last. */
  readonly #heardAt = new Map<string, number>();
  #heard = 0;
  #isKnown = false;
  #problem: string | null = null;
  #loading = false;
  #again = false;
  /** Whether it has changed since it was told. */
  isStale = false;

  constructor(options: AlertBookOptions) {
    this.#options = options;
  }

  /** Takes an alert that came live; `isNews` where it happened just now. */
  hear(alert: Alert, isNews: boolean): void {
    const before = this.#alerts.get(alert.id);
    this.#heard += 1;
    this.#heardAt.set(alert.id, this.#heard);
    this.#put(alert);
    const wasOpen = before !== undefined && before.state !== "cleared";
    if (isNews && alert.state === "active" && !wasOpen) this.#options.raised(alert);
  }

  /** Reads those that are open; once more at the end where it was asked for meanwhile. */
  async load(): Promise<void> {
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    const mark = this.#heard;
    const [active, acknowledged] = await Promise.all([
      this.#options.api.alertsIn("active"),
      this.#options.api.alertsIn("acknowledged"),
    ]);
    this.#loading = false;
    if (active.kind === "ok" && acknowledged.kind === "ok") {
      this.#fill(mark, [...active.value, ...acknowledged.value]);
      this.#isKnown = true;
      this.#problem = null;
    } else {
      this.#problem =
        [active, acknowledged].flatMap((read) => (read.kind === "ok" ? [] : read.message))[0] ?? "";
    }
    this.#touch();
    if (this.#again) await this.load();
  }

  /** How many are active. */
  activeCount(): number {
    return [...this.#alerts.values()].filter(({ state }) => state === "active").length;
  }

  /** What the page is told. */
  take(): AlertsState {
    this.isStale = false;
    const all = [...this.#alerts.values()];
    const active = all.filter(({ state }) => state === "active");
    const acknowledged = all.filter(({ state }) => state === "acknowledged").length;
    return {
      isKnown: this.#isKnown,
      problem: this.#problem,
      active: active.length,
      acknowledged,
      isFull: active.length + acknowledged >= openMax,
      worst: worstOf(active),
      items: this.#told(all).sort(newestFirst),
    };
  }

  /** Of very many those that were heard of last: what the page has read of the others is not out of date. */
  #told(all: readonly Alert[]): Alert[] {
    if (all.length <= toldMax) return [...all];
    const heardAt = ({ id }: Alert) => this.#heardAt.get(id) ?? 0;
    return all.toSorted((a, b) => heardAt(b) - heardAt(a) || newestFirst(a, b)).slice(0, toldMax);
  }

  /** What is open is in the list, unless it was raised since the reading began. */
  #fill(mark: number, open: readonly Alert[]): void {
    const listed = new Set(open.map(({ id }) => id));
    const isNewer = (id: string) => (this.#heardAt.get(id) ?? 0) > mark;
    for (const alert of [...this.#alerts.values()]) {
      if (alert.state !== "cleared" && !listed.has(alert.id) && !isNewer(alert.id)) this.#drop(alert);
    }
    for (const alert of open) if (!isNewer(alert.id)) this.#put(alert);
  }

  #put(alert: Alert): void {
    this.#alerts.set(alert.id, alert);
    const its = this.#byDevice.get(alert.device) ?? new Set();
    this.#byDevice.set(alert.device, its.add(alert.id));
    if (alert.state === "cleared") this.#cleared.add(alert.id);
    else this.#cleared.delete(alert.id);
    this.#bound();
    this.#mark(alert.device);
    this.#touch();
  }

  #drop({ id, device }: Alert): void {
    this.#alerts.delete(id);
    this.#heardAt.delete(id);
    this.#cleared.delete(id);
    const its = this.#byDevice.get(device);
    if (its?.delete(id) === true && its.size === 0) this.#byDevice.delete(device);
    this.#mark(device);
  }

  /** Drops many at a time: each look costs as much as there are. */
  #bound(): void {
    const isCleared = ({ state }: Alert) => state === "cleared";
    if (this.#cleared.size >= clearedMax + slack) this.#keepNewest(clearedMax, isCleared);
    const open = this.#alerts.size - this.#cleared.size;
    if (open >= openMax + slack) this.#keepNewest(openMax, (alert) => !isCleared(alert));
  }

  #keepNewest(max: number, isMeant: (alert: Alert) => boolean): void {
    const meant = [...this.#alerts.values()].filter(isMeant).sort(newestFirst);
    for (const alert of meant.slice(max)) this.#drop(alert);
  }

  #mark(device: DeviceId): void {
    const its = [...(this.#byDevice.get(device) ?? [])].flatMap((id) => this.#alerts.get(id) ?? []);
    this.#options.marked(device, worstOf(its.filter(({ state }) => state !== "cleared")));
  }

  #touch(): void {
    this.isStale = true;
    this.#options.changed();
  }
}

/** Whether what came is an alert, as far as it is relied on. */
export function isAlert(value: unknown): value is Alert {
  if (typeof value !== "object" || value === null) return false;
  const { id, device, severity, state } = value as Partial<Alert>;
  return (
    typeof id === "string" &&
    typeof device === "string" &&
    severities.includes(severity as Severity) &&
    typeof state === "string"
  );
}

function worstOf(alerts: readonly Alert[]): Severity | null {
  const grave = Math.max(-1, ...alerts.map(({ severity }) => severities.indexOf(severity)));
  return severities[grave] ?? null;
}

/** The last thing that happened to it counts. */
function newestFirst(a: Alert, b: Alert): number {
  return b.raised_at - a.raised_at || (a.id < b.id ? 1 : -1);
}
