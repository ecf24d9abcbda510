// A page that is slower than its fleet, or was away: it says so and ends with the true values.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** Makes the page's processor slower by a factor; 1 ends it. */
async function slowDown({ page }, factor) {
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: factor });
}

/** What the rows in view show and what the API says of the same, metric by metric, where they differ. */
async function differences(page, gateway) {
  const shown = await page.by("device-row").evaluateAll((rows) =>
    rows.flatMap((row) =>
      [...row.querySelectorAll("[data-metric]")].map((reading) => ({
        device: row.dataset.device,
        status: row.dataset.status,
        metric: reading.dataset.metric,
        text: reading.querySelector('[data-testid="value"]').textContent,
      })),
    ),
  );
  assert.ok(shown.length > 20, "there are rows to compare");
  const { items } = await gateway.get("devices?limit=1000");
  const devices = new Map(items.map((device) => [device.id, device]));
  return shown.filter(({ device, status, metric, text }) => {
    const known = devices.get(device);
    return known?.status !== status || !isShownAs(known.values[metric], text);
  });
}

function isShownAs(value, text) {
  if (typeof value !== "number") return String(value) === text;
  const digits = text.split(".")[1]?.length ?? 0;
  return Number(text).toFixed(digits) === value.toFixed(digits);
}

scenario("a page on a slow machine ends with what the API says", async (world) => {
  const sim = world.simulate(200, ["--rate", "5"]);
  const page = await world.open();
  await slowDown(page, 12);
  await until("all have come", async () => / of 200$/.test(await page.by("shown").innerText()), 60_000);
  await page.state("live");
  sim.hold();
  await slowDown(page, 1);
  try {
    await untilEqual("shown and known are the same", () => differences(page, world.gateway), []);
  } finally {
    sim.resume();
  }
});

scenario("a page that was frozen catches up, and shows no old value as new", async (world) => {
  const sim = world.simulate(60, ["--rate", "10"]);
  const page = await world.open();
  await until("all have come", async () => / of 60$/.test(await page.by("shown").innerText()), 60_000);
  await page.openDevice("pump-001");
  await page.by("chart").first().waitFor();
  await page.page.evaluate(() => {
    const end = performance.now() + 8_000;
    while (performance.now() < end);
  });
  await page.by("back").click();
  sim.hold();
  try {
    await page.state("live");
    await untilEqual("shown and known are the same", () => differences(page, world.gateway), []);
  } finally {
    sim.resume();
  }
});

scenario("devices whose connections break all the time are shown as the API sees them", async (world) => {
  const sim = world.simulate(60, ["--rate", "2", "--chaos", "drop=0.1"]);
  const page = await world.open();
  await until("all have come", async () => / of 60$/.test(await page.by("shown").innerText()), 60_000);
  await until("some are away", async () => (await page.page.locator('[data-status="offline"]').count()) > 0);
  sim.hold();
  try {
    await untilEqual("shown and known are the same", () => differences(page, world.gateway), []);
  } finally {
    sim.resume();
  }
});
