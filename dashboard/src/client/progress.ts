// How far the gateway's order has been seen on one connection: where to resume from when it breaks.
//
// Channels that come whole come in order, so the highest offset that was seen stands for all before it. Where updates
// merge, one may be held back while others overtake it. A pong is answered behind everything that was due, so what was
// seen by a pong that is older than the longest wait is certain.

/** Beyond the interval of a throttle, merged updates wait no longer than this before they are sent. */
const flushMaxMs = 1_000;

interface Milestone {
  readonly serverTime: number;
  readonly offset: number;
}

/** The offsets seen on one connection. */
export class Progress {
  #whole: number;
  #any: number;
  #isLagging = false;
  /** What had been seen at each of the newest pongs, oldest first. */
  #milestones: Milestone[];
  readonly #start: number;

  /** Everything up to `offset` is known. */
  constructor(offset: number) {
    this.#start = offset;
    this.#whole = offset;
    this.#any = offset;
    this.#milestones = [];
  }

  /** A live update was seen; `isWhole` where all updates of its channel come. */
  saw(offset: number, isWhole: boolean): void {
    this.#any = Math.max(this.#any, offset);
    if (isWhole && !this.#isLagging) this.#whole = Math.max(this.#whole, offset);
  }

  /** While the gateway merges for a slow reader nothing is certain; when it ends, everything was sent. */
  setLagging(isLagging: boolean): void {
    if (this.#isLagging && !isLagging) this.#whole = Math.max(this.#whole, this.#any);
    this.#isLagging = isLagging;
  }

  /** A pong came. */
  ponged(serverTime: number): void {
    if (this.#isLagging) return;
    this.#milestones.push({ serverTime, offset: this.#any });
    if (this.#milestones.length > milestonesMax) this.#milestones.shift();
  }

  /** Nothing up to here is missing where all updates come. */
  get whole(): number {
    return this.#whole;
  }

  /** Nothing up to here is missing where updates merge for `intervalMs` at most. */
  merged(intervalMs: number): number {
    const newest = this.#milestones.at(-1);
    if (newest === undefined) return this.#start;
    const by = newest.serverTime - intervalMs - flushMaxMs;
    return this.#milestones.findLast(({ serverTime }) => serverTime <= by)?.offset ?? this.#start;
  }
}

/** With a pong every 3 s the last ten minutes: longer than any sensible throttle. */
const milestonesMax = 200;
