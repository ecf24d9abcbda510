// What a channel said last, asked for once: the newest updates that the gateway still has.
import type { SluiceClient, Subscription } from "../client/client";
import type { Wish } from "../client/subscriptions";
import type { Update } from "../generated/protocol";

/** What is needed to ask. */
export interface RecallsOptions {
  readonly client: SluiceClient;
  readonly listen: (wish: Wish) => Subscription;
}

/** Asks for the newest updates of channels. */
export class Recalls {
  readonly #options: RecallsOptions;
  /** The channels whose value somebody waits for. */
  readonly #newest = new Map<string, Promise<Update | null>>();

  constructor(options: RecallsOptions) {
    this.#options = options;
  }

  /** The newest `last` of a channel; less than was asked for where the older ones are gone. */
  async recall(channel: string, last: number): Promise<readonly Update[]> {
    const newest = await this.#newestOf(channel);
    if (newest === null) return [];
    const from = Math.max(1, newest.seq - last + 1);
    const near = await this.#between(channel, from, newest);
    // A kill of the gateway leaves out billions of numbers: what was before it is found from the first on only.
    if (near.length === last || from === 1) return near;
    return (await this.#between(channel, 1, newest)).slice(-last);
  }

  /** What the gateway still has from a number on; at least the newest. */
  async #between(channel: string, from: number, newest: Update): Promise<readonly Update[]> {
    const answer = await this.#options.client.recall(channel, { from, to: newest.seq });
    return answer.kind === "ok" && answer.reply.length > 0 ? answer.reply : [newest];
  }

  /** A channel's value tells its newest number. Who asks while another does gets the same answer. */
  #newestOf(channel: string): Promise<Update | null> {
    const asked = this.#newest.get(channel);
    if (asked !== undefined) return asked;
    const asking = new Promise<Update | null>((resolve) => {
      let newest: Update | null = null;
      const subscription = this.#options.listen({
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
}
