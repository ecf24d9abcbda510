// Whom the console commands: one device, those that were selected, or all of a type or with a tag.
import type { BatchRequest, CommandRequest, DeviceId } from "../generated/protocol";
import { firstSort, noFilter } from "../worker/select";
import type { App } from "./app";

/** The ways to say whom. */
export type TargetKind = "device" | "selected" | "type" | "tag";

/** Whom, and how fast. */
export interface Target {
  readonly kind: TargetKind;
  readonly device: string;
  readonly type: string;
  readonly tag: string;
  readonly concurrency: number | null;
  readonly rate: number | null;
  readonly abortAfter: number | null;
  readonly abortUnit: "failures" | "percent";
}

/** One device, none named yet. */
export const firstTarget: Target = {
  ...{ kind: "device", device: "", type: "", tag: "" },
  ...{ concurrency: null, rate: null, abortAfter: null, abortUnit: "failures" },
};

/** The devices that are meant, as far as this page knows them. */
export async function devicesOf(app: App, target: Target): Promise<readonly DeviceId[]> {
  switch (target.kind) {
    case "device":
      return target.device === "" ? [] : [target.device];
    case "selected":
      return [...app.fleet.selected()];
    case "type":
      return target.type === "" ? [] : app.client.select({ ...noFilter, type: target.type }, firstSort);
    case "tag":
      return target.tag === "" ? [] : app.client.select({ ...noFilter, tag: target.tag }, firstSort);
  }
}

/** The batch that is asked for; null where nobody is named. */
export function batchOf(
  target: Target,
  selected: ReadonlySet<DeviceId>,
  command: CommandRequest,
): BatchRequest | null {
  const whom = whomOf(target, selected);
  if (whom === null) return null;
  const { concurrency, rate, abortAfter, abortUnit } = target;
  return {
    ...whom,
    command,
    ...(concurrency === null ? {} : { concurrency }),
    ...(rate === null ? {} : { rate }),
    ...(abortAfter === null
      ? {}
      : { abort_after: abortUnit === "percent" ? { percent: abortAfter } : { failures: abortAfter } }),
  };
}

/** Whether nobody is named. */
export function isNobody(target: Target, selected: ReadonlySet<DeviceId>): boolean {
  return target.kind === "device" ? target.device === "" : whomOf(target, selected) === null;
}

function whomOf(
  { kind, type, tag }: Target,
  selected: ReadonlySet<DeviceId>,
): Pick<BatchRequest, "devices" | "type" | "tag"> | null {
  if (kind === "selected") return selected.size === 0 ? null : { devices: [...selected] };
  if (kind === "type") return type === "" ? null : { type };
  return kind === "tag" && tag !== "" ? { tag } : null;
}
