// The past: charts over any time, as numbers, as a file, and nothing missing after a break.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { brokenConnection } from "./lib/complaints.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

const minute = 60_000;
/** How long the line is dead in the test of recovery; longer than the page waits before it gives a line up. */
const deadMs = 30_000;
/** What waits for half a minute or more has longer than other tests. */
const patient = { timeoutMs: 4 * minute };
/** How much of a line may be missing although nothing is: what a busy machine delays. */
const slack = 0.08;

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

/** What the gateway has of a metric in a time and the page's table has not. */
async function unseen(page, gateway, device, metric, from, to) {
  const { timestamps, metrics } = await gateway.get(`devices/${device}/telemetry?from=${from}&to=${to}`);
  const kept = timestamps.filter((_, index) => metrics[metric].values[index] !== null);
  assert.ok(kept.length > 10, `the gateway has ${kept.length} samples`);
  const shown = new Set((await samples(page, metric)).map(([at]) => at));
  return kept.filter((at) => !shown.has(at));
}

/** The longest part of a chart's line that is not drawn, as a share of the line. */
function longestGap(page, metric) {
  return page.page.locator(`[data-testid="chart"][data-metric="${metric}"] canvas`).evaluate((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const ink = getComputedStyle(canvas.closest(".chart")).outlineColor.match(/\d+/g).map(Number);
    const isInk = (at) =>
      data[at + 3] > 60 && ink.every((part, index) => Math.abs(data[at + index] - part) < 40);
    const drawn = Array.from({ length: canvas.width }, (_, x) =>
      Array.from({ length: canvas.height }, (_, y) => (y * canvas.width + x) * 4).some(isInk),
    );
    const [first, last] = [drawn.indexOf(true), drawn.lastIndexOf(true)];
    let [run, longest] = [0, 0];
    for (const is of drawn.slice(first, last)) {
      run = is ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    return longest / (last - first);
  });
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

scenario("a part that is drawn over in one of several charts is shown larger in all", async (world) => {
  const device = await world.device("tank-1");
  const past = pastOf(Date.now());
  await device.measure(
    past.map(({ timestamp, data: { level } }) => ({
      timestamp,
      data: { level, flow: 2 * level, rpm: -level },
    })),
  );
  const page = await world.open("#/device/tank-1?span=6h");
  await page.by("chart").nth(2).locator("canvas").waitFor();
  const plot = page.by("chart").first().locator(".u-over");
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
  for (const metric of ["flow", "level", "rpm"]) {
    await until(`${metric} is drawn`, async () => (await longestGap(page, metric)) < slack);
  }
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

scenario("a file of several pages has every column, whatever breaks in a metric's name", async (world) => {
  const device = await world.device("tank-1");
  const begun = Date.now() - 20 * minute;
  await device.measure({ timestamp: begun, data: { "odd\nname": 1 } });
  for (let at = 1; at < 11_000; at += 1_000) {
    const batch = Array.from({ length: 1_000 }, (_, index) => at + index);
    await device.measure(batch.map((index) => ({ timestamp: begun + 100 * index, data: { level: index } })));
  }
  const page = await world.open("#/device/tank-1?span=1h");
  const [download] = await Promise.all([page.page.waitForEvent("download"), page.by("csv").click()]);
  const text = await readFile(await download.path(), "utf8");
  assert.ok(text.startsWith('timestamp,level,"odd\nname"\n'), text.slice(0, 60));
  assert.ok(text.endsWith(`${begun + 100 * 11_000},11000,\n`), text.slice(-60));
  assert.equal(text.split("\n").length, 11_001 + 3);
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
    await page.recovered();
    const to = Date.now();
    await until("it goes on", async () => (await samples(page, "flow")).at(-1)[0] > to + 1_000);
    assert.deepEqual(await unseen(page, world.gateway, "pump-001", "flow", from, to), []);
  },
  patient,
);

scenario("a device's own silence is a gap in its line", async (world) => {
  const device = await world.device("tank-1");
  await device.measure(pastOf(Date.now()));
  const page = await world.open("#/device/tank-1?span=6h");
  await until("a quarter is missing", async () => Math.abs((await longestGap(page, "level")) - 0.25) < 0.03);
});

scenario(
  "a page that was cut off for half a minute draws its lines without a gap, from every sample",
  async (world) => {
    world.expectComplaints(...brokenConnection);
    world.simulate(3, ["--rate", "2"]);
    const line = await world.line();
    const page = await world.open("#/device/pump-001", { line });
    await page.by("samples").locator("summary").click();
    await until("some samples", async () => (await samples(page, "flow")).length > 4);
    const from = (await samples(page, "flow"))[0][0];

    line.cut();
    await page.state("recovering");
    await pause(deadMs);
    line.mend();
    await page.recovered();
    const to = Date.now();
    await until("it goes on", async () => (await samples(page, "flow")).at(-1)[0] > to + 1_000);
    assert.deepEqual(await unseen(page, world.gateway, "pump-001", "flow", from, to), []);
    const gap = await longestGap(page, "flow");
    assert.ok(gap < slack, `the line has a gap of ${gap.toFixed(2)} of it`);
  },
  patient,
);

scenario("after a restart of the gateway the page has every sample that the gateway kept", async (world) => {
  world.expectComplaints(...brokenConnection);
  world.simulate(3, ["--rate", "2"]);
  const page = await world.open("#/device/pump-001");
  await page.by("samples").locator("summary").click();
  await until("some samples", async () => (await samples(page, "flow")).length > 4);
  const from = (await samples(page, "flow"))[0][0];
  await world.gateway.kill();
  await page.state("recovering");
  await world.gateway.start();
  await page.state("live");
  const back = Date.now();
  await until("it goes on", async () => (await samples(page, "flow")).at(-1)[0] > back + 5_000, 60_000);
  await untilEqual(
    "nothing is missing",
    () => unseen(page, world.gateway, "pump-001", "flow", from, back + 4_000),
    [],
  );
});

scenario(
  "a page that was hidden for a minute has everything when it is looked at again",
  async (world) => {
    world.simulate(3, ["--rate", "2"]);
    const { page, hide, show } = await world.openTab("#/device/pump-001");
    await page.by("samples").locator("summary").click();
    await until("some samples", async () => (await samples(page, "flow")).length > 4);
    const from = (await samples(page, "flow"))[0][0];
    const isHidden = () => page.page.evaluate(() => document.hidden);
    await hide();
    await untilEqual("it is hidden", isHidden, true);
    await pause(minute);
    await show();
    await untilEqual("it is seen", isHidden, false);
    await page.state("live");
    const to = Date.now();
    await until("it goes on", async () => (await samples(page, "flow")).at(-1)[0] > to + 1_000);
    assert.deepEqual(await unseen(page, world.gateway, "pump-001", "flow", from, to), []);
    const api = (await world.gateway.get("devices/pump-001")).values;
    assert.deepEqual(Object.keys(api).length, await page.by("values").locator("tr[data-metric]").count());
  },
  patient,
);

scenario("one cursor runs through all charts of a device", async (world) => {
  const device = await world.device("tank-1");
  const now = Date.now();
  const past = Array.from({ length: 60 }, (_, index) => ({
    timestamp: now - (60 - index) * minute,
    data: { level: index, outflow: 2 * index },
  }));
  await device.measure(past);
  const page = await world.open("#/device/tank-1?span=1h");
  await page.by("chart").nth(1).locator(".u-over").waitFor();
  await until("the past is drawn", async () => (await longestGap(page, "outflow")) < slack);
  const { x, y, width, height } = await page.by("chart").first().locator(".u-over").boundingBox();
  await page.page.mouse.move(x + width / 3, y + height / 2);
  const pointed = page.page.locator(".chart-pointed");
  await untilEqual("both charts say it", () => pointed.count(), 2);
  const [level, outflow] = (await pointed.allInnerTexts()).map((text) => text.split(" at "));
  assert.equal(level[1], outflow[1], "the same moment");
  assert.equal(Number(outflow[0]), 2 * Number(level[0]));
  await page.page.mouse.move(2, 2);
  await untilEqual("nothing is pointed at", () => pointed.count(), 0);
  for (const metric of ["level", "outflow"]) {
    assert.ok((await longestGap(page, metric)) < slack, `${metric} is still drawn`);
  }
});

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

scenario("a device's comings and goings are there after kills of the gateway too", async (world) => {
  world.expectComplaints(...brokenConnection);
  const page = await world.open("#/device/fickle?tab=connections");
  const reasons = () =>
    page.by("connection-row").evaluateAll((rows) => rows.map((row) => row.dataset.reason));
  const past = [];
  for (let kills = 0; kills < 2; kills += 1) {
    await (await world.device("fickle")).leave();
    past.unshift("disconnected", "connected");
    await untilEqual("it came and went", reasons, past);
    // What is acknowledged is stored, and so is what came before it.
    const witness = await world.device("witness");
    await witness.measure({ kills });
    await witness.leave();
    await world.gateway.kill();
    await page.state("recovering");
    await world.gateway.start();
    await page.state("live");
  }
  await (await world.device("fickle")).leave();
  await untilEqual("all of it", reasons, ["disconnected", "connected", ...past]);
});
