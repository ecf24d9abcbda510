// A page that has much to show, and for long: what its frames cost, and what it keeps.
//
//   LOAD=full tests/browser/run load.test.mjs     in full size: a quarter of an hour at most; else in a size for every day
//
// How long a frame takes by the clock says as much about the machine as about the page. In the size for every day, beside
// unoptimised servers on the same processors, only the share of the time is asserted that the page's own thread is at work.
// In full size gateway and simulator leave the processors to the browser, as if they had some of their own, and each frame
// counts, by the clock and then by the thread's time. One good time of three is enough: what the page itself makes slow is
// slow in all of them.
import assert from "node:assert/strict";
import { loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import mqtt from "mqtt";
import { heapsOf } from "../../dashboard/dev/heap.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { quantiles, watchClock, watchWork } from "./lib/work.mjs";
import { scenario } from "./lib/world.mjs";

const minute = 60_000;
const isFull = process.env.LOAD === "full";
/** How many devices measure once a second, and for how long the page is watched. */
const [devices, watchMs] = isFull ? [10_000, minute] : [2_000, 15_000];
/** The share of them that is enough to begin with: some lose their connection on a busy machine, and come back. */
const most = 0.99;
/** How long they may take to connect. */
const gatherMs = 5 * minute;
/** The largest share of the time that the page's thread may be at work. */
const shareMost = 0.6;
/** The most times a second that the whole page may be laid out, and not only the values that changed. */
const wholeLayoutsMost = 2;
/** How often they are watched at most until a time is good. */
const tries = 3;
/** The longest that a frame may take, and the time between two of them; in the median, as a clock with jitter has it. */
const frameMost = 50;
const frameUsual = 1_000 / 60;
const frameMedianMost = 17;
/** How nice gateway and simulator are, and the share of the fleet's updates that still must come: they have enough to run. */
const nice = isFull ? 15 : 0;
const fleetLeast = 0.95;

scenario(
  `frames of a fleet of ${devices} that all measure once a second`,
  async (world) => {
    world.simulate(devices);
    const online = async () => (await metric(world.gateway, "devices_online")) >= most * devices;
    await until("all are online", online, gatherMs);
    const page = await world.openBlank({ viewport: { width: 1440, height: 900 } });
    page.page.setDefaultTimeout(minute);
    await page.goto(world.gateway.origin);
    await page.state("live");
    const here = async () => Number((await page.by("shown").innerText()).split(" of ")[1]) >= most * devices;
    await until("all are here", here, minute);
    await pause(5_000);
    for (let left = tries; left > 0; left -= 1) {
      const isSmooth = !isFull || (await hasSmoothFrames(world.gateway, page));
      const work = await watchWork(page.page.context().browser(), page, watchMs);
      const share = work.frames.reduce((sum, frame) => sum + frame, 0) / watchMs;
      const [median, , , longest] = quantiles(work.frames);
      console.log(`${work.frames.length} frames, load ${loadavg()[0].toFixed(1)}`);
      console.log(`at work ${(share * 100).toFixed(0)}% of the time, by kind in ms`, work.kinds);
      console.log(`work for a frame: ${texts(quantiles(work.frames))}`);
      console.log(`laid out as a whole ${work.wholeLayouts} times; the longest tasks:`, work.tasks.slice(0, 3));
      assert.ok(share < shareMost, `it was at work ${(share * 100).toFixed(0)}% of the time`);
      const wholeLayouts = (work.wholeLayouts * 1_000) / watchMs;
      assert.ok(wholeLayouts < wholeLayoutsMost, `it was laid out ${wholeLayouts} times a second`);
      if (!isFull || (isSmooth && longest < frameMost && median < frameUsual / 2)) return;
    }
    assert.fail(`${tries} times a frame took too long: see above`);
  },
  { timeoutMs: 15 * minute, nice },
);

/** Metrics of a device that has many, how often it measures them, and the largest share of the time that its page works. */
const [metrics, measureMs] = [200, 200];
const deviceShareMost = 0.6;

scenario(
  `the page of a device with ${metrics} metrics, with all its charts and its table open`,
  async (world) => {
    const device = await world.device("busy-1");
    const names = Array.from({ length: metrics }, (_, index) => `metric_${index}`);
    let count = 0;
    const measure = () => {
      count += 1;
      return device.measure(
        Object.fromEntries(names.map((name, index) => [name, (count * (index + 7)) % 101])),
      );
    };
    await measure();
    const timer = setInterval(() => void measure(), measureMs);
    world.atEnd(() => clearInterval(timer));
    const page = await world.open("#/device/busy-1");
    await page.page.getByRole("button", { name: `Show ${metrics - 8} more charts` }).click();
    await page.by("samples").locator("summary").click();
    await page.by("samples-cut").waitFor();
    assert.equal(await page.by("chart").count(), metrics);
    const work = await watchWork(page.page.context().browser(), page, 2_000);
    const share = work.frames.reduce((sum, frame) => sum + frame, 0) / 2_000;
    console.log(`${work.frames.length} frames, at work ${(share * 100).toFixed(0)}% of the time`);
    assert.ok(share < deviceShareMost, `it was at work ${(share * 100).toFixed(0)}% of the time`);
    const plots = await page.page.locator(".chart canvas").count();
    assert.ok(plots < metrics / 4, `${plots} plots are kept for what is in view`);
    await page.by("metric-filter").fill("METRIC_19");
    await untilEqual("what passes", () => page.by("metrics-shown").innerText(), `11 of ${metrics}`);
    await untilEqual("its charts", () => page.by("chart").count(), 11);
    assert.match(page.page.url(), /q=METRIC_19/);
    clearInterval(timer);
  },
);

/** Whether frames came in time by the clock, for as long as the page is watched, while the fleet measured as it should. */
async function hasSmoothFrames(gateway, page) {
  const before = await metric(gateway, "updates_total");
  const intervals = quantiles(await watchClock(page, watchMs));
  const updates = (await metric(gateway, "updates_total")) - before;
  console.log(`between frames by the clock: ${texts(intervals)}; ${updates} updates`);
  const [median, , , longest] = intervals;
  const isWhole = updates >= (fleetLeast * devices * watchMs) / 1_000;
  return isWhole && longest < frameMost && median < frameMedianMost;
}

/** One of the gateway's metrics. */
async function metric(gateway, name) {
  const text = await (await fetch(new URL("/metrics", gateway.origin))).text();
  return Number(new RegExp(`^sluice_${name} (\\d+)`, "m").exec(text)?.[1]);
}

/** How many times faster than the clock the devices of the next test live. */
const speed = 20;
/** How many they are, and how long they live after the first look at the heaps. */
const [few, laterMs] = isFull ? [1_000, 55 * minute] : [300, 15 * minute];
/** When the heaps are looked at first: what is kept of each device is full by then. */
const earlyMs = 5 * minute;
const looks = 4;
/** A heap is never twice the same. */
const slackMiB = 0.4;
/** The engine's machine code is on the heap too, and comes and goes with what runs often: what the page keeps is the rest. */
const noMachineCode = "--js-flags=--no-sparkplug --no-maglev --no-turbofan";

scenario(
  `the heaps of a page over ${(earlyMs + laterMs) / minute} minutes of ${few} devices, told ${speed} times as fast`,
  async (world) => {
    world.atEnd(await liveFast(world.gateway, few));
    const page = await world.open("#/device/fast-1");
    await page.by("chart").first().locator("canvas").waitFor();
    const walk = async (forMs) => {
      await page.goto(new URL("#/device/fast-1", world.gateway.origin));
      await page.by("device-page").waitFor();
      await pause(forMs / 2);
      await page.by("nav-fleet").click();
      const shown = async () => (await page.by("shown").innerText()).endsWith(` of ${few}`);
      await until("all are here", shown, minute);
      await pause(forMs / 2);
    };
    // What can go is not always gone when it could: of a few looks the lowest counts.
    const lowest = async (forMs) => {
      const heaps = [];
      for (let look = 0; look < looks; look += 1) {
        await walk(forMs / speed / looks);
        heaps.push(await heapsOf(page.page));
      }
      const least = (part) => Math.min(...heaps.map((heap) => heap[part]));
      return { page: least("page"), worker: least("worker") };
    };
    const early = await lowest(earlyMs);
    const late = await lowest(laterMs);
    console.log("MiB at first:", early, "in the end:", late);
    for (const part of ["page", "worker"]) {
      const grown = late[part] - early[part];
      assert.ok(grown < slackMiB, `the ${part} grew from ${early[part]} to ${late[part]} MiB`);
    }
  },
  { timeoutMs: 8 * minute, browser: [noMachineCode] },
);

/** Devices whose seconds are short: once a second each of them says what it measured in `speed` of its own. */
async function liveFast(gateway, count) {
  const client = await mqtt.connectAsync(`mqtt://${gateway.mqtt}`, { clientId: "fast-hub" });
  const begun = Date.now() - 60 * minute;
  let second = 0;
  const timer = setInterval(() => {
    for (let device = 1; device <= count; device += 1) {
      const samples = Array.from({ length: speed }, (_, index) => ({
        timestamp: begun + (second + index) * 1_000,
        data: {
          level: Math.sin((second + index + device) / 30),
          on: (second + device) % 60 < 30,
          count: second,
        },
      }));
      client.publish(`devices/fast-${device}/telemetry`, JSON.stringify(samples));
    }
    second += speed;
  }, 1_000);
  return async () => {
    clearInterval(timer);
    await client.endAsync(true);
  };
}

function texts([median, , most, longest]) {
  return `median ${median.toFixed(1)} ms, 99 of 100 ${most.toFixed(1)}, longest ${longest.toFixed(1)}`;
}
