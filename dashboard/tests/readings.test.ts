// Which metrics stand in a device's row.
import { expect, it } from "vitest";
import { DeviceRecord } from "../src/store/device";
import { Digits } from "../src/store/digits";
import { readingsOf } from "../src/views/readings";

function readings(values: object, without: string[] = []): string[] {
  const device = new DeviceRecord("a", new Digits());
  device.measure({ ...values }, 0);
  return readingsOf(device.metrics.values(), without, 3);
}

it("shows what says most about a device first", () => {
  const thermostat = { heating: true, humidity: 40, outside: 5, target: 21, temperature: 20 };
  expect(readings(thermostat)).toEqual(["temperature", "target", "humidity"]);
  expect(readings({ flow: 1, power: 2, pressure: 3, rpm: 4 })).toEqual(["pressure", "flow", "power"]);
});

it("shows numbers before the rest, and each as it came", () => {
  expect(readings({ open: true, b: 1, mode: "eco", a: 2 })).toEqual(["b", "a", "open"]);
});

it("leaves out what has a column of its own", () => {
  expect(readings({ temperature: 1, humidity: 2 }, ["temperature"])).toEqual(["humidity"]);
});
