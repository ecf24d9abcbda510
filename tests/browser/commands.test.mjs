// Commands, from the form to their end.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

scenario(
  "a simulated pump's valve is set: started, with progress, succeeded with its result",
  async (world) => {
    world.simulate(1, ["--types", "pump"]);
    await world.gateway.describe("pump-001", "pump");
    const page = await world.open();
    await page.rowWith("pump-001", "online");
    await page.openDevice("pump-001");
    await until("the valve's opening", () => page.value(page.by("values"), "valve"));
    await page.by("suggest-set_valve").click();
    assert.equal(await page.by("param-key-0").inputValue(), "percent");
    await page.by("param-value-0").fill("15");
    await page.by("command-send").click();
    const card = page.by("command").first();
    await page.commandIs(card, "started");
    await until("progress", async () => Number(await card.locator("progress").getAttribute("value")) > 0);
    await page.commandIs(card, "succeeded", 30_000);
    const stages = await page.stages(card);
    assert.deepEqual([stages[0], ...stages.slice(-2)], ["queued", "started", "succeeded"]);
    assert.equal(
      await card.getByTestId("command-result").innerText(),
      '{\n "valve": 15.0\n}'.replace("15.0", "15"),
    );
    await untilEqual("the valve", async () => Number(await page.value(page.by("values"), "valve")), 15);
  },
);

scenario("who sends with the keyboard may go on from there", async (world) => {
  const device = await world.device("arm-1");
  const page = await world.open("#/device/arm-1");
  await page.by("command-name").fill("move");
  await page.by("command-send").focus();
  world.gateway.hold();
  await page.page.keyboard.press("Enter");
  await untilEqual("the button", () => page.by("command-send").innerText(), "Sending …");
  // A browser takes the focus from what is disabled when it draws the next frame.
  await page.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn))));
  const focused = await page.page.evaluate(() => document.activeElement?.getAttribute("data-testid"));
  world.gateway.resume();
  assert.equal(focused, "command-send");
  await device.nextCommand();
});

scenario("each stage is shown when it comes, and not before", async (world) => {
  const device = await world.device("arm-1");
  const page = await world.open("#/device/arm-1");
  const card = await page.sendCommand("move", { params: { to: [1, 2] } });
  const command = await device.nextCommand();
  assert.deepEqual(command.params, { to: [1, 2] });
  await page.commandIs(card, "delivered");
  assert.equal(await card.locator("progress").count(), 0);
  await device.answer(command, { status: "started" });
  await page.commandIs(card, "started");
  for (const progress of [30, 80]) {
    await device.answer(command, { status: "progress", progress });
    await untilEqual("progress", () => card.locator("progress").getAttribute("value"), String(progress));
  }
  await device.answer(command, { status: "succeeded", result: { reached: true } });
  await page.commandIs(card, "succeeded");
  assert.deepEqual(await page.stages(card), ["queued", "sent", "delivered", "started", "succeeded"]);
  assert.match(await card.getByTestId("command-result").innerText(), /"reached": true/);
  assert.equal(await card.getByTestId("command-cancel").count(), 0, "nothing is left to cancel");
});

scenario("a command that the simulator refuses shows why", async (world) => {
  world.simulate(1, ["--types", "pump"]);
  const page = await world.open();
  await page.rowWith("pump-001", "online");
  await page.openDevice("pump-001");
  const unknown = await page.sendCommand("fly");
  await page.commandIs(unknown, "rejected");
  assert.match(await unknown.getByTestId("command-error").innerText(), /fly/);
  const wrong = await page.sendCommand("set_valve", { params: { percent: 250 } });
  await page.commandIs(wrong, "rejected");
  assert.match(await wrong.getByTestId("command-error").innerText(), /percent/);
});

scenario("a command for an absent device waits, and expires when its time is over", async (world) => {
  await world.gateway.describe("asleep", "pump");
  const page = await world.open("#/device/asleep");
  const card = await page.sendCommand("set_valve", { params: { percent: 5 }, ttlS: 3 });
  await page.commandIs(card, "queued");
  await card.getByText(/waits to be sent; given up in [1-3] s/).waitFor();
  await page.commandIs(card, "expired");
  await card.getByText("it was never sent: it did not run").waitFor();
});

scenario("a command for an absent device is cancelled by the button", async (world) => {
  await world.gateway.describe("asleep", "pump");
  const page = await world.open("#/device/asleep");
  const card = await page.sendCommand("set_valve", { params: { percent: 5 } });
  await page.commandIs(card, "queued");
  await card.getByTestId("command-cancel").click();
  await page.commandIs(card, "cancelled");
  const device = await world.device("asleep");
  await page.sendCommand("hello");
  assert.equal((await device.nextCommand()).name, "hello", "the cancelled one was never sent");
});

scenario("a running command is cancelled when the device agrees", async (world) => {
  const device = await world.device("arm-2");
  const page = await world.open("#/device/arm-2");
  const card = await page.sendCommand("move");
  const command = await device.nextCommand();
  await device.answer(command, { status: "started" });
  await page.commandIs(card, "started");
  await card.getByTestId("command-cancel").click();
  await page.commandIs(card, "cancelling");
  await device.nextCommand();
  await device.answer(command, { status: "cancelled" });
  await page.commandIs(card, "cancelled");
});

scenario("a device that never answers leaves a command that timed out and may have run", async (world) => {
  await world.device("mute");
  const page = await world.open("#/device/mute");
  const card = await page.sendCommand("listen", { timeoutS: 2 });
  await page.commandIs(card, "delivered");
  await page.commandIs(card, "timed_out");
  await card.getByText("it may have run").waitFor();
});

scenario("a command that another sends appears by itself, with its whole story", async (world) => {
  const device = await world.device("shared");
  const page = await world.open("#/device/shared");
  await page.page.getByText("None has been sent to it.").waitFor();
  const { id } = await world.gateway.send("POST", "devices/shared/commands", { name: "blink" });
  const command = await device.nextCommand();
  await device.answer(command, { status: "failed", error: { code: "burnt", message: "the lamp is broken" } });
  const card = page.command(id);
  await page.commandIs(card, "failed");
  await card.getByText("the lamp is broken").waitFor();
  const late = await world.open("#/device/shared");
  await late.commandIs(late.command(id), "failed");
  await late.command(id).locator("summary").click();
  await untilEqual("the stages from the store", () => late.stages(late.command(id)), await page.stages(card));
});

scenario("what is no valid command cannot be sent", async (world) => {
  await world.device("strict");
  const page = await world.open("#/device/strict");
  await page.by("command-name").fill("go");
  await page.by("params-as-json").check({ force: true });
  await page.by("params-json").fill('{"percent": ');
  await page.by("params-problem").waitFor();
  assert.ok(await page.by("command-send").isDisabled());
  await page.by("params-json").fill("[1]");
  await page.page.getByText("parameters are an object").waitFor();
  await page.by("params-json").fill("{}");
  await page.by("command-name").fill("  ");
  await page.by("command-send").click();
  assert.ok(
    await page.by("command-name").evaluate((input) => input.matches(":invalid:focus")),
    "it is asked for",
  );
  const card = await page.sendCommand("go");
  assert.deepEqual(
    await page.commandIds(),
    [await card.getAttribute("data-command")],
    "nothing else was sent",
  );
});
