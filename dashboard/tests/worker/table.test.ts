// The order of the table, and that it does not move while somebody is about to click.
import { beforeEach, expect, it, vi } from "vitest";
import { aDevice } from "../../dev/samples.mjs";
import { Fleet } from "../../src/worker/fleet";
import type { FleetView } from "../../src/worker/messages";
import { noFilter } from "../../src/worker/select";
import { Table } from "../../src/worker/table";
import { update } from "../client/fake-gateway";

const byValue: FleetView = {
  ...{ filter: noFilter, from: 0, to: 10 },
  sort: { key: "metric:t", descending: true },
};
let fleet: Fleet;
let table: Table;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000 });
  fleet = new Fleet({ changed: () => {}, serverNow: () => Date.now(), unknown: () => {} });
  table = new Table(fleet, () => {});
  for (const id of ["a", "b"]) fleet.fill(aDevice(id));
  measure("a", 1);
  measure("b", 2);
  table.look(byValue);
});

it("is put in order again in steps", () => {
  expect(table.take()?.ids).toEqual(["b", "a"]);
  measure("a", 3);
  expect(table.take()).toBeNull();
  vi.advanceTimersByTime(2_000);
  expect(table.take()?.ids).toEqual(["a", "b"]);
});

it("stays while it is held, says that it would change, and changes afterwards", () => {
  table.take();
  table.hold(true);
  measure("a", 3);
  vi.advanceTimersByTime(2_000);
  expect(table.take()).toMatchObject({ ids: ["b", "a"], isHeld: true });
  vi.advanceTimersByTime(2_000);
  expect(table.take()).toBeNull();
  table.hold(false);
  expect(table.take()).toMatchObject({ ids: ["a", "b"], isHeld: false });
});

it("follows another filter although it is held", () => {
  table.take();
  table.hold(true);
  table.look({ ...byValue, filter: { ...noFilter, text: "b" } });
  expect(table.take()?.ids).toEqual(["b"]);
});

function measure(id: string, t: number): void {
  fleet.measure(update(`telemetry/${id}`, t, { data: { t } }));
}
