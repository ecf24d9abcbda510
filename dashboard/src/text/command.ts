// What the states of a command mean to a person.
import type { Read } from "../api";
import type { Answer } from "../client/state";
import type { Command, CommandState } from "../generated/protocol";
import { formatSpan } from "./time";

/** How a state feels. */
export type Tone = "waiting" | "working" | "good" | "bad" | "quiet";

/** A state, described. */
export interface StateText {
  readonly label: string;
  readonly tone: Tone;
  readonly isFinal: boolean;
  /** What it means for the device; empty where the label says it all. */
  readonly meaning: string;
}

/** Every state of a command. */
export const stateTexts: Record<CommandState, StateText> = {
  scheduled: open("scheduled", "waiting", ""),
  queued: open("queued", "waiting", ""),
  sent: open("sent", "working", "on its way to the device"),
  delivered: open("delivered", "working", "the device has it"),
  started: open("started", "working", "the device is at it"),
  cancelling: open("cancelling", "working", "the device has been asked to stop"),
  succeeded: final("succeeded", "good", ""),
  failed: final("failed", "bad", "the device tried and failed"),
  rejected: final("rejected", "bad", "the device refused it"),
  cancelled: final("cancelled", "quiet", ""),
  superseded: final("superseded", "quiet", "a newer command took its place"),
  expired: final("expired", "bad", "it was never sent: it did not run"),
  timed_out: final("timed out", "bad", "no final answer came in time: it may have run"),
};

/** What a command is waiting for or came to, at the gateway's time `now`. */
export function describeCommand(command: Command, now: number): string {
  const left = (until: number) => formatSpan(until - now + 999);
  switch (command.state) {
    case "scheduled":
      return command.not_before === null ? "" : `starts in ${left(command.not_before)}`;
    case "queued":
      return `waits to be sent; given up in ${left(command.deliver_by)}`;
    default:
      return stateTexts[command.state].meaning;
  }
}

/** What became of asking for a command, for the person who asked; null where all went well. */
export function describeAnswer(answer: Answer<Command>): string | null {
  switch (answer.kind) {
    case "ok":
      return null;
    case "error":
      return `${answer.message} (${answer.code})`;
    case "timeout":
      return "The gateway did not answer in time. It may have taken the request: look at the list.";
    case "broken":
      return "The connection broke before an answer came. It may have taken the request: look at the list.";
    case "unsent":
      return `Nothing was sent: ${unsentTexts[answer.why]}.`;
  }
}

/** The same of a request over HTTP that changes something. */
export function describeRead(read: Read<unknown>): string | null {
  if (read.kind === "ok") return null;
  if (read.status === null) return `No answer: ${read.message}. It may have taken the request all the same.`;
  return `${read.message} (${read.code})`;
}

const unsentTexts: Record<Extract<Answer<Command>, { kind: "unsent" }>["why"], string> = {
  not_connected: "there is no connection to the gateway",
  outbox_full: "too many requests are waiting already",
  too_big: "it is longer than the gateway takes",
};

function open(label: string, tone: Tone, meaning: string): StateText {
  return { label, tone, isFinal: false, meaning };
}

function final(label: string, tone: Tone, meaning: string): StateText {
  return { label, tone, isFinal: true, meaning };
}

/** Who made a step, for a person. */
export function actorText(by: string): string {
  if (by.startsWith("user:")) return by.slice("user:".length);
  if (by === "timer") return "a deadline";
  return `the ${by}`;
}

/** A command on one line. */
export function paramsText(params: Record<string, unknown>): string {
  return Object.entries(params)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
