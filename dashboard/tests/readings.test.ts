// Which metrics stand in a device's row.
import { expect, it } from "vitest";
import { readingsOf } from "../src/views/readings";
import { Digits } from "../src/worker/digits";
import { DeviceState } from "../src/worker/record";

function readings(values: object, without: string[] = []): string[] {
  const device = new DeviceState("a", new Digits());
  for (const [name, value] of Object.entries(values)) device.put(name, value, 0, 1);
  return readingsOf(device.patch(0).metrics, without, 3);
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
