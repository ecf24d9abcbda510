// One connection, from opening to its end: greeting, requests, liveness. Coming back is the client's business.
import { type ClientMessage, closeCodes, type Reply, type Update } from "../generated/protocol";
import { BadFrame, Columns } from "./columns";
import { isUpdate, readFrame } from "./frame";
import { Outbox } from "./outbox";
import { type Done, type Patience, Requests } from "./requests";
import type { OpenSocket, Socket } from "./socket";
import type { Table } from "./table";

/** A connection that has not greeted by then is given up. */
const welcomeTimeoutMs = 10_000;
/** How often the round trip is measured. */
const pingEveryMs = 3_000;
/** A ping that is unanswered this long makes the values doubtful. */
const uneasyMs = 2_000;
/** Who heard the gateway so lately need not ask whether it is there. */
const freshMs = 1_500;
/** A gateway that leaves a ping unanswered this long is gone, unless it was heard meanwhile. */
const pongTimeoutMs = 10_000;
/** What is heard may be much that stands before an answer; but not for ever. */
const busyTimeoutMs = 60_000;
/** What a connection ends with when it was given up from here. */
const abandonedCode = 1006;
/** What the gateway is told when we leave it, but for a frame that cannot be read. */
const goneCode = 1000;

const reasonBytesMax = 123;

/** The greeting. */
export type Welcome = Extract<Reply, { type: "welcome" }>;
/** What the gateway says unasked. */
export type Notice = Extract<Reply, { type: "live" | "reset" | "lag" | "history" }>;

/** What a link tells its owner; nothing after `ended`. */
export interface LinkEvents {
  welcomed(welcome: Welcome, openedAt: number): void;
  updated(update: Update): void;
  tabled(table: Table): void;
  noticed(notice: Notice): void;
  /** A pong: when its ping was sent, and the gateway's clock then. */
  ponged(sentAt: number, serverTime: number): void;
  /** A ping is unanswered for an uneasy time; since when. Its pong ends it. */
  silent(since: number): void;
  unreadable(count: number): void;
  ended(code: number, reason: string): void;
}

/** What is known once the gateway has greeted. */
interface Greeted {
  readonly outbox: Outbox;
  readonly messageBytesMax: number;
}

/** One connection. It opens when it is made. */
export class Link {
  readonly #events: LinkEvents;
  readonly #requests = new Requests();
  readonly #columns = new Columns();
  readonly #socket: Socket;
  readonly #openedAt = Date.now();
  #greeted: Greeted | null = null;
  #ended = false;
  #timer: ReturnType<typeof setTimeout>;
  #isPinging = false;
  /** When the gateway was last heard, by the local clock. */
  heardAt = Date.now();

