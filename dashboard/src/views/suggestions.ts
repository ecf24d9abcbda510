// Commands that the common types of devices know, to begin from.

/** A command and its parameters as a start. */
export interface Suggestion {
  readonly name: string;
  readonly params: Record<string, unknown>;
}

const everybody: readonly Suggestion[] = [{ name: "reboot", params: {} }];

const byType: ReadonlyMap<string, readonly Suggestion[]> = new Map([
  ["thermostat", [{ name: "set_target", params: { temperature: 21 } }]],
  [
    "pump",
    [
      { name: "set_valve", params: { percent: 50 } },
      { name: "set_speed", params: { rpm: 1200 } },
    ],
  ],
  [
    "tracker",
    [
      { name: "locate", params: {} },
      { name: "go_to", params: { lat: 52.52, lon: 13.405 } },
    ],
  ],
]);

/** What a device of this type is likely to know. Others may know more: any name can be typed. */
export function suggestionsFor(type: string | null): readonly Suggestion[] {
  return [...(byType.get(type ?? "") ?? []), ...everybody];
}
