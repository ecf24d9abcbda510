// A stand-in for the gateway, to work on the page without one: made-up devices, the same messages.
//
//   node dev/fake-gateway.mjs [--port 8080] [--devices 60] [--speed 1]
//
// With a speed, devices measure that many times as often, and their clocks run that many times as fast.
//
// It speaks what the page uses of the contract and no more: no MQTT, no storage, no limits, no replay; telemetry as
// columns, a history of five minutes, and `since` answered with a snapshot; alerts, desired states, batches and types as
// `fake-parts.mjs` makes them up. It serves `dist` under a strict content
// security policy. `POST /dev/close?code=4201` closes every browser's connection with that code,
// `POST /dev/lag?on=true` calls every browser slow, `POST /dev/store?error=disk%20full` stops keeping history.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";
import { ColumnsEncoder } from "../tests/client/columns-encoder.mjs";
import { makeFleet } from "./fake-fleet.mjs";
import { Alerts, Batches, deviceTypes, States } from "./fake-parts.mjs";
import { aCommand, aDevice, aPresence } from "./samples.mjs";

const { values: flags } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    devices: { type: "string", default: "60" },
    speed: { type: "string", default: "1" },
  },
});

const startedAt = Date.now();
const speed = Number(flags.speed);
/** The time as the devices have it. */
const deviceNow = () => startedAt + (Date.now() - startedAt) * speed;
const epoch = randomUUID();
const fleet = makeFleet(Number(flags.devices));
const byId = new Map(fleet.map((device) => [device.id, device]));
const channels = new Map();
const commands = new Map();
const sessions = new Set();
let offset = 0;
let messages = 0;
let deliveries = 0;
let storeError = null;
const alerts = new Alerts(publish);
const states = new States(publish);
const batches = new Batches(publish, create);

// ---- channels ----

function publish(name, data, value = data) {
  const channel = channels.get(name) ?? { seq: 0 };
  channels.set(name, channel);
  channel.seq += 1;
  offset += 1;
  const timestamp = name.startsWith("telemetry/") ? deviceNow() : Date.now();
  const update = { channel: name, seq: channel.seq, offset, timestamp, data };
  channel.value = { ...update, data: { ...value } };
  if (name.startsWith("telemetry/")) keep(channel, update);
  for (const session of sessions) session.offer(update);
}

/** Keeps the last five minutes of a channel. */
function keep(channel, { timestamp, data }) {
  channel.kept ??= [];
  channel.kept.push({ timestamp, data: { ...data } });
  while (channel.kept[0].timestamp < timestamp - 300_000) channel.kept.shift();
}

/** What a channel has kept, as columns. */
function history(name, since) {
  const kept = (channels.get(name)?.kept ?? []).filter(({ timestamp }) => timestamp >= since);
  const metrics = new Set(kept.flatMap(({ data }) => Object.keys(data)));
  const columns = [...metrics].map((metric) => [
    metric,
    { values: kept.map(({ data }) => data[metric] ?? null) },
  ]);
  return {
    type: "history",
    channel: name,
    from: since,
    to: Date.now(),
    bucket_ms: null,
    timestamps: kept.map(({ timestamp }) => timestamp),
    metrics: Object.fromEntries(columns),
  };
}

function presence(device, reason) {
  const online = device.online;
  const away = online ? {} : { address: null, protocol: null };
  const status = online ? "online" : "offline";
  publish(`presence/${device.id}`, aPresence({ status, since: device.since, reason, ...away }));
}

class Session {
  filters = new Map();
  waiting = new Map();

  constructor(socket) {
    this.socket = socket;
    this.encoder = socket.protocol === "sluice.v1.columns" ? new ColumnsEncoder() : null;
  }

  /** Telemetry goes as columns where the browser takes them; the order stays. */
  send(...messages) {
    if (this.socket.readyState !== this.socket.OPEN) return;
    const goesAsColumns = ({ channel, type }) =>
      this.encoder !== null && type === undefined && channel.startsWith("telemetry/");
    for (let from = 0, to = 0; from < messages.length; from = to) {
      const isBinary = goesAsColumns(messages[from]);
      while (to < messages.length && goesAsColumns(messages[to]) === isBinary) to += 1;
      const part = messages.slice(from, to);
      if (!isBinary) this.socket.send(JSON.stringify(part));
      else for (const frame of this.encoder.encode(part)) this.socket.send(frame);
    }
  }

