// The console: commands to one device, what would become of them, and their whole story.
import assert from "node:assert/strict";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

scenario("a command is tried, sent and followed from the console to its story", async (world) => {
  const device = await world.device("pump-1");
  const page = await world.open("#/commands");
  await page.by("target-id").fill("pump-1");
  await page.by("command-name").fill("flush");
  await page.by("param-key-0").fill("litres");
  await page.by("param-value-0").fill("12");
  await page.by("console-dry-run").click();
  await page.by("dry-run").getByText("the device is online").waitFor();
  await page.by("console-send").click();
  const command = await device.nextCommand();
  assert.deepEqual([command.name, command.params], ["flush", { litres: 12 }]);
  const row = page.by("command-row");
  await untilEqual("the row", () => row.getAttribute("data-state"), "delivered");
  await page.by("console-sent").getByRole("link").click();
  await page.by("command-page").waitFor();
  await device.answer(command, { status: "started" });
  await device.answer(command, { status: "progress", progress: 40 });
  await untilEqual("how far it is", () => page.by("command-progress").innerText(), "40 %");
  await device.answer(command, { status: "succeeded", result: { litres: 11.8 } });
  await untilEqual("the state", () => page.by("command-state").innerText(), "succeeded");
  const steps = () =>
    page
      .by("timeline")
      .locator("li[data-state]")
      .evaluateAll((items) => [...new Set(items.map((item) => item.dataset.state))]);
  await untilEqual("each step", steps, ["queued", "sent", "delivered", "started", "succeeded"]);
  await page.by("command-result").getByText("11.8").waitFor();
});

scenario("the list is filtered by its address and follows what others send", async (world) => {
  const device = await world.device("pump-1");
  await world.gateway.describe("absent", "pump");
  const page = await world.open("#/commands?state=open");
  await page.by("command-table").getByText("There is none.").waitFor();
  await world.gateway.send("POST", "devices/absent/commands", { name: "wait" });
  await world.gateway.send("POST", "devices/pump-1/commands", { name: "go" });
  const command = await device.nextCommand();
  const names = () =>
    page.by("command-row").evaluateAll((rows) => rows.map((row) => row.dataset.device).sort());
  await untilEqual("both", names, ["absent", "pump-1"]);
  await device.answer(command, { status: "succeeded" });
  await untilEqual("what has ended is gone", names, ["absent"]);
  await page.by("commands-state").selectOption("succeeded");
  await untilEqual("and is found among its like", names, ["pump-1"]);
});

scenario("a waiting command shows its deadline and is cancelled on its page", async (world) => {
  await world.gateway.describe("absent", "pump");
  const { id } = await world.gateway.send("POST", "devices/absent/commands", {
    name: "wait",
    ttl_ms: 60_000,
  });
  const page = await world.open(`#/command/${id}`);
  await page.by("timeline").getByText("expires unless it has been sent").waitFor();
  await page.by("command-cancel").click();
  await untilEqual("the state", () => page.by("command-page").getAttribute("data-state"), "cancelled");
  await until("who did it", async () => /by local/.test(await page.by("timeline").innerText()));
});

scenario("what the list is narrowed by changes nothing of whom the console commands", async (world) => {
  for (const id of ["pump-1", "pump-2"]) await world.gateway.describe(id, "pump");
  const page = await world.open("#/commands?to=device&device=pump-1");
  await untilEqual("who is meant", () => page.by("target-id").inputValue(), "pump-1");
  await page.by("target-id").fill("pump-2");
  await page.by("commands-device").fill("pump-1");
  await page.by("commands-device").press("Enter");
  await page.by("commands-state").selectOption("open");
  await page.by("command-table").getByText("There is none.").waitFor();
  assert.equal(await page.by("target-id").inputValue(), "pump-2");
});

scenario("a command that waits is found behind more than a page of those that have ended", async (world) => {
  await world.gateway.describe("absent", "pump");
  const wait = await world.gateway.send("POST", "devices/absent/commands", { name: "wait" });
  const ended = Array.from({ length: 110 }, () => ({ name: "go", ttl_ms: 0 }));
  await Promise.all(ended.map((command) => world.gateway.send("POST", "devices/absent/commands", command)));
  const page = await world.open("#/commands?state=open");
  const ids = () => page.by("command-row").evaluateAll((rows) => rows.map((row) => row.dataset.command));
  await untilEqual("the one", ids, [wait.id]);
});
