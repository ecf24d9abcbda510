// The page for those who use no mouse, and for those who do not see it as it looks.
import assert from "node:assert/strict";
import { findings } from "./lib/axe.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries({ wide: undefined, phone: { width: 390, height: 844 } })) {
    scenario(`axe finds nothing wrong in the ${colorScheme} pages, ${size}`, async (world) => {
      world.simulate(6, ["--types", "pump,thermostat"]);
      await world.gateway.describe("pump-001", "pump", { hall: "north" });
      await world.gateway.describe("absent", "pump");
      const options = viewport === undefined ? { colorScheme } : { colorScheme, viewport };
      const page = await world.open("", options);
      await untilEqual("all rows", () => page.by("device-row").count(), 7);
      assert.deepEqual(await findings(page), []);
      await page.by("connection").locator("summary").click();
      assert.deepEqual(await findings(page), [], "with the connection's details");

      await page.goto(new URL("#/device/pump-001", world.gateway.origin));
      await page.by("chart").first().locator("canvas").waitFor();
      await page.commandIs(await page.sendCommand("fly"), "rejected");
      await page.commandIs(await page.sendCommand("set_valve", { params: { percent: 0 } }), "started");
      assert.deepEqual(await findings(page), [], "with a command that runs");
      await page.by("samples").locator("summary").click();
      assert.deepEqual(await findings(page), [], "with the values as a table");

      for (const [address, handle] of [
        ["#/?view=grid&columns=flow", "device-card"],
        ["#/device/pump-001?tab=connections", "connection-row"],
        ["#/commands", "command-row"],
        ["#/topics?topic=devices%2Fpump-001%2Ftelemetry", "topic-payload"],
        ["#/gateway", "metrics"],
        ["#/nowhere", "unknown-page"],
      ]) {
        await page.goto(new URL(address, world.gateway.origin));
        await page.by(handle).first().waitFor();
        assert.deepEqual(await findings(page), [], address);
      }
      await page.goto(new URL("#/commands", world.gateway.origin));
      await page.by("command-row").first().getByRole("link").first().click();
      await page.by("timeline").waitFor();
      assert.deepEqual(await findings(page), [], "a command's story");
      await page.page.keyboard.press("Control+k");
      await page.by("palette").waitFor();
      assert.deepEqual(await findings(page), [], "the palette");
    });
  }
}

scenario("axe finds nothing wrong while the connection is broken", async (world) => {
  world.expectComplaints(
    /WebSocket connection to .* failed/,
    /ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|EMPTY_RESPONSE)/,
  );
  const device = await world.device("pump-1");
  await device.measure({ flow: 3 });
  const page = await world.open();
  await page.rowWith("pump-1", "online");
  await world.gateway.kill();
  await page.by("banner").waitFor();
  assert.deepEqual(await findings(page), []);
});

scenario("with the keyboard alone a device is found and told to do something", async (world) => {
  for (const id of ["fan-1", "fan-2", "pump-1"]) await world.gateway.describe(id, id.split("-")[0]);
  const device = await world.device("fan-2");
  const page = await world.open();
  await page.rowWith("fan-2", "online");
  const { keyboard } = page.page;

  await page.tabTo("filter");
  await keyboard.type("fan online");
  await untilEqual("the one row", () => page.ids(), ["fan-2"]);
  await page.tabTo("device-row");
  await keyboard.press("Enter");
  await page.by("device-page").waitFor();

  await page.tabTo("command-name");
  await keyboard.type("turn");
  await page.tabTo("param-key-0");
  await keyboard.type("speed");
  await page.tabTo("param-value-0");
  await keyboard.type("3");
  await keyboard.press("Enter");
  const command = await device.nextCommand();
  assert.deepEqual([command.name, command.params], ["turn", { speed: 3 }]);
  await device.answer(command, { status: "started" });

  await page.tabTo("command-cancel");
  await keyboard.press("Enter");
  await device.nextCommand();
  await device.answer(command, { status: "cancelled" });
  await page.commandIs(page.command(command.id), "cancelled");
});

scenario("what has the focus can be seen, and Escape closes what was opened", async (world) => {
  const page = await world.open();
  await page.tabTo("theme");
  const outline = await page.by("theme").evaluate((button) => getComputedStyle(button).outlineStyle);
  assert.notEqual(outline, "none");
  await page.tabTo("connection");
  await page.page.keyboard.press("Enter");
  await page.page.getByText("Gateway's clock").waitFor();
  await page.page.keyboard.press("Escape");
  await until("it is closed", async () => !(await page.page.getByText("Gateway's clock").isVisible()));
});
