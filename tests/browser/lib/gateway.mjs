// A gateway of a test's own: free ports, a folder of its own, gone at the end.
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { output, Program } from "./program.mjs";
import { until } from "./until.mjs";

const anyPort = "127.0.0.1:0";

/** The gateway; it keeps its folder and its addresses when it is killed and started again. */
export class Gateway {
  #folder;
  #flags;
  #nice;
  #program = null;
  #past = [];
  mqtt = anyPort;
  http = anyPort;

  /** Starts one, as `nice` as `Program` has it, and waits until it is ready. */
  static async start(flags = [], nice = 0) {
    const gateway = new Gateway();
    gateway.#folder = await mkdtemp(join(tmpdir(), "sluice-browser-"));
    gateway.#flags = flags;
    gateway.#nice = nice;
    try {
      await gateway.start();
    } catch (error) {
      await gateway.dispose();
      throw error;
    }
    return gateway;
  }

  /** The page's address. */
  get origin() {
    return `http://${this.http}`;
  }

  /** Everything it logged, of all its lives. */
  get log() {
    return [...this.#past, ...(this.#program?.lines ?? [])];
  }

  /** Starts it, again on the same addresses, and waits until it is ready. */
  async start() {
    const endpoints = join(this.#folder, "data", "endpoints.json");
    await rm(endpoints, { force: true });
    const program = new Program(
      "sluice-gateway",
      [
        ...["--mqtt-listen", this.mqtt, "--http-listen", this.http],
        ...["--data-dir", join(this.#folder, "data"), ...this.#flags],
      ],
      { env: { SLUICE_LOG__FORMAT: "json" }, nice: this.#nice },
    );
    this.#program = program;
    const ready = await until("the gateway is ready", async () => {
      if (!program.isRunning) return "ended";
      return JSON.parse(await readFile(endpoints, "utf8"));
    });
    if (ready === "ended") throw new Error(`the gateway ended:\n${program.lines.join("\n")}`);
    this.mqtt = ready.mqtt;
    this.http = ready.http;
  }

  /** Ends it as a crash would. */
  kill() {
    return this.end("SIGKILL");
  }

  /** Ends it with a signal. */
  async end(signal = "SIGTERM") {
    await this.#program.end(signal);
    this.#past.push(...this.#program.lines);
    this.#program = null;
  }

  /** Holds it: connections stay, and nothing answers. */
  hold() {
    this.#program.hold();
  }

  /** Ends a hold. */
  resume() {
    this.#program.resume();
  }

  /** Ends it for good and removes its folder. */
  async dispose() {
    if (this.#program !== null) await this.end("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Runs `sluice-gateway token ...`; gives what it prints. From the first one on the API needs one. */
  async token(...args) {
    return output("sluice-gateway", ["token", "--data-dir", join(this.#folder, "data"), ...args]);
  }

  /** Changes what the tokens of a user allow, as an administrator does who edits the file. */
  async narrow(user, change) {
    const file = join(this.#folder, "data", "credentials.json");
    const kept = JSON.parse(await readFile(file, "utf8"));
    for (const token of Object.values(kept.tokens)) if (token.user === user) Object.assign(token, change);
    await writeFile(`${file}.new`, JSON.stringify(kept), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  /** Reads from the API. */
  async get(path) {
    return readJson(await fetch(new URL(`/api/v1/${path}`, this.origin)));
  }

  /** Writes to the API. */
  async send(method, path, body) {
    const headers = { "content-type": "application/json" };
    const url = new URL(`/api/v1/${path}`, this.origin);
    return readJson(await fetch(url, { method, headers, body: JSON.stringify(body) }));
  }

  /** Tells the gateway what type a device is of. */
  describe(device, type, tags = {}) {
    return this.send("PUT", `devices/${device}`, { type, tags });
  }
}

async function readJson(response) {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response.json();
}
