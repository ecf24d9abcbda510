// What a device should be and what it says that it is.
import { untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** The members and how they stand, as the table has them. */
function members(page) {
  return page
    .by("state-members")
    .locator("tr[data-member]")
    .evaluateAll((rows) => rows.map((row) => `${row.dataset.member} ${row.dataset.standing}`));
}

scenario("what is desired is written, the device follows, and both stand side by side", async (world) => {
  const device = await world.device("pump-1");
  await device.report({ firmware: "2.1", mode: "eco" });
  const page = await world.open("#/device/pump-1?tab=state");
  await untilEqual("what it reported", () => members(page), ["firmware only_reported", "mode only_reported"]);
  await page.by("desired-edit").click();
  await page.by("desired-text").fill('{"mode":"full"}');
  await page.by("desired-save").click();
  await untilEqual("it differs", () => members(page), ["firmware only_reported", "mode differs"]);
  await page.by("state-sync").getByText("not in sync").waitFor();
  await device.report({ firmware: "2.1", mode: "full" });
  await untilEqual("it follows", () => members(page), ["firmware only_reported", "mode same"]);
  await page.by("state-sync").getByText("in sync", { exact: true }).waitFor();
});

scenario("who writes over another's change is told, loses nothing, and may decide", async (world) => {
  world.expectComplaints(/412/);
  await world.gateway.describe("pump-1", "pump");
  await world.gateway.send("PUT", "devices/pump-1/desired", { mode: "eco" });
  const page = await world.open("#/device/pump-1?tab=state");
  await page.by("desired-edit").click();
  await page.by("desired-text").fill('{"mode":"mine"}');
  const other = await world.open("#/device/pump-1?tab=state");
  await other.by("desired-edit").click();
  await other.by("desired-text").fill('{"mode":"theirs"}');
  await other.by("desired-save").click();
  await page.by("desired-overtaken").getByText("version 2").waitFor();
  await page.by("tab-events").click();
  await page.by("device-events").waitFor();
  await page.by("tab-state").click();
  await page.by("desired-overtaken").getByText("version 2").waitFor();
  await page.by("desired-save").click();
  await page.by("desired-problem").getByText("nothing was saved").waitFor();
  const desired = async () => (await world.gateway.get("devices/pump-1/desired")).desired;
  await untilEqual("theirs stands", desired, { mode: "theirs" });
  await page.by("desired-rebase").click();
  await page.by("desired-save").click();
  await untilEqual("mine, on purpose", desired, { mode: "mine" });
  await other.by("state-version").getByText("version 3").waitFor();
});
