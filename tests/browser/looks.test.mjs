// What holds for every view, however it is looked at: on a phone, in another time zone, by who wants nothing to move.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** A device with something on each of its pages, a command and a batch; gives the addresses of all views. */
async function everyView(world, id = "pump-1") {
  await world.gateway.describe(id, "pump", { hall: "north" });
  const device = await world.device(id);
  await device.measure({ flow: 3, pressure: 2.5, mode: "eco" });
  await device.report({ mode: "eco", ["as_written_".repeat(12)]: "x".repeat(200) });
  const alert = {
    severity: "warning",
    code: `pressure_low_${"in_the_northern_hall_".repeat(4)}`,
    message: "Pressure under 3.2 bar, inflow is closed",
  };
  await device.raise(alert);
  const command = await world.gateway.send("POST", `devices/${id}/commands`, { name: "flush" });
  const batch = await world.gateway.send("POST", "command-batches", {
    devices: [id],
    command: { name: "flush", params: { litres: 12, slowly: true } },
  });
  const addresses = [
    ["", "device-row"],
    ["#/?view=grid", "device-card"],
    [`#/device/${id}`, "chart"],
    [`#/device/${id}?tab=state`, "state-members"],
    [`#/device/${id}?tab=events`, "alert"],
    [`#/device/${id}?tab=connections`, "connection-row"],
    ["#/commands", "command-row"],
    [`#/command/${command.id}`, "timeline"],
    [`#/batch/${batch.id}`, "command-row"],
    ["#/alerts", "alert"],
    ["#/topics", "topics-page"],
    ["#/gateway", "figure-now"],
  ];
  return { device, addresses };
}

async function visit(world, page, [address, handle]) {
  await page.goto(new URL(address, world.gateway.origin));
  await page.by(handle).first().waitFor();
}

scenario("no view is wider than a phone, and no name so long that it hides an alert", async (world) => {
  const { addresses } = await everyView(world, `pump-${"of-the-northern-hall-".repeat(5)}1`);
  const page = await world.open("", {
    viewport: { width: 360, height: 740 },
    isMobile: true,
    hasTouch: true,
  });
  for (const view of addresses) {
    await visit(world, page, view);
    const width = () => page.page.evaluate(() => document.documentElement.scrollWidth);
    await untilEqual(`the width of ${view[0]}`, width, 360);
    const marks = page.page.locator(".col-id .alert-mark");
    if (view[0] === "") assert.ok((await marks.boundingBox()).x < 280, "the mark is beside the name");
  }
});

scenario("on a phone the connection's figures and the names of metrics are not cut off", async (world) => {
  const device = await world.device("thermostat-1");
  await device.measure({ temperature: 21.5, humidity: 60 });
  const page = await world.open();
  const isCut = (element) => element.scrollWidth > element.clientWidth;
  for (const width of [390, 320]) {
    await page.page.setViewportSize({ width, height: 740 });
    const name = page.row("thermostat-1").locator(".reading-name").first();
    await untilEqual(`"temperature" is cut at ${width}`, () => name.evaluate(isCut), false);
    await page.by("connection").locator("summary").click();
    const panel = page.by("connection").locator(".panel");
    await untilEqual(`the figures are cut at ${width}`, () => panel.evaluate(isCut), false);
    await page.page.keyboard.press("Escape");
  }
});

scenario("names and ages of a device's values have room beside its charts", async (world) => {
  const device = await world.device("thermostat-1");
  await device.measure({ temperature: 21.5, t: 1 });
  const page = await world.open("#/device/thermostat-1");
  const row = (metric) => page.by("values").locator(`[data-metric="${metric}"]`);
  const height = async (metric) => (await row(metric).boundingBox()).height;
  await row("temperature").waitFor();
  assert.ok(Math.abs((await height("temperature")) - (await height("t"))) < 2, "the name is on one line");
  const apart = await row("temperature").evaluate((element) => {
    const ends = (text) => {
      const range = document.createRange();
      range.selectNodeContents(element.querySelector(`[data-testid="${text}"]`));
      return range.getBoundingClientRect();
    };
    element.querySelector('[data-testid="age"]').textContent = "59 min";
    return ends("age").left - ends("value").right;
  });
  assert.ok(apart >= 8, `${apart} pixels lie between value and age`);
});

scenario("a device and the gateway are no wider than the narrowest phone, whatever is open", async (world) => {
  const device = await world.device("pump-1");
  await device.measure({ flow: 3 });
  await device.raise({ severity: "warning", code: "pressure_low", message: "Pressure under 3.2 bar" });
  const page = await world.open("#/device/pump-1", { viewport: { width: 320, height: 740 } });
  const over = () =>
    page.page.evaluate(() =>
      [...document.querySelectorAll("html, main .card")].reduce(
        (most, { scrollWidth, clientWidth }) => Math.max(most, scrollWidth - clientWidth),
        0,
      ),
    );
  await page.by("tab-events").locator(".count").waitFor();
  await page.by("command-more").click();
  await page.by("command-expect").check();
  await untilEqual("what is beyond the edges", over, 0);
  await visit(world, page, ["#/gateway", "figure-now"]);
  await untilEqual("what is beyond the edges", over, 0);
});

scenario("a longer time does not move the charts", async (world) => {
  const device = await world.device("pump-1");
  // More than are drawn: values are put together then.
  const start = Date.now() - 80_000;
  const batch = Array.from({ length: 800 }, (_, at) => ({ timestamp: start + at * 100, data: { flow: at } }));
  await device.publish("devices/pump-1/telemetry", batch);
  const page = await world.open("#/device/pump-1");
  const place = async () => (await page.by("chart").boundingBox()).y;
  await page.by("chart").waitFor();
  const before = await place();
  await page.by("span-7d").locator("..").click();
  await page.page.locator(".buckets:not(:empty)").waitFor();
  assert.equal(await place(), before);
});

