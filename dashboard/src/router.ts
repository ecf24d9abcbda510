// Where the page is: the part of the address after `#`, so that the server needs to know one page only. What a view
// shows stands in the address too, as a query, so that every view and filter can be kept and sent as a link.
import { type Accessor, createMemo, createSignal } from "solid-js";
import type { DeviceId } from "./generated/protocol";

/** The pages that stand in the navigation. */
export type PageName = "fleet" | "commands" | "alerts" | "topics" | "gateway";

/** A page. */
export type Route =
  | { kind: PageName }
  | { kind: "device"; id: DeviceId }
  | { kind: "command"; id: string }
  | { kind: "batch"; id: string }
  | { kind: "unknown"; path: string };

/** What a view shows. */
export type Query = Readonly<Record<string, string>>;

/** The address, followed. */
export interface Place {
  readonly route: Accessor<Route>;
  readonly query: Accessor<Query>;
  /** Changes what the view shows without a new entry in the history; an empty value takes a name out. */
  readonly setQuery: (change: Query) => void;
  readonly go: (href: string) => void;
}

/** The address of a page. */
export function pageHref(name: PageName, query: Query = {}): string {
  return `#/${name === "fleet" ? "" : name}${queryText(query)}`;
}

/** The address of a device's page. */
export function deviceHref(id: DeviceId, query: Query = {}): string {
  return `#/device/${encodeURIComponent(id)}${queryText(query)}`;
}

/** The address of a command's page. */
export function commandHref(id: string): string {
  return `#/command/${encodeURIComponent(id)}`;
}

/** The address of a batch's page. */
export function batchHref(id: string): string {
  return `#/batch/${encodeURIComponent(id)}`;
}

/** Reads the part of an address from `#` on. */
export function parseRoute(hash: string): Route {
  const path = pathOf(hash);
  if (path === "") return { kind: "fleet" };
  if (isPageName(path)) return { kind: path };
  const [, kind, text] = /^(device|command|batch)\/([^/]+)$/.exec(path) ?? [];
  const id = decode(text);
  if (id === null) return { kind: "unknown", path };
  return { kind: kind as "device" | "command" | "batch", id };
}

/** Reads what stands behind the `?` of that part. */
export function parseQuery(hash: string): Query {
  const at = hash.indexOf("?");
  return at < 0 ? {} : Object.fromEntries(new URLSearchParams(hash.slice(at + 1)));
}

/** Follows the address for as long as the page is there. */
export function createPlace(): Place {
  const [hash, setHash] = createSignal(location.hash);
  addEventListener("hashchange", () => setHash(location.hash));
  const path = createMemo(() => pathOf(hash()));
  const query = createMemo(() => parseQuery(hash()), {}, { equals: isSameQuery });
  return {
    route: createMemo(() => parseRoute(`#/${path()}`)),
    query,
    setQuery: (change) => {
      const next = `#/${pathOf(location.hash)}${queryText({ ...parseQuery(location.hash), ...change })}`;
      history.replaceState(history.state, "", next);
      setHash(next);
    },
    go: (href) => {
      location.hash = href;
    },
  };
}

function pathOf(hash: string): string {
  return hash.replace(/^#\/?/, "").replace(/\?.*$/, "");
}

function queryText(query: Query): string {
  const entries = Object.entries(query).filter(([, value]) => value !== "");
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries)}`;
}

function isPageName(path: string): path is Exclude<PageName, "fleet"> {
  return path === "commands" || path === "alerts" || path === "topics" || path === "gateway";
}

function isSameQuery(one: Query, other: Query): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

function decode(text: string | undefined): string | null {
  try {
    return text === undefined ? null : decodeURIComponent(text);
  } catch {
    return null;
  }
}
