// The devices that the page shows: which of them it is told anew, and in how many pieces.
import type { DeviceId } from "../generated/protocol";
import type { Fleet } from "./fleet";
import type { DevicePatch } from "./messages";
import type { DeviceState } from "./record";

/** No more than this are told anew with one frame; the others with the next ones. */
const devicesPerFrame = 5;

/** What a frame tells of devices. */
export interface ShownPatch {
  readonly devices: readonly DevicePatch[];
  /** Those that the page may forget. */
  readonly gone: readonly DeviceId[];
  /** Whether others wait for the next frame. */
  readonly isMore: boolean;
}

/** Remembers what the page knows of the devices that it shows. */
export class Shown {
  readonly #fleet: Fleet;
  /** The revision in which each device that the page holds was last told. */
  readonly #told = new Map<DeviceId, number>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** What has changed of the devices with these ids. */
  take(ids: ReadonlySet<DeviceId>): ShownPatch {
    const gone = [...this.#told.keys()].filter((id) => !ids.has(id) || this.#fleet.get(id) === undefined);
    for (const id of gone) this.#told.delete(id);
    const due = this.#due(ids);
    // Whose row is empty is not made to wait, and who has waited longest comes first.
    const now = due.filter(({ told }, index) => told === 0 || index < devicesPerFrame);
    for (const { device } of now) this.#told.set(device.id, this.#fleet.revision);
    const devices = now.map(({ device, told }) => device.patch(told));
    return { devices, gone, isMore: now.length < due.length };
  }

  /** Those that have changed since they were told, longest ago first. */
  #due(ids: Iterable<DeviceId>): { device: DeviceState; told: number }[] {
    const due: { device: DeviceState; told: number }[] = [];
    for (const id of ids) {
      const device = this.#fleet.get(id);
      const told = this.#told.get(id) ?? 0;
      if (device !== undefined && device.revision > told) due.push({ device, told });
    }
    return due.sort((one, other) => one.told - other.told);
  }
}
