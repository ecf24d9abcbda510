// The newest samples of a metric, oldest first.

/** A bounded run of samples: what comes after the last slot takes the place of the oldest. */
export class Ring {
  readonly #times: Float64Array;
  readonly #values: Float64Array;
  #start = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#times = new Float64Array(capacity);
    this.#values = new Float64Array(capacity);
  }

  /** Adds a sample; `time` in milliseconds since the epoch. */
  push(time: number, value: number): void {
    const capacity = this.#times.length;
    const end = (this.#start + this.#length) % capacity;
    this.#times[end] = time;
    this.#values[end] = value;
    if (this.#length < capacity) this.#length += 1;
    else this.#start = (this.#start + 1) % capacity;
  }

  /** How many samples there are. */
  get length(): number {
    return this.#length;
  }

  /** The samples, oldest first. */
  *[Symbol.iterator](): Generator<{ time: number; value: number }> {
    for (let step = 0; step < this.#length; step += 1) {
      const at = (this.#start + step) % this.#times.length;
      yield { time: this.#times[at] ?? 0, value: this.#values[at] ?? 0 };
    }
  }
}
