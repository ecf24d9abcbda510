// What the page says and does when the gateway goes and comes back.
import assert from "node:assert/strict";
import { brokenConnection } from "./lib/complaints.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** How a value looks: its colour tells whether it is to be believed. */
function lookOfValues(page) {
  return page.page
    .locator(".values .value")
    .first()
    .evaluate((value) => {
      const { filter } = getComputedStyle(value.closest(".values"));
      return `${getComputedStyle(value).color}, ${filter}`;
    });
}

scenario(
  "a killed gateway is noticed, and the page recovers by itself with the right values",
  async (world) => {
    world.expectComplaints(...brokenConnection);
    const page = await world.open();
    const device = await world.device("boiler-1");
    await device.measure({ temperature: 50 });
    await page.shows(page.row("boiler-1"), "temperature", "50");
    await untilEqual("values that are lit", () => page.row("boiler-1").locator(".lit").count(), 0);
    const before = await lookOfValues(page);

    await world.gateway.kill();
    await page.state("recovering");
    await page
      .by("banner")
      .getByText(/values as of \d\d:\d\d:\d\d/)
      .waitFor();
    assert.equal(await page.by("round-trip").count(), 0, "no round trip is shown without a connection");
    await until("the values are greyed", async () => /grayscale\(1\)/.test(await lookOfValues(page)));
    assert.equal(await page.value(page.row("boiler-1"), "temperature"), "50", "the last known value stays");

    await world.gateway.start();
    await page.state("live");
    await untilEqual("the banner is gone", () => page.by("banner").count(), 0);
    await until("the values count again", async () => (await lookOfValues(page)) === before);
    await page.rowWith("boiler-1", "online");
    await device.measure({ temperature: 51 });
    await page.shows(page.row("boiler-1"), "temperature", "51");
  },
);

scenario("nothing that was received looks current while the gateway is away, on no page", async (world) => {
  world.expectComplaints(...brokenConnection);
  const device = await world.device("pump-1");
  await world.gateway.describe("pump-1", "pump");
  await device.raise({ severity: "critical", code: "hot", message: "Hot" });
  const { id } = await world.gateway.send("POST", "devices/pump-1/commands", { name: "stop" });
  await world.gateway.send("PUT", "devices/pump-1/desired", { speed: 1 });
  const batch = await world.gateway.send("POST", "command-batches", { type: "pump", command: { name: "go" } });
  const shown = [
    [await world.open(`#/command/${id}`), ["command-state", "timeline"]],
    [await world.open(`#/batch/${batch.id}`), ["batch-state", "batch-total", "command-row"]],
    [await world.open("#/device/pump-1"), ["presence", "command", "alert-count"]],
    [await world.open("#/device/pump-1?tab=state"), ["state-sync", "state-members"]],
    [await world.open("#/alerts"), ["alert"]],
  ];
  const isGrey = ([page, handles]) =>
    Promise.all(
      handles.map((handle) =>
        page
          .by(handle)
          .first()
          .evaluate((box) => /grayscale\(1\)/.test(getComputedStyle(box.closest(".values") ?? box).filter)),
      ),
    );
  const looks = async () => [...new Set((await Promise.all(shown.map(isGrey))).flat())];
  await untilEqual("all of it counts", looks, [false]);
  await world.gateway.kill();
  for (const [page] of shown) await page.state("recovering");
  await untilEqual("all of it is grey", looks, [true]);
  await world.gateway.start();
  for (const [page] of shown) await page.recovered();
  await untilEqual("all of it counts again", looks, [false]);
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

scenario(
  "a device's page goes on after a kill: the same device, new commands, no stale ones",
  async (world) => {
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
  },
);

scenario("a gateway that shuts down in order says so", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  await world.gateway.end("SIGTERM");
  await page.by("banner").getByText("the gateway is shutting down").waitFor();
  await world.gateway.start();
  await page.state("live");
});

scenario("a page that is older than its gateway says so, and becomes the new one", async (world) => {
  world.expectComplaints(...brokenConnection);
  const line = await world.line();
  const page = await world.open("", { line });
  const upgraded = (url) => url.pathname === "/";
  await page.page.route(upgraded, async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace(/assets\/index-[\w-]+\.js/, "assets/index-of-tomorrow.js");
    await route.fulfill({ response, body });
  });
  line.cut();
  await page.state("recovering");
  line.mend();
  await page.recovered();
  await page.by("program-banner").waitFor();
  await page.page.unroute(upgraded);
  await page.by("load-program").click();
  await untilEqual("the banner is gone", () => page.by("program-banner").count(), 0);
  await page.state("live");
});

scenario("the next try is counted down, and can be had at once", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  await world.gateway.kill();
  await page.by("banner").waitFor();
  await until(
    "a wait of some seconds",
    async () => /in [3-9] s|in 1\d s/.test(await page.by("next-try").innerText()),
    60_000,
  );
  await world.gateway.start();
  await page.by("try-now").click();
  await page.state("live");
});

scenario(
  "a gateway that hangs for a moment is said not to answer, and nothing else is lost",
  async (world) => {
    const page = await world.open();
    const device = await world.device("meter-1");
    await device.measure({ power: 1 });
    await page.shows(page.row("meter-1"), "power", "1");
    world.gateway.hold();
    await page.state("silent").finally(() => world.gateway.resume());
    await page.state("live");
    await untilEqual("the banner is gone", () => page.by("banner").count(), 0);
    await device.measure({ power: 2 });
    await page.shows(page.row("meter-1"), "power", "2");
  },
);

scenario("a device's page that is opened while the gateway is away fills when it is back", async (world) => {
  world.expectComplaints(...brokenConnection);
  const device = await world.device("pump-1");
  const page = await world.open();
  await device.measure({ flow: 4 });
  await page.shows(page.row("pump-1"), "flow", "4");
  await world.gateway.kill();
  await page.state("recovering");
  await page.openDevice("pump-1");
  await page.by("chart").locator("canvas").waitFor();
  await world.gateway.start();
  await page.state("live");
  await device.measure({ flow: 5 });
  await page.showsNumber(page.by("values"), "flow", 5);
});

scenario("charts whose program could not be fetched are drawn when it can", async (world) => {
  world.expectComplaints(/ERR_FAILED/, /404/);
  const page = await world.openBlank();
  await page.page.route("**/assets/chart*", (route) => route.abort());
  await page.goto(new URL("#/device/pump-1", world.gateway.origin));
  const device = await world.device("pump-1");
  await device.measure({ flow: 4 });
  await page.showsNumber(page.by("values"), "flow", 4);
  await page.page.unroute("**/assets/chart*");
  await page.by("chart").locator("canvas").waitFor();
});

scenario("a page whose worker does not start says so", async (world) => {
  world.expectComplaints(/ERR_FAILED/);
  const page = await world.openBlank();
  await page.page.route("**/assets/worker*", (route) => route.abort());
  await page.goto(world.gateway.origin);
  await page.by("worker-banner").getByText("does not run").waitFor();
});

scenario("a gateway that hangs for long is left, and the page goes on when it wakes", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open();
  const device = await world.device("meter-1");
  await device.measure({ power: 1 });
  await page.shows(page.row("meter-1"), "power", "1");
  world.gateway.hold();
  try {
    await page.state("silent");
    await page.by("banner").getByText("The gateway does not answer").waitFor();
    assert.match(await lookOfValues(page), /grayscale\(1\)/);
    await page.state("recovering");
  } finally {
    world.gateway.resume();
  }
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
