// Alerts: raised, seen, known to somebody, over; the same in every open page.
import assert from "node:assert/strict";
import { findings } from "./lib/axe.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

const hot = { severity: "critical", code: "overheat", message: "Bearing at 94 °C" };
const low = { severity: "warning", code: "battery_low", message: "Battery at 12 %" };

/** The states of the alerts in the list, from the top. */
function states(page) {
  return page.by("alert").evaluateAll((alerts) => alerts.map((alert) => alert.dataset.state));
}

scenario(
  "an alert is counted everywhere, acknowledged in one page, and known in all of them",
  async (world) => {
    const device = await world.device("pump-1");
    const [first, second] = [await world.open("#/alerts"), await world.open()];
    await first.by("alerts").getByText("There is none.").waitFor();
    await device.raise(hot);
    for (const page of [first, second]) {
      await page.by("alert-count").getByText("1").waitFor();
      await until("the title", async () => (await page.page.title()).startsWith("(1) "));
    }
    await second.row("pump-1").locator('[data-severity="critical"]').waitFor();
    await first.by("alert-ack").focus();
    await device.raise(hot);
    await first.by("alert").getByText("× 2").waitFor();
    await device.raise(low);
    await first.by("alert").getByText("Battery at").waitFor();
    await device.raise({ ...low, clear: true });
    await untilEqual("the other is over", () => states(first), ["active"]);
    const focused = () => first.page.evaluate(() => document.activeElement?.dataset.testid);
    assert.equal(await focused(), "alert-ack", "its row stayed while it changed and others came and went");
    await second.by("nav-alerts").click();
    await first.by("alert-ack").click();
    for (const page of [first, second]) {
      await untilEqual("somebody knows", () => states(page), ["acknowledged"]);
      await page.by("alert").getByText("local knows since").waitFor();
      await untilEqual("no count", () => page.by("alert-count").count(), 0);
    }
    await device.raise({ ...hot, clear: true });
    await untilEqual("it is over", () => states(first), []);
    await first.by("alert-state-cleared").check({ force: true });
    await untilEqual("and is found among its like", () => states(first), ["cleared", "cleared"]);
  },
);

scenario("alerts are filtered by their address, and the fleet by its alerts", async (world) => {
  const [pump, fan] = [await world.device("pump-1"), await world.device("fan-1")];
  await world.device("quiet");
  await pump.raise(hot);
  await fan.raise(low);
  const page = await world.open("#/alerts?severity=warning");
  const devices = () => page.by("alert").evaluateAll((alerts) => alerts.map((alert) => alert.dataset.device));
  await untilEqual("the warning", devices, ["fan-1"]);
  await page.goto(new URL("#/alerts?device=pump-1", world.gateway.origin));
  await untilEqual("the pump's", devices, ["pump-1"]);
  await page.goto(new URL("#/?alert=info", world.gateway.origin));
  await untilEqual("both", () => page.ids(), ["fan-1", "pump-1"]);
  await page.by("alert-filter").selectOption("critical");
  await untilEqual("the worst", () => page.ids(), ["pump-1"]);
});

scenario("all that are in sight are acknowledged at once", async (world) => {
  const device = await world.device("pump-1");
  for (let n = 1; n <= 4; n += 1) await device.raise({ ...low, code: `low_${n}` });
  const page = await world.open("#/alerts");
  await untilEqual("all of them", () => page.by("alert").count(), 4);
  await page.by("alert-ack-all").click();
  await untilEqual("all known", () => states(page), Array(4).fill("acknowledged"));
});

scenario("an alert that its device forgot is cleared by hand, in every open page", async (world) => {
  const device = await world.device("pump-1");
  await device.raise(hot);
  const [first, second] = [await world.open("#/alerts"), await world.open("#/device/pump-1?tab=events")];
  await first.by("alert-clear").click();
  await untilEqual("it is over", () => states(first), []);
  await untilEqual("there too", () => states(second), ["cleared"]);
  await second
    .by("alert")
    .getByText(/cleared by local/)
    .waitFor();
  await device.raise(hot);
  await untilEqual("it may come again", () => states(first), ["active"]);
});

