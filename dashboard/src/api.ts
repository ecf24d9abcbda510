// The gateway's HTTP API, as far as the page uses it.
import type { Session } from "./contract";
import type {
  Alert,
  AlertState,
  Batch,
  BatchRequest,
  Command,
  CommandDetails,
  CommandId,
  CommandRequest,
  Device,
  DeviceId,
  DeviceState,
  DeviceType,
  DryRun,
  History,
  Page,
  Problem,
} from "./generated/protocol";

/** How a request ended. */
export type Read<T> =
  | { kind: "ok"; value: T }
  | { kind: "failed"; status: number | null; code: string; message: string };

const readTimeoutMs = 10_000;
/** A page of a long list may take longer: a gateway with much to do, a slow line. */
const pageTimeoutMs = 30_000;
/** Rows on a page of a list that is read whole: as many as the gateway gives, for each page waits its turn there. */
const pageSize = 1_000;
/** Pages of devices that are read at most: more than the page can hold. */
const pagesMax = 30;
/** Pages of open alerts that are read. */
const alertPagesMax = 5;
/** Commands shown when a device's page opens. */
const commandsShown = 50;

/** The desired state, and the mark that a change must bear. */
export interface Marked {
  readonly state: DeviceState;
  /** The entity tag; null where nothing was desired yet. */
  readonly tag: string | null;
}

/** Asks the API under `base`. */
export class Api {
  readonly #base: URL;
  readonly #fetch: typeof fetch;

  constructor(base: URL, fetcher: typeof fetch) {
    this.#base = base;
    this.#fetch = fetcher;
  }

  /** All devices; `came` gets each page of them as it comes. */
  devices(came: (devices: readonly Device[]) => void): Promise<Read<Device[]>> {
    return this.#readAll("devices", {}, pagesMax, came);
  }

  /** One device. */
  device(id: DeviceId): Promise<Read<Device>> {
    return this.#read(`devices/${encodeURIComponent(id)}`);
  }

  /** The newest commands of a device. */
  commands(device: DeviceId): Promise<Read<Page<Command>>> {
    return this.commandPage({ device }, null, commandsShown);
  }

  /** A page of commands, the newest first. */
  commandPage(
    filter: Record<string, string>,
    cursor: string | null,
    limit: number,
  ): Promise<Read<Page<Command>>> {
    return this.#read("commands", pageQuery(filter, cursor, limit));
  }

  /** A command with its story. */
  command(id: string): Promise<Read<CommandDetails>> {
    return this.#read(`commands/${encodeURIComponent(id)}`);
  }

  /** Cancels a command. */
  cancelCommand(id: CommandId): Promise<Read<Command>> {
    return this.#post(`commands/${encodeURIComponent(id)}/cancel`);
  }

  /** The types of devices that are described, with the commands they take. */
  async deviceTypes(): Promise<Read<DeviceType[]>> {
    const read = await this.#read<Page<DeviceType>>("device-types");
    return read.kind === "ok" ? { kind: "ok", value: read.value.items } : read;
  }

  /** Who is signed in. */
  session(): Promise<Read<Session>> {
    return this.#read("session");
  }

  /** Signs in: from then on a cookie says who asks. */
  signIn(token: string): Promise<Read<Session>> {
    return this.#post("session", { token });
  }

  /** Ends that. */
  signOut(): Promise<Read<null>> {
    return this.#ask("session", async () => null, {}, { method: "DELETE" });
  }

  /** Says what would become of a command. */
  dryRun(device: DeviceId, request: CommandRequest): Promise<Read<DryRun>> {
    return this.#post(`devices/${encodeURIComponent(device)}/commands`, { ...request, dry_run: true });
  }

  /** Sends a command to many devices. */
  createBatch(request: BatchRequest): Promise<Read<Batch>> {
    return this.#post("command-batches", request);
  }

  /** A batch. */
  batch(id: string): Promise<Read<Batch>> {
    return this.#read(`command-batches/${encodeURIComponent(id)}`);
  }

  /** Pauses, resumes or cancels a batch. */
  steerBatch(id: string, act: "pause" | "resume" | "cancel"): Promise<Read<Batch>> {
    return this.#post(`command-batches/${encodeURIComponent(id)}/${act}`);
  }

  /** All alerts in a state. */
  alertsIn(state: AlertState): Promise<Read<Alert[]>> {
    return this.#readAll("alerts", { state }, alertPagesMax);
  }

  /** A page of alerts, the newest first. */
  alertPage(
    filter: Record<string, string>,
    cursor: string | null,
    limit: number,
  ): Promise<Read<Page<Alert>>> {
    return this.#read("alerts", pageQuery(filter, cursor, limit));
  }

  /** Says that somebody has seen an alert. */
  acknowledge(id: string): Promise<Read<Alert>> {
    return this.#post(`alerts/${encodeURIComponent(id)}/ack`);
  }

  /** Says that an alert is over. */
  clearAlert(id: string): Promise<Read<Alert>> {
    return this.#post(`alerts/${encodeURIComponent(id)}/clear`);
  }

