// How many digits a metric is shown with: the same for all devices, so that columns line up.
import { decimalsMost, decimalsOf } from "../text/number";

/** The digits after the point that the values of each metric use. */
export class Digits {
  readonly #byMetric = new Map<string, number>();
  /** The metrics whose values can use no more than they do. */
  readonly #full = new Set<string>();
  /** Counts the changes. */
  revision = 0;

  /** Takes note of a value. This is done for each sample of a fleet, so most values are not looked at. */
  see(metric: string, value: number): void {
    if (Number.isInteger(value) || this.#full.has(metric)) return;
    const most = decimalsMost(metric);
    const digits = decimalsOf(value, most);
    if (digits <= this.of(metric)) return;
    this.#byMetric.set(metric, digits);
    if (digits === most) this.#full.add(metric);
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
