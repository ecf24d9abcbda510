// The table of the fleet.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

scenario("rows appear with the devices and change with what they measure", async (world) => {
  const page = await world.open();
  await page.page.getByText("No device has been heard of yet.").waitFor();
  const device = await world.device("boiler-1");
  await page.rowWith("boiler-1", "online");
  const row = page.row("boiler-1");
  await device.measure({ temperature: 61.5, burning: true });
  await page.shows(row, "temperature", "61.5");
  await page.shows(row, "burning", "true");
  await device.measure({ temperature: 63.25 });
  await page.shows(row, "temperature", "63.25");
  await page.shows(row, "burning", "true");
});

scenario("a fleet of the simulator fills the table, and its values go on changing", async (world) => {
  const page = await world.open();
  world.simulate(9, ["--rate", "4"]);
  await untilEqual("all rows", () => page.by("device-row").count(), 9);
  for (const id of ["pump-003", "thermostat-002", "tracker-001"]) await page.rowWith(id, "online");
  const row = page.row("thermostat-002");
  const first = await until("a temperature", () => page.value(row, "temperature"));
  await until("another temperature", async () => (await page.value(row, "temperature")) !== first);
  await until("the gateway's own count", async () =>
    /^9 of 9/.test(await page.by("devices-online").innerText()),
  );
});

scenario("last seen counts from the last message, and starts again with the next", async (world) => {
  const page = await world.open();
  const device = await world.device("meter-1");
  await device.measure({ power: 5 });
  const seen = page.row("meter-1").locator(".col-seen");
  await untilEqual("just seen", () => seen.innerText(), "now");
  await until("seconds pass", async () => /^[3-9] s$/.test(await seen.innerText()));
  await device.measure({ power: 6 });
  await untilEqual("seen again", () => seen.innerText(), "now");
});

scenario("a device that goes is offline, and says why", async (world) => {
  const page = await world.open();
  const polite = await world.device("polite");
  const broken = await world.device("broken");
  await polite.measure({ level: 1 });
  await page.rowWith("polite", "online");
  await page.rowWith("broken", "online");
  await polite.leave();
  await broken.vanish();
  await page.rowWith("polite", "offline");
  await page.rowWith("broken", "offline");
  await page.shows(page.row("polite"), "level", "1");
  await page.openDevice("polite");
  await page.page.getByText("it said goodbye").waitFor();
  await page.by("back").click();
  await page.openDevice("broken");
  await page.page.getByText("its connection broke").waitFor();
});

scenario("a fleet whose machine goes is offline as a whole", async (world) => {
  const page = await world.open();
  const sim = world.simulate(6);
  await untilEqual("all rows", () => page.by("device-row").count(), 6);
  await sim.end("SIGKILL");
  await page.by("status-offline").check({ force: true });
  await untilEqual("all are offline", () => page.by("device-row").count(), 6);
  await page.by("status-online").check({ force: true });
  await page.page.getByText("No device passes the filter.").waitFor();
});

scenario("filters narrow the table by words, status and type", async (world) => {
  await world.gateway.describe("pump-1", "pump", { hall: "north" });
  await world.gateway.describe("pump-2", "pump", { hall: "south" });
  await world.gateway.describe("fan-1", "fan", { hall: "north" });
  await world.device("pump-1");
  const page = await world.open();
  const shows = (what, ids) => untilEqual(what, () => page.ids(), ids);
  await shows("all", ["fan-1", "pump-1", "pump-2"]);
  await page.by("filter").fill("pump");
  await shows("by id", ["pump-1", "pump-2"]);
  await page.by("filter").fill("north");
  await shows("by tag", ["fan-1", "pump-1"]);
  await page.by("filter").fill("north pump online");
  await shows("all words", ["pump-1"]);
  await page.by("clear").click();
  await shows("cleared", ["fan-1", "pump-1", "pump-2"]);
  await page.by("type").selectOption("pump");
  await page.by("status-offline").check({ force: true });
  await shows("by type and status", ["pump-2"]);
  await untilEqual("the count", () => page.by("shown").innerText(), "1 of 3");
});

