// Commands to many devices: chosen in the fleet, watched, paused, and what became of each.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

async function fleet(world, count) {
  const ids = Array.from({ length: count }, (_, index) => `pump-${index + 1}`);
  for (const id of ids) await world.gateway.describe(id, "pump", { hall: "north" });
  return Promise.all(ids.map((id) => world.device(id)));
}

async function finish(device, status) {
  const command = await device.nextCommand();
  await device.answer(command, { status });
}

scenario(
  "devices that were selected in the fleet are commanded together, and each shows its end",
  async (world) => {
    const devices = await fleet(world, 3);
    await world.gateway.describe("other", "fan");
    const page = await world.open();
    await page.rowWith("pump-3", "online");
    await page.by("filter").fill("pump");
    await untilEqual("the pumps", () => page.by("device-row").count(), 3);
    await page.by("select-all").check();
    await page.by("selection").getByText("3 devices selected").waitFor();
    await page.by("filter").fill("other");
    await untilEqual("another", () => page.ids(), ["other"]);
    assert.equal(await page.by("select-all").isChecked(), false, "another is not selected");
    await page.by("selection-command").click();
    await page.by("command-name").fill("flush");
    await page.by("console-dry-run").click();
    await page.by("dry-run-many").getByText("3 would take it").waitFor();
    await page.by("console-send").click();
    await page.by("confirm-send").click();
    await page.by("console-sent").getByRole("link").click();
    await page.by("batch-page").waitFor();
    await Promise.all([
      finish(devices[0], "succeeded"),
      finish(devices[1], "failed"),
      finish(devices[2], "succeeded"),
    ]);
    await untilEqual("the batch", () => page.by("batch-page").getAttribute("data-state"), "done");
    await untilEqual("all have ended", () => page.by("batch-ended").innerText(), "3");
    const rows = () =>
      page
        .by("command-row")
        .evaluateAll((all) => all.map(({ dataset }) => `${dataset.device} ${dataset.state}`).sort());
    await untilEqual("each row", rows, ["pump-1 succeeded", "pump-2 failed", "pump-3 succeeded"]);
    await page.by("batch-count-failed").click();
    await untilEqual("the failed one", rows, ["pump-2 failed"]);
  },
);

scenario("a batch for a type goes one by one, is paused, goes on, and is cancelled", async (world) => {
  const devices = await fleet(world, 3);
  const page = await world.open("#/commands");
  await page.by("target-type").check({ force: true });
  await page.by("target-type-name").selectOption("pump");
  await page.by("command-name").fill("flush");
  await page.by("batch-concurrency").fill("1");
  await page.by("console-send").click();
  await page.by("confirm-send").click();
  await page.by("console-sent").getByRole("link").click();
  const state = () => page.by("batch-page").getAttribute("data-state");
  await untilEqual("it runs", state, "running");
  const first = await Promise.race(devices.map(async (device) => [device, await device.nextCommand()]));
  await page.by("batch-pause").click();
  await untilEqual("it pauses", state, "paused");
  await page.by("batch-resume").click();
  await untilEqual("it goes on", state, "running");
  await page.by("batch-cancel").click();
  await untilEqual("it is given up", state, "cancelled");
  await first[0].answer(first[1], { status: "succeeded" });
  await untilEqual(
    "what was sent has ended",
    () => page.by("batch-count-succeeded").innerText(),
    "succeeded\n1",
  );
  assert.equal(await page.by("batch-total").innerText(), "3");
});

scenario(
  "before many are told something, the page says how many, and what they have not in common",
  async (world) => {
    await fleet(world, 2);
    for (const id of ["fan-1", "fan-2"]) await world.gateway.describe(id, "fan", { hall: "north" });
    const page = await world.open("#/commands");
    await page.by("target-tag").check({ force: true });
    await page.by("target-tag-name").selectOption("hall:north");
    const reach = () => page.by("target-reach").innerText();
    await until("who is meant", async () => /^4 devices, 2 of them offline\./.test(await reach()));
    assert.match(await reach(), /of 2 types, which no form fits: (pump 2, fan 2|fan 2, pump 2)/);
    await page.by("target-type").check({ force: true });
    await page.by("target-type-name").selectOption("fan");
    await untilEqual("one type", reach, "2 devices, all of them offline.");
    await page.by("command-name").fill("stop");
    await page.by("console-send").click();
    await page.by("confirm-reach").getByText("What nobody receives waits, for 1 min at most.").waitFor();
    await page.page.keyboard.press("Escape");
    await untilEqual("the question", () => page.by("console-confirm").count(), 0);
    await page.by("command-ttl").fill("0");
    await page.by("console-send").click();
    await page.by("confirm-reach").getByText("What nobody receives at once will not be sent.").waitFor();
    await page.page.keyboard.press("Escape");
    await untilEqual("the question", () => page.by("console-confirm").count(), 0);
    const focused = () => page.page.evaluate(() => document.activeElement?.dataset.testid);
    await untilEqual("the focus is where it was", focused, "console-send");
    assert.deepEqual((await world.gateway.get("commands")).items, [], "nothing was sent");
    await page.page.keyboard.press("Enter");
    await page.by("confirm-send").click();
    await page.by("console-sent").getByText("to 2 devices").waitFor();
  },
);

scenario(
  "a command that a type describes has a form, which keeps to what it may be",
  async (world) => {
    const device = await world.device("pump-mine");
    await world.gateway.describe("pump-mine", "pump");
    const page = await world.open("#/device/pump-mine");
    await page.by("suggest-set_speed").click();
    const field = page.by("field-rpm");
    assert.equal(await field.getAttribute("max"), "3000");
    await field.fill("9000");
    await page.by("command-send").click();
    await untilEqual("nothing was sent", () => page.by("command").count(), 0);
    await field.fill("900");
    await page.by("command-send").click();
    const command = await device.nextCommand();
    assert.deepEqual(command.params, { rpm: 900 });
    await page.by("params-as-json").check({ force: true });
    await page.by("params-json").fill('{"rpm":"fast"}');
    await page.by("command-dry-run").click();
    await untilEqual("the gateway says no", () => page.by("dry-run").getAttribute("data-valid"), "false");
  },
  { gateway: ["--demo"] },
);

scenario(
  "a suggestion that was taken before its type is described gets its form when the description comes",
  async (world) => {
    const device = await world.device("pump-mine");
    await world.gateway.describe("pump-mine", "pump");
    const page = await world.openBlank();
    let answer;
    const isTaken = new Promise((resolve) => {
      answer = resolve;
    });
    await page.page.route("**/api/v1/device-types", async (route) => {
      await isTaken;
      await route.continue();
    });
    await page.goto(new URL("#/device/pump-mine", world.gateway.origin));
    await page.state("live");
    await page.by("suggest-set_speed").click();
    await page.by("param-value-0").waitFor();
    answer();
    await untilEqual("what was suggested", () => page.by("field-rpm").inputValue(), "1200");
    await page.by("command-send").click();
    assert.deepEqual((await device.nextCommand()).params, { rpm: 1200 });
  },
  { gateway: ["--demo"] },
);
