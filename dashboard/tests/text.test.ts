// Values, times, parameters and states in words.
import { describe, expect, it } from "vitest";
import { aCommand } from "../dev/samples.mjs";
import { windowOnto } from "../src/parts/virtual";
import { deviceHref, parseRoute } from "../src/router";
import { describeAnswer, describeCommand, describeRead, stateTexts } from "../src/text/command";
import {
  decimalsMost,
  decimalsOf,
  formatBytes,
  formatNumber,
  formatRate,
  formatValue,
} from "../src/text/number";
import { fromParams, kindOf, readParams } from "../src/text/params";
import { formatAgo, formatDuration, formatSpan } from "../src/text/time";

describe("numbers", () => {
  it.each([
    ["temperature", 21.437, 2],
    ["temperature", 21.5, 1],
    ["rpm", 900, 0],
    ["lat", 52.516_31, 5],
  ])("a %s of %d needs %d digits", (metric, value, digits) => {
    expect(decimalsOf(value, decimalsMost(metric))).toBe(digits);
  });

  it.each([
    [21, 2, "21.00"],
    [1_234.56, 2, "1234.6"],
    [12_345.6, 2, "12346"],
    [0.000_12, 2, "0.00012"],
    [0, 2, "0.00"],
    [-1.236, 2, "-1.24"],
    [2.5e12, 0, "2.500e+12"],
    [0.006_1, 2, "0.0061"],
    [0.05, 2, "0.05"],
    [0.012_5, 4, "0.0125"],
    [-0.4, 0, "-0.40"],
  ])("%d with %d digits is %s", (value, digits, text) => {
    expect(formatNumber(value, digits)).toBe(text);
  });

  it("writes what is no number as it is", () => {
    expect(formatValue("eco", 0)).toBe("eco");
    expect(formatValue(false, 0)).toBe("false");
    expect(formatValue({ a: [1] }, 0)).toBe('{"a":[1]}');
    expect(formatValue(undefined, 0)).toBe("");
  });

  it("writes rates and sizes for people", () => {
    expect(formatRate(12_400.4)).toBe("12,400");
    expect(formatRate(0.25)).toBe("0.3");
    expect(formatBytes(512)).toBe("512 B");
    expect(formatBytes(61_865_984)).toBe("59.0 MiB");
  });
});

describe("times", () => {
  it.each([
    [-5_000, "now"],
    [1_999, "now"],
    [12_900, "12 s"],
    [300_000, "5 min"],
    [10_800_000, "3 h"],
    [172_800_000, "2 d"],
  ])("%d ms ago is %s", (ms, text) => {
    expect(formatAgo(ms)).toBe(text);
  });

  it.each([
    [40, "40 ms"],
    [1_290, "1.2 s"],
    [59_999, "59.9 s"],
    [185_000, "3 min 5 s"],
    [7_200_000, "2 h"],
  ])("%d ms last %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it("counts what is running in whole seconds", () => {
    expect(formatSpan(4_900)).toBe("4 s");
    expect(formatSpan(-1)).toBe("0 s");
  });
});

describe("parameters", () => {
  const rows = (...pairs: [key: string, value: string][]) =>
    readParams({ kind: "rows", rows: pairs.map(([key, value]) => ({ key, value })) });

  it("reads a value as JSON where it is JSON, else as text", () => {
    expect(rows(["percent", "50"], ["mode", "eco"], ["on", "true"], ["code", '"7"'], ["", ""])).toEqual({
      kind: "ok",
      params: { percent: 50, mode: "eco", on: true, code: "7" },
    });
    expect(["50", "eco", "true", "null", "[1]", "{}"].map(kindOf)).toEqual([
      "number",
      "text",
      "boolean",
      "null",
      "list",
      "object",
    ]);
  });

  it("refuses a value without a name, and a name that stands there twice", () => {
    expect(rows(["", "5"])).toMatchObject({ kind: "bad", message: "the value 5 has no name" });
    expect(rows(["a", "1"], [" a ", "2"])).toMatchObject({ kind: "bad", message: "a stands there twice" });
  });

  it.each(["[1]", "5", "null", "{"])("refuses the JSON %s", (json) => {
    expect(readParams({ kind: "json", json }).kind).toBe("bad");
  });

  it("takes no JSON for no parameters", () => {
    expect(readParams({ kind: "json", json: " " })).toEqual({ kind: "ok", params: {} });
  });

  it.each(["rows", "json"] as const)("comes back unchanged from %s", (kind) => {
    const params = {
      n: 1.5,
      text: "eco",
      digits: "7",
      truth: "true",
      list: [1, "a"],
      none: null,
      deep: { a: 1 },
    };
    expect(readParams(fromParams(kind, params))).toEqual({ kind: "ok", params });
  });
});

describe("commands", () => {
  it("says of each way to fail whether it may have run", () => {
    expect(stateTexts.expired.meaning).toContain("did not run");
    expect(stateTexts.timed_out.meaning).toContain("may have run");
    expect(describeAnswer({ kind: "broken" })).toContain("may have");
    expect(describeAnswer({ kind: "timeout" })).toContain("may have");
    expect(describeAnswer({ kind: "unsent", why: "not_connected" })).toContain("Nothing was sent");
    expect(describeAnswer({ kind: "ok", reply: aCommand({}) })).toBeNull();
    const failed = { kind: "failed", code: "x", message: "too late" } as const;
    expect(describeRead({ ...failed, status: null })).toContain("may have");
    expect(describeRead({ ...failed, status: 409 })).toBe("too late (x)");
  });

  it("says how long a queued one still waits", () => {
    const command = aCommand({});
    expect(describeCommand(command, command.deliver_by - 41_500)).toBe("waits to be sent; given up in 42 s");
  });
});

describe("addresses", () => {
  it.each(["pump-1", "a:b_c.d", "%", "ä/b"])("lead to the device %s and back", (id) => {
    expect(parseRoute(deviceHref(id))).toEqual({ kind: "device", id });
  });

  it("lead to the fleet or nowhere", () => {
    expect(parseRoute("")).toEqual({ kind: "fleet" });
    expect(parseRoute("#/")).toEqual({ kind: "fleet" });
    expect(parseRoute("#/device/")).toEqual({ kind: "unknown", path: "device/" });
    expect(parseRoute("#/device/%E0%A4%A")).toMatchObject({ kind: "unknown" });
  });
});

describe("the window onto a long table", () => {
  it("draws what is in view and a few rows around it", () => {
    expect(windowOnto(3_600, 720, 36, 1_000)).toEqual({ start: 92, end: 128, before: 3_312, after: 31_392 });
  });

  it("begins with the first and ends with the last row", () => {
    expect(windowOnto(0, 720, 36, 1_000)).toMatchObject({ start: 0, end: 28, before: 0 });
    expect(windowOnto(36_000, 720, 36, 1_000)).toMatchObject({ end: 1_000, after: 0 });
  });

  it("is empty where there is nothing, also when it was scrolled far", () => {
    expect(windowOnto(9_000, 720, 36, 0)).toEqual({ start: 0, end: 0, before: 0, after: 0 });
  });
});
