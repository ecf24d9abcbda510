// A page that has much to show, and for long: what its frames cost, and what it keeps.
//
// How long a frame takes by the clock says as much about the machine as about the page. So what is asserted is the
// processor's time that the page's own thread takes; what the clock said is printed beside it.
import assert from "node:assert/strict";
import { loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import mqtt from "mqtt";
import { heapsOf } from "./lib/heap.mjs";
import { until } from "./lib/until.mjs";
import { quantiles, watchWork } from "./lib/work.mjs";
import { scenario } from "./lib/world.mjs";

const minute = 60_000;
const devices = 10_000;
/** How long ten thousand devices may take to connect. */
const gatherMs = 3 * minute;
/** The longest that a frame may take, and the time between two of them. */
const frameMost = 50;
const frameUsual = 1_000 / 60;

scenario(
  `frames of a fleet of ${devices} that all measure once a second`,
  async (world) => {
    world.simulate(devices);
    const online = async () => {
      const text = await (await fetch(new URL("/metrics", world.gateway.origin))).text();
      return /^sluice_devices_online_now (\d+)/m.exec(text)?.[1] === String(devices);
    };
    await until("all are online", online, gatherMs);
    const page = await world.openBlank({ viewport: { width: 1440, height: 900 } });
    page.page.setDefaultTimeout(minute);
    await page.goto(world.gateway.origin);
    await page.state("live");
    await until(
      "all are here",
      async () => (await page.by("shown").innerText()).endsWith(` of ${devices}`),
      minute,
    );
    await pause(5_000);
    const work = await watchWork(page.page.context().browser(), page, minute);
    const [median, , most, longest] = quantiles(work.frames);
    console.log(
      `${devices} devices, load ${loadavg()[0].toFixed(1)}, ${await page.by("messages-per-s").innerText()}`,
    );
    console.log(`work for a frame: ${texts(quantiles(work.frames))}; in all ${JSON.stringify(work.kinds)}`);
    console.log(`between frames by the clock: ${texts(quantiles(work.intervals))}`);
    console.log("the longest tasks:", work.tasks);
    assert.ok(longest < frameMost, `one frame took ${longest.toFixed(1)} ms of work`);
    assert.ok(most < frameUsual, `one in a hundred took ${most.toFixed(1)} ms of work`);
    assert.ok(median < frameUsual / 2, `every second one took ${median.toFixed(1)} ms of work`);
  },
  { timeoutMs: 6 * minute },
);

/** How many times faster than the clock the devices of the next test live. */
const speed = 20;
const few = 1_000;
/** A heap is never twice the same. */
const slackMiB = 0.5;

scenario(
  `the heaps of a page over half an hour of ${few} devices, told in a minute and a half`,
  async (world) => {
    const stop = await liveFast(world.gateway, few);
    world.atEnd(stop);
    const page = await world.open("#/device/fast-1");
    await page.by("chart").first().locator("canvas").waitFor();
    await pause((5 * minute) / speed);
    await page.by("nav-fleet").click();
    await until(
      "all are here",
      async () => (await page.by("shown").innerText()).endsWith(` of ${few}`),
      minute,
    );
    await pause((3 * minute) / speed);
    const early = await heapsOf(page);
    for (let step = 0; step < 4; step += 1) {
      await page.goto(new URL("#/device/fast-1", world.gateway.origin));
      await pause((3 * minute) / speed);
      await page.by("nav-fleet").click();
      await pause((3 * minute) / speed);
    }
    const late = await heapsOf(page);
    console.log("MiB after 8 minutes:", early, "after 32:", late);
    for (const part of ["page", "worker"]) {
      assert.ok(
        late[part] < early[part] + slackMiB,
        `the ${part} grew from ${early[part]} to ${late[part]} MiB`,
      );
    }
  },
  { timeoutMs: 5 * minute },
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
