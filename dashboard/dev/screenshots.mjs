// Takes pictures of the built page against the fake gateway, and fails if the page complains.
//
//   npm run build && node dev/screenshots.mjs [folder]
//
// It uses Debian's chromium (or what CHROMIUM names) and downloads nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const folder = process.argv[2] ?? "screenshots";
const port = 18_123;
const base = `http://127.0.0.1:${port}/`;
const wide = { width: 1440, height: 900 };
const phone = { width: 390, height: 844 };

await mkdir(folder, { recursive: true });
const gateway = spawn(process.execPath, [
  join(import.meta.dirname, "fake-gateway.mjs"),
  "--port",
  String(port),
]);
await once(gateway.stdout, "data");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
  ],
});
const complaints = [];

async function open(path, viewport, colorScheme) {
  const page = await browser.newPage({ viewport, colorScheme });
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(base + path);
  await page.locator('[data-testid="connection"][data-state="live"]').waitFor();
  return page;
}

async function shoot(page, name) {
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

async function fleet(scheme, viewport, name) {
  const page = await open("", viewport, scheme);
  await page.locator('[data-testid="device-row"]').nth(5).waitFor();
  await page.waitForTimeout(6_000);
  await shoot(page, name);
  return page;
}

async function device(scheme, viewport, name) {
  const { items } = await (await fetch(`${base}api/v1/devices?limit=1000`)).json();
  const pump = items.find(({ type, status }) => type === "pump" && status === "online");
  const page = await open(`#/device/${pump.id}`, viewport, scheme);
  await page.getByTestId("suggest-set_speed").click();
  await page.getByTestId("command-send").click();
  await page.locator('[data-testid="command"][data-state="succeeded"]').first().waitFor();
  await page.getByTestId("command-name").fill("fly");
  await page.getByTestId("command-send").click();
  await page.locator('[data-testid="command"][data-state="rejected"]').first().waitFor();
  await page.getByTestId("suggest-reboot").click();
  await page.getByTestId("command-send").click();
  await page.waitForTimeout(5_000);
  await shoot(page, name);
  return page;
}

try {
  const dark = await fleet("dark", wide, "fleet-dark");
  await dark.getByTestId("connection").locator("summary").click();
  await shoot(dark, "connection-dark");
  await dark.keyboard.press("Escape");
  await fetch(`${base}dev/lag?on=true`, { method: "POST" });
  await dark.getByTestId("banner").waitFor();
  await shoot(dark, "lagging-dark");
  await fetch(`${base}dev/lag?on=false`, { method: "POST" });
  await fetch(`${base}dev/store?error=the%20disk%20is%20full`, { method: "POST" });
  await dark.getByTestId("store-banner").waitFor();
  await shoot(dark, "store-dark");
  await fetch(`${base}dev/store`, { method: "POST" });
  await dark.getByTestId("columns").click();
  for (const metric of ["humidity", "temperature"]) await dark.getByLabel(metric, { exact: true }).check();
  await dark.getByTestId("columns").click();
  await dark.getByTestId("sort-metric:temperature").click();
  await dark.getByTestId("filter").fill("thermostat");
  await shoot(dark, "columns-dark");
  const light = await fleet("light", wide, "fleet-light");
  const small = await fleet("dark", phone, "fleet-phone");
  await device("dark", wide, "device-dark");
  const lightDevice = await device("light", wide, "device-light");
  await device("light", phone, "device-phone");
  await small.screenshot({ path: join(folder, "fleet-phone-full.png"), fullPage: true });

  await lightDevice.getByTestId("params-as-json").check({ force: true });
  await lightDevice.getByTestId("params-json").fill('{"percent": }');
  await shoot(lightDevice, "json-light");
  await fetch(`${base}dev/close?code=4100`, { method: "POST" });
  await light.getByTestId("banner").waitFor();
  await shoot(light, "recovering-light");
  await light.locator('[data-testid="connection"][data-state="live"]').waitFor();
  await fetch(`${base}dev/close?code=4001`, { method: "POST" });
  await light.getByTestId("banner").waitFor();
  await shoot(light, "refused-light");
} finally {
  await browser.close();
  gateway.kill();
}
if (complaints.length > 0) {
  console.error(`the page complained:\n${complaints.join("\n")}`);
  process.exitCode = 1;
}
