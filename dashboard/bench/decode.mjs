// How many bytes and how much time a frame of 5,000 updates takes to read, as JSON and as columns, in one run in
// Chromium: JSON.parse and columns.ts, each with all values read.
//
//   node bench/decode.mjs [--updates 5000] [--samples 60] [--goal]
//
// `--goal` fails where columns are not 5 times smaller and 20 times faster. It uses Debian's chromium (or what CHROMIUM
// names).
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { build } from "vite";
import { ColumnsEncoder } from "../tests/client/columns-encoder.mjs";

const goal = { bytes: 5, time: 20 };
const { values: flags } = parseArgs({
  options: {
    updates: { type: "string", default: "5000" },
    samples: { type: "string", default: "60" },
    goal: { type: "boolean", default: false },
  },
});
const count = Number(flags.updates);

/** One update of each of many devices: 3 metrics, as a sensor of a room has them. */
function makeFrame(round) {
  const order = Array.from({ length: count }, (_, n) => (n * 7_919 + round) % count);
  return order.map((device, n) => ({
    channel: `telemetry/sensor-${String(device).padStart(5, "0")}`,
    seq: 100_000 + round + (device % 977),
    offset: 7_000_000_000 + round * count + n,
    timestamp: 1_700_000_000_000 + round * 1_000 + Math.floor((n / count) * 1_000),
    data: {
      temperature: Number((15 + ((device * 37 + round) % 1_500) / 100).toFixed(2)),
      humidity: Number((20 + ((device * 13 + round) % 700) / 10).toFixed(1)),
      battery_percent: device % 101,
    },
  }));
}

/** The decoder as the page has it. */
async function decoderProgram() {
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      lib: {
        entry: join(import.meta.dirname, "../src/client/index.ts"),
        formats: ["iife"],
        name: "columns",
      },
    },
  });
  return [built].flat()[0].output[0].code;
}

/** Runs in the page: gives milliseconds a frame, sample by sample. */
function measure({ json, first, next, samples }) {
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const frame = bytesOf(next);
  const decoder = new columns.Columns();
  decoder.decode(bytesOf(first));

  const readJson = () => {
    let sum = 0;
    for (const { channel, seq, offset, timestamp, data } of JSON.parse(json)) {
      sum += channel.length + seq + offset + timestamp;
      sum += data.temperature + data.humidity + data.battery_percent;
    }
    return sum;
  };
  const scratch = new Float64Array(JSON.parse(json).length);
  const readColumns = () => {
    let sum = 0;
    for (const table of decoder.decode(frame)) {
      const { names, channels, seqs, offsets, timestamps, rows } = table;
      for (let row = 0; row < rows; row += 1) {
        sum += names[channels[row]].length + seqs[row] + offsets[row] + timestamps[row];
      }
      for (const column of table.columns) {
        const numbers = columns.numbersOf(column, scratch);
        for (let row = 0; row < rows; row += 1) sum += numbers[row];
      }
    }
    return sum;
  };
  /** The same again as objects, for who wants them. */
  const readUpdates = () => {
    let sum = 0;
    for (const { channel, seq, offset, timestamp, data } of decoder
      .decode(frame)
      .flatMap(columns.toUpdates)) {
      sum += channel.length + seq + offset + timestamp;
      sum += data.temperature + data.humidity + data.battery_percent;
    }
    return sum;
  };
  const timed = (read, repeats) => {
    const start = performance.now();
    let sum = 0;
    for (let n = 0; n < repeats; n += 1) sum += read();
    const tookMs = (performance.now() - start) / repeats;
    if (!Number.isFinite(sum)) throw new Error("what was read is no number");
    return tookMs;
  };

  const relative = Math.abs(readJson() / readColumns() - 1);
  if (relative > 1e-9) throw new Error("JSON and columns do not hold the same values");
  const times = { json: [], columns: [], updates: [] };
  // Clocks in a page are coarse: many reads make a sample. The first samples warm up.
  for (let sample = -10; sample < samples; sample += 1) {
    const took = {
      json: timed(readJson, 5),
      columns: timed(readColumns, 100),
      updates: timed(readUpdates, 5),
    };
    if (sample >= 0) for (const kind of Object.keys(times)) times[kind].push(took[kind]);
  }
  return times;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function row(...cells) {
  console.log(cells.map((cell, index) => (index === 0 ? cell.padEnd(24) : cell.padStart(12))).join(""));
}

const encoder = new ColumnsEncoder();
const [first, next] = [1, 2].map((round) => Buffer.from(encoder.encode(makeFrame(round))[0]));
const json = JSON.stringify(makeFrame(2));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
try {
  const page = await browser.newPage();
  await page.addScriptTag({ content: await decoderProgram() });
  const frames = { json, first: first.toString("base64"), next: next.toString("base64") };
  const times = await page.evaluate(measure, { ...frames, samples: Number(flags.samples) });

  const bytes = { json: Buffer.byteLength(json), columns: next.length };
  const ms = Object.fromEntries(Object.entries(times).map(([kind, all]) => [kind, median(all)]));
  const ratio = { bytes: bytes.json / bytes.columns, time: ms.json / ms.columns };
  console.log(`${count} updates of 3 metrics, ${flags.samples} samples, Chromium ${browser.version()}\n`);
  row("", "JSON", "columns", "ratio");
  row("bytes", String(bytes.json), String(bytes.columns), ratio.bytes.toFixed(1));
  row("bytes, with names", String(bytes.json), String(first.length), (bytes.json / first.length).toFixed(1));
  row("bytes, gzip", ...[json, next].map((frame) => String(gzipSync(frame).length)), "");
  row("ms to read, median", ms.json.toFixed(3), ms.columns.toFixed(3), ratio.time.toFixed(1));
  row("ms to read, least", ...[times.json, times.columns].map((all) => Math.min(...all).toFixed(3)), "");
  row("ms as objects, median", "", ms.updates.toFixed(3), (ms.json / ms.updates).toFixed(1));
  if (flags.goal && (ratio.bytes < goal.bytes || ratio.time < goal.time)) {
    console.error(`columns should be ${goal.bytes} times smaller and ${goal.time} times faster`);
    process.exitCode = 1;
  }
} finally {
  await browser.close();
}
