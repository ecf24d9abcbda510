// A browser whose tabs can be hidden behind each other. Playwright's own pages always believe that they are seen.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Starts one; gives its first tab, a way to open others, and a way to end it. */
export async function openTabs({ executablePath, args }) {
  const profile = await mkdtemp(join(tmpdir(), "sluice-tabs-"));
  const flags = ["--headless", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"];
  const program = spawn(executablePath, [...args, ...flags]);
  const browser = await chromium.connectOverCDP(await debuggerOf(program), { noDefaults: true });
  const context = browser.contexts()[0];
  return {
    first: context.pages()[0],
    another: () => context.newPage(),
    close: async () => {
      const ended = new Promise((resolve) => program.once("close", resolve));
      await browser.close();
      program.kill();
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function debuggerOf(program) {
  return new Promise((resolve, reject) => {
    let said = "";
    program.stderr.setEncoding("utf8").on("data", (text) => {
      said += text;
      const address = /listening on (ws:\S+)/.exec(said)?.[1];
      if (address !== undefined) resolve(address);
    });
    program.once("close", () => reject(new Error(`the browser ended: ${said}`)));
  });
}
