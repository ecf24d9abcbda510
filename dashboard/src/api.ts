// The gateway's HTTP API, as far as the page reads it.
import type { Command, CommandDetails, Device, DeviceId, Page, Problem } from "./generated/protocol";

/** How a read ended. */
export type Read<T> = { kind: "ok"; value: T } | { kind: "failed"; status: number | null; message: string };

const readTimeoutMs = 10_000;
/** Devices on a page of the list, and how many pages are read at most: more than the page can hold. */
const pageSize = 200;
const pagesMax = 150;
/** Commands shown when a device's page opens. */
const commandsShown = 50;

/** Reads from the API under `base`. */
export class Api {
  readonly #base: URL;
  readonly #fetch: typeof fetch;

  constructor(base: URL, fetcher: typeof fetch) {
    this.#base = base;
    this.#fetch = fetcher;
  }

  /** All devices, page by page. */
  async devices(): Promise<Read<Device[]>> {
    const devices: Device[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < pagesMax; page += 1) {
      const query: Record<string, string> = { limit: String(pageSize) };
      if (cursor !== null) query.cursor = cursor;
      const read: Read<Page<Device>> = await this.#read("devices", query);
      if (read.kind === "failed") return read;
      devices.push(...read.value.items);
      cursor = read.value.next;
      if (cursor === null) break;
    }
    return { kind: "ok", value: devices };
  }

  /** One device. */
  device(id: DeviceId): Promise<Read<Device>> {
    return this.#read(`devices/${encodeURIComponent(id)}`);
  }

  /** The newest commands of a device. */
  async commands(device: DeviceId): Promise<Read<Command[]>> {
    const read: Read<Page<Command>> = await this.#read("commands", { device, limit: String(commandsShown) });
    return read.kind === "ok" ? { kind: "ok", value: read.value.items } : read;
  }

  /** A command with its story. */
  command(id: string): Promise<Read<CommandDetails>> {
    return this.#read(`commands/${encodeURIComponent(id)}`);
  }

  async #read<T>(path: string, query: Record<string, string> = {}): Promise<Read<T>> {
    const url = new URL(path, this.#base);
    url.search = new URLSearchParams(query).toString();
    try {
      const response = await this.#fetch(url, { signal: AbortSignal.timeout(readTimeoutMs) });
      if (!response.ok) return await failure(response);
      return { kind: "ok", value: (await response.json()) as T };
    } catch (error) {
      return {
        kind: "failed",
        status: null,
        message: error instanceof Error ? error.message : String(error),
      };
    }
  }
}

async function failure(response: Response): Promise<Read<never>> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  const message = problem.detail ?? problem.title ?? `${response.status} ${response.statusText}`;
  return { kind: "failed", status: response.status, message };
}
