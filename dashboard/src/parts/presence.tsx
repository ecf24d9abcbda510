// Whether a device is there, as a dot and a word.
import type { PresenceReason } from "../generated/protocol";
import type { Whereabouts } from "../worker/whereabouts";

/** The dot and the word. */
export function PresenceMark(props: { status: Whereabouts["status"] }) {
  return (
    <span class="presence" data-status={props.status}>
      <span class="dot" aria-hidden="true" />
      {props.status}
    </span>
  );
}

/** Why a device is where it is, for a person. */
export const reasonTexts: Record<PresenceReason, string> = {
  connected: "it connected",
  disconnected: "it said goodbye",
  connection_lost: "its connection broke",
  keep_alive: "it stopped answering",
  taken_over: "a newer connection took over",
  kicked: "it was disconnected by an operator",
  shutdown: "the gateway shut down",
  heard: "it was heard",
  silent: "it fell silent",
};