  offer(update) {
    const granted = [...this.filters].filter(([filter]) => matches(filter, update.channel));
    if (granted.length === 0) return;
    deliveries += 1;
    const thins = update.channel.startsWith("telemetry/") || update.channel === "gateway/stats";
    const isWhole = granted.some(([, options]) => options.mode !== "latest" && !options.throttle);
    if (!thins || isWhole) return this.send(update);
    const before = this.waiting.get(update.channel);
    this.waiting.set(update.channel, { ...update, data: { ...before?.data, ...update.data } });
  }

  flush() {
    if (this.waiting.size === 0) return;
    const updates = [...this.waiting.values()];
    this.waiting.clear();
    this.send(...updates);
  }

  handle(message) {
    switch (message.type) {
      case "subscribe":
        return this.subscribe(message);
      case "unsubscribe":
        for (const filter of message.channels) this.filters.delete(filter);
        return this.send({ type: "unsubscribed", id: message.id, channels: message.channels });
      case "ping":
        return this.send({ type: "pong", id: message.id, server_time: Date.now() });
      case "command":
        return this.answer(message.id, () => create(message));
      case "cancel":
        return this.answer(message.id, () => cancel(message.command));
      default:
        return this.fail(message.id, "unknown_type", `unknown type ${message.type}`);
    }
  }

  subscribe({ id, channels: filters, options = {} }) {
    for (const filter of filters) this.filters.set(filter, options);
    const values = [...channels.values()]
      .map(({ value }) => value)
      .filter((value) => filters.some((filter) => matches(filter, value.channel)))
      .map((value) => ({ ...value, snapshot: true }));
    const past = values.filter(({ channel }) => options.history && channel.startsWith("telemetry/"));
    this.send(
      { type: "subscribed", id, channels: filters },
      ...values,
      ...past.map(({ channel }) => history(channel, options.history.since ?? 0)),
      { type: "live", id, offset },
    );
  }

  answer(id, act) {
    const outcome = act();
    if (typeof outcome === "string") this.fail(id, outcome, `not possible: ${outcome}`);
    else this.send({ type: "ok", id, command: alone(outcome) });
  }

  fail(id, code, message) {
    this.send({ type: "error", id, code, message });
  }
}

