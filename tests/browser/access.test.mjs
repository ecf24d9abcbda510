// The page for those who use no mouse, and for those who do not see it as it looks.
import assert from "node:assert/strict";
import { findings } from "./lib/axe.mjs";
import { brokenConnection } from "./lib/complaints.mjs";
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
      const { id } = await world.gateway.send("POST", "command-batches", {
        devices: ["absent", "pump-001"],
        command: { name: "flush" },
      });
      await page.goto(new URL(`#/batch/${id}`, world.gateway.origin));
      await page.by("command-row").first().waitFor();
      assert.deepEqual(await findings(page), [], "a batch");
      await page.page.keyboard.press("Control+k");
      await page.by("palette").waitFor();
      assert.deepEqual(await findings(page), [], "the palette");
    });
  }
}

scenario("axe finds nothing wrong while the connection is broken", async (world) => {
  world.expectComplaints(...brokenConnection);
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

scenario(
  "with the keyboard alone many are commanded, an alert is taken, and a wish is written",
  async (world) => {
    const devices = await Promise.all(["pump-1", "pump-2"].map((id) => world.device(id)));
    await devices[0].raise({ severity: "warning", code: "low", message: "Low" });
    const page = await world.open();
    // Who is not in the table yet is not selected with all.
    for (const id of ["pump-1", "pump-2"]) await page.rowWith(id, "online");
    const { keyboard } = page.page;

    await page.tabTo("select-all");
    await keyboard.press("Space");
    await page.by("selection").getByText("2 devices selected").waitFor();
    await page.tabTo("selection-command");
    await keyboard.press("Enter");
    await page.by("console").waitFor();
    await page.tabTo("command-name");
    await keyboard.type("flush");
    await page.tabTo("console-send");
    await keyboard.press("Enter");
    // An Enter that is held down sends nothing.
    await page.page.locator('[data-testid="confirm-not"]:focus').waitFor();
    await keyboard.press("Shift+Tab");
    await keyboard.press("Enter");
    for (const device of devices) assert.equal((await device.nextCommand()).name, "flush");

    // The second key counts for a second: a busy machine may be slower.
    await until("the alerts", async () => {
      for (const key of ["g", "a"]) await keyboard.press(key);
      return page.by("alerts-page").isVisible();
    });
    await page.by("alert").waitFor();
    await page.tabTo("alert-ack");
    await keyboard.press("Enter");
    await untilEqual("it is known", () => page.by("alert").getAttribute("data-state"), "acknowledged");

    await keyboard.press("Control+k");
    await page.page.locator('[data-testid="palette-text"]:focus').waitFor();
    await keyboard.type("pump-1");
    await page.page.locator('[data-testid="palette-item"][aria-selected="true"]').getByText("pump-1").waitFor();
    await keyboard.press("Enter");
    await page.by("device-page").waitFor();
    await page.tabTo("tab-state");
    await keyboard.press("Enter");
    await until("the state is read", () => page.by("desired-edit").isEnabled());
    await page.tabTo("desired-edit");
    await keyboard.press("Enter");
    await page.tabTo("desired-text");
    await keyboard.press("Control+a");
    await keyboard.type('{"mode":"eco"}');
    await page.tabTo("desired-save");
    await keyboard.press("Enter");
    const desired = async () => (await world.gateway.get("devices/pump-1/desired")).desired;
    await untilEqual("the wish", desired, { mode: "eco" });
  },
);

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
  await page.by("columns").focus();
  await page.page.keyboard.press("Enter");
  await page.page.getByText("No metric is known yet.").waitFor();
  await page.page.keyboard.press("Escape");
  await until("the choice is closed", async () => !(await page.page.getByText("No metric is known").isVisible()));
  const focused = () => page.page.evaluate(() => document.activeElement?.dataset.testid);
  assert.equal(await focused(), "columns", "the focus is where it was");
});

scenario("a keyboard of another script opens the palette, which shows what is chosen in the system's colours", async (world) => {
  const page = await world.open("", { forcedColors: "active" });
  await page.page.evaluate(() => {
    const [key, code] = ["\u043b", "KeyK"];
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, code, ctrlKey: true, bubbles: true }));
  });
  await page.by("palette").waitFor();
  const grounds = await page
    .by("palette-item")
    .evaluateAll((items) => items.slice(0, 2).map((item) => getComputedStyle(item).backgroundColor));
  assert.notEqual(grounds[0], grounds[1]);
});
