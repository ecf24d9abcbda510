// Whom a command reaches, counted and in words.
import { expect, it } from "vitest";
import { reachText, typesText } from "../src/text/reach";
import { censusOf } from "../src/worker/census";
import { Digits } from "../src/worker/digits";
import { DeviceState } from "../src/worker/record";
import { unknownWhereabouts } from "../src/worker/whereabouts";

function device(id: string, type: string | null, status: "online" | "offline"): DeviceState {
  const device = new DeviceState(id, new Digits());
  device.type = type;
  device.presence = { ...unknownWhereabouts, status };
  return device;
}

it("says how many are meant, and how many of them are offline or not known", () => {
  const some = [device("a", "pump", "online"), device("b", "pump", "offline"), undefined];
  expect(reachText(censusOf(some))).toBe("3 devices, 1 of them offline, 1 of them not known to this page");
  expect(reachText(censusOf([device("a", "pump", "online")]))).toBe("1 device");
  expect(reachText(censusOf([device("a", "pump", "offline")]))).toBe("1 device, which is offline");
});

it("says that they are of several types, the most frequent first", () => {
  const [pump, fan, other] = [
    device("a", "pump", "online"),
    device("b", "fan", "online"),
    device("c", null, "online"),
  ];
  expect(typesText(censusOf([pump, pump]))).toBeNull();
  expect(typesText(censusOf([other, pump, fan, pump]))).toBe(
    "They are of 3 types, which no form fits: pump 2, without a type 1, fan 1.",
  );
});
