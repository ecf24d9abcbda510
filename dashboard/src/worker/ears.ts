// What a page listens to besides the fleet: updates are handed on in order, and few enough to be drawn.
import type { Subscription } from "../client/client";
import type { Wish } from "../client/subscriptions";
import type { SubscribeOptions } from "../generated/protocol";
import type { EarEvent, Heard } from "./messages";

/** More events than this do not wait for a page that draws nothing; it is told to begin anew when it does. */
const eventsMax = 5_000;

/** What the ears need from their surroundings. */
export interface EarsOptions {
  readonly listen: (wish: Wish) => Subscription;
  /** There is an event. */
  readonly changed: () => void;
}

interface Ear {
  readonly channels: readonly string[];
  readonly options: SubscribeOptions | undefined;
  subscription: Subscription;
  events: EarEvent[];
}

/** All listenings of the page, by their number. */
export class Ears {
  readonly #options: EarsOptions;
  readonly #ears = new Map<number, Ear>();

  constructor(options: EarsOptions) {
    this.#options = options;
  }

  /** Begins to listen. */
  open(number: number, channels: readonly string[], options?: SubscribeOptions): void {
    const ear: Ear = { channels, options, events: [], subscription: closed };
    this.#ears.set(number, ear);
    ear.subscription = this.#listen(ear);
  }

  /** Ends it. */
  close(number: number): void {
    this.#ears.get(number)?.subscription.close();
    this.#ears.delete(number);
  }

  /** What was heard since the last call. */
  take(): Heard[] {
    const heard: Heard[] = [];
    for (const [number, ear] of this.#ears) {
      if (ear.events.length > eventsMax) this.#beginAnew(ear);
      if (ear.events.length > 0) heard.push({ ear: number, events: ear.events });
      ear.events = [];
    }
    return heard;
  }

  #beginAnew(ear: Ear): void {
    ear.subscription.close();
    ear.events = [{ kind: "void" }];
    ear.subscription = this.#listen(ear);
  }

  #listen(ear: Ear): Subscription {
    const tell = (event: EarEvent) => {
      if (ear.events.length <= eventsMax) ear.events.push(event);
      this.#options.changed();
    };
    const wish: Wish = {
      channels: ear.channels,
      updated: (update) => tell({ kind: "update", update }),
      live: () => tell({ kind: "live" }),
      reset: () => tell({ kind: "void" }),
      gap: () => tell({ kind: "void" }),
    };
    return this.#options.listen(ear.options === undefined ? wish : { ...wish, options: ear.options });
  }
}

const closed: Subscription = { close: () => {}, cursor: () => null };
