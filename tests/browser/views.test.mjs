// The ways through the page: addresses, palette, keyboard; and the views that show the gateway's inside.
import assert from "node:assert/strict";
import { findings } from "./lib/axe.mjs";
import { until, untilEqual } from "./lib/until.mjs";
import { scenario } from "./lib/world.mjs";

const pages = ["fleet", "commands", "alerts", "topics", "gateway"];

scenario(
  "every page is reached by its link and by two keys, and says in the title where one is",
  async (world) => {
    const page = await world.open();
    for (const name of pages.toReversed()) {
      await page.by(`nav-${name}`).click();
      await untilEqual("the link", () => page.by(`nav-${name}`).getAttribute("aria-current"), "page");
      await until("the title", async () => (await page.page.title()).toLowerCase().startsWith(name));
    }
    for (const [key, name] of [...["f", "c", "a", "t", "w"].entries()].map(([at, key]) => [key, pages[at]])) {
      await page.page.keyboard.press("g");
      await page.page.keyboard.press(key);
      await untilEqual(`g ${key}`, () => page.by(`nav-${name}`).getAttribute("aria-current"), "page");
    }
  },
);

scenario("an address keeps filter, order, columns and layout, and brings all of it back", async (world) => {
  for (const id of ["pump-1", "pump-2", "fan-1"])
    await world.gateway.describe(id, id.split("-")[0], { hall: "n" });
  const device = await world.device("pump-2");
  await device.measure({ level: 3 });
  const first = await world.open("#/?q=pump&sort=-id&columns=level&tag=hall%3An");
  await untilEqual("the rows", () => first.ids(), ["pump-2", "pump-1"]);
  await first.by("sort-metric:level").waitFor();
  await first.by("layout-grid").check({ force: true });
  await first.by("status-online").check({ force: true });
  await untilEqual("the card", () => first.by("device-card").count(), 1);
  const second = await world.open(new URL(first.page.url()).hash);
  await untilEqual("the same card", () => second.by("device-card").getAttribute("data-device"), "pump-2");
  await second.by("nav-gateway").click();
  await second.by("gateway-page").waitFor();
  await second.by("nav-fleet").click();
  await untilEqual("still the same", () => second.by("device-card").count(), 1);
});

scenario("the palette finds a device and goes there, by keyboard alone", async (world) => {
  await world.gateway.describe("boiler-7", "boiler");
  const page = await world.open();
  await page.rowWith("boiler-7", "offline");
  const { keyboard } = page.page;
  await keyboard.press("Control+k");
  await page.by("palette").waitFor();
  // Nobody waits for the list: what is found first is meant.
  await page.by("palette-text").fill("boil");
  await keyboard.press("Enter");
  await page.page.locator('[data-testid="device-page"][data-device="boiler-7"]').waitFor();
  const focused = () => page.page.evaluate(() => document.activeElement?.id);
  await untilEqual("where the keyboard goes on", focused, "main");
  await keyboard.press("Control+k");
  await keyboard.type("boiler-7: events");
  await keyboard.press("Enter");
  await page.by("device-events").waitFor();
  await keyboard.press("Control+k");
  await keyboard.type("topics");
  await keyboard.press("Enter");
  await page.by("topics-page").waitFor();
  await keyboard.press("Control+k");
  await keyboard.press("Escape");
  await untilEqual("the palette is gone", () => page.by("palette").count(), 0);
});

scenario("the arrows walk through table, cards and topics, and a slash goes to the search", async (world) => {
  for (const id of ["a-1", "a-2", "a-3"]) await world.gateway.describe(id, "a");
  const page = await world.open();
  await page.rowWith("a-3", "offline");
  await page.row("a-1").getByRole("link").focus();
  await page.page.keyboard.press("ArrowDown");
  await page.page.keyboard.press("ArrowDown");
  const focused = () => page.page.evaluate(() => document.activeElement?.textContent);
  await untilEqual("the third row", focused, "a-3");
  await page.by("layout-grid").check({ force: true });
  await page.by("device-card").first().getByRole("link").focus();
  await page.page.keyboard.press("ArrowRight");
  await untilEqual("the second card", focused, "a-2");
  await page.goto(new URL("#/topics", world.gateway.origin));
  const device = await world.device("a-1");
  await until("the tree", async () => {
    await device.measure({ level: 1 });
    return (await page.by("topic-row").count()) === 2;
  });
  await page.page.locator('[data-topic="devices"] .tree-name').focus();
  for (const key of ["ArrowDown", "ArrowRight"]) await page.page.keyboard.press(key);
  await page.page.locator('[data-topic="devices/a-1/telemetry"]').waitFor();
  for (const key of ["ArrowDown", "Enter"]) await page.page.keyboard.press(key);
  await page.by("topic-payload").getByText('"level": 1').waitFor();
  await page.goto(world.gateway.origin);
  await page.by("devices").waitFor();
  await page.page.keyboard.press("/");
  await page.page.keyboard.type("a-2");
  await untilEqual("the one", () => page.ids(), ["a-2"]);
});

