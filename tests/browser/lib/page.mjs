// A page of the dashboard, by the handles that dashboard/README.md names.
import { patienceMs, until, untilEqual } from "./until.mjs";

/** The page, and what it did that it should not have. */
export class PageUnderTest {
  /** Errors and warnings on its console, and errors nobody caught. */
  complaints = [];
  /** Addresses it asked that are not the gateway's. */
  foreignRequests = [];

  constructor(page, gatewayHost) {
    this.page = page;
    page.setDefaultTimeout(patienceMs);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
    const check = (address) => {
      const url = new URL(address);
      if (["http:", "https:", "ws:", "wss:"].includes(url.protocol) && url.host !== gatewayHost) {
        this.foreignRequests.push(address);
      }
    };
    page.on("request", (request) => check(request.url()));
    page.on("websocket", (socket) => check(socket.url()));
  }

  /** Goes to an address. */
  async goto(url) {
    return this.page.goto(String(url));
  }

  /** What has the handle `testid`. */
  by(testid) {
    return this.page.getByTestId(testid);
  }

  /** Waits until the indicator shows a state. */
  state(state) {
    return this.page.locator(`[data-testid="connection"][data-state="${state}"]`).waitFor();
  }

  /** Waits until it is live again; its back-off, which may be longer than anybody's patience, is cut short. */
  recovered() {
    return until("it is live again", async () => {
      if ((await this.by("connection").getAttribute("data-state")) === "live") return true;
      await this.by("try-now").click({ timeout: 500 });
      return false;
    });
  }

  /** The row of a device. */
  row(device) {
    return this.page.locator(`[data-testid="device-row"][data-device="${device}"]`);
  }

  /** Waits for the row of a device with a status. */
  rowWith(device, status) {
    return this.page
      .locator(`[data-testid="device-row"][data-device="${device}"][data-status="${status}"]`)
      .waitFor();
  }

  /** The value of a metric, within the table's row or on the device's page, as text. */
  async value(within, metric) {
    return within.locator(`[data-metric="${metric}"] [data-testid="value"]`).first().innerText();
  }

  /** Waits until a metric shows a text. */
  shows(within, metric, wanted) {
    return untilEqual(`${metric} is shown`, () => this.value(within, metric), wanted);
  }

  /** Waits until a metric shows a number, with however many digits. */
  showsNumber(within, metric, wanted) {
    return untilEqual(`${metric} is shown`, async () => Number(await this.value(within, metric)), wanted);
  }

  /** The ids of the rows, from the top. */
  ids() {
    return this.by("device-row").evaluateAll((rows) => rows.map((row) => row.dataset.device));
  }

  /** Opens a device's page from the table. */
  async openDevice(id) {
    await this.row(id).getByRole("link").click();
    await this.page.locator(`[data-testid="device-page"][data-device="${id}"]`).waitFor();
  }

  /** Writes a command into the form and sends it; gives its card. */
  async sendCommand(name, { params = {}, ttlS, timeoutS } = {}) {
    await this.by("command-name").fill(name);
    await this.by("params-as-json").check({ force: true });
    await this.by("params-json").fill(JSON.stringify(params));
    if (ttlS !== undefined) await this.by("command-ttl").fill(String(ttlS));
    if (timeoutS !== undefined) await this.by("command-timeout").fill(String(timeoutS));
    const before = await this.commandIds();
    await this.by("command-send").click();
    const id = await until("the command is in the list", async () =>
      (await this.commandIds()).find((other) => !before.includes(other)),
    );
    return this.command(id);
  }

  /** The ids of the commands in the list. */
  commandIds() {
    return this.by("command").evaluateAll((cards) => cards.map((card) => card.dataset.command));
  }

  /** The card of a command. */
  command(id) {
    return this.page.locator(`[data-testid="command"][data-command="${id}"]`);
  }

  /** Waits until a command's card shows a state. */
  commandIs(card, state, withinMs = patienceMs) {
    return untilEqual("the command's state", () => card.getAttribute("data-state"), state, withinMs);
  }

  /** The stages on a command's card, without their times. */
  stages(card) {
    return card
      .locator(".stages li")
      .evaluateAll((items) => items.map((item) => item.firstChild.textContent.trim()));
  }

  /** Presses Tab until the element with the handle has the focus. */
  async tabTo(testid, pressesMax = 80) {
    for (let press = 0; press < pressesMax; press += 1) {
      await this.page.keyboard.press("Tab");
      const focused = await this.page.evaluate(
        () => document.activeElement?.closest("[data-testid]")?.dataset.testid,
      );
      if (focused === testid) return;
    }
    throw new Error(`${testid} was not reached with ${pressesMax} presses of Tab`);
  }
}
