// Who may see the page: signing in with a token, and what it is worth.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { findings } from "./lib/axe.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

/** What the browser writes of its own when something is refused, as it is here. */
const refusals = [/401|403/, /WebSocket connection to .* failed/];

/** Opens the page where a token is needed, and waits for the form. */
async function openSignIn(world) {
  world.expectComplaints(...refusals);
  const page = await world.openBlank();
  await page.goto(world.gateway.origin);
  await page.by("sign-in").waitFor();
  return page;
}

async function signIn(page, token) {
  await page.by("sign-in-token").fill(token);
  await page.by("sign-in-send").click();
}

/** A page that is signed in. */
async function signedIn(world, ...token) {
  const text = await world.gateway.token("create", ...token);
  const page = await openSignIn(world);
  await signIn(page, text);
  await page.state("live");
  return page;
}

scenario("who has a token signs in, and no script can read the cookie", async (world) => {
  await world.device("pump-1");
  const page = await signedIn(world, "vera", "--role", "viewer");
  await page.row("pump-1").waitFor();
  const [cookie, ...others] = await page.page.context().cookies();
  assert.deepEqual(others, []);
  assert.equal(cookie.name, "sluice_session");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"]);
  assert.equal(await page.page.evaluate(() => document.cookie), "");
  const kept = await page.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.ok(!kept.includes("slt_"), kept);
  assert.ok(!page.page.url().includes("slt_"), "no token in an address");
  await page.page.reload();
  await page.state("live");
});

scenario("a wrong token shows nothing, and says so", async (world) => {
  await world.device("pump-1");
  await world.gateway.token("create", "vera");
  const page = await openSignIn(world);
  await signIn(page, "slt_000000000000_wrong");
  await page.by("sign-in-problem").waitFor();
  await untilEqual("no device", () => page.by("device-row").count(), 0);
  assert.deepEqual(await page.page.context().cookies(), []);
});

scenario("who signs out is asked for a token again", async (world) => {
  const page = await signedIn(world, "vera");
  await page.by("connection").locator("summary").click();
  await page.by("sign-out").click();
  await page.by("sign-in").waitFor();
  assert.deepEqual(await page.page.context().cookies(), []);
});

scenario("a token that is revoked sends its page to the form", async (world) => {
  const page = await signedIn(world, "vera");
  // Both are in the file once the page is told of the second.
  const token = await world.gateway.token("create", "anna");
  await world.gateway.token("revoke", "vera");
  await page.by("sign-in-why").getByText("revoked or has expired").waitFor();
  assert.equal(await page.by("banner").count(), 0, "it is said once");
  await signIn(page, token);
  await page.state("live");
});

scenario(
  "a token that is narrowed sends its page to the form, and goes on with what is left",
  async (world) => {
    for (const id of ["pump-1", "tank-1"]) await (await world.device(id)).measure({ level: 1 });
    const page = await signedIn(world, "paula");
    await page.row("tank-1").waitFor();
    await world.gateway.narrow("paula", { devices: ["pump-*"] });
    await page.by("sign-in-why").getByText("what its token allows has changed").waitFor();
    assert.deepEqual(await page.ids(), [], "what was seen before is not shown any more");
    assert.deepEqual(await findings(page), []);
    await page.by("sign-in-go-on").click();
    await page.state("live");
    await page.row("pump-1").waitFor();
    assert.deepEqual(await page.ids(), ["pump-1"]);
  },
);