scenario("the end of the table is reached in a low window", async (world) => {
  const page = await world.open("", { viewport: { width: 844, height: 390 } });
  const hidden = () =>
    page.page.evaluate(() => {
      scrollTo(0, document.documentElement.scrollHeight);
      const [table, links] = [".scroller", ".nav"].map((part) =>
        document.querySelector(part).getBoundingClientRect(),
      );
      return Math.max(0, table.bottom - links.top);
    });
  await untilEqual("what the navigation hides of it", hidden, 0);
});

scenario("times are the reader's own, and in UTC under the pointer", async (world) => {
  const { addresses } = await everyView(world);
  const page = await world.open("", { timezoneId: "Asia/Kolkata" });
  await page.rowWith("pump-1", "online");
  const seen = await page.row("pump-1").locator(".col-seen").getAttribute("title");
  assert.match(seen, /UTC\)$/);
  for (const view of addresses.filter(([, handle]) =>
    /alert|connection-row|command-row|timeline/.test(handle),
  )) {
    await visit(world, page, view);
    const times = await page.page
      .locator("main time")
      .evaluateAll((all) => all.map(({ textContent, title }) => [textContent, title]));
    assert.ok(times.length > 0, `${view[0]} has times`);
    for (const [text, title] of times) {
      const [, utc] = /\((.+) UTC\)$/.exec(title) ?? [];
      assert.ok(utc !== undefined, `${view[0]}: "${title}" has no UTC`);
      const there = new Date(`${utc.replace(" ", "T")}Z`).toLocaleTimeString("en-GB", {
        timeZone: "Asia/Kolkata",
      });
      assert.ok(text.includes(there), `${view[0]}: "${text}" is not ${there}`);
    }
  }
});

for (const [wish, moves] of [
  ["reduce", false],
  ["no-preference", true],
]) {
  scenario(
    `a value that changes ${moves ? "lights up" : "does not light up for who wants rest"}`,
    async (world) => {
      const device = await world.device("pump-1");
      await device.measure({ flow: 0 });
      const page = await world.open("", { reducedMotion: wish });
      await page.shows(page.row("pump-1"), "flow", "0");
      await page.page.evaluate(() => {
        globalThis.lit = 0;
        const colour = (element) => getComputedStyle(element).color;
        const look = (records) => {
          for (const { target } of records) {
            if (target.matches(".value *") && colour(target) !== colour(target.parentElement)) globalThis.lit += 1;
          }
        };
        new MutationObserver(look).observe(document, { subtree: true, attributeFilter: ["class"] });
      });
      for (let flow = 1; flow < 4; flow += 1) {
        await device.measure({ flow });
        await page.shows(page.row("pump-1"), "flow", String(flow));
      }
      const lit = () => page.page.evaluate(() => globalThis.lit);
      if (moves) await until("it lit up", async () => (await lit()) > 0);
      else assert.equal(await lit(), 0);
    },
  );
}

scenario("a text of another script goes its own way, and turns nothing beside it", async (world) => {
  const device = await world.device("pump-1");
  await device.measure({ "درجة الحرارة": 21.5 });
  await device.raise({ severity: "warning", code: "hot", message: "حرارة عالية 94°" });
  /** Where some characters of an element begin. */
  const places = (element, parts) =>
    element.evaluate((box, parts) => {
      const { firstChild: text } = box;
      return parts.map((part) => {
        const range = document.createRange();
        const at = text.data.indexOf(part);
        range.setStart(text, at);
        range.setEnd(text, at + 1);
        return range.getBoundingClientRect().x;
      });
    }, parts);
  const page = await world.open("#/alerts");
  const message = page.by("alert").locator("b");
  const [word, degree] = await places(message, ["ح", "°"]);
  assert.ok(degree < word, "it is read from the right");
  const box = await message.boundingBox();
  const code = await page.by("alert").getByText("hot", { exact: true }).boundingBox();
  assert.ok(code.x >= box.x + box.width, "what follows it stands behind it");
  await page.by("nav-fleet").click();
  const reading = page.row("pump-1").locator(".reading");
  await page.shows(page.row("pump-1"), "درجة الحرارة", "21.5");
  const [name, value] = await Promise.all(
    [".reading-name", ".value"].map((part) => reading.locator(part).boundingBox()),
  );
  assert.ok(name.x + name.width <= value.x, "a value stands behind its name");
});

scenario("a computer whose clock is set shows ages and its connection as before", async (world) => {
  const device = await world.device("pump-1");
  await device.measure({ flow: 1 });
  const page = await world.open();
  await page.rowWith("pump-1", "online");
  const set = () => {
    const { now } = Date;
    Date.now = () => now() + 3_600_000;
  };
  await Promise.all([page.page, ...page.page.workers()].map((part) => part.evaluate(set)));
  const panel = page.by("connection").locator(".facts");
  await until("it is noticed", async () => /Gateway's clock\s*−(1 h|59 min)/.test(await panel.textContent()));
  await page.state("live");
  const seen = () => page.row("pump-1").locator(".col-seen").innerText();
  await until("the age is what it was", async () => /^(now|\d+ s)$/.test(await seen()));
  await device.measure({ flow: 2 });
  await page.shows(page.row("pump-1"), "flow", "2");
  await untilEqual("and counts on", seen, "now");
});
