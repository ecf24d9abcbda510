// Takes the pictures in docs/images: every view of the dashboard, light, dark and on a phone, on the real gateway with
// a simulated fleet.
//
//   SLUICE_BIN_DIR=... node tests/browser/screenshots.mjs [folder]
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until, untilEqual } from "./lib/until.mjs";
import { World } from "./lib/world.mjs";

const root = join(import.meta.dirname, "..", "..");
const folder = process.argv[2] ?? join(root, "docs", "images");
/** Pictures are looked at on the way to something else: they should not weigh more. */
const bytesMax = 120 * 1024;
const quality = 84;
const wide = { width: 1280, height: 800 };
/** How the page may look; each view is shown in all of them. */
const looks = {
  light: { viewport: wide, colorScheme: "light" },
  dark: { viewport: wide, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true, isMobile: true },
};
const devices = 120;
/** How long the fleet measures before the first picture, so that lines have a shape. */
const settleMs = 60_000;
const halls = ["north", "south", "yard"];

/** The views: name, address, what shows that it is there, and what is done before the picture. */
const views = [
  ["fleet", "#/?q=-00", "device-row"],
  ["grid", "#/?q=-00&view=grid", "device-card"],
  ["device", "#/device/pump-003", "chart"],
  ["state", "#/device/boiler-1?tab=state", "state-members"],
  ["events", "#/device/boiler-1?tab=events", "alert"],
  ["connections", "#/device/boiler-1?tab=connections", "connection-row"],
  ["commands", "#/commands", "command-row", fillConsole],
  ["batch", () => `#/batch/${batch}`, "command-row"],
  ["command", () => `#/command/${story}`, "timeline"],
  ["alerts", "#/alerts?state=all", "alert"],
  ["topics", "#/topics?q=pump-003&topic=devices%2Fpump-003%2Ftelemetry", "topic-payload", showChanges],
  ["gateway", "#/gateway", "figure-now"],
];
let batch;
let story;

await mkdir(folder, { recursive: true });
const config = await mkdtemp(join(tmpdir(), "sluice-pictures-"));
await writeFile(
  join(config, "sluice.toml"),
  `[types]\ndir = ${JSON.stringify(join(root, "config", "types"))}\n`,
);
let world = await World.create({ gateway: ["--config", join(config, "sluice.toml")] });
try {
  await fleet();
  const pages = await openAll();
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  await commands();
  for (const view of views) for (const [look, page] of pages) await shoot(page, look, view);
  world.assertNoComplaints();
} finally {
  await world.dispose();
  await rm(config, { recursive: true });
}
await signIn();

/** What is seen where a token is needed: after the one that was used has been narrowed. */
async function signIn() {
  world = await World.create();
  try {
    const token = await world.gateway.token("create", "paula");
    const pages = [];
    for (const [look, options] of Object.entries(looks)) {
      const page = await world.openBlank(options);
      await page.goto(world.gateway.origin);
      await page.by("sign-in-token").fill(token);
      await page.by("sign-in-send").click();
      await page.state("live");
      pages.push([look, page]);
    }
    await world.gateway.narrow("paula", { devices: ["pump-*"] });
    for (const [look, page] of pages) await shoot(page, look, ["sign-in", null, "sign-in-why"]);
  } finally {
    await world.dispose();
  }
}

/** The simulator's devices, and one that has more to tell. */
async function fleet() {
  world.simulate(devices, ["--chaos", "drop=0.002"]);
  const known = async () => (await world.gateway.get("devices?limit=1000")).items;
  await until("all devices", async () => (await known()).length === devices, 60_000);
  for (const { id } of await known()) {
    const [type, number] = id.split("-");
    await world.gateway.describe(id, type, { hall: halls[Number(number) % halls.length] });
  }
  await world.gateway.describe("boiler-1", "boiler", { hall: "yard" });
  await (await world.device("boiler-1")).leave();
  const boiler = await world.device("boiler-1");
  await boiler.measure({ temperature: 94.2, pressure: 3.1, burning: true });
  await boiler.report({ mode: "eco", target: 65, firmware: "2.4.1" });
  await world.gateway.send("PUT", "devices/boiler-1/desired", { mode: "eco", target: 70, night: false });
  const filter = { severity: "info", code: "filter_due", message: "Filter is due in 3 days" };
  await boiler.raise(filter);
  await boiler.raise({ ...filter, clear: true });
  const low = { severity: "warning", code: "pressure_low", message: "Pressure under 3.2 bar" };
  for (let count = 0; count < 3; count += 1) await boiler.raise(low);
  const [{ id }] = (await world.gateway.get("alerts?severity=warning")).items;
  await world.gateway.send("POST", `alerts/${id}/ack`, {});
  await boiler.raise({
    ...{ severity: "critical", code: "overheat", message: "Water at 94 °C" },
    data: { limit: 90, temperature: 94.2 },
  });
}

/** A page for each look; the fleet's page gathers the lines that it draws. */
async function openAll() {
  const pages = [];
  for (const [look, options] of Object.entries(looks))
    pages.push([look, await world.open("#/?q=-00", options)]);
  return pages;
}

/** One that is refused, one that takes its time, and one for many. */
async function commands() {
  const send = (device, body) => world.gateway.send("POST", `devices/${device}/commands`, body);
  await send("boiler-1", { name: "flush", params: { litres: 12 } });
  story = (await send("pump-003", { name: "set_valve", params: { percent: 20 } })).id;
  const state = async () => (await world.gateway.get(`commands/${story}`)).state;
  await untilEqual("the story's end", state, "succeeded", 60_000);
  await send("pump-003", { name: "set_valve", params: { percent: 75 } });
  batch = (
    await world.gateway.send("POST", "command-batches", {
      ...{ type: "thermostat", concurrency: 1, rate: 0.5 },
      command: { name: "set_target", params: { temperature: 21.5 } },
    })
  ).id;
}

async function fillConsole(page) {
  await page.by("target-type").check({ force: true });
  await page.by("target-type-name").selectOption("thermostat");
  await page.by("suggest-set_target").click();
  await page.by("batch-concurrency").fill("8");
  await page.by("batch-concurrency").blur();
}

async function showChanges(page) {
  await page.by("topic-show-diff").check({ force: true });
  await page.by("topic-diff").waitFor();
}

async function shoot(page, look, [name, address, handle, prepare]) {
  if (address !== null)
    await page.goto(new URL(typeof address === "function" ? address() : address, world.gateway.origin));
  await page.by(handle).first().waitFor();
  await prepare?.(page);
  // Twice: what was asked for is there by then, and has been drawn.
  for (let frame = 0; frame < 2; frame += 1) {
    await page.page.waitForLoadState("networkidle");
    await page.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
  const session = await page.page.context().newCDPSession(page.page);
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality });
  await session.detach();
  const bytes = Buffer.from(data, "base64");
  if (bytes.length > bytesMax)
    throw new Error(`${name}-${look} has ${bytes.length} bytes, more than ${bytesMax}`);
  await writeFile(join(folder, `${name}-${look}.webp`), bytes);
}