function matches(filter, channel) {
  const levels = channel.split("/");
  const wanted = filter.split("/");
  for (const [index, level] of wanted.entries()) {
    if (level === "#") return true;
    if (level !== "+" && level !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

// ---- commands ----

const finals = new Set([
  "succeeded",
  "failed",
  "rejected",
  "cancelled",
  "superseded",
  "expired",
  "timed_out",
]);

function create({ device: id, name, params = {}, ttl_ms = 60_000, timeout_ms = 30_000, batch = null }) {
  const device = byId.get(id);
  if (device === undefined) return "unknown_device";
  const now = Date.now();
  const command = {
    ...aCommand({
      id: randomUUID(),
      device: id,
      name,
      params,
      created_at: now,
      deliver_by: now + ttl_ms,
      batch,
    }),
    transitions: [],
    timeout_ms,
  };
  commands.set(command.id, command);
  move(command, "queued", "gateway");
  if (device.online) run(device, command);
  else later(ttl_ms, command, () => move(command, "expired", "timer"));
  return command;
}

function run(device, command) {
  later(15, command, () => {
    command.attempt = 1;
    command.finish_by = Date.now() + command.timeout_ms;
    move(command, "sent", "gateway");
    later(command.timeout_ms, command, () => move(command, "timed_out", "timer"));
  });
  later(60, command, () => move(command, "delivered", "device"));
  if (command.name === "reboot") return perform(device, command, 40, 250);
  if (command.name === "never_answers") return;
  const known = {
    thermostat: ["set_target"],
    pump: ["set_speed", "set_valve"],
    tracker: ["locate", "go_to"],
  };
  if (!known[device.type].includes(command.name)) {
    return later(120, command, () => {
      command.error = { code: "unknown_command", message: `a ${device.type} does not know ${command.name}` };
      move(command, "rejected", "device");
    });
  }
  perform(device, command, 12, 150);
}

function perform(device, command, steps, stepMs) {
  later(130, command, () => move(command, "started", "device"));
  for (let step = 1; step <= steps; step += 1) {
    later(130 + step * stepMs, command, () => {
      command.progress = Math.round((step / steps) * 100);
      if (step < steps) return publish(`commands/${device.id}`, seen(command));
      device.apply(command);
      command.result = { took_ms: steps * stepMs };
      move(command, "succeeded", "device");
    });
  }
}

function cancel(id) {
  const command = commands.get(id);
  if (command === undefined) return "unknown_command";
  if (finals.has(command.state)) return "already_final";
  if (command.state === "queued") {
    move(command, "cancelled", "user");
    return command;
  }
  move(command, "cancelling", "user");
  setTimeout(() => move(command, "cancelled", "device"), 400);
  return command;
}

function later(ms, command, act) {
  setTimeout(() => {
    if (!finals.has(command.state) && command.state !== "cancelling") act();
  }, ms);
}

function move(command, state, by) {
  command.state = state;
  command.transitions.push({ state, at: Date.now(), by, reason: null });
  publish(`commands/${command.device}`, seen(command));
  batches.moved(command, (of) => finals.has(of));
}

/** A command as channels tell it. */
function seen({ transitions, ...command }) {
  return alone(command);
}

/** A command as an answer tells it: with its story. */
function alone({ timeout_ms, ...command }) {
  return { ...command };
}

// ---- the passing of time ----

for (const device of fleet) {
  presence(device, device.online ? "connected" : "keep_alive");
  publish(`telemetry/${device.id}`, { ...device.values });
}

setInterval(() => {
  for (const device of fleet) {
    if (!device.online || Math.random() > 0.25) continue;
    messages += 1;
    device.step();
    device.seenAt = Date.now();
    publish(`telemetry/${device.id}`, { ...device.values });
  }
}, 250 / speed);

setInterval(() => {
  const device = fleet[Math.floor(Math.random() * fleet.length)];
  if (device === undefined || (device.online && Math.random() > 0.3)) return;
  device.online = !device.online;
  device.since = Date.now();
  presence(device, device.online ? "connected" : "connection_lost");
}, 2_000);

setInterval(() => {
  const device = fleet[Math.floor(Math.random() * Math.min(fleet.length, 40))];
  if (device !== undefined) alerts.happen(device.id);
}, 7_000);

setInterval(() => {
  publish("gateway/stats", {
    version: "0.0.0-fake",
    uptime_ms: Date.now() - startedAt,
    devices_online: fleet.filter(({ online }) => online).length,
    devices_known: fleet.length,
    mqtt_connections: fleet.filter(({ online }) => online).length,
    websocket_connections: sessions.size,
    messages_in_per_s: messages,
    deliveries_per_s: deliveries,
    undecodable_payloads: 0,
    dropped_updates: 0,
    lagging_connections: 0,
    commands_open: [...commands.values()].filter(({ state }) => !finals.has(state)).length,
    memory_bytes: process.memoryUsage().rss,
    store: {
      state: storeError === null ? "ok" : "failing",
      error: storeError,
      pending_updates: 0,
      lost_updates: storeError === null ? 0 : 128,
      bytes: 1_048_576,
    },
  });
  messages = 0;
  deliveries = 0;
}, 1_000);

setInterval(() => {
  for (const session of sessions) session.flush();
}, 250);

// ---- HTTP ----

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const dist = join(import.meta.dirname, "..", "dist");

function device({ id, type, tags, values, online, since, seenAt }) {
  return aDevice(id, {
    type,
    tags,
    status: online ? "online" : "offline",
    since,
    last_seen_at: seenAt,
    values,
  });
}

function page(items, url) {
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const end = start + Number(url.searchParams.get("limit") ?? 100);
  return { items: items.slice(start, end), next: end < items.length ? String(end) : null };
}

function api(url) {
  const [, , , kind, id, part] = url.pathname.split("/").map(decodeURIComponent);
  if (kind === "devices" && id === undefined) return page(fleet.map(device), url);
  if (kind === "devices" && byId.has(id) && part === "desired") return states.get(id);
  if (kind === "devices" && byId.has(id) && part === "telemetry") {
    return history(`telemetry/${id}`, Number(url.searchParams.get("from") ?? 0));
  }
  if (kind === "devices" && byId.has(id)) return device(byId.get(id));
  if (kind === "session") return { user: "local", role: "admin", expires_at: null, narrowed: false };
  if (kind === "device-types") return page(deviceTypes, url);
  if (kind === "alerts") return page(alerts.list(url.searchParams), url);
  if (kind === "command-batches") return batches.get(id);
  if (kind === "commands" && commands.has(id)) {
    const { timeout_ms, ...command } = commands.get(id);
    return command;
  }
  if (kind === "commands" && id === undefined) {
    const of = url.searchParams.get("device");
    const batch = url.searchParams.get("batch");
    const found = [...commands.values()].filter(
      (command) => (of === null || command.device === of) && (batch === null || command.batch === batch),
    );
    return page(found.reverse().map(seen), url);
  }
  return null;
}

/** What a request changes; null where there is nothing of that name, or somebody else was first. */
function change(url, body, tag) {
  const [, , , kind, id, part] = url.pathname.split("/").map(decodeURIComponent);
  if (kind === "alerts" && part === "ack") return alerts.acknowledge(id);
  if (kind === "alerts" && part === "clear") return alerts.clear(id);
  if (kind === "devices" && part === "desired") return states.put(id, body, tag);
  if (kind === "devices" && part === "commands" && body.dry_run) {
    const receiver = byId.get(id)?.online === true ? "online" : "offline";
    return { valid: true, errors: [], receiver, position: 0, deliver_by: Date.now() + 60_000 };
  }
  if (kind === "commands" && part === "cancel") return cancel(id);
  if (kind === "command-batches" && id === undefined) {
    const named = ({ id: of, type, tags }) =>
      body.devices?.includes(of) ||
      body.type === type ||
      Object.entries(tags).some((tagged) => tagged.join(":") === body.tag);
    return batches.start(
      fleet.filter(named).map(({ id: of }) => of),
      body,
    );
  }
  return kind === "command-batches" ? batches.steer(id, part) : null;
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return parts.length === 0 ? {} : JSON.parse(Buffer.concat(parts).toString());
}

function answerJson(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

async function answerFile(response, path) {
  const file = join(dist, normalize(path === "/" ? "/index.html" : path));
  try {
    const body = await readFile(file);
    const type = types[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-security-policy": policy });
    response.end(body);
  } catch {
    answerJson(response, 404, {
      status: 404,
      title: "Not Found",
      detail: `no file ${path}`,
      code: "not_found",
    });
  }
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  if (request.method === "POST" && url.pathname === "/dev/close") {
    for (const { socket } of sessions) socket.close(Number(url.searchParams.get("code")));
    return answerJson(response, 200, {});
  }
  if (request.method === "POST" && url.pathname === "/dev/lag") {
    const on = url.searchParams.get("on") === "true";
    for (const session of sessions) session.send({ type: "lag", on, dropped: on ? 0 : 128 });
    return answerJson(response, 200, {});
  }
  if (request.method === "POST" && url.pathname === "/dev/store") {
    storeError = url.searchParams.get("error");
    return answerJson(response, 200, {});
  }
  if (!url.pathname.startsWith("/api/")) return void answerFile(response, url.pathname);
  const isChange = request.method === "POST" || request.method === "PUT";
  const body = isChange ? change(url, await bodyOf(request), request.headers["if-match"] ?? null) : api(url);
  if (isChange && body === null) {
    const detail = `nothing to change at ${url.pathname}, or somebody else was first`;
    return answerJson(response, 412, { status: 412, title: "Precondition Failed", detail, code: "changed" });
  }
  if (body !== null && typeof body.version === "number") response.setHeader("etag", `"${body.version}"`);
  if (body !== null) return answerJson(response, 200, body);
  answerJson(response, 404, {
    status: 404,
    title: "Not Found",
    detail: `nothing at ${url.pathname}`,
    code: "not_found",
  });
});

const sockets = new WebSocketServer({ server, path: "/ws", handleProtocols: ([best]) => best });
sockets.on("connection", (socket) => {
  const session = new Session(socket);
  sessions.add(session);
  socket.on("close", () => sessions.delete(session));
  socket.on("message", (text) => session.handle(JSON.parse(String(text))));
  session.send({
    type: "welcome",
    session: randomUUID(),
    epoch,
    offset,
    server_time: Date.now(),
    ping_interval_ms: 25_000,
    user: null,
    limits: { message_bytes: 65_536, subscriptions: 100, messages_per_s: 100 },
  });
});

server.listen(Number(flags.port), "127.0.0.1", () => {
  console.log(`fake gateway with ${fleet.length} made-up devices on http://127.0.0.1:${flags.port}/`);
});
