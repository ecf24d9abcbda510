// Everything the views read, wired to the worker that holds the connection.
import { type Accessor, batch, createContext, createSignal, useContext } from "solid-js";
import { Api } from "../api";
import { type ConnectionState, type Health, unknownHealth } from "../client/state";
import type { Session } from "../contract";
import type { DeviceId, GatewayStats, SubscribeOptions } from "../generated/protocol";
import { createPlace, type Place } from "../router";
import type {
  AlertsState,
  EarEvent,
  FleetView,
  Patch,
  RosterState,
  TopicsState,
  Watched,
} from "../worker/messages";
import { type Alarms, createAlarms } from "./alarms";
import { Backstage, type WorkerLike } from "./backstage";
import { Devices } from "./devices";
import { createFleetChoice, type FleetChoice } from "./fleet-choice";
import { StatsPast } from "./stats-past";

/** What the views read and do. */
export interface App {
  /** Where commands go. */
  readonly client: Backstage;
  readonly api: Api;
  readonly place: Place;
  readonly devices: Devices;
  /** Whether the list of devices could be read. */
  readonly roster: Accessor<RosterState>;
  readonly loadRoster: () => void;
  /** Why the page's worker does not work; null while it does. */
  readonly workerProblem: Accessor<string | null>;
  readonly state: Accessor<ConnectionState>;
  readonly health: Accessor<Health>;
  /** The newest word from the gateway about itself, and those before it. */
  readonly stats: Accessor<GatewayStats | null>;
  readonly statsPast: StatsPast;
  /** The gateway's clock, in steps of a second. */
  readonly now: Accessor<number>;
  /** When the page was last live; null before it ever was. */
  readonly lastLiveAt: Accessor<number | null>;
  readonly isLive: Accessor<boolean>;
  /** Whether what is shown is current: live, and the gateway answers. */
  readonly isCurrent: Accessor<boolean>;
  /** Whether who looks may only look. */
  readonly isViewer: Accessor<boolean>;
  /** Whether there is more than who looks may see. */
  readonly isNarrowed: Accessor<boolean>;
  /** Whether something can be done just now: sent, acknowledged, changed. */
  readonly canAct: Accessor<boolean>;
  /** Says which rows of the table are in view; null: there is no table. */
  readonly look: (view: FleetView | null) => void;
  /** Follows one device until the function that it gives is called. */
  readonly watch: (id: DeviceId, told: (watched: Watched) => void) => () => void;
  /** Listens to channels until the function that it gives is called. */
  readonly listen: (
    channels: readonly string[],
    told: (events: readonly EarEvent[]) => void,
    options?: SubscribeOptions,
  ) => () => void;
  /** What the gateway does not let this page hear, in words. */
  readonly refusals: Accessor<readonly string[]>;
  /** The alerts, the same in every open page. */
  readonly alerts: Accessor<AlertsState>;
  readonly alarms: Alarms;
  readonly topics: Accessor<TopicsState | null>;
  /** What the fleet's table shows. */
  readonly fleet: FleetChoice;
}

const Context = createContext<App>();

/** Gives the app to all views under it. */
export const AppProvider = Context.Provider;

/** The app. */
export function useApp(): App {
  const app = useContext(Context);
  if (app === undefined) throw new Error("there is no app around this view");
  return app;
}

const noAlerts: AlertsState = {
  ...{ isKnown: false, problem: null, active: 0, acknowledged: 0, isFull: false },
  ...{ worst: null, items: [] },
};

/** Makes the app; `client.start` sets it going. */
export function createApp(base: URL, start: () => WorkerLike): App {
  const [state, setState] = createSignal<ConnectionState>({ kind: "connecting", since: Date.now() });
  const [health, setHealth] = createSignal<Health>(unknownHealth);
  const [stats, setStats] = createSignal<GatewayStats | null>(null);
  const [lastLiveAt, setLastLiveAt] = createSignal<number | null>(null);
  const [refusals, setRefusals] = createSignal<readonly string[]>([]);
  const [roster, setRoster] = createSignal<RosterState>({ isKnown: false, read: 0, problem: null });
  const [workerProblem, setWorkerProblem] = createSignal<string | null>(null);
  const [alerts, setAlerts] = createSignal(noAlerts);
  const [topics, setTopics] = createSignal<TopicsState | null>(null);
  const [session, setSession] = createSignal<Session | null>(null);
  const serverNow = () => Math.round(Date.now() + health().clockOffsetMs);
  const [now, setNow] = createSignal(Date.now());
  const place = createPlace();
  const alarms = createAlarms();
  const devices = new Devices();
  const statsPast = new StatsPast();
  const watches = new Map<number, (watched: Watched) => void>();
  const ears = new Map<number, (events: readonly EarEvent[]) => void>();
  let count = 0;

  const take = (patch: Patch) => {
    if (patch.state !== undefined) setState(patch.state);
    if (patch.state?.kind === "live") void readSession();
    if (patch.health !== undefined) setHealth(patch.health);
    if (patch.lastLiveAt !== undefined) setLastLiveAt(patch.lastLiveAt);
    if (patch.refusals !== undefined) setRefusals(patch.refusals);
    if (patch.stats !== undefined) {
      statsPast.hear(patch.stats, serverNow());
      setStats(patch.stats);
    }
    if (patch.roster !== undefined) setRoster(patch.roster);
    if (patch.alerts !== undefined) setAlerts(patch.alerts);
    if (patch.topics !== undefined) setTopics(patch.topics);
    devices.patch(patch);
    if (patch.watched !== undefined) watches.get(patch.watched.watch)?.(patch.watched);
    for (const { ear, events } of patch.heard ?? []) ears.get(ear)?.(events);
  };
  const api = new Api(new URL("api/v1/", base), (...request) => fetch(...request));
  /** Another token may have come with another connection. */
  const readSession = async () => {
    const read = await api.session();
    setSession(read.kind === "ok" ? read.value : null);
  };
  const client = new Backstage({
    start,
    base,
    hasNetwork: navigator.onLine,
    patched: (patch) => batch(() => take(patch)),
    alarmed: (alert) => alarms.ring(alert),
    failed: setWorkerProblem,
    schedule: (run) => requestAnimationFrame(run),
  });
  setInterval(() => setNow(serverNow()), 1_000);
  const isLive = () => workerProblem() === null && state().kind === "live";
  const isViewer = () => session()?.role === "viewer";
  return {
    client,
    api,
    place,
    devices,
    roster,
    loadRoster: () => client.tell({ kind: "loadRoster" }),
    workerProblem,
    state,
    health,
    stats,
    statsPast,
    now,
    lastLiveAt,
    isLive,
    isViewer,
    isNarrowed: () => session()?.narrowed === true,
    canAct: () => isLive() && !isViewer(),
    isCurrent: () => isLive() && health().silentSince === null,
    look: (view) => {
      if (view === null) devices.hideRows();
      client.tell({ kind: "look", view });
    },
    watch: (id, told) => {
      count += 1;
      const watch = count;
      watches.set(watch, told);
      client.tell({ kind: "watch", watch, id });
      return () => {
        watches.delete(watch);
        client.tell({ kind: "unwatch", watch });
      };
    },
    listen: (channels, told, options) => {
      count += 1;
      const ear = count;
      ears.set(ear, told);
      const wish = { kind: "listen", ear, channels } as const;
      client.tell(options === undefined ? wish : { ...wish, options });
      return () => {
        ears.delete(ear);
        client.tell({ kind: "unlisten", ear });
      };
    },
    refusals,
    alerts,
    alarms,
    topics,
    fleet: createFleetChoice(place),
  };
}
