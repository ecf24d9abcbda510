// Which commands the types of devices take, as the gateway describes them.

import { type Accessor, createEffect, createSignal } from "solid-js";
import type { DeviceType } from "../generated/protocol";
import { type App, useApp } from "./app";

const [types, setTypes] = createSignal<ReadonlyMap<string, DeviceType>>(new Map(), {
  // What is the same leaves a form as it is that somebody fills in while the connection comes back.
  equals: (one, other) => JSON.stringify([...one]) === JSON.stringify([...other]),
});
let readFor: object | null = null;

/** The types, by name; read once for each connection, when somebody first asks. */
export function useDeviceTypes(): Accessor<ReadonlyMap<string, DeviceType>> {
  const app = useApp();
  createEffect(() => {
    if (app.isLive()) void read(app);
  });
  return types;
}

async function read(app: App): Promise<void> {
  const state = app.state();
  if (readFor === state) return;
  readFor = state;
  const found = await app.api.deviceTypes();
  // A gateway that describes none has no forms; what is typed is sent as it is.
  if (found.kind === "ok") setTypes(new Map(found.value.map((known) => [known.type, known])));
  else if (found.status === null) readFor = null;
}
