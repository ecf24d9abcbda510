// Which devices the table shows, and in what order.
import { expect, it } from "vitest";
import { aDevice } from "../../dev/samples.mjs";
import { Digits } from "../../src/worker/digits";
import { DeviceState } from "../../src/worker/record";
import { type Filter, noFilter, type Sort, select, sortAfterClick } from "../../src/worker/select";

// By id, as the fleet gives them.
const fleet = [
  device("hall", { type: "thermostat", tags: { site: "south" }, values: { mode: "eco" }, last_seen_at: 20 }),
  device("pump-2", { type: "pump", status: "offline", values: { rpm: 1_200 }, last_seen_at: 10 }),
  device("pump-10", { type: "pump", tags: { site: "north" }, values: { rpm: 900 }, last_seen_at: 30 }),
  device("x1", {}),
];
Object.assign(fleet[0] ?? {}, { alert: "info" });
Object.assign(fleet[1] ?? {}, { alert: "critical" });

it.each<[what: string, filter: Partial<Filter>, expected: string[]]>([
  ["everything", {}, ["hall", "pump-2", "pump-10", "x1"]],
  ["an id's part", { text: "PUMP-1" }, ["pump-10"]],
  ["a type's part", { text: "thermo" }, ["hall"]],
  ["a tag", { text: "site:north" }, ["pump-10"]],
  ["a status as a word", { text: "offline" }, ["pump-2"]],
  ["all words together", { text: "pump online" }, ["pump-10"]],
  ["a status", { status: "offline" }, ["pump-2"]],
  ["a type", { type: "pump" }, ["pump-2", "pump-10"]],
  ["a tag's name", { tag: "site" }, ["hall", "pump-10"]],
  ["a tag's value", { tag: "site:south" }, ["hall"]],
  ["any alert", { alert: "info" }, ["hall", "pump-2"]],
  ["an alert so grave", { alert: "warning" }, ["pump-2"]],
  ["nothing", { text: "submarine" }, []],
])("finds %s", (_, filter, expected) => {
  expect(ids({ ...noFilter, ...filter }, { key: "id", descending: false })).toEqual(expected);
});

it.each<[sort: Sort, expected: string[]]>([
  [{ key: "id", descending: true }, ["x1", "pump-10", "pump-2", "hall"]],
  [{ key: "type", descending: false }, ["pump-2", "pump-10", "hall", "x1"]],
  [{ key: "status", descending: false }, ["hall", "pump-10", "x1", "pump-2"]],
  [{ key: "alert", descending: true }, ["pump-2", "hall", "pump-10", "x1"]],
  [{ key: "metric:rpm", descending: true }, ["pump-2", "pump-10", "hall", "x1"]],
  [{ key: "metric:rpm", descending: false }, ["pump-10", "pump-2", "hall", "x1"]],
])("sorts by %o, those without a value last", (sort, expected) => {
  expect(ids(noFilter, sort)).toEqual(expected);
});

it("turns the order round at the second click", () => {
  const first = sortAfterClick({ key: "id", descending: false }, "seen");
  expect(first).toEqual({ key: "seen", descending: true });
  expect(sortAfterClick(first, "seen")).toEqual({ key: "seen", descending: false });
});

function ids(filter: Filter, sort: Sort): string[] {
  return select(fleet, filter, sort).map(({ id }) => id);
}

function device(id: string, more: Parameters<typeof aDevice>[1]): DeviceState {
  const record = new DeviceState(id, new Digits());
  record.fill(aDevice(id, more), 1);
  return record;
}
