// How the connection stands, and when it is tried again. Whether one is there is the client's to know.
import { backoffMs } from "./backoff";
import { adviceMs, comebackAfter, describeClose, tellsWhy } from "./close";
import type { ConnectionState } from "./state";

/** A connection that held this long is good: the next failure starts with a short wait again. */
const stableMs = 10_000;

/** What it needs from its surroundings. */
export interface StandingOptions {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether the browser has a network at all. */
  readonly hasNetwork: () => boolean;
  readonly changed: (state: ConnectionState) => void;
  /** A wait is over. */
  readonly tryAgain: () => void;
}

/** The state of a connection that is wanted for good, from one try to the next. */
export class Standing {
  readonly #options: StandingOptions;
  #state: ConnectionState = { kind: "connecting", since: Date.now() };
  #attempt = 0;
  #brokenSince: number | null = null;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
  }

  /** Where it is now. */
  get kind(): ConnectionState["kind"] {
    return this.#state.kind;
  }

  /** A try begins; a person who asks for one where it was refused begins anew. */
  trying(): void {
    clearTimeout(this.#retryTimer);
    if (this.#state.kind === "refused") this.#attempt = 0;
    if (this.#brokenSince !== null) this.#set(this.#broken(null, this.#why()));
    else this.#set({ kind: "connecting", since: Date.now() });
  }

  /** All that is wanted is here. */
  live(session: string, user: string | null): void {
    this.#brokenSince = null;
    this.#set({ kind: "live", since: Date.now(), session, user });
    this.#stableTimer = setTimeout(() => {
      this.#attempt = 0;
    }, stableMs);
  }

  /** The connection ended: its close code says whether and when to come back. */
  ended(code: number, reason: string): void {
    const wasLive = this.#state.kind === "live";
    clearTimeout(this.#stableTimer);
    const why = this.#whyEnded(code, reason);
    switch (comebackAfter(code)) {
      case "never":
        this.#brokenSince = null;
        return this.#set({ kind: "refused", since: Date.now(), code, reason: why });
      case "at_once":
        // A gateway that moves us before we were live would have us circle without a breath.
        return wasLive ? this.#retryAfter(0, why) : this.#backOff(why);
      case "after_backoff":
        return this.#backOff(why, adviceMs(code, reason));
    }
  }

  /** The browser lost its network while a try was due. */
  networkLost(): void {
    if (this.#state.kind === "recovering") this.#set(this.#broken(this.#state.nextTryAt, ""));
  }

  /** It is not wanted any more. */
  stop(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#stableTimer);
  }

  #backOff(why: string, advisedMs: number | null = null): void {
    this.#attempt += 1;
    this.#retryAfter(advisedMs ?? backoffMs(this.#attempt, this.#options.random), why);
  }

  #retryAfter(waitMs: number, why: string): void {
    this.#brokenSince ??= Date.now();
    this.#set(this.#broken(Date.now() + waitMs, why));
    this.#retryTimer = setTimeout(() => this.#options.tryAgain(), waitMs);
  }

  #broken(nextTryAt: number | null, why: string): ConnectionState {
    const since = this.#brokenSince ?? Date.now();
    if (!this.#options.hasNetwork()) return { kind: "offline", since, attempt: this.#attempt, nextTryAt };
    return { kind: "recovering", since, attempt: this.#attempt, nextTryAt, why };
  }

  /** A try that finds nobody tells nothing new: what was known before still is why. */
  #whyEnded(code: number, reason: string): string {
    const known = this.#why();
    return known === "" || tellsWhy(code, reason) ? describeClose(code, reason) : known;
  }

  #why(): string {
    return this.#state.kind === "recovering" ? this.#state.why : "";
  }

  #set(state: ConnectionState): void {
    this.#state = state;
    this.#options.changed(state);
  }
}
