// What the page says and does when the gateway goes and comes back.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** What a browser writes by itself when a connection breaks. */
const brokenConnection = [/WebSocket connection to .* failed/, /ERR_CONNECTION_REFUSED/];

/** The colours of the values and of the words around them tell whether they are to be believed. */
function opacityOfValues(page) {
  return page.page.locator(".values").first().evaluate((values) => Number(getComputedStyle(values).opacity));
}

scenario("a killed gateway is noticed, and the page recovers by itself with the right values", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  const device = await world.device("boiler-1");
  await device.measure({ temperature: 50 });
  await page.shows(page.row("boiler-1"), "temperature", "50");
  const before = await opacityOfValues(page);

  await world.gateway.kill();
  await page.state("recovering");
  await page.by("banner").getByText(/values as of \d\d:\d\d:\d\d/).waitFor();
  assert.equal(await page.by("round-trip").count(), 0, "no round trip is shown without a connection");
  await until("the values are greyed", async () => (await opacityOfValues(page)) < before);
  assert.equal(await page.value(page.row("boiler-1"), "temperature"), "50", "the last known value stays");

  await world.gateway.start();
  await page.state("live");
  await untilEqual("the banner is gone", () => page.by("banner").count(), 0);
  await until("the values count again", async () => (await opacityOfValues(page)) === before);
  await page.rowWith("boiler-1", "online");
  await device.measure({ temperature: 51 });
  await page.shows(page.row("boiler-1"), "temperature", "51");
});

scenario("a simulated fleet and the page find each other again after a kill", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  world.simulate(12, ["--rate", "2"]);
  await page.by("status-online").check({ force: true });
  await untilEqual("all online", () => page.by("device-row").count(), 12);
  await world.gateway.kill();
  await page.state("recovering");
  await world.gateway.start();
  await page.state("live");
  await untilEqual("all online again", () => page.by("device-row").count(), 12, 40_000);
  const row = page.row("thermostat-001");
  const shown = await page.value(row, "temperature");
  await until("values go on", async () => (await page.value(row, "temperature")) !== shown);
});

scenario("a device's page goes on after a kill: the same device, new commands, no stale ones", async (world) => {
  world.expectComplaints(...brokenConnection);
  const device = await world.device("pump-1");
  const page = await world.open("#/device/pump-1");
  await device.measure({ flow: 1 });
  await page.shows(page.by("values"), "flow", "1");
  await world.gateway.kill();
  await page.state("recovering");
  await untilEqual("nothing can be sent", () => page.by("command-send").isDisabled(), true);
  await world.gateway.start();
  await page.state("live");
  await untilEqual("online again", () => page.by("presence").locator(".presence").innerText(), "online");
  await device.measure({ flow: 2 });
  await page.shows(page.by("values"), "flow", "2");
  const card = await page.sendCommand("stop");
  const command = await device.nextCommand();
  await device.answer(command, { status: "succeeded" });
  await page.commandIs(card, "succeeded");
});

scenario("a gateway that shuts down in order says so", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  await world.gateway.end("SIGTERM");
  await page.by("banner").getByText("the gateway is shutting down").waitFor();
  await world.gateway.start();
  await page.state("live");
});

scenario("the next try is counted down, and can be had at once", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  await world.gateway.kill();
  await page.by("banner").waitFor();
  await until("a wait of some seconds", async () => /in [3-9] s|in 1\d s/.test(await page.by("next-try").innerText()), 60_000);
  await world.gateway.start();
  await page.by("try-now").click();
  await page.state("live");
});

scenario("a gateway that only hangs is noticed too, and the same page goes on when it wakes", async (world) => {
  const page = await world.open();
  const device = await world.device("meter-1");
  await device.measure({ power: 1 });
  await page.shows(page.row("meter-1"), "power", "1");
  world.gateway.hold();
  await page.state("recovering").finally(() => world.gateway.resume());
  world.expectComplaints(...brokenConnection);
  await page.state("live");
  await device.measure({ power: 2 });
  await page.shows(page.row("meter-1"), "power", "2");
});

scenario("a browser without network says so, and comes back with it", async (world) => {
  world.expectComplaints(...brokenConnection, /ERR_INTERNET_DISCONNECTED/);
  const page = await world.open();
  await world.gateway.kill();
  await page.state("recovering");
  await page.page.context().setOffline(true);
  await page.state("offline");
  await page.page.getByText("This computer has no network.").waitFor();
  await world.gateway.start();
  await page.page.context().setOffline(false);
  await page.state("live");
});
