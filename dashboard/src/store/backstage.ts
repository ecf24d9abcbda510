// The page's end of its worker: what is asked of it, and what it says.
import type { Answer } from "../client/state";
import type { Alert, Command, CommandId, CommandRequest, DeviceId, Update } from "../generated/protocol";
import type { Census } from "../worker/census";
import type { Patch, ToPage, ToWorker } from "../worker/messages";
import type { Filter, Sort } from "../worker/select";

/** A worker that has said nothing for so long has not started. */
const startTimeoutMs = 15_000;

/** The little of a worker that is needed, so that tests can stand in for one. */
export interface WorkerLike {
  postMessage(message: ToWorker): void;
  onmessage: ((event: MessageEvent<ToPage>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

/** What a worker's page needs from its surroundings. */
export interface BackstageOptions {
  /** Starts the worker; throws where that is not possible. */
  readonly start: () => WorkerLike;
  readonly base: URL;
  readonly hasNetwork: boolean;
  /** Something changed; at most once an animation frame. */
  readonly patched: (patch: Patch) => void;
  /** An alert was raised. */
  readonly alarmed: (alert: Alert) => void;
  /** The worker does not work: why. */
  readonly failed: (why: string) => void;
  readonly schedule: (run: () => void) => void;
}

/** What the worker says to who has only looked. */
type ReplyOf<K> = Extract<ToPage, { kind: K }>;
type Reply = ReplyOf<"ids" | "census" | "recalled">;

/** The worker, seen from the page. */
export class Backstage {
  readonly #options: BackstageOptions;
  readonly #answers = new Map<number, (answer: Answer<Command>) => void>();
  readonly #replies = new Map<number, (reply: Reply) => void>();
  #worker: WorkerLike | null = null;
  #requests = 0;
  #hasStarted = false;

  constructor(options: BackstageOptions) {
    this.#options = options;
  }

  /** Starts the worker, which connects. */
  start(): void {
    const { start, base, hasNetwork } = this.#options;
    try {
      this.#worker = start();
    } catch (error) {
      return this.#options.failed(error instanceof Error ? error.message : String(error));
    }
    const timer = setTimeout(() => {
      if (!this.#hasStarted) this.#fail("it did not answer");
    }, startTimeoutMs);
    this.#worker.onmessage = ({ data }) => {
      this.#hasStarted = true;
      clearTimeout(timer);
      this.#hear(data);
    };
    this.#worker.onerror = (event) => {
      clearTimeout(timer);
      this.#fail(event.message || "its program could not be loaded");
    };
    this.tell({ kind: "start", base: base.href, hasNetwork });
  }

  /** Tells the worker something. */
  tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** Tries at once where a try is due later, or where the gateway has refused. */
  tryNow(): void {
    this.tell({ kind: "tryNow" });
  }

  /** Sends a command. It is never repeated by itself: what is uncertain is said to be uncertain. */
  command(device: DeviceId, command: CommandRequest): Promise<Answer<Command>> {
    return this.#ask((request) => ({ kind: "command", request, device, command }));
  }

  /** Cancels a command. */
  cancel(command: CommandId): Promise<Answer<Command>> {
    return this.#ask((request) => ({ kind: "cancel", request, command }));
  }

  /** The ids of the devices that a text fits best. */
  async find(text: string, max: number): Promise<readonly DeviceId[]> {
    return (await this.#look<"ids">((request) => ({ kind: "find", request, text, max }))).ids;
  }

  /** The ids of all devices that pass a filter, in order. */
  async select(filter: Filter, sort: Sort): Promise<readonly DeviceId[]> {
    return (await this.#look<"ids">((request) => ({ kind: "select", request, filter, sort }))).ids;
  }

  /** How many devices pass a filter or bear these ids, and what is known of them together. */
  async census(of: Filter | readonly DeviceId[]): Promise<Census> {
    return (await this.#look<"census">((request) => ({ kind: "census", request, of }))).census;
  }

  /** The newest updates of a channel, the oldest first, as far as the gateway still has them. */
  async recall(channel: string, last: number): Promise<readonly Update[]> {
    return (await this.#look<"recalled">((request) => ({ kind: "recall", request, channel, last }))).updates;
  }

  #next(): number {
    this.#requests += 1;
    return this.#requests;
  }

  /** Asks for what changes nothing. */
  #look<K extends Reply["kind"]>(message: (request: number) => ToWorker): Promise<ReplyOf<K>> {
    const request = this.#next();
    this.tell(message(request));
    return new Promise((resolve) => this.#replies.set(request, (reply) => resolve(reply as ReplyOf<K>)));
  }

  #ask(message: (request: number) => ToWorker): Promise<Answer<Command>> {
    if (this.#worker === null) return Promise.resolve({ kind: "unsent", why: "not_connected" });
    const request = this.#next();
    this.tell(message(request));
    return new Promise((resolve) => this.#answers.set(request, resolve));
  }

  #hear(message: ToPage): void {
    switch (message.kind) {
      case "patch":
        this.#options.patched(message.patch);
        // Asked for when the frame is drawn: a hidden page asks for nothing.
        return this.#options.schedule(() => this.tell({ kind: "drawn" }));
      case "answer":
        this.#answers.get(message.request)?.(message.answer);
        this.#answers.delete(message.request);
        return;
      case "ids":
      case "census":
      case "recalled":
        this.#replies.get(message.request)?.(message);
        this.#replies.delete(message.request);
        return;
      case "alarm":
        return this.#options.alarmed(message.alert);
    }
  }

  /** What was asked may have been done. */
  #fail(why: string): void {
    this.#worker = null;
    for (const resolve of this.#answers.values()) resolve({ kind: "broken" });
    this.#answers.clear();
    this.#options.failed(why);
  }
}