scenario("the order does not jump under the pointer, and catches up when it leaves", async (world) => {
  const [low, high] = [await world.device("low"), await world.device("high")];
  const page = await world.open("#/?columns=level&sort=-metric%3Alevel");
  await low.measure({ level: 1 });
  await high.measure({ level: 9 });
  await untilEqual("the order", () => page.ids(), ["high", "low"]);
  const hover = () => page.row("high").hover();
  await hover();
  await low.measure({ level: 20 });
  await page.shows(page.row("low"), "level", "20");
  await until("it is said that the order waits", async () => {
    await page.page.mouse.move(300 + Math.random() * 9, 240);
    return (await page.by("held").count()) === 1;
  });
  assert.deepEqual(await page.ids(), ["high", "low"]);
  await page.page.mouse.move(5, 5);
  await untilEqual("the new order", () => page.ids(), ["low", "high"]);
});

scenario("no row moves under a finger, nor as soon as it is lifted", async (world) => {
  const [low, high] = [await world.device("low"), await world.device("high")];
  const page = await world.open("#/?columns=level&sort=-metric%3Alevel", { hasTouch: true });
  await low.measure({ level: 1 });
  await high.measure({ level: 9 });
  await untilEqual("the order", () => page.ids(), ["high", "low"]);
  const { x, y } = await page.row("high").locator(".col-seen").boundingBox();
  const session = await page.page.context().newCDPSession(page.page);
  const touch = (type, touchPoints) => session.send("Input.dispatchTouchEvent", { type, touchPoints });
  await touch("touchStart", [{ x: x + 9, y: y + 9 }]);
  await low.measure({ level: 20 });
  await page.by("held").waitFor();
  await page.shows(page.row("low"), "level", "20");
  assert.deepEqual(await page.ids(), ["high", "low"], "a finger is on it");
  await touch("touchEnd", []);
  await low.measure({ level: 30 });
  await page.shows(page.row("low"), "level", "30");
  assert.deepEqual(await page.ids(), ["high", "low"], "it may come down again");
});

scenario("ticking a device moves no row, and a row that moves keeps the focus that is in it", async (world) => {
  const [low, high] = [await world.device("low"), await world.device("high")];
  // So wide that one more word in the line of filters makes it two.
  const page = await world.open("#/?columns=level&sort=-metric%3Alevel", {
    viewport: { width: 1000, height: 800 },
  });
  await low.measure({ level: 1 });
  await high.measure({ level: 9 });
  await untilEqual("the order", () => page.ids(), ["high", "low"]);
  const top = async () => (await page.row("high").boundingBox()).y;
  const before = await top();
  await page.row("high").getByTestId("select-device").check();
  await page.by("selection").waitFor();
  assert.equal(await top(), before);

  await page.page.mouse.move(5, 5);
  await page.row("low").getByRole("link").focus();
  await low.measure({ level: 20 });
  await page.shows(page.row("low"), "level", "20");
  await page.by("held").waitFor();
  assert.deepEqual(await page.ids(), ["high", "low"], "nothing moves under the keys");
  assert.equal(await top(), before, "nor for the word that says so");
  await page.row("high").hover();
  await page.page.mouse.move(5, 5);
  await untilEqual("the new order", () => page.ids(), ["low", "high"]);
  const focused = () => page.page.evaluate(() => document.activeElement?.textContent.trim());
  await untilEqual("the focus", focused, "low");
});

scenario(
  "the tree of topics shows what is published, how it changes, and stands still when told to",
  async (world) => {
    const page = await world.open("#/topics?topic=plant%2Fboiler");
    const device = await world.device("sender");
    const say = async (payload) => {
      await device.publish("plant/boiler", payload);
    };
    await page.by("topics-page").waitFor();
    await until("the tree", async () => {
      await say({ bar: 1, mode: "eco" });
      return (await page.page.locator('[data-topic="plant"]').count()) === 1;
    });
    await page.by("topic-payload").getByText('"bar": 1').waitFor();
    await say({ bar: 2, mode: "eco" });
    await page.by("topic-payload").getByText('"bar": 2').waitFor();
    await page.by("topic-show-diff").check({ force: true });
    const changed = () =>
      page
        .by("topic-diff")
        .locator('[data-kind="removed"], [data-kind="added"]')
        .evaluateAll((lines) => lines.map(({ textContent }) => textContent.replaceAll(/\s+/g, "")));
    await untilEqual("the changes", changed, ['−"bar":1,', '+"bar":2,']);
    await page.by("topic-hold").click();
    await say({ bar: 3, mode: "eco" });
    const row = page.page.locator('[data-topic="plant"]');
    await row.getByRole("button").first().click();
    await page.page.locator('[data-topic="plant/boiler"]').getByText('"bar":3').waitFor();
    assert.deepEqual(await changed(), ['−"bar":1,', '+"bar":2,'], "it stood still");
  },
);

