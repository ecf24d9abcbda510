// The gateway's clock, seen from here.

/** Clocks run apart by less than this while samples are looked back on. */
const driftMs = 100;

/** How many samples the estimate looks back on; with a ping every 5 s the last 40 s. */
const samplesMax = 8;

interface Sample {
  /** Milliseconds to add to the local clock. */
  readonly offsetMs: number;
  /** The sample may be wrong by this much. */
  readonly errorMs: number;
}

/** Estimates how far the gateway's clock is ahead, from the exchange that took the least time. */
export class ServerClock {
  #samples: Sample[] = [];

  /** An answer that bore `serverTime` came at `receivedAt` to what was asked at `sentAt` (local clock). */
  sample(serverTime: number, sentAt: number, receivedAt: number): void {
    const errorMs = Math.max(0, receivedAt - sentAt) / 2;
    const sample = { offsetMs: serverTime - (receivedAt - errorMs), errorMs };
    // Where both cannot be true, one of the clocks was set in between.
    this.#samples = this.#samples.filter((known) => isPossible(known, sample));
    this.#samples.push(sample);
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  /** Milliseconds to add to the local clock; 0 while nothing is known. */
  get offsetMs(): number {
    let best: Sample | undefined;
    for (const sample of this.#samples) {
      if (best === undefined || sample.errorMs <= best.errorMs) best = sample;
    }
    return best?.offsetMs ?? 0;
  }
}

function isPossible(known: Sample, next: Sample): boolean {
  return Math.abs(known.offsetMs - next.offsetMs) <= known.errorMs + next.errorMs + driftMs;
}
