// Reads who belongs to the fleet: types and tags come from the list, not from what devices send.
import type { Api } from "../api";
import type { Device, DeviceId } from "../generated/protocol";
import type { Fleet } from "./fleet";
import type { RosterState } from "./messages";

/** Newcomers are gathered this long, so that a fleet that wakes up is read once. */
const gatherMs = 1_000;
/** Up to this many newcomers are asked for one by one; for more the whole list is read. */
const singlyMax = 8;
/** The gateway says once a second how many devices it knows. So often another number is not one that is on its way here. */
const otherCountsMax = 5;
/** Types and tags can be changed without a word: after so many counts the list is read again. */
const countsMax = 300;

/** Keeps the devices' types and tags. */
export class Roster {
  readonly #api: Api;
  readonly #fleet: Fleet;
  readonly #newcomers = new Set<DeviceId>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How many devices the gateway knew when the list was read last; how often it has said so since, and another number. */
  #countRead: number | null = null;
  #counts = 0;
  #otherCounts = 0;
  #loading = false;
  #again = false;
  readonly #changed: (state: RosterState) => void;
  /** Whether the list has been read at least once, and why it could not be read the last time. */
  state: RosterState = { isKnown: false, read: 0, problem: null };

  constructor(api: Api, fleet: Fleet, changed: (state: RosterState) => void) {
    this.#api = api;
    this.#fleet = fleet;
    this.#changed = changed;
  }

  /** Reads the whole list; once more at the end where it was asked for meanwhile. */
  async load(): Promise<void> {
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    const mark = this.#fleet.startLoad();
    const read = await this.#api.devices((devices) => this.#fill(devices));
    this.#loading = false;
    this.#countRead = null;
    this.#counts = 0;
    this.#otherCounts = 0;
    if (read.kind === "ok") this.#fleet.keepOnly(mark, read.value);
    const isKnown = this.state.isKnown || read.kind === "ok";
    this.#tell({ isKnown, read: 0, problem: read.kind === "ok" ? null : read.message });
    if (this.#again) await this.load();
  }

  /** A device was heard that the list had not told of. */
  meet(id: DeviceId): void {
    this.#newcomers.add(id);
    this.#gather();
  }

  /**
   * The gateway says how many devices it knows. Where that changes and is not what is known here, devices came or went
   * unheard: who has never connected, and who was away when it was deleted.
   */
  counted(known: number): void {
    this.#countRead ??= known;
    const isOther = known !== this.#countRead && known !== this.#fleet.size;
    this.#otherCounts = isOther ? this.#otherCounts + 1 : 0;
    this.#counts += 1;
    if (this.#loading) return;
    if (this.#otherCounts >= otherCountsMax || this.#counts >= countsMax) void this.load();
  }

  /** What is read is shown: types and tags of a large fleet do not wait for its last page. */
  #fill(devices: readonly Device[]): void {
    for (const device of devices) this.#fleet.fill(device);
    if (!this.state.isKnown) this.#tell({ ...this.state, read: this.state.read + devices.length });
  }

  #tell(state: RosterState): void {
    this.state = state;
    this.#changed(state);
  }

  #gather(): void {
    this.#timer ??= setTimeout(() => void this.#readNewcomers(), gatherMs);
  }

  async #readNewcomers(): Promise<void> {
    this.#timer = undefined;
    // The list that is being read may tell of them.
    if (this.#loading) return this.#gather();
    const ids = [...this.#newcomers].filter((id) => !this.#fleet.isListed(id));
    this.#newcomers.clear();
    if (ids.length > singlyMax) return this.load();
    for (const id of ids) {
      const read = await this.#api.device(id);
      if (read.kind === "ok") this.#fleet.fill(read.value);
    }
  }
}
