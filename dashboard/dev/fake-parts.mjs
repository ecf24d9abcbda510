// What the stand-in for the gateway keeps beside telemetry and commands: alerts, desired states, batches, types.
import { randomUUID } from "node:crypto";

const number = (title, minimum, maximum, initial) => ({
  ...{ type: "number", title, minimum, maximum, default: initial },
});
const form = (properties) => ({
  params: { type: "object", properties, required: Object.keys(properties), additionalProperties: false },
});

/** The types of devices with their commands. */
export const deviceTypes = [
  {
    ...{ type: "pump", title: "Pump", max_inflight: 1 },
    commands: {
      set_speed: form({ rpm: number("Speed", 0, 3_000, 1_500) }),
      set_valve: form({ percent: number("Opening", 0, 100, 100) }),
      reboot: form({}),
    },
  },
  {
    ...{ type: "thermostat", title: "Thermostat", max_inflight: 1 },
    commands: { set_target: form({ temperature: number("Temperature", 5, 35, 21) }), reboot: form({}) },
  },
];

const happenings = [
  ["critical", "overheat", "The bearing is at 94 °C"],
  ["warning", "battery_low", "The battery is at 12 %"],
  ["warning", "pressure", "The pressure swings"],
  ["info", "left_yard", "It left the yard"],
];

/** Alerts; `publish` tells their channel. */
export class Alerts {
  all = new Map();

  constructor(publish) {
    this.publish = publish;
  }

  /** Something happens to a device; or it is over. */
  happen(device) {
    const open = [...this.all.values()].find((alert) => alert.device === device && alert.state !== "cleared");
    if (open !== undefined) return this.#end(open, "device");
    const [severity, code, message] = happenings[Math.floor(Math.random() * happenings.length)];
    const alert = {
      ...{ id: randomUUID(), device, severity, code, message, data: {}, state: "active", count: 1 },
      ...{ raised_at: Date.now(), acknowledged_at: null, acknowledged_by: null },
      ...{ cleared_at: null, cleared_by: null },
    };
    this.#change(alert, {});
  }

  acknowledge(id) {
    const alert = this.all.get(id);
    if (alert?.state !== "active") return null;
    const known = { state: "acknowledged", acknowledged_at: Date.now(), acknowledged_by: "local" };
    return this.#change(alert, known);
  }

  clear(id) {
    const alert = this.all.get(id);
    if (alert === undefined || alert.state === "cleared") return null;
    return this.#end(alert, "user:local");
  }

  list(query) {
    const fits = (alert) =>
      ["state", "severity", "device"].every((name) => !query.has(name) || alert[name] === query.get(name));
    return [...this.all.values()].filter(fits).reverse();
  }

  #end(alert, by) {
    return this.#change(alert, { state: "cleared", cleared_at: Date.now(), cleared_by: by });
  }

  #change(alert, change) {
    const next = { ...alert, ...change };
    this.all.set(alert.id, next);
    this.publish(`alerts/${next.severity}/${next.device}`, next);
    return next;
  }
}

/** Desired states; each device reports what is desired a while later. */
export class States {
  all = new Map();

  constructor(publish) {
    this.publish = publish;
  }

  get(device) {
    return (
      this.all.get(device) ?? { version: 0, desired: {}, reported: { firmware: "2.1.0" }, in_sync: true }
    );
  }

  /** Null where somebody else was first. */
  put(device, desired, tag) {
    const { version, reported } = this.get(device);
    if (version > 0 && tag !== `"${version}"`) return null;
    const next = this.#set(device, { version: version + 1, desired, reported });
    setTimeout(() => {
      const now = this.get(device);
      this.#set(device, { ...now, reported: { ...now.reported, ...now.desired } });
    }, 3_000);
    return next;
  }

  #set(device, { version, desired, reported }) {
    const isSame = (name) => JSON.stringify(desired[name]) === JSON.stringify(reported[name]);
    const state = { version, desired, reported, in_sync: Object.keys(desired).every(isSame) };
    this.all.set(device, state);
    this.publish(`state/${device}`, state);
    return state;
  }
}

/** Batches: rows begin a few at a time. */
export class Batches {
  all = new Map();

  constructor(publish, create) {
    this.publish = publish;
    this.create = create;
  }

  start(devices, { command, concurrency = 5 }) {
    const batch = {
      id: randomUUID(),
      state: "running",
      total: devices.length,
      waiting: [...devices],
      rows: [],
    };
    this.all.set(batch.id, { ...batch, command, concurrency });
    this.#goOn(batch.id);
    return this.get(batch.id);
  }

  get(id) {
    const batch = this.all.get(id);
    if (batch === undefined) return null;
    const counts = {};
    for (const { state } of batch.rows) counts[state] = (counts[state] ?? 0) + 1;
    if (batch.waiting.length > 0) counts.queued = (counts.queued ?? 0) + batch.waiting.length;
    return { id, state: batch.state, total: batch.total, counts };
  }

  steer(id, act) {
    const batch = this.all.get(id);
    if (batch === undefined) return null;
    batch.state = { pause: "paused", resume: "running", cancel: "cancelled" }[act];
    if (act === "cancel") batch.waiting = [];
    this.#goOn(id);
    return this.get(id);
  }

  /** A command of a batch has moved on. */
  moved({ batch, state }, isFinal) {
    const found = this.all.get(batch);
    if (found === undefined) return;
    if (isFinal(state)) this.#goOn(batch);
    if (
      found.waiting.length === 0 &&
      found.rows.every((row) => isFinal(row.state)) &&
      found.state === "running"
    ) {
      found.state = "done";
    }
    this.publish(`batches/${batch}`, this.get(batch));
  }

  #goOn(id) {
    const batch = this.all.get(id);
    const open = () =>
      batch.rows.filter(({ progress, state }) => state !== "succeeded" && progress !== 100).length;
    while (batch.state === "running" && batch.waiting.length > 0 && open() < batch.concurrency) {
      const row = this.create({ ...batch.command, device: batch.waiting.shift(), batch: id });
      if (typeof row !== "string") batch.rows.push(row);
    }
  }
}
