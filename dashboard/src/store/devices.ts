// The part of the fleet that the page shows, as its worker tells it.
import { createSignal } from "solid-js";
import type { DeviceId } from "../generated/protocol";
import type { FleetState, Patch } from "../worker/messages";
import { DeviceRecord } from "./device";

/** Rows of the table that are here. */
export interface ShownRows {
  /** How many devices pass the filter. */
  readonly shown: number;
  /** The place of the first. */
  readonly from: number;
  /** Whether another order waits until the pointer leaves. */
  readonly isHeld: boolean;
  readonly devices: readonly DeviceRecord[];
}

const noFleet: FleetState = { known: 0, beyond: 0, types: [], tags: [], metrics: [], digits: new Map() };
const noRows: ShownRows = { shown: 0, from: 0, isHeld: false, devices: [] };

/** The devices in view, and the fleet as a whole. */
export class Devices {
  readonly #records = new Map<DeviceId, DeviceRecord>();
  readonly #fleet = createSignal(noFleet);
  readonly #rows = createSignal(noRows);
  /** Follows which devices there are. */
  readonly #joined = createSignal(0);
  readonly #digits = { of: (metric: string) => this.fleet().digits.get(metric) ?? 0 };

  /** The fleet as a whole. */
  fleet(): FleetState {
    return this.#fleet[0]();
  }

  /** The rows of the table. */
  rows(): ShownRows {
    return this.#rows[0]();
  }

  /** A device that is in view or watched; readers hear when it comes and goes. */
  get(id: DeviceId): DeviceRecord | undefined {
    this.#joined[0]();
    return this.#records.get(id);
  }

  /** Takes what has changed. */
  patch({ fleet, gone, devices, rows }: Patch): void {
    if (fleet !== undefined) this.#fleet[1](fleet);
    for (const id of gone ?? []) this.#records.delete(id);
    for (const device of devices ?? []) this.#record(device.id).patch(device);
    if (rows !== undefined) {
      const records = rows.ids.map((id) => this.#record(id));
      this.#rows[1]({ ...rows, devices: records });
    }
    if (gone !== undefined || devices !== undefined) this.#joined[1]((count) => count + 1);
  }

  /** Nobody looks at the table: its rows are told anew when somebody does. */
  hideRows(): void {
    this.#rows[1]((rows) => ({ ...rows, devices: [] }));
  }

  #record(id: DeviceId): DeviceRecord {
    const record = this.#records.get(id) ?? new DeviceRecord(id, this.#digits);
    this.#records.set(id, record);
    return record;
  }
}
