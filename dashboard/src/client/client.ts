// The connection to the gateway: it comes back by itself, goes on where it broke, and says truthfully how it stands.
import type {
  ClientMessage,
  Command,
  CommandId,
  CommandRequest,
  Cursor,
  DeviceId,
  Offset,
  RequestId,
  SubscribeOptions,
  Update,
} from "../generated/protocol";
import { ServerClock } from "./clock";
import { Link, type Notice, type Welcome } from "./link";
import { Progress } from "./progress";
import type { AnswerReply } from "./requests";
import type { OpenSocket } from "./socket";
import { Standing } from "./standing";
import { type Answer, type ConnectionState, type Health, unknownHealth } from "./state";
import { asksForAll, type Entry, mergeIntervalMs, Subscriptions, type Wish } from "./subscriptions";
import type { Span } from "./track";

/** How long an answer may take, unless told. */
const answerTimeoutMs = 10_000;
/** How long the gateway may take to send again what is missing. */
const replayTimeoutMs = 60_000;

/** What a client needs from its surroundings. */
export interface ClientOptions {
  readonly open: OpenSocket;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether the browser has a network at all. */
  readonly hasNetwork: () => boolean;
  /** The gateway took us: from here on it answers, and all that is subscribed is asked for. */
  readonly greeted?: () => void;
  readonly stateChanged: (state: ConnectionState) => void;
  readonly healthChanged: (health: Health) => void;
}

/** A subscription that can be given up. */
export interface Subscription {
  close(): void;
  /**
   * Where a later client may go on from, as the option `since`: everything before it has been handed out. Null while
   * it has never been live.
   */
  cursor(): Cursor | null;
}