scenario("a new alert rings and shows a notice where that is wanted", async (world) => {
  const device = await world.device("pump-1");
  const page = await world.open("#/alerts", { permissions: ["notifications"] });
  await page.page.evaluate(() => {
    globalThis.told = [];
    globalThis.Notification = class {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title, { body }) {
        globalThis.told.push(`${title} ${body}`);
      }
    };
    const { createOscillator } = AudioContext.prototype;
    AudioContext.prototype.createOscillator = function () {
      globalThis.told.push("tone");
      return createOscillator.call(this);
    };
  });
  await page.by("alarm-sound").check();
  await page.by("alarm-notices").check();
  await device.raise(hot);
  const told = () => page.page.evaluate(() => globalThis.told);
  await until("the notice", async () => (await told()).includes(`critical: pump-1 ${hot.message}`));
  assert.equal((await told()).filter((one) => one === "tone").length, 4, "one to try, three for the alert");
});

scenario("of more open alerts than a page is told, all are counted, and a click shows more of them", async (world) => {
  const hub = await world.device("hub");
  const each = 66;
  const raise = (device, severity) =>
    Promise.all(
      Array.from({ length: each }, (_, index) =>
        hub.publish(`devices/tank-${device}/events`, { severity, code: `code_${index}`, message: "" }),
      ),
    );
  // The page is told the newest thousand: of the critical ones, which are the oldest, the gateway has more.
  for (let device = 0; device < 16; device += 1) await raise(device, device < 6 ? "critical" : "info");
  const page = await world.open("#/alerts?severity=critical");
  await untilEqual("all are counted", () => page.by("alert-count").innerText(), `${16 * each}\nactive`);
  for (const shown of [100, 200, 300]) {
    await untilEqual("a hundred more", () => page.by("alert").count(), shown);
    await page.page.getByRole("button", { name: "Show older ones" }).click();
  }
  await untilEqual("all of them", () => page.by("alert").count(), 6 * each);
  await page.page.locator('[data-testid="alert"][data-device="tank-0"]').last().getByTestId("alert-ack").click();
  await page.by("alerts-summary").getByText(`${16 * each - 1} active, 1 acknowledged`).waitFor();
});

scenario("whether new alerts ring is remembered by the browser", async (world) => {
  const page = await world.open("#/alerts");
  await page.by("alarm-sound").check();
  await page.page.reload();
  await page.state("live");
  await untilEqual("it is remembered", () => page.by("alarm-sound").isChecked(), true);
});

scenario("a device's events stand on its page", async (world) => {
  const device = await world.device("pump-1");
  await device.raise(low);
  await device.raise({ ...low, clear: true });
  await device.raise(hot);
  const page = await world.open("#/device/pump-1?tab=events");
  await untilEqual("both, the newest first", () => states(page), ["active", "cleared"]);
  await page.by("alert-ack").click();
  await untilEqual("it is known", () => states(page), ["acknowledged", "cleared"]);
});

for (const colorScheme of ["light", "dark"]) {
  scenario(`axe finds nothing wrong with alerts and states, ${colorScheme}`, async (world) => {
    const device = await world.device("pump-1");
    await device.raise(hot);
    await device.raise(low);
    await device.report({ mode: "eco" });
    const page = await world.open("", { colorScheme });
    for (const [address, handle] of [
      ["#/alerts?state=all", "alert"],
      ["#/device/pump-1?tab=state", "desired-edit"],
      ["#/device/pump-1?tab=events", "alert"],
      ["#/?alert=info", "device-row"],
    ]) {
      await page.goto(new URL(address, world.gateway.origin));
      await page.by(handle).first().waitFor();
      assert.deepEqual(await findings(page), [], address);
    }
  });
}
