// What works behind the page: the connection, and the store of values. It tells the page what has changed of what the
// page shows, when the page has drawn what it was told before: a hidden page, which draws nothing, costs nothing.
import type { Api } from "../api";
import { SluiceClient, type Subscription } from "../client/client";
import type { OpenSocket } from "../client/socket";
import type { Answer, ConnectionState, Health } from "../client/state";
import type { Wish } from "../client/subscriptions";
import type { Command, GatewayStats } from "../generated/protocol";
import { Fleet } from "./fleet";
import type { DevicePatch, Patch, RosterState, ToPage, ToWorker } from "./messages";
import { Roster } from "./roster";
import { Table } from "./table";
import { Watch } from "./watch";

/** How often the table gets a device's values; more than the eye can follow would only cost. */
const fleetUpdatesPerSecond = 4;
/** After a longer break the newest values are worth more than what was missed. */
const resumeWithinMs = 30_000;

/** What an engine needs from its surroundings. */
export interface EngineOptions {
  readonly open: OpenSocket;
  readonly api: Api;
  readonly hasNetwork: boolean;
  readonly post: (message: ToPage) => void;
}

/** What the gateway does not let this page hear, in words. */
interface Refusal {
  readonly wish: Wish;
  readonly text: string;
}

type Changes = { -readonly [K in keyof Patch]: Patch[K] };

