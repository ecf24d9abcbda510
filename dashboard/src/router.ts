// Where the page is: the part of the address after `#`, so that the server needs to know one page only.
import { type Accessor, createSignal, onCleanup } from "solid-js";
import type { DeviceId } from "./generated/protocol";

/** A page. */
export type Route = { kind: "fleet" } | { kind: "device"; id: DeviceId } | { kind: "unknown"; path: string };

/** The address of the fleet. */
export const fleetHref = "#/";

/** The address of a device's page. */
export function deviceHref(id: DeviceId): string {
  return `#/device/${encodeURIComponent(id)}`;
}

/** Reads the part of an address from `#` on. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#\/?/, "");
  if (path === "") return { kind: "fleet" };
  const id = decode(/^device\/([^/]+)$/.exec(path)?.[1]);
  return id === null ? { kind: "unknown", path } : { kind: "device", id };
}

/** The page that is open, followed. */
export function createRoute(): Accessor<Route> {
  const [route, setRoute] = createSignal(parseRoute(location.hash));
  const follow = () => setRoute(parseRoute(location.hash));
  addEventListener("hashchange", follow);
  onCleanup(() => removeEventListener("hashchange", follow));
  return route;
}

function decode(text: string | undefined): string | null {
  try {
    return text === undefined ? null : decodeURIComponent(text);
  } catch {
    return null;
  }
}
