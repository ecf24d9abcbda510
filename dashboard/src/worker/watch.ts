// The device whose page is open: every update of it, its past, and its commands.
import type { SluiceClient, Subscription } from "../client/client";
import type { Wish } from "../client/subscriptions";
import { numbersOf, type Table, toUpdates } from "../client/table";
import type { Command, DeviceId, Update } from "../generated/protocol";
import { type Samples, type WatchEvent, windowMs } from "./messages";

/** Past values of each metric that are drawn: about one for each pixel of a chart. */
const pointsMax = 600;
/** More samples than this do not wait for a page that draws nothing; it gets the past anew when it does. */
const samplesMax = 20_000;

/** What a watch needs from its surroundings. */
export interface WatchOptions {
  readonly client: SluiceClient;
  readonly listen: (wish: Wish) => Subscription;
  /** There is an event. */
  readonly changed: () => void;
}

/** Watches one device until it is closed. */
export class Watch {
  readonly #id: DeviceId;
  readonly #options: WatchOptions;
  #values: Subscription;
  readonly #commands: Subscription;
  #events: WatchEvent[] = [];
  #waiting = 0;
  /** The samples that the newest events hold, by metric: what follows goes there too. */
  #open = new Map<string, Samples>();
  /** Why nothing is known of the device, if nothing is. */
  problem: string | null = null;

  constructor(id: DeviceId, options: WatchOptions) {
    this.#id = id;
    this.#options = options;
    this.#values = this.#listenToValues();
    const missed = () => this.#tell({ kind: "commandsMissed" });
    this.#commands = options.listen({
      channels: [`commands/${id}`],
      updated: (update) => this.#command(update),
      live: missed,
      reset: missed,
      gap: missed,
    });
  }

  /** Ends it. */
  close(): void {
    this.#values.close();
    this.#values = closed;
    this.#commands.close();
  }

  /** What happened since the last call. */
  take(): WatchEvent[] {
    if (this.#waiting > samplesMax) {
      this.#values.close();
      this.#values = this.#listenToValues();
      this.#events = [{ kind: "void" }, { kind: "commandsMissed" }];
    }
    const events = this.#events;
    this.#events = [];
    this.#open.clear();
    this.#waiting = 0;
    return events;
  }

  #listenToValues(): Subscription {
    const { client } = this.#options;
    return this.#options.listen({
      channels: [`telemetry/${this.#id}`],
      // Asked for whenever the subscription begins, which may be hours after it was made.
      get options() {
        const since = client.serverNow() - windowMs;
        return { mode: "every" as const, history: { since, points: pointsMax } };
      },
      updated: (update) => this.#measure(update),
      tabled: (table) => this.#measureTable(table),
      pasted: (history) => this.#tell({ kind: "past", history }),
      reset: () => this.#beginAnew(),
      gap: () => this.#tell({ kind: "gap" }),
    });
  }

  /** What came between the break and now is not sent again: it is in the past that is asked for. */
  #beginAnew(): void {
    this.#tell({ kind: "gap" });
    const broken = this.#values;
    // Not while it is being handed out.
    setTimeout(() => {
      if (this.#values !== broken) return;
      broken.close();
      this.#values = this.#listenToValues();
    }, 0);
  }

  /** A snapshot is the value, not a sample. */
  #measure({ data, timestamp, snapshot, replayed }: Update): void {
    if (snapshot === true || typeof data !== "object" || data === null) return;
    for (const [name, value] of Object.entries(data)) {
      if (typeof value === "number") this.#sample(name, timestamp, value, replayed === true);
    }
  }

  #measureTable(table: Table): void {
    if (table.mark === "snapshot") return;
    for (const [index, column] of table.columns.entries()) {
      const name = table.metrics[index] ?? "";
      const numbers = numbersOf(column);
      if (numbers === null) continue;
      for (const [row, value] of numbers.entries()) {
        this.#sample(name, table.timestamps[row] ?? 0, value, table.mark === "replayed");
      }
    }
    // Columns of mixed kinds are rare, and read one by one.
    if (table.columns.some(({ kind }) => kind === "json")) this.#measureMixed(table);
  }

  #measureMixed(table: Table): void {
    const mixed = table.metrics.filter((_, index) => table.columns[index]?.kind === "json");
    for (const update of toUpdates(table)) {
      const data = update.data as Record<string, unknown>;
      this.#measure({ ...update, data: Object.fromEntries(mixed.map((name) => [name, data[name]])) });
    }
  }

  #sample(name: string, time: number, value: number, isLate: boolean): void {
    this.#waiting += 1;
    if (this.#waiting > samplesMax) return;
    const open = this.#open.get(name);
    if (open !== undefined && open.isLate === isLate) {
      open.times.push(time);
      open.values.push(value);
      return;
    }
    const samples: Samples = { name, times: [time], values: [value], isLate };
    this.#events.push({ kind: "samples", samples });
    this.#open.set(name, samples);
    this.#options.changed();
  }

  #command({ data, timestamp }: Update): void {
    if (isCommand(data)) this.#tell({ kind: "command", command: data, at: timestamp });
  }

  #tell(event: WatchEvent): void {
    // What comes after must not go where it was before.
    this.#open.clear();
    this.#waiting += 1;
    if (this.#waiting <= samplesMax) this.#events.push(event);
    this.#options.changed();
  }
}

const closed: Subscription = { close: () => {}, cursor: () => null };

function isCommand(value: unknown): value is Command {
  return (
    typeof value === "object" &&
    value !== null &&
    "id" in value &&
    typeof value.id === "string" &&
    "state" in value &&
    typeof value.state === "string"
  );
}
