// A text frame of the gateway: a JSON array of messages, checked as far as the client relies on it.
import type { Reply, ServerMessage, Update } from "../generated/protocol";

/** What one text frame held. */
export interface Frame {
  readonly messages: readonly ServerMessage[];
  /** How many elements were no message we know; 1 where the frame itself was unreadable. */
  readonly unreadable: number;
}

const nothing: Frame = { messages: [], unreadable: 1 };

/** Reads a frame; never throws. */
export function readFrame(data: unknown): Frame {
  if (typeof data !== "string") return nothing;
  const parsed = parse(data);
  if (!Array.isArray(parsed)) return nothing;
  const messages = parsed.filter(isMessage);
  return { messages, unreadable: parsed.length - messages.length };
}

/** Whether a message is an update of a channel; everything else is a reply. */
export function isUpdate(message: ServerMessage): message is Update {
  return !("type" in message);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isMessage(value: unknown): value is ServerMessage {
  if (typeof value !== "object" || value === null) return false;
  if ("type" in value) return typeof value.type === "string" && replyTypes.has(value.type);
  return (
    "channel" in value &&
    typeof value.channel === "string" &&
    "seq" in value &&
    typeof value.seq === "number" &&
    "offset" in value &&
    typeof value.offset === "number"
  );
}

/** Spelled as a record so that the compiler asks about a new type of reply. */
const replyTypeNames: Record<Reply["type"], true> = {
  welcome: true,
  subscribed: true,
  unsubscribed: true,
  history: true,
  live: true,
  reset: true,
  lag: true,
  ok: true,
  error: true,
  pong: true,
};

const replyTypes: ReadonlySet<string> = new Set(Object.keys(replyTypeNames));
