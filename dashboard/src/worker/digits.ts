// How many digits a metric is shown with: the same for all devices, so that columns line up.
import { decimalsOf } from "../text/number";

/** The digits after the point that the values of each metric use. */
export class Digits {
  readonly #byMetric = new Map<string, number>();
  /** Counts the changes. */
  revision = 0;

  /** Takes note of a value. */
  see(metric: string, value: number): void {
    const digits = decimalsOf(metric, value);
    if (digits <= this.of(metric)) return;
    this.#byMetric.set(metric, digits);
    this.revision += 1;
  }

  /** All of them. */
  all(): ReadonlyMap<string, number> {
    return this.#byMetric;
  }

  /** The most digits that a value of this metric has used. */
  of(metric: string): number {
    return this.#byMetric.get(metric) ?? 0;
  }
}
