// Takes the pictures in docs/images: the dashboard on the real gateway with a simulated fleet.
//
//   SLUICE_BIN_DIR=... node tests/browser/screenshots.mjs [folder]
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { until } from "./lib/until.mjs";
import { World } from "./lib/world.mjs";

const folder =
	process.argv[2] ?? join(import.meta.dirname, "..", "..", "docs", "images");
/** Pictures are looked at on the way to something else: they should not weigh more. */
const bytesMax = 200 * 1024;
const wide = { width: 1280, height: 760 };
const phone = { width: 390, height: 844 };
const devices = 200;
/** Seconds of measuring before a picture, so that lines have a shape. */
const settleS = 45;
const types = ["pump", "thermostat", "tracker"];
const halls = ["north", "south", "yard"];

await mkdir(folder, { recursive: true });
const world = await World.create();
try {
	await fleet();
	world.assertNoComplaints();
} finally {
	await world.dispose();
}

async function fleet() {
	world.simulate(devices, ["--chaos", "drop=0.002"]);
	const table = await world.open("", { viewport: wide, colorScheme: "light" });
	await until(
		"all devices",
		async () =>
			(await world.gateway.get("devices?limit=1000")).items.length === devices,
	);
	for (const { id } of (await world.gateway.get("devices?limit=1000")).items)
		await describe(id);
	// Types are read when the page connects.
	await table.goto(world.gateway.origin);
	await table.state("live");
	const dark = await world.open("", { viewport: wide, colorScheme: "dark" });
	const small = await world.open("", { viewport: phone, colorScheme: "dark" });
	const pump = await world.open("#/device/pump-003", {
		viewport: { ...wide, height: 860 },
		colorScheme: "light",
	});
	for (const page of [table, dark, small]) {
		await page.by("filter").fill("-00");
		await page.by("filter").blur();
	}
	await until("lines with a shape", () => isSettled(pump), 2 * settleS * 1_000);

	await pump.commandIs(
		await pump.sendCommand("set_speed", { params: { rpm: 9000 } }),
		"rejected",
	);
	await pump.by("params-as-rows").check({ force: true });
	await pump.by("suggest-set_valve").click();
	await pump.by("param-value-0").fill("5");
	await pump.by("command-send").click();
	const card = pump.by("command").first();
	await until(
		"half way",
		async () =>
			Number(await card.locator("progress").getAttribute("value")) >= 50,
	);
	await shoot(pump, "dashboard-device");
	await shoot(table, "dashboard-fleet");
	await shoot(dark, "dashboard-fleet-dark");
	await shoot(small, "dashboard-phone");
	await others();
}

/** The pages beside the fleet and the device. */
async function others() {
	const page = await world.open("#/commands", {
		viewport: wide,
		colorScheme: "light",
	});
	await page.by("target-type").check({ force: true });
	await page.by("target-type-name").selectOption("thermostat");
	await page.by("command-name").fill("set_target");
	await page.by("params-as-json").check({ force: true });
	await page.by("params-json").fill('{"temperature": 21.5}');
	await page.by("batch-concurrency").fill("8");
	await shoot(page, "dashboard-commands");
	await page.by("console-send").click();
	await page.by("console-sent").getByRole("link").click();
	await until(
		"half of it",
		async () => Number(await page.by("batch-ended").innerText()) >= 20,
	);
	await shoot(page, "dashboard-batch");
	await page.by("command-row").last().getByRole("link").first().click();
	await page.by("timeline").waitFor();
	await shoot(page, "dashboard-command");
	const topics = await world.open(
		"#/topics?q=pump-003&topic=devices%2Fpump-003%2Ftelemetry",
		{
			viewport: wide,
			colorScheme: "dark",
		},
	);
	await topics.by("topic-show-diff").check({ force: true });
	await topics.by("topic-diff").waitFor();
	const gateway = await world.open("#/gateway", {
		viewport: { ...wide, height: 860 },
		colorScheme: "dark",
	});
	await until("its charts", () => isSettled(gateway), 2 * settleS * 1_000);
	await shoot(topics, "dashboard-topics");
	await shoot(gateway, "dashboard-gateway");
}

function describe(id) {
	const [type, number] = id.split("-");
	if (!types.includes(type)) return undefined;
	return world.gateway.describe(id, type, {
		hall: halls[Number(number) % halls.length],
	});
}

/** Whether the page has been open for long enough, by its own charts. */
async function isSettled(page) {
	const openMs = await page.page.evaluate(() => performance.now());
	return (
		openMs > settleS * 1_000 &&
		(await page.page.locator(".chart canvas").count()) >= 5
	);
}

async function shoot({ page }, name) {
	const path = join(folder, `${name}.png`);
	await page.screenshot({ path });
	const { size } = await stat(path);
	if (size > bytesMax)
		throw new Error(`${path} has ${size} bytes, more than ${bytesMax}`);
}
