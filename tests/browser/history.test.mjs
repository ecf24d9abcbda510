// The past: charts over any time, as numbers, as a file, and nothing missing after a break.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

const minute = 60_000;
/** How long the line is dead in the test of recovery; longer than the page waits before it gives a line up. */
const deadMs = 30_000;
const brokenConnection = [
  /WebSocket connection to .* failed/,
  /ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED|TIMED_OUT)|EMPTY_RESPONSE|TIMED_OUT)/,
];

/** Two hours of samples, one a minute, with half an hour of silence in them. */
function pastOf(now) {
  const times = Array.from({ length: 120 }, (_, index) => now - (120 - index) * minute);
  return times
    .filter((_, index) => index < 40 || index >= 70)
    .map((timestamp, index) => ({ timestamp, data: { level: index } }));
}

/** The samples that the page's table has of a metric, by their time. */
async function samples(page, metric) {
  return page.by("samples").evaluate((table, name) => {
    const rows = [...table.querySelectorAll("tr[data-at]")].map((row) => [
      Number(row.dataset.at),
      row.querySelector(`[data-metric="${name}"]`)?.textContent ?? "",
    ]);
    return rows.filter(([, text]) => text !== "").sort(([a], [b]) => a - b);
  }, metric);
}

scenario("charts go back hours, forth, closer and to now again; the address follows", async (world) => {
  const device = await world.device("tank-1");
  await device.measure(pastOf(Date.now()));
  const page = await world.open("#/device/tank-1");
  await page.by("span-6h").check({ force: true });
  const range = () => page.page.locator('[data-testid="chart"] figcaption .num').first().innerText();
  await untilEqual("all of it", range, "0 – 89");
  await page.by("zoom-in").click();
  await page.by("pan-back").click();
  await page.by("pan-back").click();
  await until("another part", async () => (await range()) !== "0 – 89");
  assert.match(page.page.url(), /from=\d+&to=\d+/);
  const again = await world.open(new URL(page.page.url()).hash);
  const shown = await page.by("range").innerText();
  await untilEqual("the same part", () => again.by("range").innerText(), shown);
  await page.by("range-live").click();
  await untilEqual("no part of the past", () => page.by("range").count(), 0);
});

scenario("a part that is drawn over with the pointer is shown larger", async (world) => {
  const device = await world.device("tank-1");
  await device.measure(pastOf(Date.now()));
  const page = await world.open("#/device/tank-1?span=6h");
  const plot = page.by("chart").locator(".u-over");
  await plot.waitFor();
  const { x, y, width } = await plot.boundingBox();
  await page.page.mouse.move(x + width * 0.6, y + 40);
  await page.page.mouse.down();
  await page.page.mouse.move(x + width * 0.8, y + 40, { steps: 6 });
  await page.page.mouse.up();
  await page.by("range").waitFor();
  const query = new URLSearchParams(new URL(page.page.url()).hash.split("?")[1]);
  const span = Number(query.get("to")) - Number(query.get("from"));
  assert.ok(Math.abs(span - 72 * minute) < 10 * minute, `a fifth of six hours, not ${span / minute} minutes`);
});

scenario("the file has what the gateway has, to the last value", async (world) => {
  const device = await world.device("tank-1");
  const past = pastOf(Date.now());
  await device.measure(past);
  const page = await world.open("#/device/tank-1?span=6h");
  const [download] = await Promise.all([page.page.waitForEvent("download"), page.by("csv").click()]);
  assert.match(download.suggestedFilename(), /^tank-1-.*\.csv$/);
  const [header, ...lines] = (await readFile(await download.path(), "utf8")).trimEnd().split("\n");
  assert.equal(header, "timestamp,level");
  assert.deepEqual(
    lines,
    past.map(({ timestamp, data }) => `${timestamp},${data.level}`),
  );
});

scenario(
  "after half a minute without the gateway the page has every sample that the gateway has",
  async (world) => {
    world.expectComplaints(...brokenConnection);
    world.simulate(3, ["--rate", "2"]);
    const page = await world.open();
    await page.rowWith("pump-001", "online");
    await page.openDevice("pump-001");
    await page.by("samples").locator("summary").click();
    await until("some samples", async () => (await samples(page, "flow")).length > 4);
    const from = (await samples(page, "flow"))[0][0];

    world.gateway.hold();
    try {
      await page.state("recovering");
      const isGrey = () =>
        page.page
          .locator(".values")
          .first()
          .evaluate((values) => getComputedStyle(values).filter);
      await untilEqual("nothing is shown as current", isGrey, "grayscale(1)");
      await pause(deadMs - 12_000);
    } finally {
      world.gateway.resume();
    }
    await page.state("live");
    const to = Date.now();
    await until("it goes on", async () => (await samples(page, "flow")).at(-1)[0] > to + 1_000);
    const { timestamps, metrics } = await world.gateway.get(
      `devices/pump-001/telemetry?from=${from}&to=${to}`,
    );
    const kept = timestamps.filter((_, index) => metrics.flow.values[index] !== null);
    const shown = new Set((await samples(page, "flow")).map(([at]) => at));
    assert.ok(kept.length > 10, `the gateway has ${kept.length} samples`);
    assert.deepEqual(
      kept.filter((at) => !shown.has(at)),
      [],
      "samples that the page has not",
    );
  },
);

scenario("a device's comings and goings stand in its connections", async (world) => {
  const first = await world.device("fickle");
  await first.leave();
  const second = await world.device("fickle");
  const page = await world.open("#/device/fickle?tab=connections");
  const reasons = () =>
    page.by("connection-row").evaluateAll((rows) => rows.map((row) => row.dataset.reason));
  await untilEqual("both comings", reasons, ["connected", "disconnected", "connected"]);
  await second.vanish();
  await untilEqual("the end", async () => (await reasons())[0], "connection_lost");
});
