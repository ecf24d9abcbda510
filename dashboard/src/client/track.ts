// The numbers of one channel, as one subscription sees them: what was seen, and what is missing.
import type { Mark } from "./table";

/** Numbers of updates, both included. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What to do with an update: `hole`: take it, but others before it are missing. */
export type Verdict = "take" | "drop" | "hole";

/** How the subscription stands when an update comes. */
export interface Standing {
  /** Whether each update of the channel should come, so that a hole is a loss. */
  readonly isWhole: boolean;
  /** Whether the past is being sent because the subscription is new, and not to resume it. */
  readonly isBeginning: boolean;
}

/** Remembers the newest number of a channel, and the holes below it. */
export class Track {
  /** 0 before the first. */
  #newest = 0;
  /** Whether the next update must be the one after the newest. */
  #isSure = false;
  /** Holes that can still be filled, the oldest first. */
  #missing: Span[] = [];

  /** Judges an update and remembers its number. */
  judge(seq: number, mark: Mark, { isWhole, isBeginning }: Standing): Verdict {
    if (mark === "snapshot") {
      this.#reach(seq);
      return "take";
    }
    if (seq <= this.#newest) {
      if (mark === "replayed") return this.#fill(seq) || isBeginning ? "take" : "drop";
      return "drop";
    }
    const before = this.#newest;
    const isHole = isWhole && this.#isSure && seq > before + 1;
    if (isHole) this.#missing.push({ from: before + 1, to: seq - 1 });
    this.#reach(seq);
    return isHole ? "hole" : "take";
  }

  /** The holes that are open. */
  get missing(): readonly Span[] {
    return this.#missing;
  }

  /** What is still missing of a span; it is given up. */
  giveUp({ from, to }: Span): Span[] {
    const isIn = (hole: Span) => hole.from >= from && hole.to <= to;
    const lost = this.#missing.filter(isIn);
    this.#missing = this.#missing.filter((hole) => !isIn(hole));
    return lost;
  }

  /** Takes the next update for the one that follows, whatever its number: updates were merged. */
  doubt(): void {
    this.#isSure = false;
  }

  /** Starts anew. */
  forget(): void {
    this.#newest = 0;
    this.#isSure = false;
    this.#missing = [];
  }

  #reach(seq: number): void {
    this.#newest = Math.max(this.#newest, seq);
    this.#isSure = true;
  }

  /** Whether this number was missing; it is not any more. */
  #fill(seq: number): boolean {
    const index = this.#missing.findIndex(({ from, to }) => seq >= from && seq <= to);
    const hole = this.#missing[index];
    if (hole === undefined) return false;
    const rest = [
      { from: hole.from, to: seq - 1 },
      { from: seq + 1, to: hole.to },
    ].filter(({ from, to }) => from <= to);
    this.#missing.splice(index, 1, ...rest);
    return true;
  }
}
