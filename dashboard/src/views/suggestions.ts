// Commands to begin from: those that the common types of devices know, and what was sent before.
import type { Command } from "../generated/protocol";

/** A command and its parameters as a start. */
export interface Suggestion {
  readonly name: string;
  readonly params: Record<string, unknown>;
}

const reboot: Suggestion = { name: "reboot", params: {} };
/** Commands that were sent before are offered as long as they are few. */
const sentMax = 6;

const byType: ReadonlyMap<string, readonly Suggestion[]> = new Map([
  ["thermostat", [{ name: "set_target", params: { temperature: 21 } }, reboot]],
  [
    "pump",
    [{ name: "set_valve", params: { percent: 50 } }, { name: "set_speed", params: { rpm: 1200 } }, reboot],
  ],
  [
    "tracker",
    [{ name: "locate", params: {} }, { name: "go_to", params: { lat: 52.52, lon: 13.405 } }, reboot],
  ],
]);

/** What a device of this type is likely to know, else what was sent to it. Others may know more: any name can be typed. */
export function suggestionsFor(type: string | null, sent: readonly Command[]): readonly Suggestion[] {
  return byType.get(type ?? "") ?? sentBefore(sent);
}

/** Each command once, as it was sent last; `commands` are the newest first. */
function sentBefore(commands: readonly Command[]): readonly Suggestion[] {
  const byName = new Map<string, Suggestion>();
  for (const { name, params } of commands) {
    if (!byName.has(name)) byName.set(name, { name, params: { ...params } });
  }
  return [...byName.values()].slice(0, sentMax);
}
