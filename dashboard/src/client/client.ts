// The page's connection to the gateway: it comes back by itself, and says truthfully how it stands.
import type {
  ClientMessage,
  Command,
  CommandId,
  CommandRequest,
  DeviceId,
  Update,
} from "../generated/protocol";
import { backoffMs } from "./backoff";
import { ServerClock } from "./clock";
import { comebackAfter, describeClose } from "./close";
import { Link, type Notice, type Welcome } from "./link";
import type { AnswerReply } from "./requests";
import type { OpenSocket } from "./socket";
import { type Answer, type ConnectionState, type Health, unknownHealth } from "./state";
import { type Entry, Subscriptions, type Wish } from "./subscriptions";

/** How long an answer may take. */
const answerTimeoutMs = 10_000;
/** A connection that held this long is good: the next failure starts with a short wait again. */
const stableMs = 10_000;

/** What a client needs from its surroundings. */
export interface ClientOptions {
  readonly open: OpenSocket;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether the browser has a network at all. */
  readonly hasNetwork: () => boolean;
  readonly stateChanged: (state: ConnectionState) => void;
  readonly healthChanged: (health: Health) => void;
}

/** A subscription that can be given up. */
export interface Subscription {
  close(): void;
}

/** The one connection of the page. */
export class SluiceClient {
  readonly #options: ClientOptions;
  readonly #clock = new ServerClock();
  readonly #subscriptions = new Subscriptions();
  #link: Link | null = null;
  #session: string | null = null;
  #state: ConnectionState;
  #health = unknownHealth;
  #attempt = 0;
  #brokenSince: number | null = null;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #stableTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#state = { kind: "connecting", since: Date.now() };
  }

  /** Connects, and from then on comes back by itself. */
  start(): void {
    if (this.#link === null) this.#connect();
  }

  /** Ends the connection for good. */
  stop(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#stableTimer);
    this.#session = null;
    const link = this.#link;
    this.#link = null;
    this.#session = null;
    link?.abandon("this page ended it");
  }

  /** Tries at once where a try is due later, or where the gateway has refused. */
  tryNow(): void {
    if (this.#link !== null) return;
    clearTimeout(this.#retryTimer);
    if (this.#state.kind === "refused") this.#attempt = 0;
    this.#connect();
  }

  /** To be called when the browser found or lost its network. */
  networkChanged(): void {
    if (this.#link !== null || this.#state.kind === "refused") return;
    if (this.#options.hasNetwork()) this.tryNow();
    else if (this.#state.kind === "recovering") this.#setState(this.#broken(this.#state.nextTryAt, ""));
  }

  /** The gateway's clock now, in milliseconds since the epoch. */
  serverNow(): number {
    return Math.round(Date.now() + this.#clock.offsetMs);
  }

  /** Listens; it is asked for again after each reconnect, until it is closed. */
  subscribe(wish: Wish): Subscription {
    const entry = this.#subscriptions.add(wish);
    if (this.#session !== null) this.#ask(entry);
    return { close: () => this.#unsubscribe(entry) };
  }

  /** Sends a command. It is never repeated by itself: what is uncertain is said to be uncertain. */
  async command(device: DeviceId, request: CommandRequest): Promise<Answer<Command>> {
    return withCommand(await this.#request({ type: "command", device, ...request }));
  }

  /** Cancels a command. */
  async cancel(command: CommandId): Promise<Answer<Command>> {
    return withCommand(await this.#request({ type: "cancel", command }));
  }

  #request(message: ClientMessage): Promise<Answer<AnswerReply>> {
    return new Promise((resolve) => {
      if (this.#link === null) resolve({ kind: "unsent", why: "not_connected" });
      else this.#link.ask(message, answerTimeoutMs, resolve);
    });
  }

  #connect(): void {
    if (this.#brokenSince !== null) this.#setState(this.#broken(null, this.#whyBroken()));
    else this.#setState({ kind: "connecting", since: Date.now() });
    this.#link = new Link(this.#options.open, {
      welcomed: (welcome, openedAt) => this.#welcomed(welcome, openedAt),
      updated: (update) => this.#updated(update),
      noticed: (notice) => this.#noticed(notice),
      ponged: (sentAt, serverTime) => this.#ponged(sentAt, serverTime),
      silent: (since) => this.#setHealth({ silentSince: since }),
      unreadable: (count) => this.#setHealth({ unreadable: this.#health.unreadable + count }),
      ended: (code, reason) => this.#ended(code, reason),
    });
  }

  #welcomed(welcome: Welcome, openedAt: number): void {
    this.#clock.sample(welcome.server_time, openedAt, Date.now());
    this.#session = welcome.session;
    this.#subscriptions.restart();
    this.#setHealth({ clockOffsetMs: this.#clock.offsetMs, lagging: false });
    for (const entry of this.#subscriptions.entries()) this.#ask(entry);
    this.#liveIfComplete();
  }

  /** Subscribes or, where it is subscribed, asks for the values again. */
  #ask(entry: Entry): void {
    const { channels, options = {} } = entry.wish;
    entry.phase = "asked";
    const link = this.#link;
    entry.request =
      link?.ask({ type: "subscribe", channels: [...channels], options }, answerTimeoutMs, (answer) =>
        this.#answered(entry, answer),
      ) ?? null;
  }

  #answered(entry: Entry, answer: Answer<AnswerReply>): void {
    switch (answer.kind) {
      case "ok":
        return this.#subscriptions.grant(entry);
      case "error":
        entry.phase = "refused";
        entry.wish.refused?.(answer.code, answer.message);
        return this.#liveIfComplete();
      case "timeout":
        return this.#link?.abandon("the gateway did not answer a subscription");
      case "unsent":
        // What does not fit now is asked for again on a fresh connection, rather than silently left out.
        if (answer.why !== "not_connected") this.#link?.abandon("a subscription could not be sent");
        return;
      case "broken":
        return;
    }
  }

  #unsubscribe(entry: Entry): void {
    if (!this.#subscriptions.remove(entry) || this.#session === null) return;
    this.#link?.ask({ type: "unsubscribe", channels: [...entry.wish.channels] }, answerTimeoutMs, () => {});
    this.#liveIfComplete();
  }

  #updated(update: Update): void {
    const delivery = this.#subscriptions.deliver(update);
    if (delivery.kind !== "hole") return;
    this.#setHealth({ missed: this.#health.missed + delivery.missing });
    if (delivery.entry.phase === "live") this.#ask(delivery.entry);
  }

  #noticed(notice: Notice): void {
    switch (notice.type) {
      case "live":
        if (notice.id !== undefined) this.#subscriptions.goLive(notice.id);
        return this.#liveIfComplete();
      case "lag":
        this.#subscriptions.setLagging(notice.on);
        return this.#setHealth({ lagging: notice.on, dropped: this.#health.dropped + notice.dropped });
      case "reset":
        for (const channel of notice.channels) this.#subscriptions.reset(channel);
        return this.#setHealth({ resets: this.#health.resets + 1 });
    }
  }

  #ponged(sentAt: number, serverTime: number): void {
    const now = Date.now();
    this.#clock.sample(serverTime, sentAt, now);
    this.#setHealth({
      roundTripMs: Math.max(0, now - sentAt),
      silentSince: null,
      clockOffsetMs: this.#clock.offsetMs,
    });
  }

  #liveIfComplete(): void {
    if (this.#session === null || this.#state.kind === "live" || !this.#subscriptions.allSettled()) return;
    this.#brokenSince = null;
    this.#setState({ kind: "live", since: Date.now(), session: this.#session });
    this.#stableTimer = setTimeout(() => {
      this.#attempt = 0;
    }, stableMs);
  }

  #ended(code: number, reason: string): void {
    if (this.#link === null) return;
    const wasLive = this.#state.kind === "live";
    this.#link = null;
    this.#session = null;
    clearTimeout(this.#stableTimer);
    this.#setHealth({ roundTripMs: null, silentSince: null, lagging: false });
    const why = describeClose(code, reason);
    switch (comebackAfter(code)) {
      case "never":
        this.#brokenSince = null;
        return this.#setState({ kind: "refused", since: Date.now(), code, reason: why });
      case "at_once":
        // A gateway that moves us before we were live would have us circle without a breath.
        return wasLive ? this.#retryAfter(0, why) : this.#backOff(why);
      case "after_backoff":
        return this.#backOff(why);
    }
  }

  #backOff(why: string): void {
    this.#attempt += 1;
    this.#retryAfter(backoffMs(this.#attempt, this.#options.random), why);
  }

  #retryAfter(waitMs: number, why: string): void {
    this.#brokenSince ??= Date.now();
    this.#setState(this.#broken(Date.now() + waitMs, why));
    this.#retryTimer = setTimeout(() => this.#connect(), waitMs);
  }

  #broken(nextTryAt: number | null, why: string): ConnectionState {
    const since = this.#brokenSince ?? Date.now();
    if (!this.#options.hasNetwork()) return { kind: "offline", since, attempt: this.#attempt, nextTryAt };
    return { kind: "recovering", since, attempt: this.#attempt, nextTryAt, why };
  }

  #whyBroken(): string {
    return this.#state.kind === "recovering" ? this.#state.why : "";
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    this.#options.stateChanged(state);
  }

  #setHealth(change: Partial<Health>): void {
    this.#health = { ...this.#health, ...change };
    this.#options.healthChanged(this.#health);
  }
}

function withCommand(answer: Answer<AnswerReply>): Answer<Command> {
  if (answer.kind !== "ok") return answer;
  if (answer.reply.type === "ok" && answer.reply.command !== undefined) {
    return { kind: "ok", reply: answer.reply.command };
  }
  return { kind: "error", code: "unexpected_reply", message: "the gateway answered without a command" };
}
