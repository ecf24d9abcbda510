// The little of a WebSocket that the client needs, so that tests can stand in for a gateway.

/** The subprotocol that this client speaks. */
const subprotocol = "sluice.v1";

/** An open or opening socket. */
export interface Socket {
  send(text: string): void;
  close(): void;
  /** Bytes accepted by `send` that have not left yet. */
  bufferedBytes(): number;
}

/** What a socket tells; after `closed` it tells nothing more. */
export interface SocketHandlers {
  message(data: unknown): void;
  closed(code: number, reason: string): void;
}

/** Opens a socket. It must not call a handler before it has returned. */
export type OpenSocket = (handlers: SocketHandlers) => Socket;

/** Opens the browser's own WebSocket to `url`. */
export function browserSocket(url: URL): OpenSocket {
  return (handlers) => {
    const socket = new WebSocket(url, subprotocol);
    socket.onmessage = (event) => handlers.message(event.data);
    socket.onclose = (event) => handlers.closed(event.code, event.reason);
    return {
      send: (text) => socket.send(text),
      close: () => socket.close(1000),
      bufferedBytes: () => socket.bufferedAmount,
    };
  };
}
