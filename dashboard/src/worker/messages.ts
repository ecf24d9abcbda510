// What the page and its worker say to each other: plain data that can be cloned.
import type { Answer, ConnectionState, Health } from "../client/state";
import type {
  Command,
  CommandId,
  CommandRequest,
  DeviceId,
  GatewayStats,
  History,
} from "../generated/protocol";
import type { Filter, Sort } from "./select";
import type { Whereabouts } from "./whereabouts";

/** How far back charts go. */
export const windowMs = 300_000;

/** What the page tells its worker. */
export type ToWorker =
  /** Comes first: where the gateway's page is, and whether there is a network. */
  | { kind: "start"; base: string; hasNetwork: boolean }
  /** The last patch is on the screen: the next may come. */
  | { kind: "drawn" }
  | { kind: "network"; hasNetwork: boolean }
  /** Somebody looks at the page again. */
  | { kind: "visible" }
  | { kind: "tryNow" }
  | { kind: "loadRoster" }
  /** The rows of the table that are in view; none while there is no table. */
  | { kind: "look"; view: FleetView | null }
  /** The device whose page is open; `watch` numbers the openings. */
  | { kind: "watch"; watch: number; id: DeviceId }
  | { kind: "unwatch"; watch: number }
  | { kind: "command"; request: number; device: DeviceId; command: CommandRequest }
  | { kind: "cancel"; request: number; command: CommandId };

/** What the worker tells its page. */
export type ToPage =
  | { kind: "patch"; patch: Patch }
  | { kind: "answer"; request: number; answer: Answer<Command> };

/** Rows of the sorted and filtered table. */
export interface FleetView {
  readonly filter: Filter;
  readonly sort: Sort;
  /** The first row, and the one after the last. */
  readonly from: number;
  readonly to: number;
}

/** What has changed since the last patch, at most one an animation frame. */
export interface Patch {
  readonly state?: ConnectionState;
  readonly health?: Health;
  /** When the page was last live; null before it ever was. */
  readonly lastLiveAt?: number | null;
  readonly refusals?: readonly string[];
  readonly stats?: GatewayStats;
  readonly roster?: RosterState;
  readonly fleet?: FleetState;
  readonly rows?: Rows;
  /** Devices that are in view or watched. */
  readonly devices?: readonly DevicePatch[];
  /** Devices that are no longer. */
  readonly gone?: readonly DeviceId[];
  readonly watched?: Watched;
}

/** Whether the list of devices was read. */
export interface RosterState {
  readonly isKnown: boolean;
  /** Why it could not be read, if it could not. */
  readonly problem: string | null;
}

/** The fleet as a whole. */
export interface FleetState {
  readonly known: number;
  /** Devices that are more than a page can hold. */
  readonly beyond: number;
  readonly types: readonly string[];
  readonly metrics: readonly string[];
  /** The digits after the point, by metric. */
  readonly digits: ReadonlyMap<string, number>;
}

/** The rows that were asked for. */
export interface Rows {
  /** How many devices pass the filter. */
  readonly shown: number;
  /** The place of the first. */
  readonly from: number;
  readonly ids: readonly DeviceId[];
}

/** A device, and those of its metrics that changed. */
export interface DevicePatch {
  readonly id: DeviceId;
  readonly isListed: boolean;
  readonly type: string | null;
  readonly tags: Record<string, string>;
  readonly presence: Whereabouts;
  readonly lastSeenAt: number | null;
  /** Whether `metrics` are all there are. */
  readonly isWhole: boolean;
  readonly metrics: readonly MetricPatch[];
}

/** The newest value of a metric. */
export interface MetricPatch {
  readonly name: string;
  readonly value: unknown;
  readonly at: number;
  readonly changes: number;
  /** The newest samples, oldest first; null where it is no number. */
  readonly trend: Float64Array | null;
}

/** The device whose page is open. */
export interface Watched {
  readonly watch: number;
  /** Why nothing is known of the device, if nothing is. */
  readonly problem: string | null;
  readonly events: readonly WatchEvent[];
}

/** What became of a watched device, in order. */
export type WatchEvent =
  | { kind: "samples"; samples: Samples }
  /** What was measured before. */
  | { kind: "past"; history: History }
  /** Some of what was measured did not come, or it was away: what follows does not join what was before. */
  | { kind: "gap" }
  /** What was told before is void. */
  | { kind: "void" }
  | { kind: "command"; command: Command; at: number }
  /** Changes of commands may have been missed. */
  | { kind: "commandsMissed" };

/** Values of one metric: columns of equal length. */
export interface Samples {
  readonly name: string;
  readonly times: number[];
  readonly values: number[];
  /** Whether they came later than their time: the device or we were away. */
  readonly isLate: boolean;
}
