// A test's surroundings: gateway, fleet, devices and pages, and what must hold for all of them.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { Device } from "./device.mjs";
import { Gateway } from "./gateway.mjs";
import { Line } from "./line.mjs";
import { PageUnderTest } from "./page.mjs";
import { Program } from "./program.mjs";
import { openTabs } from "./tabs.mjs";

/** How long one test may take. */
const testMs = 120_000;
/** Where pictures of what failed go. */
const failures = join(import.meta.dirname, "..", "failures");

const launchOptions = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

/**
 * A test against a real gateway. Whatever it is about, it also fails when a page wrote an error or asked
 * anybody but the gateway, and when the gateway logged an error.
 */
export function scenario(name, body, options = {}) {
  test(name, { timeout: options.timeoutMs ?? testMs }, async () => {
    const world = await World.create(options);
    try {
      await body(world);
      world.assertNoComplaints();
    } catch (error) {
      await world.picture(name);
      error.message += `\nthe gateway's last lines:\n${world.lastWords()}`;
      throw error;
    } finally {
      await world.dispose();
    }
  });
}

/** Everything that a test started. */
export class World {
  #browser;
  #pages = [];
  #programs = [];
  #devices = [];
  #closers = [];
  #expected = [];
  #nice = 0;
  gateway;

  /**
   * Starts a gateway and a browser; `options.gateway` are the gateway's flags, `options.browser` the browser's. With
   * `options.nice` gateway and simulator leave the processors to the browser, as if they ran on another machine.
   */
  static async create(options = {}) {
    const world = new World();
    world.#nice = options.nice ?? 0;
    const args = [...launchOptions.args, ...(options.browser ?? [])];
    world.#browser = await chromium.launch({ ...launchOptions, args });
    try {
      world.gateway = await Gateway.start(options.gateway, world.#nice);
    } catch (error) {
      await world.#browser.close();
      throw error;
    }
    return world;
  }

  /**
   * Opens a page of the dashboard, in a browser context of its own, and waits until it is live; with a `line`, by that
   * line.
   */
  async open(path = "", { line, ...contextOptions } = {}) {
    const page = await this.openBlank(contextOptions, line?.host);
    await page.goto(new URL(path, line?.origin ?? this.gateway.origin));
    await page.state("live");
    return page;
  }

  /** Lays a line of a page's own to the gateway. */
  async line() {
    const line = await Line.to(this.gateway.http);
    this.atEnd(() => line.close());
    return line;
  }

  /** Opens a page in a browser whose tabs hide each other; `hide` puts another tab before it, `show` ends that. */
  async openTab(path) {
    const tabs = await openTabs(launchOptions);
    this.atEnd(() => tabs.close());
    const page = this.#watched(tabs.first, this.gateway.http);
    await page.goto(new URL(path, this.gateway.origin));
    await page.state("live");
    const hide = async () => (await tabs.another()).bringToFront();
    return { page, hide, show: () => tabs.first.bringToFront() };
  }

  /** Opens an empty page. */
  async openBlank(contextOptions = {}, host = this.gateway.http) {
    const context = await this.#browser.newContext({
      viewport: { width: 1280, height: 800 },
      ...contextOptions,
    });
    return this.#watched(await context.newPage(), host);
  }

  #watched(page, host) {
    const watched = new PageUnderTest(page, host);
    this.#pages.push(watched);
    return watched;
  }

  /** Starts simulated devices; the ids are `pump-001` and so on. */
  simulate(devices, flags = []) {
    const fleet = ["--devices", String(devices), "--prefix", ""];
    const args = [...fleet, "--mqtt", this.gateway.mqtt, ...flags];
    const sim = new Program("device-sim", args, { nice: this.#nice });
    this.#programs.push(sim);
    return sim;
  }

  /** Connects a device that does only what the test says. */
  async device(id) {
    const device = await Device.connect(this.gateway, id);
    this.#devices.push(device);
    return device;
  }

  /** Calls `close` at the end. */
  atEnd(close) {
    this.#closers.push(close);
  }

  /** Says that pages may write what matches: the test makes it happen. */
  expectComplaints(...patterns) {
    this.#expected.push(...patterns);
  }

  /** Fails when something complained that was not expected to. */
  assertNoComplaints() {
    const isUnexpected = (text) => !this.#expected.some((pattern) => pattern.test(text));
    const fromPages = this.#pages.flatMap((page) => page.complaints).filter(isUnexpected);
    assert.deepEqual(fromPages, [], "what pages wrote");
    const foreign = this.#pages.flatMap((page) => page.foreignRequests);
    assert.deepEqual(foreign, [], "requests to others than the gateway");
    const errors = this.gateway.log.filter(
      (line) => line.includes('"level":"ERROR"') || line.includes("panicked"),
    );
    assert.deepEqual(errors, [], "errors in the gateway's log");
  }

  /** What the gateway said last: a panic's first lines, else its last ones. */
  lastWords() {
    const { log } = this.gateway;
    const panic = log.findIndex((line) => line.includes("panicked"));
    return (panic < 0 ? log.slice(-10) : log.slice(panic, panic + 60)).join("\n");
  }

  /** Keeps a picture of each page. */
  async picture(name) {
    await mkdir(failures, { recursive: true });
    for (const [index, { page }] of this.#pages.entries()) {
      const path = join(failures, `${name.replaceAll(/\W+/g, "-")}-${index}.png`);
      await page.screenshot({ path, timeout: 5_000 }).catch(() => {});
    }
  }

  /** Ends all of it. */
  async dispose() {
    await this.#browser.close();
    for (const close of this.#closers) await close();
    await Promise.all(this.#devices.map((device) => device.vanish()));
    await Promise.all(this.#programs.map((program) => program.end("SIGKILL")));
    await this.gateway.dispose();
  }
}
