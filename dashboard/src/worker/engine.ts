// What works behind the page: the connection, and the store of values. It tells the page what has changed of what the
// page shows, when the page has drawn what it was told before: a hidden page, which draws nothing, costs nothing.
import type { Api } from "../api";
import { SluiceClient, type Subscription } from "../client/client";
import type { OpenSocket } from "../client/socket";
import type { Answer, ConnectionState, Health } from "../client/state";
import type { Wish } from "../client/subscriptions";
import type { Command, GatewayStats, Update } from "../generated/protocol";
import { AlertBook, isAlert } from "./alerts";
import { censusOf } from "./census";
import { Ears } from "./ears";
import { Fleet, isPresence } from "./fleet";
import type { Patch, RosterState, ToPage, ToWorker } from "./messages";
import { Pace } from "./pace";
import { Recalls } from "./recalls";
import { Roster } from "./roster";
import { type Filter, find, firstSort, select } from "./select";
import { Shown } from "./shown";
import { Table } from "./table";
import { Topics } from "./topics";
import { Watch } from "./watch";

/** How often the table gets a device's values; more than the eye can follow would only cost. */
const fleetUpdatesPerSecond = 4;
/** After a longer break the newest values are worth more than what was missed. */
const resumeWithinMs = 30_000;

/** A clock that jumps so far was asleep. */
const sleepMs = 6_000;
/** A clock that is this far from what was thought was set. */
const clockSetMs = 1_000;
/** A storm of alerts is told no more often than this. */
const alertsEveryMs = 250;

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

/** The device whose page is open. */
interface Watching {
  readonly number: number;
  readonly id: string;
  readonly watch: Watch;
  /** Why nothing is known of it, as the page was told last. */
  told: string | null;
}

type Changes = { -readonly [K in keyof Patch]: Patch[K] };

