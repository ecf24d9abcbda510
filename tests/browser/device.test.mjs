// The page of one device: values, charts, what is known of its connection.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** The canvas of a chart: how many of its pixels are drawn, and a text that changes with each of them. */
function drawing(page, metric) {
  return page.page.locator(`[data-testid="chart"][data-metric="${metric}"] canvas`).evaluate((canvas) => {
    // A copy is read, for reading makes a canvas slow, and Chromium says so.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {
      willReadFrequently: true,
    });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let drawn = 0;
    let sum = 0;
    for (let at = 3; at < data.length; at += 4) {
      if (data[at] === 0) continue;
      drawn += 1;
      sum = (sum * 31 + at + data[at - 1]) >>> 0;
    }
    return { drawn, sum };
  });
}

/** How many pixels of a chart have a colour: axes and grid are grey, what was measured is not. */
function coloured(page, metric) {
  return page.page.locator(`[data-testid="chart"][data-metric="${metric}"] canvas`).evaluate((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {
      willReadFrequently: true,
    });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue] = data.slice(at, at + 3);
      if (data[at + 3] > 100 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count += 1;
    }
    return count;
  });
}

scenario("charts draw what a simulated pump measures, and go on", async (world) => {
  world.simulate(1, ["--types", "pump", "--rate", "5"]);
  const page = await world.open();
  await page.rowWith("pump-001", "online");
  await page.openDevice("pump-001");
  for (const metric of ["flow", "power", "pressure", "rpm", "valve"]) {
    await until(`a line for ${metric}`, async () => (await drawing(page, metric)).drawn > 500);
  }
  const first = await drawing(page, "flow");
  await until("the line goes on", async () => (await drawing(page, "flow")).sum !== first.sum);
  const values = page.by("values");
  const flow = await page.value(values, "flow");
  await until("the value goes on", async () => (await page.value(values, "flow")) !== flow);
});

scenario("a chart spans what came before its page was opened and what comes after", async (world) => {
  const device = await world.device("tank-7");
  await device.measure({ level: 50 });
  const page = await world.open("#/device/tank-7");
  const range = page.page.locator('[data-testid="chart"][data-metric="level"] figcaption span');
  for (const level of [10, 2.5, 40]) {
    await device.measure({ level });
    await page.showsNumber(page.by("values"), "level", level);
  }
  await until("lowest and highest", async () => /^2\.5 – 50(\.0)?$/.test(await range.innerText()));
});

scenario("a sample that no line goes through is a point", async (world) => {
  const device = await world.device("meter-1");
  const page = await world.open("#/device/meter-1");
  await device.measure({ power: 5 });
  await page.shows(page.by("values"), "power", "5");
  await until("a point is drawn", async () => (await coloured(page, "power")) > 8);
  assert.ok((await coloured(page, "power")) < 60, "and no line");
});

scenario("values of every kind are shown as what they are", async (world) => {
  const device = await world.device("mixed");
  const page = await world.open("#/device/mixed");
  await device.measure({
    on: false,
    mode: "<b>eco</b>",
    limits: { low: 1, high: 2 },
    none: null,
    tiny: 0.0004,
  });
  const values = page.by("values");
  await page.shows(values, "on", "false");
  await page.shows(values, "mode", "<b>eco</b>");
  await page.shows(values, "limits", '{"low":1,"high":2}');
  await page.shows(values, "none", "null");
  await page.shows(values, "tiny", "0.00040");
  assert.equal(await page.by("values").locator("b").count(), 0, "text of a device is never markup");
});

scenario("the head of the page says where the device is, and follows it", async (world) => {
  await world.gateway.describe("pump-9", "pump", { hall: "north" });
  const page = await world.open("#/device/pump-9");
  await untilEqual("offline at first", () => page.by("presence").locator(".presence").innerText(), "offline");
  const device = await world.device("pump-9");
  await untilEqual("online", () => page.by("presence").locator(".presence").innerText(), "online");
  await page.page.getByText("hall: north").waitFor();
  await page.page.getByText("it connected").waitFor();
  await device.leave();
  await untilEqual("offline", () => page.by("presence").locator(".presence").innerText(), "offline");
  await page.page.getByText("it said goodbye").waitFor();
});

scenario("a device that nobody knows is said to be unknown, and appears when it comes", async (world) => {
  world.expectComplaints(/404/);
  const page = await world.open("#/device/nobody");
  await page.page.getByText("nobody:").waitFor();
  const device = await world.device("nobody");
  await device.measure({ here: true });
  await page.shows(page.by("values"), "here", "true");
});

scenario("two pages see the same, through all changes", async (world) => {
  const device = await world.device("twin");
  const one = await world.open("#/device/twin");
  const other = await world.open();
  for (let step = 1; step <= 50; step += 1) await device.measure({ step, half: step / 2 });
  await one.showsNumber(one.by("values"), "step", 50);
  await other.showsNumber(other.row("twin"), "step", 50);
  await other.showsNumber(other.row("twin"), "half", 25);
  await one.showsNumber(one.by("values"), "half", 25);
  await other.openDevice("twin");
  const card = await one.sendCommand("wink", { params: { eye: "left" } });
  const command = await device.nextCommand();
  await device.answer(command, { status: "rejected", error: { code: "no_eyes", message: "it has none" } });
  await one.commandIs(card, "rejected");
  await other.commandIs(other.command(command.id), "rejected");
  const errors = await Promise.all([one, other].map((page) => page.by("command-error").innerText()));
  assert.equal(errors[0], errors[1]);
});
