// Whom a target reaches, as far as this page knows: counted anew each second, for devices come and go.
import { type Accessor, createEffect, createMemo, createSignal, on } from "solid-js";
import type { DeviceId } from "../generated/protocol";
import type { Census } from "../worker/census";
import { type Filter, noFilter } from "../worker/select";
import type { App } from "./app";
import type { Target } from "./target";

/** Follows a target; null where nobody is named or nothing is known yet. */
export function createReach(app: App, target: Accessor<Target>): Accessor<Census | null> {
  const named = createMemo(() => namedBy(target(), app.fleet.selected()), null, { equals: isSame });
  const [counted, setCounted] = createSignal<{ of: unknown; census: Census } | null>(null);
  createEffect(
    on([named, app.now], ([of]) => {
      if (of === null) return;
      void app.client.census(of).then((census) => {
        if (named() === of) setCounted({ of, census });
      });
    }),
  );
  const census = () => (counted()?.of === named() ? (counted()?.census ?? null) : null);
  return createMemo(census, null, { equals: isSame });
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function namedBy(
  { kind, device, type, tag }: Target,
  selected: ReadonlySet<DeviceId>,
): Filter | readonly DeviceId[] | null {
  if (kind === "selected") return selected.size === 0 ? null : [...selected];
  if (kind === "device") return device === "" ? null : [device];
  if (kind === "type") return type === "" ? null : { ...noFilter, type };
  return tag === "" ? null : { ...noFilter, tag };
}
