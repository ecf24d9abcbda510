// Where a device is, as far as it is known.
import type { PresenceReason, Status } from "../generated/protocol";

/** Whether a device is there, as far as it is known. */
export interface Whereabouts {
  status: Status | "unknown";
  since: number | null;
  reason: PresenceReason | null;
  address: string | null;
  protocol: string | null;
  node: string | null;
}

/** Of a device that nothing was heard of. */
export const unknownWhereabouts: Whereabouts = {
  status: "unknown",
  since: null,
  reason: null,
  address: null,
  protocol: null,
  node: null,
};
