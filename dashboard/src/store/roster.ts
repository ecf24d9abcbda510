// Reads who belongs to the fleet: types and tags come from the list, not from what devices send.
import { type Accessor, createSignal } from "solid-js";
import type { Api } from "../api";
import type { DeviceId } from "../generated/protocol";
import type { Devices } from "./devices";

/** Newcomers are gathered this long, so that a fleet that wakes up is read once. */
const gatherMs = 1_000;
/** Up to this many newcomers are asked for one by one; for more the whole list is read. */
const singlyMax = 8;

/** Keeps the devices' types and tags. */
export class Roster {
  readonly #api: Api;
  readonly #devices: Devices;
  readonly #newcomers = new Set<DeviceId>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #loading = false;
  #again = false;
  /** Why the list could not be read, if it could not. */
  readonly problem: Accessor<string | null>;
  /** Whether the list has been read at least once. */
  readonly isKnown: Accessor<boolean>;
  readonly #setProblem: (problem: string | null) => void;
  readonly #setKnown: (known: boolean) => void;

  constructor(api: Api, devices: Devices) {
    this.#api = api;
    this.#devices = devices;
    [this.problem, this.#setProblem] = createSignal<string | null>(null);
    [this.isKnown, this.#setKnown] = createSignal(false);
  }

  /** Reads the whole list; once more at the end where it was asked for meanwhile. */
  async load(): Promise<void> {
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    const mark = this.#devices.startLoad();
    const read = await this.#api.devices();
    this.#loading = false;
    if (read.kind === "ok") this.#devices.replaceAll(mark, read.value);
    this.#setProblem(read.kind === "ok" ? null : read.message);
    if (read.kind === "ok") this.#setKnown(true);
    if (this.#again) await this.load();
  }

  /** A device was heard that the list had not told of. */
  meet(id: DeviceId): void {
    this.#newcomers.add(id);
    this.#timer ??= setTimeout(() => void this.#readNewcomers(), gatherMs);
  }

  async #readNewcomers(): Promise<void> {
    this.#timer = undefined;
    const ids = [...this.#newcomers].filter((id) => !this.#devices.isListed(id));
    this.#newcomers.clear();
    if (ids.length > singlyMax) return this.load();
    for (const id of ids) {
      const read = await this.#api.device(id);
      if (read.kind === "ok") this.#devices.fill(read.value);
    }
  }
}
