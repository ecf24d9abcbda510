// What works behind the page: the connection, and the store of values. It tells the page what has changed of what the
// page shows, when the page has drawn what it was told before: a hidden page, which draws nothing, costs nothing.
import type { Api } from "../api";
import { SluiceClient, type Subscription } from "../client/client";
import type { OpenSocket } from "../client/socket";
import type { Answer, ConnectionState, Health } from "../client/state";
import type { Wish } from "../client/subscriptions";
import type { Command, GatewayStats, Update } from "../generated/protocol";
import { AlertBook, isAlert } from "./alerts";
import { Ears } from "./ears";
import { Fleet } from "./fleet";
import type { Patch, RosterState, ToPage, ToWorker } from "./messages";
import type { DeviceState } from "./record";
import { Roster } from "./roster";
import { find, select } from "./select";
import { Table } from "./table";
import { Topics } from "./topics";
import { Watch } from "./watch";

/** How often the table gets a device's values; more than the eye can follow would only cost. */
const fleetUpdatesPerSecond = 4;
/** After a longer break the newest values are worth more than what was missed. */
const resumeWithinMs = 30_000;

/** A clock that jumps so far was asleep. */
const sleepMs = 6_000;
/** What devices measure is told no more often than this: an eye does not follow more, and each drawing costs. */
const drawEveryMs = 100;
/** Of the devices in view no more than this are told anew with one frame; the others with the next ones. */
const devicesPerFrame = 5;
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
  #alertsToldAt = 0;
  #alertsTimer: ReturnType<typeof setTimeout> | undefined;
  #hasNetwork: boolean;
  #state: ConnectionState = { kind: "connecting", since: Date.now() };
  #refusals: readonly Refusal[] = [];
  #watch: { number: number; id: string; watch: Watch } | null = null;
  /** What changed since the last patch, of what is sent whole. */
  #changes: Changes = {};
  /** The revision in which each device that the page holds was last told. */
  readonly #told = new Map<string, number>();
  #toldList = 0;
  /** The channels whose value somebody waits for. */
  readonly #newest = new Map<string, Promise<Update | null>>();
  #isDrawn = true;
  /** Whether what has changed should be seen with the next frame. */
  #isUrgent = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sentAt = 0;
  #laterTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#hasNetwork = options.hasNetwork;
    this.#client = new SluiceClient({
      open: options.open,
      random: Math.random,
      hasNetwork: () => this.#hasNetwork,
      greeted: () => this.#greeted(),
      stateChanged: (state) => this.#stateChanged(state),
      healthChanged: (health: Health) => this.#change({ health }),
    });
    this.#fleet = new Fleet({
      changed: () => this.#wakeLater(),
      serverNow: () => this.#client.serverNow(),
      unknown: (id) => this.#roster.meet(id),
    });
    this.#roster = new Roster(options.api, this.#fleet, (roster) => this.#rosterChanged(roster));
    this.#table = new Table(this.#fleet, () => this.#wake());
    const surroundings = { listen: (wish: Wish) => this.#listen(wish), changed: () => this.#wakeLater() };
    this.#ears = new Ears(surroundings);
    this.#topics = new Topics(surroundings);
    this.#alerts = new AlertBook({
      api: options.api,
      changed: () => this.#wake(),
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
        this.#isDrawn = true;
        return this.#isUrgent ? this.#wake() : this.#wakeLater();
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
    this.#listen({ channels: ["presence/#"], updated: (update) => this.#fleet.appear(update) });
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
    if (state.kind !== "live") this.#setRefusals([]);
  }

  /** The list is read while values and presences come: neither waits for the other. */
  #greeted(): void {
    void this.#roster.load();
    void this.#lookUpWatched();
  }

  #rosterChanged(roster: RosterState): void {
    this.#change({ roster });
    if (roster.isKnown) void this.#lookUpWatched();
  }

  #startWatch(number: number, id: string): void {
    if (this.#watch !== null) this.#endWatch(this.#watch.number);
    const options = { client: this.#client, changed: () => this.#wakeLater() };
    const watch = new Watch(id, { ...options, listen: (wish) => this.#listen(wish) });
    this.#watch = { number, id, watch };
    if (this.#roster.state.isKnown) void this.#lookUpWatched();
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
    if (watched === null || this.#fleet.isListed(watched.id)) return;
    const read = await this.#options.api.device(watched.id);
    if (read.kind === "ok") this.#fleet.fill(read.value);
    else watched.watch.problem = read.message;
    this.#wake();
  }

  #tellIds(request: number, ids: readonly string[]): void {
    this.#options.post({ kind: "ids", request, ids });
  }

  /** What the gateway has of the newest updates; less than was asked for where the older ones are gone. */
  async #recall(request: number, channel: string, last: number): Promise<void> {
    const newest = await this.#newestOf(channel);
    let updates: readonly Update[] = newest === null ? [] : [newest];
    for (let count = last; newest !== null && count > 1; count = Math.floor(count / 4)) {
      const span = { from: Math.max(1, newest.seq - count + 1), to: newest.seq };
      const answer = await this.#client.recall(channel, span);
      if (answer.kind !== "ok" || answer.reply.length === 0) continue;
      updates = answer.reply;
      break;
    }
    this.#options.post({ kind: "recalled", request, updates });
  }

  /** A channel's value tells its newest number. Who asks while another does gets the same answer. */
  #newestOf(channel: string): Promise<Update | null> {
    const asked = this.#newest.get(channel);
    if (asked !== undefined) return asked;
    const asking = new Promise<Update | null>((resolve) => {
      let newest: Update | null = null;
      const subscription = this.#listen({
        channels: [channel],
        updated: (update) => {
          newest = update;
        },
        live: () => {
          // Not while it is being handed out.
          setTimeout(() => {
            subscription.close();
            this.#newest.delete(channel);
            resolve(newest);
          }, 0);
        },
      });
    });
    this.#newest.set(channel, asking);
    return asking;
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
    this.#wake();
  }

  /** Sends what has changed, all that comes in one go together. */
  #wake(): void {
    this.#isUrgent = true;
    if (!this.#isDrawn || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#send();
    }, 0);
  }

  /** The same, but not before the next drawing of values is due. */
  #wakeLater(): void {
    this.#laterTimer ??= setTimeout(
      () => {
        this.#laterTimer = undefined;
        this.#wake();
      },
      Math.max(0, this.#sentAt + drawEveryMs - Date.now()),
    );
  }

  #send(): void {
    this.#isUrgent = false;
    const patch = this.#takeChanges();
    if (Object.keys(patch).length === 0) return;
    this.#isDrawn = false;
    this.#sentAt = Date.now();
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
    this.#takeAlerts(changes);
    const heard = this.#ears.take();
    if (heard.length > 0) changes.heard = heard;
    const topics = this.#topics.isStale ? this.#topics.take() : null;
    if (topics !== null) changes.topics = topics;
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

  #takeAlerts(changes: Changes): void {
    if (!this.#alerts.isStale) return;
    const waitMs = this.#alertsToldAt + alertsEveryMs - Date.now();
    if (waitMs > 0) {
      this.#alertsTimer ??= setTimeout(() => {
        this.#alertsTimer = undefined;
        this.#wake();
      }, waitMs);
      return;
    }
    this.#alertsToldAt = Date.now();
    changes.alerts = this.#alerts.take();
  }

  /** What has changed of the devices that the page shows. */
  #takeDevices(changes: Changes): void {
    const shown = new Set(this.#table.inView());
    if (this.#watch !== null) shown.add(this.#watch.id);
    const gone = [...this.#told.keys()].filter((id) => !shown.has(id) || this.#fleet.get(id) === undefined);
    for (const id of gone) this.#told.delete(id);
    const due = this.#devicesDue(shown);
    // Whose row is empty is not made to wait, and who has waited longest comes first.
    const now = due.filter(({ told }, index) => told === 0 || index < devicesPerFrame);
    for (const { device } of now) this.#told.set(device.id, this.#fleet.revision);
    if (gone.length > 0) changes.gone = gone;
    if (now.length > 0) changes.devices = now.map(({ device, told }) => device.patch(told));
    // The page says when it has drawn these.
    if (now.length < due.length) this.#isUrgent = true;
  }

  /** Those of the devices that have changed since they were told, longest ago first. */
  #devicesDue(shown: Iterable<string>): { device: DeviceState; told: number }[] {
    const due: { device: DeviceState; told: number }[] = [];
    for (const id of shown) {
      const device = this.#fleet.get(id);
      const told = this.#told.get(id) ?? 0;
      if (device !== undefined && device.revision > told) due.push({ device, told });
    }
    return due.sort((one, other) => one.told - other.told);
  }
}
