// How many digits a metric is shown with: the same for all devices, so that columns line up.
import { decimalsOf } from "../text/number";

/** The digits after the point that the values of each metric use. */
export class Digits {
  readonly #byMetric = new Map<string, number>();

  /** Takes note of a value. */
  see(metric: string, value: number): void {
    const digits = decimalsOf(metric, value);
    if (digits > this.of(metric)) this.#byMetric.set(metric, digits);
  }

  /** The most digits that a value of this metric has used. */
  of(metric: string): number {
    return this.#byMetric.get(metric) ?? 0;
  }
}