scenario("columns sort by name, status and value, both ways", async (world) => {
  const page = await world.open();
  for (const [id, level] of [
    ["tank-2", 30],
    ["tank-10", 10],
    ["tank-1", 20],
  ]) {
    const device = await world.device(id);
    await device.measure({ level });
    if (id === "tank-1") await device.leave();
  }
  await page.rowWith("tank-1", "offline");
  const shows = (what, ids) => untilEqual(what, () => page.ids(), ids);
  await shows("numbers in names count as numbers", ["tank-1", "tank-2", "tank-10"]);
  await page.by("sort-id").click();
  await shows("the other way", ["tank-10", "tank-2", "tank-1"]);
  await page.by("sort-status").click();
  await shows("those online first", ["tank-2", "tank-10", "tank-1"]);
  await page.by("columns").click();
  await page.page.getByLabel("level", { exact: true }).check();
  await page.by("columns").click();
  await page.by("sort-metric:level").click();
  await shows("the highest value first", ["tank-2", "tank-1", "tank-10"]);
  const order = page.page.locator("th", { has: page.by("sort-metric:level") });
  assert.equal(await order.getAttribute("aria-sort"), "descending");
});

scenario("two hundred devices scroll, and a filter finds the last one", async (world) => {
  const page = await world.open();
  world.simulate(200);
  await until("all have come", async () => / of 200$/.test(await page.by("shown").innerText()), 40_000);
  const drawn = await page.by("device-row").count();
  assert.ok(drawn < 100, `only the rows in view are drawn, not ${drawn}`);
  await page.page.locator(".scroller").evaluate((scroller) => scroller.scrollTo(0, scroller.scrollHeight));
  await page.rowWith("tracker-066", "online");
  await page.by("filter").fill("pump-067");
  await untilEqual("the one", () => page.ids(), ["pump-067"]);
});

scenario("tag, type and alert narrow the table, alone and together", async (world) => {
  await world.gateway.describe("pump-1", "pump", { hall: "north" });
  await world.gateway.describe("pump-2", "pump", { hall: "south" });
  await world.gateway.describe("fan-1", "fan", { hall: "north" });
  await (await world.device("pump-1")).raise({ severity: "critical", code: "hot", message: "Hot" });
  await (await world.device("pump-2")).raise({ severity: "warning", code: "low", message: "Low" });
  const page = await world.open();
  const shows = (what, ids) => untilEqual(what, () => page.ids(), ids);
  await shows("all", ["fan-1", "pump-1", "pump-2"]);
  await page.by("tag").selectOption("hall:north");
  await shows("a hall", ["fan-1", "pump-1"]);
  await page.by("type").selectOption("pump");
  await shows("pumps in it", ["pump-1"]);
  await page.by("clear").click();
  await page.by("alert-filter").selectOption("warning");
  await shows("warning or worse", ["pump-1", "pump-2"]);
  await page.by("alert-filter").selectOption("critical");
  await shows("critical", ["pump-1"]);
  await page.by("tag").selectOption("hall:south");
  await page.page.getByText("No device passes the filter.").waitFor();
  assert.match(page.page.url(), /tag=hall%3Asouth/);
});

scenario("a long list comes page by page, and what is not read yet is not said to be nothing", async (world) => {
  await world.gateway.describe("fan-1", "fan");
  await world.gateway.describe("pump-1", "pump");
  const page = await world.openBlank();
  let look;
  const isLooked = new Promise((resolve) => {
    look = resolve;
  });
  await page.page.route("**/api/v1/devices?*", async (route) => {
    const url = new URL(route.request().url());
    if (url.searchParams.has("cursor")) await isLooked;
    url.searchParams.set("limit", "1");
    await route.continue({ url: String(url) });
  });
  await page.goto(new URL("#/?type=pump", world.gateway.origin));
  await page.state("live");
  await page.page.getByText("No device passes the filter so far").waitFor();
  await untilEqual("how far it is", () => page.by("reading").innerText(), "types and tags of 1 so far");
  await page.by("clear").click();
  await page.row("fan-1").getByText("fan", { exact: true }).waitFor();
  look();
  await page.row("pump-1").getByText("pump", { exact: true }).waitFor();
  await untilEqual("all of it is here", () => page.by("reading").count(), 0);
});

scenario("cards show what changes, are selected, and keep to the filter", async (world) => {
  const devices = await Promise.all(["tank-1", "tank-2", "vat-1"].map((id) => world.device(id)));
  for (const device of devices) await device.measure({ level: 1 });
  const page = await world.open("#/?view=grid&q=tank");
  const cards = () => page.by("device-card").evaluateAll((all) => all.map((card) => card.dataset.device));
  await untilEqual("the tanks", cards, ["tank-1", "tank-2"]);
  const card = page.by("device-card").first();
  await page.shows(card, "level", "1");
  await devices[0].measure({ level: 2.5 });
  await page.shows(card, "level", "2.5");
  await card.getByTestId("select-device").check();
  await page.by("selection").getByText("1 device").waitFor();
  await devices[0].leave();
  await untilEqual("it went", () => card.getAttribute("data-status"), "offline");
});
