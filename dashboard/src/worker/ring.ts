// The newest samples of a metric, oldest first.

/** A bounded run of samples: what comes after the last slot takes the place of the oldest. */
export class Ring {
  readonly #values: Float64Array;
  #start = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity);
  }

  /** Adds a sample. */
  push(value: number): void {
    const capacity = this.#values.length;
    const end = (this.#start + this.#length) % capacity;
    this.#values[end] = value;
    if (this.#length < capacity) this.#length += 1;
    else this.#start = (this.#start + 1) % capacity;
  }

  /** How many samples there are. */
  get length(): number {
    return this.#length;
  }

  /** The values, oldest first. */
  values(): Float64Array {
    const end = this.#start + this.#length;
    if (end <= this.#values.length) return this.#values.slice(this.#start, end);
    const values = new Float64Array(this.#length);
    values.set(this.#values.subarray(this.#start));
    values.set(this.#values.subarray(0, end - this.#values.length), this.#values.length - this.#start);
    return values;
  }
}