  /** What a device should be. */
  desired(device: DeviceId): Promise<Read<Marked>> {
    return this.#ask(`devices/${encodeURIComponent(device)}/desired`, marked);
  }

  /** Says what a device should be, unless that has changed since `tag` was read. */
  setDesired(device: DeviceId, desired: unknown, tag: string | null): Promise<Read<Marked>> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (tag !== null) headers["if-match"] = tag;
    const request = { method: "PUT", headers, body: JSON.stringify(desired) };
    return this.#ask(`devices/${encodeURIComponent(device)}/desired`, marked, {}, request);
  }

  /** What a device measured in a time: at most `points` values of each metric. */
  telemetry(device: DeviceId, from: number, to: number, points: number): Promise<Read<History>> {
    const query = { from: String(Math.round(from)), to: String(Math.round(to)), points: String(points) };
    return this.#read(`devices/${encodeURIComponent(device)}/telemetry`, query);
  }

  /** The same in full, as lines of text; `next` is where it goes on. */
  csv(address: URL): Promise<Read<{ text: string; next: URL | null }>> {
    const take = async (response: Response) => {
      const link = /<([^>]+)>;\s*rel="?next"?/.exec(response.headers.get("link") ?? "")?.[1];
      return { text: await response.text(), next: link === undefined ? null : new URL(link, address) };
    };
    return this.#ask(address.href, take, {}, {}, pageTimeoutMs);
  }

  /** Where a device's telemetry is as lines of text. */
  csvAddress(device: DeviceId, from: number, to: number): URL {
    const url = new URL(`devices/${encodeURIComponent(device)}/telemetry`, this.#base);
    url.search = new URLSearchParams({
      from: String(Math.round(from)),
      to: String(Math.round(to)),
      format: "csv",
    }).toString();
    return url;
  }

  /** What the gateway counts and measures, in the text form of Prometheus. */
  metrics(): Promise<Read<string>> {
    return this.#ask("../../metrics", (response) => response.text());
  }

  /** Whether the gateway's description of itself names a path, such as `/mqtt`. */
  async describes(path: string): Promise<boolean> {
    const read = await this.#read<{ paths?: Record<string, unknown> }>("../../openapi.json");
    return read.kind === "ok" && Object.hasOwn(read.value.paths ?? {}, path);
  }

  async #readAll<T>(
    path: string,
    filter: Record<string, string>,
    most: number,
    came: (items: readonly T[]) => void = () => {},
  ): Promise<Read<T[]>> {
    const items: T[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < most; page += 1) {
      const query = pageQuery(filter, cursor, pageSize);
      const read: Read<Page<T>> = await this.#json(path, query, {}, pageTimeoutMs);
      if (read.kind === "failed") return read;
      items.push(...read.value.items);
      came(read.value.items);
      cursor = read.value.next;
      if (cursor === null) break;
    }
    return { kind: "ok", value: items };
  }

  #read<T>(path: string, query: Record<string, string> = {}): Promise<Read<T>> {
    return this.#json(path, query);
  }

  #post<T>(path: string, body: unknown = {}): Promise<Read<T>> {
    const headers = { "content-type": "application/json" };
    return this.#json(path, {}, { method: "POST", headers, body: JSON.stringify(body) });
  }

  #json<T>(
    path: string,
    query: Record<string, string>,
    request?: RequestInit,
    timeoutMs?: number,
  ): Promise<Read<T>> {
    return this.#ask(path, async (response) => (await response.json()) as T, query, request, timeoutMs);
  }

  /** Asks, and takes what it needs of the answer: that may break off in the middle, too. */
  async #ask<T>(
    path: string,
    take: (response: Response) => Promise<T>,
    query: Record<string, string> = {},
    request: RequestInit = {},
    timeoutMs = readTimeoutMs,
  ): Promise<Read<T>> {
    const url = new URL(path, this.#base);
    if (Object.keys(query).length > 0) url.search = new URLSearchParams(query).toString();
    try {
      const response = await this.#fetch(url, { ...request, signal: AbortSignal.timeout(timeoutMs) });
      return response.ok ? { kind: "ok", value: await take(response) } : await failure(response);
    } catch (error) {
      return { kind: "failed", status: null, code: "unreachable", message: unreachable(error, timeoutMs) };
    }
  }
}

async function marked(response: Response): Promise<Marked> {
  return { state: (await response.json()) as DeviceState, tag: response.headers.get("etag") };
}

function pageQuery(
  filter: Record<string, string>,
  cursor: string | null,
  limit: number,
): Record<string, string> {
  const query: Record<string, string> = { limit: String(limit) };
  for (const [name, value] of Object.entries(filter)) if (value !== "") query[name] = value;
  if (cursor !== null) query.cursor = cursor;
  return query;
}

/** Why nothing was answered, in other words than the browser's. */
function unreachable(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `the gateway did not answer within ${timeoutMs / 1_000} s`;
  return error.name === "TypeError" ? "the gateway cannot be reached" : error.message;
}

async function failure(response: Response): Promise<Read<never>> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  const message = problem.detail ?? problem.title ?? `${response.status} ${response.statusText}`;
  return { kind: "failed", status: response.status, code: problem.code ?? "", message };
}
