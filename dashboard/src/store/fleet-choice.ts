// What a person has chosen to see of the fleet: it stands in the address.
import { type Accessor, createMemo, createSignal } from "solid-js";
import type { DeviceId } from "../generated/protocol";
import type { Place, Query } from "../router";
import { type Filter, firstSort, isSameFilter, noFilter, type Sort, type SortKey } from "../worker/select";

/** The choice; kept while another page is open. */
export interface FleetChoice {
  readonly filter: Accessor<Filter>;
  readonly setFilter: (change: Partial<Filter>) => void;
  readonly sort: Accessor<Sort>;
  readonly setSort: (sort: Sort) => void;
  /** Metrics with a column of their own; none: each device shows its first ones. */
  readonly columns: Accessor<readonly string[]>;
  readonly setColumns: (columns: readonly string[]) => void;
  readonly layout: Accessor<"table" | "grid">;
  readonly setLayout: (layout: "table" | "grid") => void;
  /** All of it, for a link to the fleet. */
  readonly query: Accessor<Query>;
  /** Devices that are to be told something together. */
  readonly selected: Accessor<ReadonlySet<DeviceId>>;
  /** All that passed the filter, or none. */
  readonly selectAll: (ids: Iterable<DeviceId>) => void;
  /** Whether those that pass the filter, of which there are `shown`, were selected together. */
  readonly hasAll: (shown: number) => boolean;
  readonly select: (id: DeviceId, on: boolean) => void;
  /** Where the table was scrolled to, in pixels. */
  scrollTop: number;
}

/** Reads a filter out of an address. */
export function readFilter(query: Query): Filter {
  return {
    text: query.q ?? "",
    status: oneOf(query.status, ["online", "offline"] as const) ?? "any",
    type: query.type ?? "",
    tag: query.tag ?? "",
    alert: oneOf(query.alert, ["info", "warning", "critical"] as const) ?? "any",
  };
}

/** Reads an order: a key, with `-` before it for the other way. */
export function readSort(text: string | undefined): Sort {
  const descending = text?.startsWith("-") === true;
  const key = descending ? text?.slice(1) : text;
  return key !== undefined && isSortKey(key) ? { key, descending } : firstSort;
}

/** What stands in the address for a filter. */
export function writeFilter({ text, status, type, tag, alert }: Filter): Query {
  return {
    ...{ q: text, type, tag },
    status: status === "any" ? "" : status,
    alert: alert === "any" ? "" : alert,
  };
}

/** What stands in the address for an order. */
export function writeSort(sort: Sort): string {
  if (sort.key === firstSort.key && sort.descending === firstSort.descending) return "";
  return `${sort.descending ? "-" : ""}${sort.key}`;
}

/** The choice, read from the address while it is that of the fleet. */
export function createFleetChoice(place: Place): FleetChoice {
  const query = createMemo<Query>((before) => (place.route().kind === "fleet" ? place.query() : before), {});
  const [selected, setSelected] = createSignal<ReadonlySet<DeviceId>>(new Set());
  /** The filter whose devices were selected together; null where one was ticked since. */
  const [selectedBy, setSelectedBy] = createSignal<Filter | null>(null);
  const filter = createMemo(() => readFilter(query()), noFilter, { equals: isSame });
  return {
    filter,
    setFilter: (change) => place.setQuery(writeFilter({ ...filter(), ...change })),
    sort: createMemo(() => readSort(query().sort), firstSort, { equals: isSame }),
    setSort: (sort) => place.setQuery({ sort: writeSort(sort) }),
    columns: createMemo(() => readColumns(query().columns), [], { equals: isSame }),
    setColumns: (columns) => place.setQuery({ columns: columns.map(encodeURIComponent).join(",") }),
    layout: createMemo(() => (query().view === "grid" ? "grid" : "table")),
    setLayout: (layout) => place.setQuery({ view: layout === "grid" ? "grid" : "" }),
    query,
    selected,
    selectAll: (ids) => {
      setSelected(new Set(ids));
      setSelectedBy(filter());
    },
    hasAll: (shown) => {
      const by = selectedBy();
      return by !== null && isSameFilter(by, filter()) && selected().size > 0 && selected().size >= shown;
    },
    select: (id, on) => {
      const after = new Set(selected());
      if (on) after.add(id);
      else after.delete(id);
      setSelected(after);
      setSelectedBy(null);
    },
    scrollTop: 0,
  };
}

function readColumns(text: string | undefined): readonly string[] {
  if (text === undefined || text === "") return [];
  return [...new Set(text.split(",").map(decodeSafely))];
}

function decodeSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isSortKey(key: string): key is SortKey {
  return ["id", "type", "status", "seen", "alert"].includes(key) || key.startsWith("metric:");
}

function oneOf<T extends string>(text: string | undefined, known: readonly T[]): T | undefined {
  return known.find((value) => value === text);
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