scenario("a viewer can look at everything and send nothing", async (world) => {
  const device = await world.device("pump-1");
  await device.raise({ severity: "critical", code: "hot", message: "too hot" });
  const page = await signedIn(world, "vera", "--role", "viewer");
  for (const [address, handle] of [
    ["#/device/pump-1", "command-send"],
    ["#/alerts", "alert-ack"],
  ]) {
    await page.goto(new URL(address, world.gateway.origin));
    await page.by(handle).first().waitFor();
    await untilEqual(`${handle} is of no use`, () => page.by(handle).first().isDisabled(), true);
  }
  await page.goto(new URL("#/topics?topic=devices%2Fpump-1%2Ftelemetry", world.gateway.origin));
  await page.by("topics-page").waitFor();
  assert.equal(await page.by("publish").count(), 0, "nothing to publish with");
  const status = await page.page.evaluate(async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ name: "reboot" });
    const asked = await fetch("/api/v1/devices/pump-1/commands", { method: "POST", headers, body });
    return asked.status;
  });
  assert.equal(status, 403, "nor by hand");
});

scenario("a narrowed token shows its devices and no other", async (world) => {
  for (const id of ["pump-1", "tank-1"]) await (await world.device(id)).measure({ level: 1 });
  const page = await signedIn(world, "paula", "--devices", "pump-*");
  await page.row("pump-1").waitFor();
  await page.showsNumber(page.row("pump-1"), "level", 1);
  assert.deepEqual(await page.ids(), ["pump-1"]);
  await page.by("summary-whole").waitFor();
});

scenario("a narrowed operator is not offered to publish, which the gateway would refuse", async (world) => {
  await world.device("pump-1");
  const whole = await signedIn(world, "anna", "--role", "operator");
  const narrowed = await signedIn(world, "paula", "--role", "operator", "--devices", "pump-*");
  for (const [who, offers] of [
    [whole, 1],
    [narrowed, 0],
  ]) {
    const answered = who.page.waitForResponse((response) => response.url().endsWith("/openapi.json"));
    await who.goto(new URL("#/topics", world.gateway.origin));
    await (await answered).finished();
    // What the answer brings to the page is there soon.
    await pause(500);
    await untilEqual("what is offered", () => who.by("publish").count(), offers);
  }
});

scenario("a form of another site changes nothing, though the browser is signed in", async (world) => {
  await world.device("pump-1");
  const page = await signedIn(world, "anna");
  const path = "/api/v1/devices/pump-1/commands";
  const form = `<!doctype html><form method="post" enctype="text/plain" action="${world.gateway.origin}${path}">
    <input name='{"name":"reboot","params":{"a":"' value='"}}'></form>`;
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end(form));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  world.atEnd(() => server.close());
  const stranger = await page.page.context().newPage();
  await stranger.goto(`http://127.0.0.1:${server.address().port}/`);
  const answered = stranger.waitForResponse((response) => response.url().endsWith(path));
  await stranger.evaluate(() => document.forms[0].submit());
  assert.equal((await answered).status(), 403);
  const commands = await page.page.evaluate(async () => (await fetch("/api/v1/commands")).json());
  assert.deepEqual(commands.items, []);
});

scenario("what is published by hand reaches devices", async (world) => {
  const device = await world.device("pump-1");
  await device.measure({ flow: 1 });
  const page = await world.open("#/topics?topic=devices%2Fpump-1%2Ftelemetry");
  await page.by("publish").waitFor();
  await untilEqual("the topic", () => page.by("publish-topic").inputValue(), "devices/pump-1/telemetry");
  await page.by("publish-payload").fill('{"flow":42}');
  await page.by("publish-send").click();
  await page.page.locator('[data-testid="publish-outcome"][data-good="true"]').waitFor();
  const { values } = await until("the value", async () => {
    const known = await world.gateway.get("devices/pump-1");
    return known.values.flow === 42 ? known : undefined;
  });
  assert.equal(values.flow, 42);
});

scenario("an operator who is signed in publishes by hand", async (world) => {
  await (await world.device("pump-1")).measure({ flow: 1 });
  const page = await signedIn(world, "otto", "--role", "operator");
  await page.goto(new URL("#/topics?topic=devices%2Fpump-1%2Ftelemetry", world.gateway.origin));
  await page.by("publish-payload").fill('{"flow":7}');
  await page.by("publish-send").click();
  await page.page.locator('[data-testid="publish-outcome"][data-good="true"]').waitFor();
});