/** The page's other half. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #client: SluiceClient;
  readonly #fleet: Fleet;
  readonly #roster: Roster;
  readonly #table: Table;
  #hasNetwork: boolean;
  #state: ConnectionState = { kind: "connecting", since: Date.now() };
  #refusals: readonly Refusal[] = [];
  #watch: { number: number; id: string; watch: Watch } | null = null;
  /** What changed since the last patch, of what is sent whole. */
  #changes: Changes = {};
  /** The revision in which each device that the page holds was last told. */
  readonly #told = new Map<string, number>();
  #toldList = 0;
  #isDrawn = true;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#hasNetwork = options.hasNetwork;
    this.#client = new SluiceClient({
      open: options.open,
      random: Math.random,
      hasNetwork: () => this.#hasNetwork,
      stateChanged: (state) => this.#stateChanged(state),
      healthChanged: (health: Health) => this.#change({ health }),
    });
    this.#fleet = new Fleet({
      changed: () => this.#wake(),
      serverNow: () => this.#client.serverNow(),
      unknown: (id) => this.#roster.meet(id),
    });
    this.#roster = new Roster(options.api, this.#fleet, (roster) => this.#rosterChanged(roster));
    this.#table = new Table(this.#fleet, () => this.#wake());
    this.#listenToFleet();
  }

  /** Connects. */
  start(): void {
    this.#client.start();
  }

  /** Takes what the page says. */
  handle(message: ToWorker): void {
    switch (message.kind) {
      case "start":
        return;
      case "drawn":
        this.#isDrawn = true;
        return this.#wake();
      case "network":
        this.#hasNetwork = message.hasNetwork;
        return this.#client.networkChanged();
      case "visible":
        // Somebody looks again: a wait that was on is not worth their time.
        if (this.#state.kind === "recovering" || this.#state.kind === "offline") this.#client.tryNow();
        return;
      case "tryNow":
        return this.#client.tryNow();
      case "loadRoster":
        return void this.#roster.load();
      case "look":
        return this.#table.look(message.view);
      case "watch":
        return this.#startWatch(message.watch, message.id);
      case "unwatch":
        return this.#endWatch(message.watch);
      case "command":
        return void this.#client
          .command(message.device, message.command)
          .then((answer) => this.#answer(message.request, answer));
      case "cancel":
        return void this.#client
          .cancel(message.command)
          .then((answer) => this.#answer(message.request, answer));
    }
  }

  #listenToFleet(): void {
    this.#listen({
      channels: ["telemetry/#"],
      options: { mode: "latest", throttle: fleetUpdatesPerSecond },
      resumeWithinMs,
      updated: (update) => this.#fleet.measure(update),
      tabled: (table) => this.#fleet.measureTable(table),
      reset: (channels) => this.#fleet.forget(channels),
    });
    this.#listen({ channels: ["presence/#"], updated: (update) => this.#fleet.appear(update) });
    this.#listen({
      channels: ["gateway/stats"],
      // It has no past: the newest word is all there is.
      resumeWithinMs: 0,
      updated: (update) => this.#change({ stats: update.data as GatewayStats }),
    });
  }

  /** Listens; a refusal is shown until the subscription ends or the connection does. */
  #listen(wish: Wish): Subscription {
    wish.refused = (code, message) => {
      const text = `${wish.channels.join(", ")}: ${message} (${code})`;
      this.#setRefusals([...this.#refusals, { wish, text }]);
    };
    const subscription = this.#client.subscribe(wish);
    return {
      cursor: () => subscription.cursor(),
      close: () => {
        subscription.close();
        this.#setRefusals(this.#refusals.filter((refusal) => refusal.wish !== wish));
      },
    };
  }

  #setRefusals(refusals: readonly Refusal[]): void {
    if (refusals.length === this.#refusals.length) return;
    this.#refusals = refusals;
    this.#change({ refusals: refusals.map(({ text }) => text) });
  }

  #stateChanged(state: ConnectionState): void {
    if (this.#state.kind === "live") this.#change({ lastLiveAt: Date.now() });
    this.#state = state;
    this.#change({ state });
    if (state.kind === "live") void this.#roster.load();
    else this.#setRefusals([]);
  }

  #rosterChanged(roster: RosterState): void {
    this.#change({ roster });
    void this.#lookUpWatched();
  }

  #startWatch(number: number, id: string): void {
    if (this.#watch !== null) this.#endWatch(this.#watch.number);
    const options = { client: this.#client, changed: () => this.#wake() };
    const watch = new Watch(id, { ...options, listen: (wish) => this.#listen(wish) });
    this.#watch = { number, id, watch };
    void this.#lookUpWatched();
    this.#wake();
  }

  #endWatch(number: number): void {
    if (this.#watch?.number !== number) return;
    this.#watch.watch.close();
    this.#watch = null;
    this.#wake();
  }

  /** Who is not in the list may still be known to the gateway. */
  async #lookUpWatched(): Promise<void> {
    const watched = this.#watch;
    if (watched === null || !this.#roster.state.isKnown || this.#fleet.get(watched.id) !== undefined) return;
    const read = await this.#options.api.device(watched.id);
    if (read.kind === "ok") this.#fleet.fill(read.value);
    else watched.watch.problem = read.message;
    this.#wake();
  }

  #answer(request: number, answer: Answer<Command>): void {
    this.#options.post({ kind: "answer", request, answer });
  }

  #change(changes: Changes): void {
    Object.assign(this.#changes, changes);
    this.#wake();
  }

  /** Sends what has changed, all that comes in one go together. */
  #wake(): void {
    if (!this.#isDrawn || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#send();
    }, 0);
  }

  #send(): void {
    const patch = this.#takeChanges();
    if (Object.keys(patch).length === 0) return;
    this.#isDrawn = false;
    this.#options.post({ kind: "patch", patch });
  }

  #takeChanges(): Patch {
    const changes = this.#changes;
    this.#changes = {};
    const rows = this.#table.take();
    if (rows !== null) changes.rows = rows;
    if (this.#table.isCurrent() && this.#toldList !== this.#fleet.listRevision) {
      changes.fleet = this.#fleet.state();
      this.#toldList = this.#fleet.listRevision;
    }
    this.#takeWatched(changes);
    this.#takeDevices(changes);
    return changes;
  }

  #takeWatched(changes: Changes): void {
    if (this.#watch === null) return;
    const { number, watch } = this.#watch;
    const events = watch.take();
    if (events.length > 0 || watch.problem !== null) {
      changes.watched = { watch: number, problem: watch.problem, events };
    }
    watch.problem = null;
  }

  /** What has changed of the devices that the page shows. */
  #takeDevices(changes: Changes): void {
    const shown = new Set(this.#table.inView());
    if (this.#watch !== null) shown.add(this.#watch.id);
    const devices: DevicePatch[] = [];
    const gone = [...this.#told.keys()].filter((id) => !shown.has(id) || this.#fleet.get(id) === undefined);
    for (const id of gone) this.#told.delete(id);
    for (const id of shown) {
      const device = this.#fleet.get(id);
      const told = this.#told.get(id) ?? 0;
      if (device === undefined || device.revision <= told) continue;
      devices.push(device.patch(told));
      this.#told.set(id, this.#fleet.revision);
    }
    if (gone.length > 0) changes.gone = gone;
    if (devices.length > 0) changes.devices = devices;
  }
}
