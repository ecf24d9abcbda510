// What waits to be sent: bounded, and paced so that the gateway's limit is kept.

/** More than this waiting means that the page asks faster than it may; a request is then refused. */
const waitingMax = 64;
/** While the socket itself holds more than this, nothing is added to it. */
const bufferedBytesMax = 256 * 1024;
/** How soon to look again when something had to wait. */
const retryMs = 50;

/** A message, and what to do when it leaves. */
interface Waiting {
  readonly text: string;
  readonly sent: () => void;
}

/** Where messages go. */
export interface Sink {
  send(text: string): void;
  bufferedBytes(): number;
}

/** Sends in order, at most `messagesPerSecond`. */
export class Outbox {
  readonly #sink: Sink;
  readonly #rate: number;
  readonly #waiting: Waiting[] = [];
  #tokens: number;
  #refilledAt: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(sink: Sink, messagesPerSecond: number) {
    this.#sink = sink;
    // Half as a burst and half as a rate: no second ever sees more than all.
    this.#rate = Math.max(1, messagesPerSecond / 2);
    this.#tokens = this.#rate;
    this.#refilledAt = Date.now();
  }

  /** Takes a message; false when full. `sent` is called when it has been given to the socket. */
  push(text: string, sent: () => void): boolean {
    if (this.#waiting.length >= waitingMax) return false;
    this.#waiting.push({ text, sent });
    this.#drain();
    return true;
  }

  /** Forgets what waits; nothing is sent from here on. */
  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #drain(): void {
    this.#refill();
    while (this.#tokens >= 1 && this.#sink.bufferedBytes() <= bufferedBytesMax) {
      const head = this.#waiting.shift();
      if (head === undefined) return;
      this.#tokens -= 1;
      this.#sink.send(head.text);
      head.sent();
    }
    clearTimeout(this.#timer);
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#drain(), retryMs);
  }

  #refill(): void {
    const now = Date.now();
    const gained = (Math.max(0, now - this.#refilledAt) / 1_000) * this.#rate;
    this.#tokens = Math.min(this.#rate, this.#tokens + gained);
    this.#refilledAt = now;
  }
}
