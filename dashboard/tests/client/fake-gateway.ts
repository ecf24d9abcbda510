// A gateway that does what the test tells it, and a client that talks to it on fake timers.
import { vi } from "vitest";
import { SluiceClient } from "../../src/client/client";
import type { SocketHandlers } from "../../src/client/socket";
import type { ConnectionState, Health } from "../../src/client/state";
import type { Wish } from "../../src/client/subscriptions";
import type { Table } from "../../src/client/table";
import type { Span } from "../../src/client/track";
import type { Cursor, History, Reply, SubscribeOptions, Update } from "../../src/generated/protocol";
import { ColumnsEncoder } from "./columns-encoder.mjs";

/** What a client sent, as far as the tests look at it. */
export interface Sent {
  type: string;
  id: number;
  channels?: string[];
  options?: SubscribeOptions;
  channel?: string;
  from?: number;
  to?: number;
  device?: string;
  name?: string;
}

/** One socket, seen from the gateway's side. */
export class FakeConnection {
  readonly sent: Sent[] = [];
  /** The code and reason that the client closed with. */
  closedByClient: { code: number; reason: string } | null = null;
  bufferedBytes = 0;
  readonly #encoder = new ColumnsEncoder();
  readonly #handlers: SocketHandlers;

  constructor(handlers: SocketHandlers) {
    this.#handlers = handlers;
  }

  accept(text: string): void {
    this.sent.push(JSON.parse(text) as Sent);
  }

  /** The messages of one type that came so far. */
  ofType(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type);
  }

  /** The newest message of a type. */
  last(type: string): Sent {
    const message = this.ofType(type).at(-1);
    if (message === undefined) throw new Error(`no ${type} came`);
    return message;
  }

  frame(...messages: (Reply | Update)[]): void {
    this.raw(JSON.stringify(messages));
  }

  /** Sends updates as columns. */
  columns(...updates: Update[]): void {
    for (const frame of this.#encoder.encode(updates)) this.raw(frame);
  }

  raw(data: unknown): void {
    this.#handlers.message(data);
  }

  close(code: number, reason = ""): void {
    this.#handlers.closed(code, reason);
  }

  welcome(limits: { messages_per_s?: number; message_bytes?: number } = {}, epoch = "e1", offset = 1): void {
    this.frame({
      type: "welcome",
      session: "s1",
      epoch,
      offset,
      server_time: Date.now(),
      ping_interval_ms: 25_000,
      user: null,
      limits: { message_bytes: 65_536, subscriptions: 100, messages_per_s: 1_000, ...limits },
    });
  }

  /** Answers the newest ping. */
  pong(serverTime = Date.now()): void {
    this.frame({ type: "pong", id: this.last("ping").id, server_time: serverTime });
  }

  /** Grants every subscription that came and says that its values are complete. */
  grantAll(...snapshots: Update[]): void {
    for (const asked of this.ofType("subscribe")) {
      this.grant(asked, ...snapshots);
      this.live(asked);
    }
  }

  /** Grants a subscription, the newest unless told, and sends its past. */
  grant({ id, channels = [] } = this.last("subscribe"), ...past: (Update | Reply)[]): void {
    this.frame({ type: "subscribed", id, channels }, ...past);
  }

  /** Says that the past of a subscription, the newest unless told, has been sent. */
  live({ id } = this.last("subscribe"), offset = 1): void {
    this.frame({ type: "live", id, offset });
  }
}

/** A client and its gateway. */
export class World {
  readonly connections: FakeConnection[] = [];
  readonly states: ConnectionState[] = [];
  health: Health | null = null;
  network = true;
  /** What `random` gives; 0 is the shortest wait, 1 just over the longest. */
  dice = 0.5;

  readonly client = new SluiceClient({
    open: (handlers) => {
      const connection = new FakeConnection(handlers);
      this.connections.push(connection);
      return {
        send: (text) => connection.accept(text),
        close: (code, reason) => {
          connection.closedByClient = { code, reason };
        },
        bufferedBytes: () => connection.bufferedBytes,
      };
    },
    random: () => this.dice,
    hasNetwork: () => this.network,
    stateChanged: (state) => this.states.push(state),
    healthChanged: (health) => {
      this.health = health;
    },
  });

  get state(): ConnectionState {
    const state = this.states.at(-1);
    if (state === undefined) throw new Error("the client has not been started");
    return state;
  }

  /** The newest connection. */
  get gateway(): FakeConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error("no connection was opened");
    return connection;
  }

  /** Starts and becomes live. */
  goLive(...snapshots: Update[]): void {
    this.client.start();
    this.gateway.welcome();
    this.gateway.grantAll(...snapshots);
  }

  /** Breaks the connection and opens the next one. */
  comeBack(epoch = "e1", offset = 1): void {
    this.gateway.close(1006);
    this.client.tryNow();
    this.gateway.welcome({}, epoch, offset);
  }

  /** Subscribes and notes all that comes. */
  listen(channels: string[], options: SubscribeOptions = {}, more: Partial<Wish> = {}): Heard {
    const heard: Heard = {
      updates: [],
      tables: [],
      pasted: [],
      resets: [],
      gaps: [],
      live: 0,
      refused: [],
      close: () => {},
      cursor: () => null,
    };
    const subscription = this.client.subscribe({
      channels,
      options,
      updated: (update) => heard.updates.push(update),
      live: () => {
        heard.live += 1;
      },
      pasted: (history) => heard.pasted.push(history),
      reset: (lost) => heard.resets.push(lost),
      gap: (channel, span) => heard.gaps.push([channel, span]),
      refused: (code) => heard.refused.push(code),
      ...more,
    });
    heard.close = () => subscription.close();
    heard.cursor = () => subscription.cursor();
    return heard;
  }
}

/** What a subscription heard. */
export interface Heard {
  updates: Update[];
  tables: Table[];
  pasted: History[];
  resets: (readonly string[])[];
  gaps: [channel: string, span: Span][];
  live: number;
  refused: string[];
  close: () => void;
  cursor: () => Cursor | null;
}

/** The numbers of what was heard. */
export function seqs({ updates }: Heard): number[] {
  return updates.map(({ seq }) => seq);
}

/** An update with the number `seq`. */
export function update(channel: string, seq: number, more: Partial<Update> = {}): Update {
  return { channel, seq, offset: seq, timestamp: Date.now(), data: { n: seq }, ...more };
}

/** A promise's outcome as soon as the microtasks have run. */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  await vi.advanceTimersByTimeAsync(0);
  return promise;
}
