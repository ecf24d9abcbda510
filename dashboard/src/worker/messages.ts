// What the page and its worker say to each other: plain data that can be cloned.
import type { Answer, ConnectionState, Health } from "../client/state";
import type { TopicMessage } from "../contract";
import type {
  Alert,
  Command,
  CommandId,
  CommandRequest,
  DeviceId,
  GatewayStats,
  History,
  Severity,
  SubscribeOptions,
  Update,
} from "../generated/protocol";
import type { Census } from "./census";
import type { Filter, Sort } from "./select";
import type { Whereabouts } from "./whereabouts";

/** How far back charts go. */
export const windowMs = 300_000;

/** A device that sends ever new names for metrics fills this many and no more. */
export const metricsMax = 256;

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
  /** Whether the order of the table must stay as it is: a pointer is on it. */
  | { kind: "hold"; on: boolean }
  /** What a page listens to besides; `ear` numbers the listenings. */
  | { kind: "listen"; ear: number; channels: readonly string[]; options?: SubscribeOptions }
  | { kind: "unlisten"; ear: number }
  /** The tree of topics, as far as it is in view; null: it is not shown. */
  | { kind: "lookTopics"; view: TopicsView | null }
  /** Alerts are to be read again. */
  | { kind: "loadAlerts" }
  /** The ids of devices: the best matches of a text, or all that pass a filter. */
  | { kind: "find"; request: number; text: string; max: number }
  | { kind: "select"; request: number; filter: Filter; sort: Sort }
  /** How many devices that pass a filter, or bear these ids, there are. */
  | { kind: "census"; request: number; of: Filter | readonly DeviceId[] }
  /** The newest updates of a channel, as far as the gateway has them. */
  | { kind: "recall"; request: number; channel: string; last: number }
  | { kind: "command"; request: number; device: DeviceId; command: CommandRequest }
  | { kind: "cancel"; request: number; command: CommandId };

/** What the worker tells its page. */
export type ToPage =
  | { kind: "patch"; patch: Patch }
  | { kind: "answer"; request: number; answer: Answer<Command> }
  | { kind: "ids"; request: number; ids: readonly DeviceId[] }
  | { kind: "census"; request: number; census: Census }
  | { kind: "recalled"; request: number; updates: readonly Update[] }
  /** An alert was raised just now; said at once, for a hidden page too. */
  | { kind: "alarm"; alert: Alert; active: number };

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
  readonly heard?: readonly Heard[];
  readonly alerts?: AlertsState;
  readonly topics?: TopicsState;
}

/** What a page listens to besides, in order. */
export interface Heard {
  readonly ear: number;
  readonly events: readonly EarEvent[];
}

/** What became of what is listened to. */
export type EarEvent =
  | { kind: "update"; update: Update }
  /** All that was asked for is here. */
  | { kind: "live" }
  /** Some of it did not come: what was told before may be void. */
  | { kind: "void" };

/** The alerts that are open, and the newest of those that are cleared. */
export interface AlertsState {
  readonly isKnown: boolean;
  /** Why they could not be read, if they could not. */
  readonly problem: string | null;
  readonly active: number;
  readonly acknowledged: number;
  /** Whether there may be more than a page can hold. */
  readonly isFull: boolean;
  /** How grave the gravest active one is. */
  readonly worst: Severity | null;
  /** The newest first. */
  readonly items: readonly Alert[];
}

/** The part of the tree of topics that is looked at. */
export interface TopicsView {
  /** What to subscribe, below `topics/`. */
  readonly filter: string;
  /** A text that topics must contain. */
  readonly text: string;
  /** The topics whose levels below are shown. */
  readonly open: readonly string[];
  /** The first row in view, and the one after the last. */
  readonly from: number;
  readonly to: number;
  /** The topic whose payload is shown. */
  readonly chosen: string | null;
}

/** The tree of topics, as far as it is looked at. */
export interface TopicsState {
  /** Whether the gateway has let us listen to what was asked for. */
  readonly isListening: boolean;
  readonly rows: readonly TopicRow[];
  readonly from: number;
  readonly shown: number;
  readonly topics: number;
  /** Topics that are more than a page can hold. */
  readonly beyond: number;
  readonly perSecond: number;
  readonly chosen: TopicDetail | null;
}

/** A level of a topic. */
export interface TopicRow {
  readonly topic: string;
  readonly name: string;
  readonly depth: number;
  readonly children: number;
  readonly isOpen: boolean;
  /** Messages on it and below, and how many came in the last second. */
  readonly messages: number;
  readonly perSecond: number;
  /** The last payload on one line; null where it has none of its own. */
  readonly preview: string | null;
  readonly isRetained: boolean;
}

/** A topic with its last payloads. */
export interface TopicDetail {
  readonly topic: string;
  readonly messages: number;
  readonly at: number;
  readonly last: TopicMessage;
  readonly before: TopicMessage | null;
  /** Messages between those two that did not come here. */
  readonly skipped: number;
}

/** Whether the list of devices was read. */
export interface RosterState {
  readonly isKnown: boolean;
  /** How many devices of it are here, while it is read for the first time. */
  readonly read: number;
  /** Why it could not be read, if it could not. */
  readonly problem: string | null;
}

/** The fleet as a whole. */
export interface FleetState {
  readonly known: number;
  /** Devices that are more than a page can hold. */
  readonly beyond: number;
  readonly types: readonly string[];
  /** `name:value`, at most some hundred. */
  readonly tags: readonly string[];
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
  /** Whether another order waits until the pointer leaves. */
  readonly isHeld: boolean;
}

/** A device, and those of its metrics that changed. */
export interface DevicePatch {
  readonly id: DeviceId;
  readonly isListed: boolean;
  readonly type: string | null;
  readonly tags: Record<string, string>;
  readonly presence: Whereabouts;
  readonly lastSeenAt: number | null;
  /** How grave its gravest open alert is. */
  readonly alert: Severity | null;
  /** Whether `metrics` are all there are. */
  readonly isWhole: boolean;
  readonly metrics: readonly MetricPatch[];
}

/** The newest value of a metric. */
export interface MetricPatch {
  readonly name: string;
  readonly value: unknown;
  /** When it was taken; null where that was not told. */
  readonly at: number | null;
  readonly changes: number;
  /** The newest samples as a path; null where it is no number. */
  readonly trend: string | null;
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
