// The alerts that are open: what was read and what came live, put together.
import { beforeEach, expect, it } from "vitest";
import { Api } from "../../src/api";
import type { Alert, Severity } from "../../src/generated/protocol";
import { AlertBook } from "../../src/worker/alerts";

let listed: Alert[];
let raised: Alert[];
let marks: Map<string, Severity | null>;
/** Called while the list is being read. */
let meanwhile: () => void;
let book: AlertBook;

beforeEach(() => {
  listed = [];
  raised = [];
  marks = new Map();
  meanwhile = () => {};
  const api = new Api(new URL("http://gateway/api/v1/"), (input) => {
    meanwhile();
    const state = new URL(String(input)).searchParams.get("state");
    const items = listed.filter((alert) => alert.state === state);
    return Promise.resolve(new Response(JSON.stringify({ items, next: null })));
  });
  book = new AlertBook({
    api,
    changed: () => {},
    raised: (alert) => raised.push(alert),
    marked: (device, worst) => marks.set(device, worst),
  });
});

it("counts what is active and what somebody knows of, the newest first", async () => {
  listed = [anAlert("1", { raised_at: 1 }), anAlert("2", { state: "acknowledged", raised_at: 2 })];
  await book.load();
  book.hear(anAlert("3", { severity: "critical", raised_at: 3 }), true);
  const state = book.take();
  expect(state).toMatchObject({ isKnown: true, active: 2, acknowledged: 1, worst: "critical" });
  expect(state.items.map(({ id }) => id)).toEqual(["3", "2", "1"]);
});

it("rings for what was not open before, and for nothing else", () => {
  book.hear(anAlert("1", {}), false);
  expect(raised).toEqual([]);
  book.hear(anAlert("1", { count: 2 }), true);
  expect(raised).toEqual([]);
  book.hear(anAlert("2", {}), true);
  book.hear(anAlert("2", { count: 2 }), true);
  book.hear(anAlert("2", { state: "acknowledged" }), true);
  expect(raised.map(({ id }) => id)).toEqual(["2"]);
});

it("marks a device with the gravest of its open alerts", () => {
  book.hear(anAlert("1", { severity: "info" }), true);
  book.hear(anAlert("2", { severity: "critical" }), true);
  expect(marks.get("pump")).toBe("critical");
  book.hear(anAlert("2", { severity: "critical", state: "cleared" }), true);
  expect(marks.get("pump")).toBe("info");
  book.hear(anAlert("1", { severity: "info", state: "cleared" }), true);
  expect(marks.get("pump")).toBeNull();
});

it("drops what the list no longer has, but not what came while it was read", async () => {
  book.hear(anAlert("old", {}), false);
  listed = [anAlert("listed", {})];
  meanwhile = () => {
    meanwhile = () => {};
    book.hear(anAlert("new", {}), true);
    book.hear(anAlert("listed", { state: "cleared" }), true);
  };
  await book.load();
  const open = book.take().items.filter(({ state }) => state !== "cleared");
  expect(open.map(({ id }) => id)).toEqual(["new"]);
});

it("tells the page of very many those that changed last, and that it may be more than all", async () => {
  for (let n = 0; n < 5_000; n += 1) book.hear(anAlert(`a${n}`, { raised_at: n, device: `d${n}` }), true);
  book.hear(anAlert("a1", { raised_at: 1, device: "d1", state: "cleared" }), true);
  book.hear(anAlert("a2", { raised_at: 2, device: "d2", state: "acknowledged" }), true);
  const { items, active, acknowledged, isFull } = book.take();
  expect([active, acknowledged, isFull]).toEqual([4_998, 1, false]);
  expect(items).toHaveLength(1_000);
  expect(items.slice(-2).map(({ id, state }) => [id, state])).toEqual([
    ["a2", "acknowledged"],
    ["a1", "cleared"],
  ]);
  book.hear(anAlert("one", { raised_at: 9_000 }), true);
  book.hear(anAlert("more", { raised_at: 9_001 }), true);
  expect(book.take().isFull).toBe(true);
});

it("keeps no more than a bound of those that are over", () => {
  for (let n = 0; n < 300; n += 1) book.hear(anAlert(`c${n}`, { state: "cleared", raised_at: n }), true);
  book.hear(anAlert("open", { raised_at: 0 }), true);
  const { items } = book.take();
  expect(items.length).toBeLessThanOrEqual(151);
  expect(items.at(-1)?.id).toBe("open");
});

function anAlert(id: string, more: Partial<Alert>): Alert {
  return {
    ...{ id, device: "pump", severity: "warning", code: "hot", message: "", data: {}, state: "active" },
    ...{ count: 1, raised_at: 5, acknowledged_at: null, acknowledged_by: null, cleared_at: null },
    ...more,
  } as Alert;
}
