// Measures the page in Chromium against the stand-in for the gateway.
//
//   npm run build && node bench/page.mjs frames [seconds]   frame times with 10,000 devices that each measure once a second
//   npm run build && node bench/page.mjs heap [minutes]     the heaps of page and worker over an hour of 1,000 devices, with
//                                                           a clock that runs 20 times as fast
//
// It prints figures and fails only where nothing could be measured: how fast a machine is says nothing about the page.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";
import { heapsOf } from "../dev/heap.mjs";

const [mode = "frames", amount] = process.argv.slice(2);
const port = 18_124;
const base = `http://127.0.0.1:${port}/`;
const settleMs = 15_000;
const speed = mode === "heap" ? 20 : 1;
const devices = mode === "heap" ? 1_000 : 10_000;

const gateway = spawn(process.execPath, [
  join(import.meta.dirname, "..", "dev", "fake-gateway.mjs"),
  ...["--port", String(port), "--devices", String(devices), "--speed", String(speed)],
]);
await once(gateway.stdout, "data");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--enable-precise-memory-info",
    "--js-flags=--expose-gc",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await page.goto(base);
  await page.locator('[data-testid="connection"][data-state="live"]').waitFor({ timeout: 120_000 });
  await page.locator('[data-testid="device-row"]').nth(10).waitFor();
  await page.waitForTimeout(settleMs / speed);
  await (mode === "heap" ? heap(page, Number(amount ?? 60)) : frames(page, Number(amount ?? 60)));
} finally {
  await browser.close();
  gateway.kill();
}

async function frames(page, seconds) {
  const before = loadavg()[0];
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const busyBefore = await busySeconds(session);
  const { intervals, changes } = await page.evaluate(watchFrames, seconds * 1_000);
  const busy = (await busySeconds(session)) - busyBefore;
  if (intervals.length < seconds) throw new Error(`only ${intervals.length} frames were drawn`);
  const sorted = intervals.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1);
  const over = (ms) => sorted.filter((interval) => interval > ms).length;
  console.log(
    `${devices} devices at 1 Hz, ${seconds} s, ${intervals.length} frames, load ${before.toFixed(1)}`,
  );
  console.log(`between frames: median ${at(0.5)} ms, 95% ${at(0.95)}, 99% ${at(0.99)}, longest ${at(1)}`);
  console.log(`over 17 ms: ${over(17.5)}, over 50 ms: ${over(50)}; values in view changed ${changes} times`);
  console.log(`the page's thread was at work ${((busy / seconds) * 100).toFixed(0)}% of the time`);
}

/** How long the page's main thread has had something to do. */
async function busySeconds(session) {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "TaskDuration").value;
}

/** Runs in the page. */
function watchFrames(forMs) {
  return new Promise((resolve) => {
    const intervals = [];
    let changes = 0;
    const observer = new MutationObserver((records) => {
      changes += records.length;
    });
    const table = document.querySelector('[data-testid="devices"]');
    observer.observe(table, { subtree: true, characterData: true });
    const begun = performance.now();
    let last = begun;
    const draw = (now) => {
      intervals.push(now - last);
      last = now;
      if (now - begun < forMs) return requestAnimationFrame(draw);
      observer.disconnect();
      resolve({ intervals: intervals.slice(1), changes });
    };
    requestAnimationFrame(draw);
  });
}

async function heap(page, minutes) {
  const total = (minutes * 60_000) / speed;
  const marks = [5 / minutes, 0.5, 1].map((share) => share * total);
  const begun = performance.now();
  for (const mark of marks) {
    await pause(Math.max(0, begun + mark - performance.now()));
    const passed = ((performance.now() - begun) * speed) / 60_000;
    const heaps = await heapsOf(page);
    const [ofPage, ofWorker] = [heaps.page.toFixed(1), heaps.worker.toFixed(1)];
    console.log(`after ${passed.toFixed(0)} min: page ${ofPage} MiB, worker ${ofWorker} MiB`);
  }
}
