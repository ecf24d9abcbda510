// What the gateway said about itself in the last minutes: the material of its charts.
import { createSignal } from "solid-js";
import type { GatewayStats } from "../generated/protocol";
import type { Series } from "./samples";

/** Words that are kept: one a second for ten minutes. */
const keptMax = 600;
/** A longer silence is a gap. */
const gapMs = 3_500;

/** The last minutes of the gateway's figures. */
export class StatsPast {
  readonly #kept: { at: number; stats: GatewayStats | null }[] = [];
  readonly #version = createSignal(0);

  /** Takes the newest word. */
  hear(stats: GatewayStats, at: number): void {
    // A clock that was set back makes later what was before.
    while ((this.#kept.at(-1)?.at ?? 0) >= at) this.#kept.pop();
    const last = this.#kept.at(-1);
    if (last !== undefined && at - last.at > gapMs) this.#kept.push({ at: last.at + 1, stats: null });
    this.#kept.push({ at, stats });
    this.#kept.splice(0, this.#kept.length - keptMax);
    this.#version[1]((version) => version + 1);
  }

  /** Grows with each word; followed. */
  version(): number {
    return this.#version[0]();
  }

  /** What a figure was. */
  series(pick: (stats: GatewayStats) => number): Series {
    return {
      times: this.#kept.map(({ at }) => at),
      values: this.#kept.map(({ stats }) => (stats === null ? null : pick(stats))),
    };
  }
}
