// What a closed connection asks of the client: the close code says it, all but one by its range.
import { closeCodes } from "../generated/protocol";

/** Whether and when to come back. */
export type Comeback = "never" | "at_once" | "after_backoff";

/** 40xx and a message too big: not as we are. 42xx: at once. Everything else, a broken connection too: after a back-off. */
export function comebackAfter(code: number): Comeback {
  if ((code >= 4000 && code < 4100) || code === closeCodes.MessageTooBig) return "never";
  if (code >= 4200 && code < 4300) return "at_once";
  return "after_backoff";
}

/** The longest wait that a gateway may ask for, in milliseconds. */
const adviceMsMax = 20_000;

/**
 * When a gateway that shuts down asks us to come back, in milliseconds: each page at a time of its own. Null where
 * it does not say.
 */
export function adviceMs(code: number, reason: string): number | null {
  if (code !== closeCodes.ShuttingDown) return null;
  const digits = /come back after (\d{1,5}) ms$/.exec(reason)?.[1];
  const wait = Number(digits ?? Number.NaN);
  return wait <= adviceMsMax ? wait : null;
}

/** Whether a close tells why, rather than only that there is no connection. */
export function tellsWhy(code: number, reason: string): boolean {
  return closeTexts.has(code) || reason !== "";
}

/** What a close code means, for a person. */
export function describeClose(code: number, reason: string): string {
  const text = closeTexts.get(code);
  if (text === undefined) return reason === "" ? `the connection was closed (${code})` : reason;
  const isSaid = reason === "" || reason === text || adviceMs(code, reason) !== null;
  return isSaid ? text : `${text}: ${reason}`;
}

const closeTexts: ReadonlyMap<number, string> = new Map([
  [closeCodes.Unauthenticated, "the gateway wants a token"],
  [closeCodes.Forbidden, "this is not allowed here"],
  [closeCodes.Malformed, "the gateway could not read what this page sent"],
  [closeCodes.OverLimit, "this page went over a limit"],
  [closeCodes.ShuttingDown, "the gateway is shutting down"],
  [closeCodes.TooSlow, "this page could not keep up"],
  [closeCodes.NoPong, "this page did not answer in time"],
  [closeCodes.TooManyMessages, "this page sent too many messages"],
  [closeCodes.Moved, "the gateway moved this connection"],
  [closeCodes.MessageTooBig, "a message was too big"],
]);
