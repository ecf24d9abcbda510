// What this page listens to: who gets which update, and whether one was lost on the way.
import type { RequestId, SubscribeOptions, Update } from "../generated/protocol";
import { isConflatable, type Matcher, matcher } from "./filter";
import { Sequences } from "./sequence";

/** What somebody wants to hear. */
export interface Wish {
  /** Filters; each belongs to one wish at a time. */
  readonly channels: readonly string[];
  readonly options?: SubscribeOptions;
  updated(update: Update): void;
  /** All values are here: after subscribing, and again after each reconnect. */
  live?(): void;
  /** Updates of a channel (a name or a filter) were lost; fresh values follow. */
  gap?(channel: string): void;
  /** The gateway does not allow it. */
  refused?(code: string, message: string): void;
}

/** A wish and where it stands with the gateway. */
export interface Entry {
  readonly wish: Wish;
  readonly matchers: readonly Matcher[];
  /** `asked`: no answer yet; `granted`: its values come; `live`: they are here. */
  phase: "idle" | "asked" | "granted" | "live" | "refused";
  /** The id of the request that asked for it last. */
  request: RequestId | null;
}

/** What came of an update. */
export type Delivery = { kind: "delivered" } | { kind: "hole"; missing: number; entry: Entry };

const delivered: Delivery = { kind: "delivered" };

/** All wishes, and the numbers of the channels that come whole. */
export class Subscriptions {
  readonly #entries = new Set<Entry>();
  readonly #sequences = new Sequences();
  #lagging = false;

  /** Adds a wish. Two wishes for one filter would take each other's options: that is a mistake in the page. */
  add(wish: Wish): Entry {
    const taken = wish.channels.find((filter) => this.#has(filter));
    if (taken !== undefined) throw new Error(`${taken} is already subscribed`);
    const entry: Entry = { wish, matchers: wish.channels.map(matcher), phase: "idle", request: null };
    this.#entries.add(entry);
    return entry;
  }

  /** Takes a wish back; false where it was gone already. */
  remove(entry: Entry): boolean {
    return this.#entries.delete(entry);
  }

  /** All of them. */
  entries(): Iterable<Entry> {
    return this.#entries;
  }

  /** Starts anew on a new connection. */
  restart(): void {
    this.#sequences.clear();
    this.#lagging = false;
    for (const entry of this.#entries) entry.phase = "idle";
  }

  /** The gateway grants it: its channels are numbered from what comes next. */
  grant(entry: Entry): void {
    entry.phase = "granted";
    for (const filter of entry.wish.channels) this.#sequences.forget(filter);
  }

  /** Everything asked with `request` has been sent. */
  goLive(request: RequestId): void {
    for (const entry of this.#entries) {
      if (entry.request !== request || entry.phase !== "granted") continue;
      entry.phase = "live";
      entry.wish.live?.();
    }
  }

  /** Whether nobody still waits for values. */
  allSettled(): boolean {
    return [...this.#entries].every(({ phase }) => phase === "live" || phase === "refused");
  }

  /** Hands an update to everyone who wants it. */
  deliver(update: Update): Delivery {
    const wanting = [...this.#entries].filter((entry) => wants(entry, update.channel));
    const checking = this.#checking(update.channel, wanting);
    const place = checking === undefined ? null : this.#sequences.place(update);
    if (place?.kind === "repeat") return delivered;
    for (const { wish } of wanting) wish.updated(update);
    if (checking === undefined || place?.kind !== "hole") return delivered;
    checking.wish.gap?.(update.channel);
    return { kind: "hole", missing: place.missing, entry: checking };
  }

  /** The gateway lost continuity for a channel or a filter, and sends the values anew. */
  reset(channel: string): void {
    this.#sequences.forget(channel);
    for (const entry of this.#entries) {
      if (wants(entry, channel)) entry.wish.gap?.(channel);
    }
  }

  /** While the gateway merges updates, holes in telemetry are no loss. */
  setLagging(lagging: boolean): void {
    this.#lagging = lagging;
    for (const filter of ["telemetry/#", "topics/#", "gateway/stats"]) this.#sequences.forget(filter);
  }

  /** The wish that makes this channel come whole, if any does. */
  #checking(channel: string, wanting: readonly Entry[]): Entry | undefined {
    if (this.#lagging && isConflatable(channel)) return undefined;
    return wanting.find((entry) => isGranted(entry) && comesWhole(entry, channel));
  }

  #has(filter: string): boolean {
    return [...this.#entries].some(({ wish }) => wish.channels.includes(filter));
  }
}

function wants(entry: Entry, channel: string): boolean {
  return entry.wish.channels.includes(channel) || entry.matchers.some((matches) => matches(channel));
}

function isGranted({ phase }: Entry): boolean {
  return phase === "granted" || phase === "live";
}

function comesWhole({ wish: { options } }: Entry, channel: string): boolean {
  return !isConflatable(channel) || (options?.mode !== "latest" && options?.throttle === undefined);
}