/** The page's other half. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #client: SluiceClient;
  readonly #fleet: Fleet;
  readonly #roster: Roster;
  readonly #table: Table;
  readonly #ears: Ears;
  readonly #alerts: AlertBook;
  readonly #topics: Topics;
  readonly #shown: Shown;
  readonly #recalls: Recalls;
  readonly #pace = new Pace(() => this.#send());
  #alertsToldAt = 0;
  #alertsTimer: ReturnType<typeof setTimeout> | undefined;
  #hasNetwork: boolean;
  #state: ConnectionState = { kind: "connecting", since: Date.now() };
  #clockOffsetMs = 0;
  #refusals: readonly Refusal[] = [];
  #watch: Watching | null = null;
  /** Whether the gateway that we are connected to is going. */
  #isStopping = false;
  /** What changed since the last patch, of what is sent whole. */
  #changes: Changes = {};
  #toldList = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#hasNetwork = options.hasNetwork;
    this.#client = new SluiceClient({
      open: options.open,
      random: Math.random,
      hasNetwork: () => this.#hasNetwork,
      greeted: () => this.#greeted(),
      stateChanged: (state) => this.#stateChanged(state),
      healthChanged: (health: Health) => this.#healthChanged(health),
    });
    this.#fleet = new Fleet({
      changed: () => this.#pace.wakeLater(),
      serverNow: () => this.#client.serverNow(),
      unknown: (id) => this.#roster.meet(id),
    });
    this.#roster = new Roster(options.api, this.#fleet, (roster) => this.#rosterChanged(roster));
    this.#table = new Table(this.#fleet, () => this.#pace.wake());
    this.#shown = new Shown(this.#fleet);
    const listen = (wish: Wish) => this.#listen(wish);
    this.#recalls = new Recalls({ client: this.#client, listen });
    const surroundings = { listen, changed: () => this.#pace.wakeLater() };
    this.#ears = new Ears(surroundings);
    this.#topics = new Topics(surroundings);
    this.#alerts = new AlertBook({
      api: options.api,
      changed: () => this.#pace.wake(),
      raised: (alert) => options.post({ kind: "alarm", alert, active: this.#alerts.activeCount() }),
      marked: (device, worst) => this.#fleet.mark(device, worst),
    });
    this.#listenToFleet();
  }

  /** Connects. */
  start(): void {
    this.#client.start();
    this.#watchClock();
  }

  /** Takes what the page says. */
  handle(message: ToWorker): void {
    switch (message.kind) {
      case "start":
        return;
      case "drawn":
        return this.#pace.drawn();
      case "network":
        this.#hasNetwork = message.hasNetwork;
        return this.#client.networkChanged();
      case "visible":
        // Somebody looks again: a wait that was on is not worth their time.
        return this.#client.wake();
      case "tryNow":
        return this.#client.tryNow();
      case "loadRoster":
        return void this.#roster.load();
      case "look":
        return this.#table.look(message.view);
      case "hold":
        return this.#table.hold(message.on);
      case "listen":
        return this.#ears.open(message.ear, message.channels, message.options);
      case "unlisten":
        return this.#ears.close(message.ear);
      case "lookTopics":
        return this.#topics.look(message.view);
      case "loadAlerts":
        return void this.#alerts.load();
      case "find":
        return this.#tellIds(message.request, find(this.#fleet.sorted(), message.text, message.max));
      case "select": {
        const passing = select(this.#fleet.sorted(), message.filter, message.sort);
        return this.#tellIds(
          message.request,
          passing.map(({ id }) => id),
        );
      }
      case "census":
        return this.#tellCensus(message.request, message.of);
      case "recall":
        return void this.#recall(message.request, message.channel, message.last);
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
    this.#listen({ channels: ["presence/#"], updated: (update) => this.#appear(update) });
    this.#listen({
      channels: ["alerts/#"],
      updated: ({ data, snapshot }) => {
        if (isAlert(data)) this.#alerts.hear(data, snapshot !== true);
      },
      live: () => void this.#alerts.load(),
      reset: () => void this.#alerts.load(),
      gap: () => void this.#alerts.load(),
    });
    this.#listen({
      channels: ["gateway/stats"],
      // It has no past: the newest word is all there is.
      resumeWithinMs: 0,
      updated: (update) => this.#countedBy(update.data as GatewayStats),
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

  #appear(update: Update): void {
    const { data, snapshot, replayed } = update;
    const isNew = snapshot !== true && replayed !== true;
    if (isNew && isPresence(data) && data.reason === "shutdown") this.#isStopping = true;
    this.#fleet.appear(update);
  }

  /** A gateway that stops tells of all its devices at once, and every connection is slow for that moment. */
  #countedBy(stats: GatewayStats): void {
    if (this.#isStopping) return;
    this.#roster.counted(stats.devices_known);
    this.#change({ stats });
  }

  #stateChanged(state: ConnectionState): void {
    if (this.#state.kind === "live") this.#change({ lastLiveAt: Date.now() });
    this.#state = state;
    this.#change({ state });
    if (state.kind !== "live") this.#setRefusals([]);
  }

  #healthChanged(health: Health): void {
    if (Math.abs(health.clockOffsetMs - this.#clockOffsetMs) > clockSetMs) this.#fleet.clockSet();
    this.#clockOffsetMs = health.clockOffsetMs;
    this.#change({ health });
  }

  /** The list is read while values and presences come: neither waits for the other. */
  #greeted(): void {
    this.#isStopping = false;
    void this.#roster.load();
    void this.#lookUpWatched();
  }

  #rosterChanged(roster: RosterState): void {
    this.#change({ roster });
    if (roster.isKnown && !this.#fleet.isListed(this.#watch?.id ?? "")) void this.#lookUpWatched();
  }

  #startWatch(number: number, id: string): void {
    if (this.#watch !== null) this.#endWatch(this.#watch.number);
    const options = { client: this.#client, changed: () => this.#pace.wakeLater() };
    const watch = new Watch(id, { ...options, listen: (wish) => this.#listen(wish) });
    this.#watch = { number, id, watch, told: null };
    if (this.#state.kind === "live") void this.#lookUpWatched();
    this.#pace.wake();
  }

  #endWatch(number: number): void {
    if (this.#watch?.number !== number) return;
    this.#watch.watch.close();
    this.#watch = null;
    this.#pace.wake();
  }

  /** Who is not in the list may still be known to the gateway; of who is, type and tags may be others by now. */
  async #lookUpWatched(): Promise<void> {
    const watched = this.#watch;
    if (watched === null) return;
    const read = await this.#options.api.device(watched.id);
    if (read.kind === "ok") this.#fleet.fill(read.value);
    watched.watch.problem = read.kind === "ok" || this.#fleet.isListed(watched.id) ? null : read.message;
    this.#pace.wake();
  }

  #tellCensus(request: number, of: Filter | readonly string[]): void {
    const devices =
      "text" in of ? select(this.#fleet.sorted(), of, firstSort) : of.map((id) => this.#fleet.get(id));
    this.#options.post({ kind: "census", request, census: censusOf(devices) });
  }

  #tellIds(request: number, ids: readonly string[]): void {
    this.#options.post({ kind: "ids", request, ids });
  }

  async #recall(request: number, channel: string, last: number): Promise<void> {
    const updates = await this.#recalls.recall(channel, last);
    this.#options.post({ kind: "recalled", request, updates });
  }

  /** A machine that slept does not know whether its connection still stands. */
  #watchClock(): void {
    let last = Date.now();
    setInterval(() => {
      const now = Date.now();
      if (now - last > sleepMs) this.#client.wake();
      last = now;
    }, 1_000);
  }

  #answer(request: number, answer: Answer<Command>): void {
    this.#options.post({ kind: "answer", request, answer });
  }

  #change(changes: Changes): void {
    Object.assign(this.#changes, changes);
    this.#pace.wake();
  }

  /** Tells what has changed; gives whether anything has. */
  #send(): boolean {
    const patch = this.#takeChanges();
    if (Object.keys(patch).length === 0) return false;
    this.#options.post({ kind: "patch", patch });
    return true;
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
    this.#takeAlerts(changes);
    const heard = this.#ears.take();
    if (heard.length > 0) changes.heard = heard;
    const topics = this.#topics.isStale ? this.#topics.take() : null;
    if (topics !== null) changes.topics = topics;
    return changes;
  }

  #takeWatched(changes: Changes): void {
    if (this.#watch === null) return;
    const { number, watch, told } = this.#watch;
    const events = watch.take();
    if (events.length === 0 && watch.problem === told) return;
    this.#watch.told = watch.problem;
    changes.watched = { watch: number, problem: watch.problem, events };
  }

  #takeAlerts(changes: Changes): void {
    if (!this.#alerts.isStale) return;
    const waitMs = this.#alertsToldAt + alertsEveryMs - Date.now();
    if (waitMs > 0) {
      this.#alertsTimer ??= setTimeout(() => {
        this.#alertsTimer = undefined;
        this.#pace.wake();
      }, waitMs);
      return;
    }
    this.#alertsToldAt = Date.now();
    changes.alerts = this.#alerts.take();
  }

  /** What has changed of the devices that the page shows. */
  #takeDevices(changes: Changes): void {
    const ids = new Set(this.#table.inView());
    if (this.#watch !== null) ids.add(this.#watch.id);
    const { devices, gone, isMore } = this.#shown.take(ids);
    if (gone.length > 0) changes.gone = gone;
    if (devices.length > 0) changes.devices = devices;
    // The page says when it has drawn these.
    if (isMore) this.#pace.wake();
  }
}
