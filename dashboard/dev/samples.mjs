// Messages to test and to play with; each takes what its user cares about.
/** @typedef {import("../src/generated/protocol").Command} Command */
/** @typedef {import("../src/generated/protocol").CommandDetails} CommandDetails */
/** @typedef {import("../src/generated/protocol").Device} Device */
/** @typedef {import("../src/generated/protocol").Presence} Presence */

const now = 1_700_000_000_000;

/**
 * A queued command.
 * @param {Partial<Command>} more
 * @returns {Command}
 */
export function aCommand(more) {
  return {
    id: "01890000-0000-7000-8000-000000000001",
    device: "a",
    name: "reboot",
    params: {},
    state: "queued",
    attempt: 0,
    priority: 0,
    progress: null,
    result: null,
    error: null,
    late: false,
    created_at: now,
    created_by: null,
    not_before: null,
    deliver_by: now + 60_000,
    finish_by: null,
    batch: null,
    verified: null,
    ...more,
  };
}

/**
 * A queued command with its story, as a request for one is answered.
 * @param {Partial<Command>} more
 * @returns {CommandDetails}
 */
export function anAnsweredCommand(more) {
  return { ...aCommand(more), transitions: [{ state: "queued", at: now, by: "user:local", reason: null }] };
}

/**
 * An online device as the list gives it.
 * @param {string} id
 * @param {Partial<Device>} [more]
 * @returns {Device}
 */
export function aDevice(id, more = {}) {
  return {
    id,
    type: null,
    tags: {},
    status: "online",
    since: now,
    last_seen_at: now,
    values: {},
    version: 1,
    ...more,
  };
}

/**
 * The presence of a device that came online.
 * @param {Partial<Presence>} [more]
 * @returns {Presence}
 */
export function aPresence(more = {}) {
  return {
    status: "online",
    since: now,
    reason: "connected",
    address: "127.0.0.1:40000",
    protocol: "mqtt5",
    node: "n1",
    ...more,
  };
}
