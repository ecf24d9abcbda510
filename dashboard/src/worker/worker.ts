// Where the worker begins: it hands messages to and fro.
import { Api } from "../api";
import { browserSocket } from "../client/socket";
import { Engine } from "./engine";
import type { ToPage, ToWorker } from "./messages";

/** The part of a worker's own world that is used; the page's types do not have it. */
interface Scope {
  postMessage(message: ToPage): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
}

const scope = globalThis as unknown as Scope;
let engine: Engine | null = null;

scope.onmessage = ({ data: message }) => {
  if (message.kind === "start") engine ??= begin(message);
  else engine?.handle(message);
};

function begin({ base, hasNetwork }: Extract<ToWorker, { kind: "start" }>): Engine {
  const socket = new URL("ws", base);
  socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";
  const begun = new Engine({
    open: browserSocket(socket),
    api: new Api(new URL("api/v1/", base), (...request) => fetch(...request)),
    hasNetwork,
    post: (message) => scope.postMessage(message),
  });
  begun.start();
  return begun;
}
