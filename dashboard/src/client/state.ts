// What a connection can be, and what is known about its health.
import { closeCodes } from "../generated/protocol";

/** Where the connection is. Times are of the local clock, in milliseconds since the epoch. */
export type ConnectionState =
  | { kind: "connecting"; since: number }
  /** Everything subscribed has its values, and they are current; `user` is who is signed in, where that is needed. */
  | { kind: "live"; since: number; session: string; user: string | null }
  /** Broken; `nextTryAt` is null while a try is under way. */
  | { kind: "recovering"; since: number; attempt: number; nextTryAt: number | null; why: string }
  /** As `recovering`, and the browser says that there is no network. */
  | { kind: "offline"; since: number; attempt: number; nextTryAt: number | null }
  /** The gateway does not want us as we are; only a person can try again. */
  | { kind: "refused"; since: number; code: number; reason: string };

/** Whether the gateway refused who is signed in, or that nobody is; not what the page did. */
export function isRefusedUser(state: ConnectionState): boolean {
  if (state.kind !== "refused") return false;
  return state.code === closeCodes.Unauthenticated || state.code === closeCodes.Forbidden;
}

/** What is known about the connection; the counts run since the page was opened. */
export interface Health {
  /** The last round trip; null before the first. */
  readonly roundTripMs: number | null;
  /** Since when the gateway leaves a ping unanswered, by the local clock; null while it answers. */
  readonly silentSince: number | null;
  /** Milliseconds the gateway's clock is ahead of ours. */
  readonly clockOffsetMs: number;
  /** The gateway merges updates because this page is slow. */
  readonly lagging: boolean;
  /** Updates swallowed by merging while lagging. */
  readonly dropped: number;
  /** Updates that were lost for good: holes in the numbers of a channel that could not be filled. */
  readonly missed: number;
  /** Holes that were asked to be filled. */
  readonly holes: number;
  /** Messages that made no sense. */
  readonly unreadable: number;
  /** Times the gateway said that continuity was lost. */
  readonly resets: number;
}

/** The health of a connection that was never made. */
export const unknownHealth: Health = {
  roundTripMs: null,
  silentSince: null,
  clockOffsetMs: 0,
  lagging: false,
  dropped: 0,
  missed: 0,
  holes: 0,
  unreadable: 0,
  resets: 0,
};

/** How a request ended. It never rejects: each of these is an ordinary outcome. */
export type Answer<T> =
  | { kind: "ok"; reply: T }
  /** The gateway said no. */
  | { kind: "error"; code: string; message: string }
  /** No answer came in time: it may have been done. */
  | { kind: "timeout" }
  /** The connection broke after it was sent: it may have been done. */
  | { kind: "broken" }
  /** It was never sent: it certainly was not done. */
  | { kind: "unsent"; why: "not_connected" | "outbox_full" | "too_big" };
