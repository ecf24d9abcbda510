// Everything the views read, wired to the worker that holds the connection.
import { type Accessor, batch, createContext, createSignal, useContext } from "solid-js";
import { Api } from "../api";
import { type ConnectionState, type Health, unknownHealth } from "../client/state";
import type { DeviceId, GatewayStats } from "../generated/protocol";
import type { FleetView, Patch, RosterState, Watched } from "../worker/messages";
import { type Filter, firstSort, noFilter, type Sort } from "../worker/select";
import { Backstage, type WorkerLike } from "./backstage";
import { Devices } from "./devices";

/** What the views read and do. */
export interface App {
  /** Where commands go. */
  readonly client: Backstage;
  readonly api: Api;
  readonly devices: Devices;
  /** Whether the list of devices could be read. */
  readonly roster: Accessor<RosterState>;
  readonly loadRoster: () => void;
  /** Why the page's worker does not work; null while it does. */
  readonly workerProblem: Accessor<string | null>;
  readonly state: Accessor<ConnectionState>;
  readonly health: Accessor<Health>;
  /** The newest word from the gateway about itself. */
  readonly stats: Accessor<GatewayStats | null>;
  /** The gateway's clock, in steps of a second. */
  readonly now: Accessor<number>;
  /** When the page was last live; null before it ever was. */
  readonly lastLiveAt: Accessor<number | null>;
  readonly isLive: Accessor<boolean>;
  /** Whether what is shown is current: live, and the gateway answers. */
  readonly isCurrent: Accessor<boolean>;
  /** Says which rows of the table are in view; null: there is no table. */
  readonly look: (view: FleetView | null) => void;
  /** Follows one device until the function that it gives is called. */
  readonly watch: (id: DeviceId, told: (watched: Watched) => void) => () => void;
  /** What the gateway does not let this page hear, in words. */
  readonly refusals: Accessor<readonly string[]>;
  /** What the fleet's table shows; kept while another page is open. */
  readonly fleet: FleetChoice;
}

/** What a person has chosen to see of the fleet. */
export interface FleetChoice {
  readonly filter: Accessor<Filter>;
  readonly setFilter: (change: Partial<Filter>) => void;
  readonly sort: Accessor<Sort>;
  readonly setSort: (sort: Sort) => void;
  /** Metrics with a column of their own; none: each device shows its first ones. */
  readonly columns: Accessor<readonly string[]>;
  readonly setColumns: (columns: readonly string[]) => void;
  /** Where the table was scrolled to, in pixels. */
  scrollTop: number;
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

/** Makes the app; `client.start` sets it going. */
export function createApp(base: URL, start: () => WorkerLike): App {
  const [state, setState] = createSignal<ConnectionState>({ kind: "connecting", since: Date.now() });
  const [health, setHealth] = createSignal<Health>(unknownHealth);
  const [stats, setStats] = createSignal<GatewayStats | null>(null);
  const [lastLiveAt, setLastLiveAt] = createSignal<number | null>(null);
  const [refusals, setRefusals] = createSignal<readonly string[]>([]);
  const [roster, setRoster] = createSignal<RosterState>({ isKnown: false, problem: null });
  const [workerProblem, setWorkerProblem] = createSignal<string | null>(null);
  const serverNow = () => Math.round(Date.now() + health().clockOffsetMs);
  const [now, setNow] = createSignal(Date.now());
  const devices = new Devices();
  const watches = new Map<number, (watched: Watched) => void>();
  let watchCount = 0;

  const take = (patch: Patch) => {
    if (patch.state !== undefined) setState(patch.state);
    if (patch.health !== undefined) setHealth(patch.health);
    if (patch.lastLiveAt !== undefined) setLastLiveAt(patch.lastLiveAt);
    if (patch.refusals !== undefined) setRefusals(patch.refusals);
    if (patch.stats !== undefined) setStats(patch.stats);
    if (patch.roster !== undefined) setRoster(patch.roster);
    devices.patch(patch);
    if (patch.watched !== undefined) watches.get(patch.watched.watch)?.(patch.watched);
  };
  const client = new Backstage({
    start,
    base,
    hasNetwork: navigator.onLine,
    patched: (patch) => batch(() => take(patch)),
    failed: setWorkerProblem,
    schedule: (run) => requestAnimationFrame(run),
  });
  const watch = (id: DeviceId, told: (watched: Watched) => void) => {
    watchCount += 1;
    const number = watchCount;
    watches.set(number, told);
    client.tell({ kind: "watch", watch: number, id });
    return () => {
      watches.delete(number);
      client.tell({ kind: "unwatch", watch: number });
    };
  };
  setInterval(() => setNow(serverNow()), 1_000);
  const isLive = () => workerProblem() === null && state().kind === "live";
  return {
    client,
    api: new Api(new URL("api/v1/", base), (...request) => fetch(...request)),
    devices,
    roster,
    loadRoster: () => client.tell({ kind: "loadRoster" }),
    workerProblem,
    state,
    health,
    stats,
    now,
    lastLiveAt,
    isLive,
    isCurrent: () => isLive() && health().silentSince === null,
    look: (view) => {
      if (view === null) devices.hideRows();
      client.tell({ kind: "look", view });
    },
    watch,
    refusals,
    fleet: createFleetChoice(),
  };
}

function createFleetChoice(): FleetChoice {
  const [filter, setFilter] = createSignal<Filter>(noFilter);
  const [sort, setSort] = createSignal<Sort>(firstSort);
  const [columns, setColumns] = createSignal<readonly string[]>([]);
  return {
    filter,
    setFilter: (change) => setFilter((before) => ({ ...before, ...change })),
    sort,
    setSort,
    columns,
    setColumns,
    scrollTop: 0,
  };
}
