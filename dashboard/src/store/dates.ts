// When a device last measured each metric, as far as its recorded past tells.
import type { History as Past } from "../generated/protocol";

/** The newest time of each metric in the past that was read last. */
export class Dates {
  readonly #newest = new Map<string, number>();

  /** Takes the past: it takes the place of what is here. */
  take({ timestamps, metrics }: Past): void {
    this.forget();
    for (const [name, column] of Object.entries(metrics)) {
      const values = "values" in column ? column.values : column.last;
      const at = timestamps[values.findLastIndex((value) => value !== null)];
      if (at !== undefined) this.#newest.set(name, at);
    }
  }

  /** Something was missed: any of them may have been measured again. */
  forget(): void {
    this.#newest.clear();
  }

  /** When a metric was last measured; null where the past does not tell. */
  of(name: string): number | null {
    return this.#newest.get(name) ?? null;
  }
}
