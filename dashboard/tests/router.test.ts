// Addresses: every view and filter can be kept and sent as a link.
import { describe, expect, it } from "vitest";
import { batchHref, commandHref, deviceHref, pageHref, parseQuery, parseRoute } from "../src/router";
import { readFilter, readSort, writeFilter, writeSort } from "../src/store/fleet-choice";
import { between, endsOf, liveAgain, pan, readRange, writeRange, zoom } from "../src/store/range";
import { noFilter } from "../src/worker/select";

it.each([
  [pageHref("fleet"), { kind: "fleet" }],
  [pageHref("alerts", { state: "all" }), { kind: "alerts" }],
  [deviceHref("pump:1"), { kind: "device", id: "pump:1" }],
  [deviceHref("a", { tab: "state" }), { kind: "device", id: "a" }],
  [commandHref("0190-1"), { kind: "command", id: "0190-1" }],
  [batchHref("b 1"), { kind: "batch", id: "b 1" }],
  ["#/nowhere", { kind: "unknown", path: "nowhere" }],
  ["#/device/%E0%A4%A", { kind: "unknown", path: "device/%E0%A4%A" }],
])("%s is read as it was written", (href, route) => {
  expect(parseRoute(href)).toEqual(route);
});

it("reads what stands behind the question mark, and leaves out what is empty", () => {
  const href = pageHref("fleet", { q: "a b&c", type: "", tag: "site:north" });
  expect(parseQuery(href)).toEqual({ q: "a b&c", tag: "site:north" });
});

it("keeps the fleet's filter and order in the address", () => {
  const filter = { text: "pump", status: "online", type: "t", tag: "k:v", alert: "critical" } as const;
  expect(readFilter(writeFilter(filter))).toEqual(filter);
  expect(Object.values(writeFilter(noFilter)).join("")).toBe("");
  const sort = { key: "metric:a-b", descending: true } as const;
  expect(readSort(writeSort(sort))).toEqual(sort);
});

it("takes nonsense in an address for nothing", () => {
  expect(readFilter({ status: "asleep", alert: "loud" })).toEqual(noFilter);
  expect(readSort("beauty")).toEqual({ key: "id", descending: false });
  expect(readRange({ from: "x", to: "5" })).toEqual({ kind: "live", spanMs: 300_000 });
});

describe("the time that charts show", () => {
  const now = 1_000_000_000;
  const hour = 3_600_000;

  it("stands in the address", () => {
    const past = { kind: "past", from: 5, to: 9_000 } as const;
    expect(readRange(writeRange(past))).toEqual(past);
    const live = { kind: "live", spanMs: hour } as const;
    expect(readRange(writeRange(live))).toEqual(live);
  });

  it("moves back by a part of itself, and on no further than to now", () => {
    const back = pan({ kind: "live", spanMs: hour }, -0.5, now);
    expect(endsOf(back, now)).toEqual([now - 1.5 * hour, now - 0.5 * hour]);
    expect(endsOf(pan(pan(back, 0.5, now), 0.5, now), now)).toEqual([now - hour, now]);
  });

  it("is live again where it comes to now, in the span that it was", () => {
    const live = { kind: "live", spanMs: hour } as const;
    const back = pan(live, -0.5, now);
    expect(pan(readRange(writeRange(back)), 0.5, now)).toEqual(live);
    expect(liveAgain(back)).toEqual(live);
    const part = { kind: "past", from: now - 2 * hour, to: now - 100 } as const;
    expect(pan(part, 0.5, now)).toEqual({ kind: "past", from: now - 2 * hour + 100, to: now });
    expect(liveAgain(part)).toEqual({ kind: "live", spanMs: 6 * hour });
    expect(liveAgain({ kind: "past", from: 0, to: 30 * 24 * hour })).toEqual({
      kind: "live",
      spanMs: 7 * 24 * hour,
    });
  });

  it("grows around its middle, and does not reach into the future", () => {
    expect(endsOf(zoom({ kind: "past", from: 0, to: 100_000 }, 0.5, now), now)).toEqual([25_000, 75_000]);
    expect(endsOf(zoom({ kind: "live", spanMs: hour }, 2, now), now)).toEqual([now - 2 * hour, now]);
  });

  it("is never shorter than can be told apart", () => {
    expect(endsOf(between(10, 11, now), now)).toEqual([10, 2_010]);
  });
});
