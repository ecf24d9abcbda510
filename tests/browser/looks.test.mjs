// What holds for every view, however it is looked at: on a phone, in another time zone, by who wants nothing to move.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** A device with something on each of its pages, a command and a batch; gives the addresses of all views. */
async function everyView(world) {
  await world.gateway.describe("pump-1", "pump", { hall: "north" });
  const device = await world.device("pump-1");
  await device.measure({ flow: 3, pressure: 2.5, mode: "eco" });
  await device.report({ mode: "eco" });
  const alert = {
    severity: "warning",
    code: `pressure_low_${"in_the_northern_hall_".repeat(4)}`,
    message: "Pressure under 3.2 bar, inflow is closed",
  };
  await device.raise(alert);
  const command = await world.gateway.send("POST", "devices/pump-1/commands", { name: "flush" });
  const batch = await world.gateway.send("POST", "command-batches", {
    devices: ["pump-1"],
    command: { name: "flush", params: { litres: 12, slowly: true } },
  });
  const addresses = [
    ["", "device-row"],
    ["#/?view=grid", "device-card"],
    ["#/device/pump-1", "chart"],
    ["#/device/pump-1?tab=state", "state-members"],
    ["#/device/pump-1?tab=events", "alert"],
    ["#/device/pump-1?tab=connections", "connection-row"],
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

scenario("no view is wider than a phone", async (world) => {
  const { addresses } = await everyView(world);
  const page = await world.open("", {
    viewport: { width: 360, height: 740 },
    isMobile: true,
    hasTouch: true,
  });
  for (const view of addresses) {
    await visit(world, page, view);
    const width = () => page.page.evaluate(() => document.documentElement.scrollWidth);
    await untilEqual(`the width of ${view[0]}`, width, 360);
  }
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