  constructor(open: OpenSocket, events: LinkEvents) {
    this.#events = events;
    this.#timer = setTimeout(() => this.abandon("the gateway did not greet in time"), welcomeTimeoutMs);
    this.#socket = open({
      message: (data) => this.#receive(data),
      closed: (code, reason) => this.#end(code, reason),
    });
  }

  /** Asks something; `done` is called once. Gives the request's id, or null where it was not taken. */
  ask(message: ClientMessage, timeoutMs: number, done: Done, waitsOn?: Patience): number | null {
    if (this.#greeted === null || this.#ended) return refuse(done, "not_connected");
    const { outbox, messageBytesMax } = this.#greeted;
    const id = this.#requests.open(timeoutMs, done, waitsOn);
    const text = JSON.stringify({ ...message, id });
    if (new TextEncoder().encode(text).length > messageBytesMax) {
      this.#requests.settle(id, { kind: "unsent", why: "too_big" });
      return null;
    }
    if (outbox.push(text, () => this.#requests.markSent(id))) return id;
    this.#requests.settle(id, { kind: "unsent", why: "outbox_full" });
    return null;
  }

  /**
   * The same, and while the gateway is heard the answer is waited for on: a page that has much to read is not faster by
   * beginning anew.
   */
  askPatiently(message: ClientMessage, timeoutMs: number, done: Done): number | null {
    const isHeard = () => Date.now() - this.heardAt < timeoutMs;
    return this.ask(message, timeoutMs, done, (waitedMs) => waitedMs < busyTimeoutMs && isHeard());
  }

  /** After a pause of unknown length: asks at once, and until the answer comes the values are doubtful. */
  probe(): void {
    if (this.#greeted === null || this.#ended || Date.now() - this.heardAt < freshMs) return;
    this.#events.silent(this.heardAt);
    if (this.#isPinging) return;
    clearTimeout(this.#timer);
    this.#ping();
  }

  /** Ends the connection from here, without waiting for the other side, and says so to the owner. */
  abandon(reason: string, code: number = goneCode): void {
    if (this.#ended) return;
    this.#socket.close(code, shorten(reason));
    this.#end(abandonedCode, reason);
  }

  #receive(data: unknown): void {
    if (this.#ended) return;
    this.heardAt = Date.now();
    if (data instanceof ArrayBuffer) return this.#receiveColumns(data);
    const { messages, unreadable } = readFrame(data);
    if (unreadable > 0) this.#events.unreadable(unreadable);
    for (const message of messages) {
      if (this.#ended) return;
      if (isUpdate(message)) this.#events.updated(message);
      else this.#reply(message);
    }
  }

  /** A frame that is not what it should be may stand for a value that is not true: nothing after it counts. */
  #receiveColumns(frame: ArrayBuffer): void {
    try {
      for (const table of this.#columns.decode(frame)) if (!this.#ended) this.#events.tabled(table);
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.#events.unreadable(1);
      this.abandon(`the gateway sent a frame that cannot be read: ${error.message}`, closeCodes.Malformed);
    }
  }

  #reply(reply: Reply): void {
    switch (reply.type) {
      case "welcome":
        return this.#welcome(reply);
      case "subscribed":
      case "ok":
      case "unsubscribed":
      case "pong":
        if (reply.id !== undefined) this.#requests.settle(reply.id, { kind: "ok", reply });
        return;
      case "error":
        if (reply.id !== undefined) {
          this.#requests.settle(reply.id, { kind: "error", code: reply.code, message: reply.message });
        }
        return;
      case "live":
      case "reset":
      case "lag":
      case "history":
        return this.#events.noticed(reply);
    }
  }

  #welcome(welcome: Welcome): void {
    if (this.#greeted !== null) return;
    clearTimeout(this.#timer);
    this.#greeted = {
      outbox: new Outbox(this.#socket, welcome.limits.messages_per_s),
      messageBytesMax: welcome.limits.message_bytes,
    };
    this.#events.welcomed(welcome, this.#openedAt);
    this.#ping();
  }

  #ping(): void {
    if (this.#ended) return;
    const sentAt = Date.now();
    this.#isPinging = true;
    this.#timer = setTimeout(() => this.#events.silent(sentAt), uneasyMs);
    this.askPatiently({ type: "ping" }, pongTimeoutMs, (answer) => {
      clearTimeout(this.#timer);
      this.#isPinging = false;
      if (answer.kind === "timeout") return this.abandon("the gateway stopped answering");
      if (answer.kind === "ok" && answer.reply.type === "pong") {
        this.#events.ponged(sentAt, answer.reply.server_time);
      }
      if (!this.#ended) this.#timer = setTimeout(() => this.#ping(), pingEveryMs);
    });
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#greeted?.outbox.close();
    this.#requests.breakAll();
    clearTimeout(this.#timer);
    this.#events.ended(code, reason);
  }
}

/** A close reason has at most 123 bytes. */
function shorten(reason: string): string {
  const bytes = new TextEncoder().encode(reason);
  return bytes.length <= reasonBytesMax
    ? reason
    : new TextDecoder().decode(bytes.subarray(0, reasonBytesMax)).replace(/\uFFFD$/, "");
}

function refuse(done: Done, why: "not_connected"): null {
  done({ kind: "unsent", why });
  return null;
}
