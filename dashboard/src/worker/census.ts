// How many devices are meant, and what is to be known of them before they are told something together: pure.
import type { DeviceState } from "./record";

/** Devices that are meant. */
export interface Census {
  readonly total: number;
  /** How many of them are not in the list: gone, or never there. */
  readonly unknown: number;
  readonly offline: number;
  /** Their types, the most frequent first; empty for none. */
  readonly types: readonly (readonly [type: string, devices: number])[];
}

/** Counts them; one that is not known is undefined. */
export function censusOf(devices: readonly (DeviceState | undefined)[]): Census {
  const known = devices.filter((device) => device !== undefined);
  const types = new Map<string, number>();
  for (const { type } of known) types.set(type ?? "", (types.get(type ?? "") ?? 0) + 1);
  return {
    total: devices.length,
    unknown: devices.length - known.length,
    offline: known.filter(({ presence }) => presence.status === "offline").length,
    types: [...types].sort(([, a], [, b]) => b - a),
  };
}
