// The library's door: all that a program needs to listen to a gateway and to command its devices.
import { SluiceClient } from "./client";
import { browserSocket } from "./socket";
import type { ConnectionState, Health } from "./state";

export type * from "../generated/protocol";
export { type ClientOptions, SluiceClient, type Subscription } from "./client";
export { BadFrame, Columns } from "./columns";
export { browserSocket } from "./socket";
export { type Answer, type ConnectionState, type Health, unknownHealth } from "./state";
export type { Wish } from "./subscriptions";
export {
  type Column,
  channelOf,
  keepTable,
  type Mark,
  numbersOf,
  type Table,
  toUpdates,
  valueAt,
} from "./table";
export type { Span } from "./track";

/** Connects to the gateway whose WebSocket is at `url` (`ws://host:port/ws`), and stays until `stop`. */
export function connect(
  url: string | URL,
  told: { stateChanged?(state: ConnectionState): void; healthChanged?(health: Health): void } = {},
): SluiceClient {
  const client = new SluiceClient({
    open: browserSocket(new URL(url)),
    random: Math.random,
    // What has no such thing, as Node, is taken to have a network.
    hasNetwork: () => globalThis.navigator?.onLine !== false,
    stateChanged: (state) => told.stateChanged?.(state),
    healthChanged: (health) => told.healthChanged?.(health),
  });
  client.start();
  return client;
}
