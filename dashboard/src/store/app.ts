// Everything the views read, wired to the one connection.
import { type Accessor, createContext, createSignal, useContext } from "solid-js";
import { Api } from "../api";
import { SluiceClient, type Subscription } from "../client/client";
import { browserSocket } from "../client/socket";
import { type ConnectionState, type Health, unknownHealth } from "../client/state";
import type { Wish } from "../client/subscriptions";
import type { DeviceId, GatewayStats } from "../generated/protocol";
import { Devices } from "./devices";
import { type Filter, firstSort, noFilter, type Sort } from "./fleet";
import { Frames } from "./frames";
import { Roster } from "./roster";

/** How often the table gets a device's values; more than the eye can follow would only cost. */
const fleetUpdatesPerSecond = 4;

/** What the views read and do. */
export interface App {
  readonly client: SluiceClient;
  readonly api: Api;
  readonly frames: Frames;
  readonly devices: Devices;
  readonly roster: Roster;
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
  /** Listens; a refusal is shown until the subscription ends or the connection does. */
  readonly listen: (wish: Omit<Wish, "refused">) => Subscription;
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

/** Makes the app and listens to what the whole fleet says; `client.start` sets it going. */
export function createApp(base: URL): App {
  const [state, setState] = createSignal<ConnectionState>({ kind: "connecting", since: Date.now() });
  const [health, setHealth] = createSignal<Health>(unknownHealth);
  const [stats, setStats] = createSignal<GatewayStats | null>(null);
  const [lastLiveAt, setLastLiveAt] = createSignal<number | null>(null);
  const [refusals, setRefusals] = createSignal<readonly string[]>([]);
  const [now, setNow] = createSignal(Date.now());

  const frames = new Frames((run) => requestAnimationFrame(run));
  const client = new SluiceClient({
    open: browserSocket(socketUrl(base)),
    random: Math.random,
    hasNetwork: () => navigator.onLine,
    stateChanged: (next) => {
      if (state().kind === "live") setLastLiveAt(Date.now());
      setState(next);
      if (next.kind === "live") void roster.load();
      else setRefusals([]);
    },
    healthChanged: setHealth,
  });
  const api = new Api(new URL("api/v1/", base), (...request) => fetch(...request));
  const serverNow = () => client.serverNow();
  const devices: Devices = new Devices({ frames, serverNow, unknown: (id: DeviceId) => roster.meet(id) });
  const roster = new Roster(api, devices);

  const listen = (wish: Omit<Wish, "refused">): Subscription => {
    const refusal = (words: string) => `${wish.channels.join(", ")}: ${words}`;
    const mine = (text: string) => text.startsWith(refusal(""));
    const refused = (code: string, message: string) =>
      setRefusals((before) => [...before, refusal(`${message} (${code})`)]);
    const subscription = client.subscribe({ ...wish, refused });
    return {
      ...subscription,
      close: () => {
        subscription.close();
        setRefusals((before) => before.filter((text) => !mine(text)));
      },
    };
  };

  setInterval(() => setNow(serverNow()), 1_000);
  listen({
    channels: ["telemetry/#"],
    options: { mode: "latest", throttle: fleetUpdatesPerSecond },
    updated: (update) => devices.measure(update),
  });
  listen({ channels: ["presence/#"], updated: (update) => devices.appear(update) });
  listen({
    channels: ["gateway/stats"],
    updated: (update) => setStats(update.data as GatewayStats),
  });

  return {
    client,
    api,
    frames,
    devices,
    roster,
    state,
    health,
    stats,
    now,
    lastLiveAt,
    isLive: () => state().kind === "live",
    isCurrent: () => state().kind === "live" && health().silentSince === null,
    listen,
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

function socketUrl(base: URL): URL {
  const url = new URL("ws", base);
  url.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
