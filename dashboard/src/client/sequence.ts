// The numbers of updates, channel by channel: a hole is a loss.
import type { Update } from "../generated/protocol";
import { matcher } from "./filter";

/** Where an update stands against the one before it. */
export type Place = { kind: "next" } | { kind: "repeat" } | { kind: "hole"; missing: number };

const next: Place = { kind: "next" };

/** Remembers the newest number of each channel that comes whole. */
export class Sequences {
  #newest = new Map<string, number>();

  /** Judges an update and remembers its number. The first of a channel, and a snapshot, set the start. */
  place(update: Update): Place {
    const newest = this.#newest.get(update.channel);
    if (update.replayed === true) return next;
    if (newest === undefined || update.snapshot === true) {
      this.#newest.set(update.channel, update.seq);
      return next;
    }
    if (update.seq <= newest) return { kind: "repeat" };
    this.#newest.set(update.channel, update.seq);
    return update.seq === newest + 1 ? next : { kind: "hole", missing: update.seq - newest - 1 };
  }

  /** Starts anew for the channels that `filter` matches. */
  forget(filter: string): void {
    const matches = matcher(filter);
    for (const channel of this.#newest.keys()) {
      if (matches(channel)) this.#newest.delete(channel);
    }
  }

  /** Starts anew for all. */
  clear(): void {
    this.#newest.clear();
  }
}
