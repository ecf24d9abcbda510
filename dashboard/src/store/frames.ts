// Changes come by the thousand; the page is drawn once a frame.
import { batch } from "solid-js";

/** Asks for `run` to be called when the next frame is drawn. */
export type Schedule = (run: () => void) => void;

/**
 * Gathers what changed and tells it together, once an animation frame. A hidden page draws no frames: what is
 * gathered then stays as small as the number of different things that can change.
 */
export class Frames {
  readonly #schedule: Schedule;
  readonly #changed = new Set<() => void>();

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /** Calls `tell` in the next frame; once, however often it is asked for. */
  mark(tell: () => void): void {
    const isFirst = this.#changed.size === 0;
    this.#changed.add(tell);
    if (isFirst) this.#schedule(() => this.#flush());
  }

  #flush(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    batch(() => {
      for (const tell of changed) tell();
    });
  }
}