scenario("topics have rates, and what is published by hand is among them at once", async (world) => {
  const page = await world.open("#/topics?topic=plant%2Fvalve");
  world.simulate(2, ["--types", "pump", "--rate", "4"]);
  const rate = page.page.locator('[data-topic="devices"] .tree-rate');
  await until("a rate", async () => Number.parseFloat(await rate.innerText()) > 1);
  await page.by("publish-payload").fill('{"open":true}');
  await page.by("publish-retain").check();
  await page.by("publish-send").click();
  await untilEqual("it was taken", () => page.by("publish-outcome").getAttribute("data-good"), "true");
  await page.by("topic-payload").getByText('"open": true').waitFor();
  await page.by("topic-details").getByText("retained").waitFor();
  await page.by("topic-hold").click();
  await page.page.locator('[data-topic="devices/pump-001"] .tree-toggle').click();
  await page.page.locator('[data-topic="devices/pump-001/telemetry"] .tree-name').click();
  await page.by("topic-payload").getByText('"flow"').waitFor();
  assert.equal(await page.by("topic-details").getByText("retained").count(), 0, "another topic is not");
  assert.equal(await page.by("topic-hold").innerText(), "Hold still", "another topic goes on");
});

scenario("who may only look is shown everything and offered nothing to do", async (world) => {
  world.expectComplaints(/401/);
  const device = await world.device("pump-1");
  await device.measure({ flow: 3 });
  await device.raise({ severity: "warning", code: "low", message: "Low" });
  await device.report({ mode: "eco" });
  const token = (await world.gateway.token("create", "eve", "--role", "viewer")).trim();
  const page = await world.openBlank();
  await page.goto(world.gateway.origin);
  await page.by("sign-in-token").waitFor();
  assert.deepEqual(await findings(page), [], "the page to sign in");
  await page.by("sign-in-token").fill(token);
  await page.by("sign-in-send").click();
  await page.state("live");
  await page.shows(page.row("pump-1"), "flow", "3");
  await page.goto(new URL("#/device/pump-1?tab=state", world.gateway.origin));
  await page.by("viewers-note").waitFor();
  for (const button of ["command-send", "desired-edit"]) {
    await untilEqual(button, () => page.by(button).isDisabled(), true);
  }
  await page.by("command-name").fill("stop");
  await page.by("command-dry-run").click();
  await page.by("dry-run").getByText("you may not command it").waitFor();
  await page.goto(new URL("#/alerts", world.gateway.origin));
  await untilEqual("nothing to acknowledge", () => page.by("alert-ack").isDisabled(), true);
  await page.goto(new URL("#/topics", world.gateway.origin));
  await until("the tree", async () => {
    await device.measure({ flow: 4 });
    return (await page.by("topic-row").count()) > 0;
  });
  assert.equal(await page.by("publish").count(), 0, "nothing to publish with");
});

scenario("the gateway's page has its figures, its metrics, and this page's own connection", async (world) => {
  world.simulate(5);
  const page = await world.open("#/gateway");
  const figure = (name) => page.by(`figure-${name}`).getByTestId("figure-now").innerText();
  await untilEqual("devices online", () => figure("online"), "5");
  await until("messages", async () => Number(await figure("messages-in")) > 0);
  await page.by("figure-messages-in").locator("canvas").waitFor();
  await page.by("gateway-version").getByText("version").waitFor();
  const facts = await page.by("connection-facts").innerText();
  for (const fact of [/Round trip\s+\d+ ms/, /Updates merged\s+0/, /Resets\s+\d/, /Gateway's clock/]) {
    assert.match(facts, fact);
  }
  const kept = await page.by("gateway-facts").innerText();
  for (const fact of [/Slow consumers now\s+0/, /Updates that wait to be stored\s+\d/, /Memory\s+\d/]) {
    assert.match(kept, fact);
  }
  await page.by("metrics-text").fill("websocket");
  await until("metrics", async () => (await page.by("metrics").locator("tr").count()) > 0);
});

scenario("an unknown address says so and shows the way out", async (world) => {
  const page = await world.open("#/nowhere");
  await page.by("unknown-page").getByRole("link").click();
  await page.by("devices").waitFor();
});