/** A connection to a gateway, for as long as it is wanted. */
export class SluiceClient {
  readonly #options: ClientOptions;
  readonly #clock = new ServerClock();
  readonly #subscriptions: Subscriptions;
  #link: Link | null = null;
  #session: string | null = null;
  #user: string | null = null;
  #epoch: string | null = null;
  #progress = new Progress(0);
  readonly #standing: Standing;
  #health = unknownHealth;
  /** What is being sent again because somebody wants to see it. */
  readonly #recalls = new Set<Recall>();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#subscriptions = new Subscriptions({
      hole: (entry, channel, span) => this.#fill(entry, channel, span),
      lost: (count) => this.#setHealth({ missed: this.#health.missed + count }),
      overrun: (entry) => this.#overrun(entry),
      saw: (offset, isWhole) => this.#progress.saw(offset, isWhole),
    });
    const { random, hasNetwork, stateChanged } = options;
    const tryAgain = () => this.#connect();
    this.#standing = new Standing({ random, hasNetwork, changed: stateChanged, tryAgain });
  }

  /** Connects, and from then on comes back by itself. */
  start(): void {
    if (this.#link === null) this.#connect();
  }

  /** Ends the connection for good. */
  stop(): void {
    this.#standing.stop();
    this.#keepCursors();
    const link = this.#link;
    this.#link = null;
    this.#session = null;
    link?.abandon("this page ended it");
  }

  /** Tries at once where a try is due later, or where the gateway has refused. */
  tryNow(): void {
    if (this.#link === null) this.#connect();
  }

  /** To be called after a sleep, or when somebody looks again: tries at once, or asks whether the gateway is there. */
  wake(): void {
    if (this.#link !== null) this.#link.probe();
    else if (this.#standing.kind !== "refused") this.tryNow();
  }

  /** To be called when the browser found or lost its network. */
  networkChanged(): void {
    if (this.#link !== null || this.#standing.kind === "refused") return;
    if (this.#options.hasNetwork()) this.tryNow();
    else this.#standing.networkLost();
  }

  /** The gateway's clock now, in milliseconds since the epoch. */
  serverNow(): number {
    return Math.round(Date.now() + this.#clock.offsetMs);
  }

  /** Listens; after each reconnect it goes on where it broke, until it is closed. */
  subscribe(wish: Wish): Subscription {
    const entry = this.#subscriptions.add(wish);
    if (this.#session !== null) this.#ask(entry);
    return { close: () => this.#unsubscribe(entry), cursor: () => this.#cursorOf(entry) };
  }

  /** Sends a command. It is never repeated by itself: what is uncertain is said to be uncertain. */
  async command(
    device: DeviceId,
    request: CommandRequest,
    timeoutMs = answerTimeoutMs,
  ): Promise<Answer<Command>> {
    return withCommand(await this.#request({ type: "command", device, ...request }, timeoutMs));
  }

  /** Cancels a command. */
  async cancel(command: CommandId, timeoutMs = answerTimeoutMs): Promise<Answer<Command>> {
    return withCommand(await this.#request({ type: "cancel", command }, timeoutMs));
  }

  /**
   * The updates `from` to `to` of a channel again, as far as the gateway has them; subscriptions do not hear them.
   * Those that fill a hole of a subscription meanwhile go there.
   */
  async recall(channel: string, span: Span): Promise<Answer<Update[]>> {
    const updates: Update[] = [];
    const recall = { channel, span, updates };
    this.#recalls.add(recall);
    const message: ClientMessage = { type: "replay", channel, from: span.from, to: span.to };
    const answer = await this.#request(message, replayTimeoutMs);
    this.#recalls.delete(recall);
    return answer.kind === "ok" ? { kind: "ok", reply: updates } : answer;
  }

  #request(message: ClientMessage, timeoutMs: number): Promise<Answer<AnswerReply>> {
    return new Promise((resolve) => {
      if (this.#link === null) resolve({ kind: "unsent", why: "not_connected" });
      else this.#link.ask(message, timeoutMs, resolve);
    });
  }

  #connect(): void {
    this.#standing.trying();
    this.#link = new Link(this.#options.open, {
      welcomed: (welcome, openedAt) => this.#welcomed(welcome, openedAt),
      updated: (update) => this.#updated(update),
      tabled: (table) => this.#subscriptions.deliverTable(table),
      noticed: (notice) => this.#noticed(notice),
      ponged: (sentAt, serverTime) => this.#ponged(sentAt, serverTime),
      silent: (since) => this.#setHealth({ silentSince: since }),
      unreadable: (count) => this.#setHealth({ unreadable: this.#health.unreadable + count }),
      ended: (code, reason) => this.#ended(code, reason),
    });
  }

  #updated(update: Update): void {
    if (update.replayed === true) {
      for (const { channel, span, updates } of this.#recalls) {
        if (channel === update.channel && update.seq >= span.from && update.seq <= span.to)
          updates.push(update);
      }
    }
    this.#subscriptions.deliver(update);
  }

  #welcomed(welcome: Welcome, openedAt: number): void {
    this.#clock.sample(welcome.server_time, openedAt, Date.now());
    this.#session = welcome.session;
    this.#user = welcome.user ?? null;
    this.#subscriptions.restart();
    this.#epoch = welcome.epoch;
    this.#progress = new Progress(welcome.offset);
    this.#setHealth({ clockOffsetMs: this.#clock.offsetMs, lagging: false });
    for (const entry of this.#subscriptions.entries()) this.#ask(entry);
    this.#options.greeted?.();
    this.#liveIfComplete();
  }

  /** Subscribes: from where it broke, if that is known. */
  #ask(entry: Entry): void {
    const { resumeWithinMs = Number.POSITIVE_INFINITY } = entry.wish;
    const isStale = entry.liveAt !== null && Date.now() - entry.liveAt >= resumeWithinMs;
    if (isStale || (entry.cursor === null && entry.hasHeard)) this.#subscriptions.begin(entry, "expired");
    entry.isBeginning = entry.cursor === null;
    entry.phase = "asked";
    const channels = [...entry.wish.channels];
    const message: ClientMessage = { type: "subscribe", channels, options: optionsOf(entry) };
    entry.request =
      this.#link?.askPatiently(message, answerTimeoutMs, (answer) => this.#answered(entry, answer)) ?? null;
  }

  #answered(entry: Entry, answer: Answer<AnswerReply>): void {
    switch (answer.kind) {
      case "ok":
        entry.phase = "granted";
        return;
      case "error":
        // Who cannot go on where it broke can still begin anew.
        if (!entry.isBeginning) {
          this.#subscriptions.begin(entry, "expired");
          return this.#ask(entry);
        }
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

  /** What still comes of its past would mix with a new beginning: that needs a connection of its own. */
  #overrun(entry: Entry): void {
    this.#subscriptions.begin(entry, "overflow");
    this.#link?.abandon("more came live than can wait for what was missed");
  }

  /** Asks for what is missing; what then still is, is lost. A broken connection leaves it to the next one. */
  #fill(entry: Entry, channel: string, span: Span): void {
    this.#setHealth({ holes: this.#health.holes + 1 });
    const message: ClientMessage = { type: "replay", channel, from: span.from, to: span.to };
    this.#link?.ask(message, replayTimeoutMs, (answer) => {
      const isOver = answer.kind === "ok" || answer.kind === "error" || answer.kind === "timeout";
      if (isOver || (answer.kind === "unsent" && answer.why !== "not_connected")) {
        this.#subscriptions.giveUp(entry, channel, span);
      }
    });
  }

  /** Where a wish would resume from now. */
  #cursorOf(entry: Entry): Cursor | null {
    if (entry.phase !== "live" || this.#epoch === null) return entry.cursor;
    const offset = asksForAll(entry) ? this.#progress.whole : this.#progress.merged(mergeIntervalMs(entry));
    return { epoch: this.#epoch, offset };
  }

  /** Who was live resumes from what was seen; who was still catching up, from where it began to. */
  #keepCursors(): void {
    for (const entry of this.#subscriptions.entries()) {
      entry.cursor = this.#cursorOf(entry);
      if (entry.phase === "live") entry.liveAt = this.#link?.heardAt ?? Date.now();
      entry.phase = entry.phase === "refused" ? "refused" : "idle";
    }
  }

  #unsubscribe(entry: Entry): void {
    if (!this.#subscriptions.remove(entry) || this.#session === null) return;
    this.#link?.ask({ type: "unsubscribe", channels: [...entry.wish.channels] }, answerTimeoutMs, () => {});
    this.#liveIfComplete();
  }

  #noticed(notice: Notice): void {
    switch (notice.type) {
      case "live":
        if (notice.id !== undefined) this.#wentLive(notice.id, notice.offset);
        return this.#liveIfComplete();
      case "history":
        return this.#subscriptions.paste(notice);
      case "lag":
        this.#subscriptions.setLagging(notice.on);
        this.#progress.setLagging(notice.on);
        return this.#setHealth({ lagging: notice.on, dropped: this.#health.dropped + notice.dropped });
      case "reset":
        this.#subscriptions.reset(notice.channels, notice.reason);
        return this.#setHealth({ resets: this.#health.resets + 1 });
    }
  }

  #wentLive(request: RequestId, offset: Offset): void {
    const entry = this.#subscriptions.goLive(request);
    if (entry === null) return;
    entry.liveAt = Date.now();
    this.#progress.saw(offset, true);
  }

  #ponged(sentAt: number, serverTime: number): void {
    const now = Date.now();
    this.#progress.ponged(serverTime);
    this.#clock.sample(serverTime, sentAt, now);
    this.#setHealth({
      roundTripMs: Math.max(0, now - sentAt),
      silentSince: null,
      clockOffsetMs: this.#clock.offsetMs,
    });
  }

  #liveIfComplete(): void {
    if (this.#session === null || this.#standing.kind === "live" || !this.#subscriptions.allSettled()) return;
    this.#standing.live(this.#session, this.#user);
  }

  #ended(code: number, reason: string): void {
    if (this.#link === null) return;
    this.#keepCursors();
    this.#link = null;
    this.#session = null;
    this.#setHealth({ roundTripMs: null, silentSince: null, lagging: false });
    this.#standing.ended(code, reason);
  }

  #setHealth(change: Partial<Health>): void {
    this.#health = { ...this.#health, ...change };
    this.#options.healthChanged(this.#health);
  }
}

/** Updates that were asked for once more, and those that have come. */
interface Recall {
  readonly channel: string;
  readonly span: Span;
  readonly updates: Update[];
}

/** What is asked for: of who was live before, the past not again, and no values where what was missed follows. */
function optionsOf({ wish, cursor, liveAt }: Entry): SubscribeOptions {
  const { since: _, ...options } = wish.options ?? {};
  if (cursor === null) return options;
  if (liveAt === null) return { ...options, since: cursor };
  const { history: __, snapshot: ___, ...rest } = options;
  return { ...rest, since: cursor };
}

function withCommand(answer: Answer<AnswerReply>): Answer<Command> {
  if (answer.kind !== "ok") return answer;
  if (answer.reply.type === "ok" && answer.reply.command !== undefined) {
    return { kind: "ok", reply: answer.reply.command };
  }
  return { kind: "error", code: "unexpected_reply", message: "the gateway answered without a command" };
}
