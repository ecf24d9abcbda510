// Requests that wait for their answer.
import type { Reply, RequestId } from "../generated/protocol";
import type { Answer } from "./state";

/** The replies that answer a request. */
export type AnswerReply = Extract<Reply, { type: "ok" | "subscribed" | "unsubscribed" | "pong" }>;

/** Called once, with how a request ended. */
export type Done = (answer: Answer<AnswerReply>) => void;

/** Whether to wait on for an answer that has been waited for so long. */
export type Patience = (waitedMs: number) => boolean;

interface Pending {
  readonly done: Done;
  timer: ReturnType<typeof setTimeout>;
  sent: boolean;
}

/** The open requests of one connection. */
export class Requests {
  readonly #pending = new Map<RequestId, Pending>();
  #lastId = 0;

  /** Opens a request and gives its id; it times out when `timeoutMs` passed again and `waitsOn` says no. */
  open(timeoutMs: number, done: Done, waitsOn: Patience = () => false): number {
    this.#lastId += 1;
    const id = this.#lastId;
    let waitedMs = 0;
    const look = () => {
      waitedMs += timeoutMs;
      if (waitsOn(waitedMs)) pending.timer = setTimeout(look, timeoutMs);
      else this.settle(id, { kind: "timeout" });
    };
    const pending: Pending = { done, timer: setTimeout(look, timeoutMs), sent: false };
    this.#pending.set(id, pending);
    return id;
  }

  /** Notes that the request has left, and may be done even if no answer comes. */
  markSent(id: RequestId): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) pending.sent = true;
  }

  /** Ends a request; an answer to nothing that waits changes nothing. */
  settle(id: RequestId, answer: Answer<AnswerReply>): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    pending.done(answer);
  }

  /** Ends all of them, because the connection is gone. */
  breakAll(): void {
    for (const [id, { sent }] of [...this.#pending]) {
      this.settle(id, sent ? { kind: "broken" } : { kind: "unsent", why: "not_connected" });
    }
  }
}
