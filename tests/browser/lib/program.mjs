// The real programs, as child processes.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { patienceMs } from "./until.mjs";

const binDir = process.env.SLUICE_BIN_DIR ?? join(import.meta.dirname, "../../../target/release");
const outputKept = 400;
/** Our own SLUICE_ variables are not the programs': the gateway reads all of them as settings. */
const inherited = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("SLUICE_")),
);

/** Runs a program to its end, which is to be a good one; gives what it printed. */
export async function output(name, args) {
  const { stdout } = await promisify(execFile)(join(binDir, name), args, { env: inherited });
  return stdout.trim();
}

/** A running program and the last lines that it wrote. */
export class Program {
  #child;
  #ended;
  /** The last lines of both outputs. */
  lines = [];

  /** `env` is added to ours; how `nice` it is says how much of busy processors it leaves to others, 0 to 19. */
  constructor(name, args, { env = {}, nice = 0 } = {}) {
    this.name = name;
    const command = ["-n", String(nice), join(binDir, name), ...args];
    this.#child = spawn("nice", command, { env: { ...inherited, ...env } });
    this.#ended = once(this.#child, "close");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => this.#keep(text));
    }
  }

  /** Whether it has not ended. */
  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends a signal and waits for the end; a program that does not go is killed. */
  async end(signal = "SIGTERM") {
    if (!this.isRunning) return;
    this.#child.kill(signal);
    const impatient = setTimeout(() => this.#child.kill("SIGKILL"), patienceMs);
    await this.#ended;
    clearTimeout(impatient);
  }

  /** Waits until it has ended by itself. */
  async finished() {
    await this.#ended;
  }

  /** Holds it, as if its machine slept; `resume` lets it go on. */
  hold() {
    this.#child.kill("SIGSTOP");
  }

  /** Ends a hold. */
  resume() {
    this.#child.kill("SIGCONT");
  }

  #keep(text) {
    this.lines.push(...text.split("\n").filter((line) => line !== ""));
    this.lines.splice(0, this.lines.length - outputKept);
  }
}
