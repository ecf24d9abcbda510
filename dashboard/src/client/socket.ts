// The little of a WebSocket that the client needs, so that tests can stand in for a gateway.

import { readsInPlace } from "./columns";

/** What this client speaks, the best first. */
const subprotocols = readsInPlace ? ["sluice.v1.columns", "sluice.v1"] : ["sluice.v1"];

/** An open or opening socket. */
export interface Socket {
  send(text: string): void;
  /** Ends it, with a code of 1000 or 3000 to 4999 and a reason of at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Bytes accepted by `send` that have not left yet. */
  bufferedBytes(): number;
}

/** What a socket tells; after `closed` it tells nothing more. */
export interface SocketHandlers {
  /** A text frame as a string, a binary one as an `ArrayBuffer`. */
  message(data: unknown): void;
  closed(code: number, reason: string): void;
}

/** Opens a socket. It must not call a handler before it has returned. */
export type OpenSocket = (handlers: SocketHandlers) => Socket;

/** Opens the browser's own WebSocket to `url`. Columns are offered first. */
export function browserSocket(url: URL): OpenSocket {
  return (handlers) => {
    const socket = new WebSocket(url, subprotocols);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => handlers.message(event.data);
    socket.onclose = (event) => handlers.closed(event.code, event.reason);
    return {
      send: (text) => socket.send(text),
      close: (code, reason) => socket.close(code, reason),
      bufferedBytes: () => socket.bufferedAmount,
    };
  };
}
