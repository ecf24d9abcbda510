// A device that does only what the test says.
import mqtt from "mqtt";
import { patienceMs, until } from "./until.mjs";

/** The device, over a connection of its own. */
export class Device {
  #client;
  #commands = [];

  /** Connects and listens for commands. */
  static async connect(gateway, id) {
    const device = new Device();
    device.id = id;
    device.#client = await mqtt.connectAsync(`mqtt://${gateway.mqtt}`, {
      clientId: id,
      reconnectPeriod: 200,
      connectTimeout: patienceMs,
    });
    device.#client.on("error", () => {});
    device.#client.on("message", (topic, payload) => {
      device.#commands.push({ topic, ...JSON.parse(payload.toString()) });
    });
    await device.#client.subscribeAsync(`devices/${id}/commands/#`, { qos: 1 });
    return device;
  }

  /** Publishes telemetry, and waits until the gateway has it. */
  measure(values) {
    return this.#publish("telemetry", values);
  }

  /** Publishes to any topic. */
  async publish(topic, message) {
    await this.#client.publishAsync(topic, JSON.stringify(message), { qos: 1 });
  }

  /** Raises or clears an alert. */
  raise(event) {
    return this.#publish("events", event);
  }

  /** Reports its state. */
  async report(state) {
    const topic = `devices/${this.id}/state`;
    await this.#client.publishAsync(topic, JSON.stringify(state), { qos: 1, retain: true });
  }

  /** Waits for the next command; a command's cancel topic counts too. */
  nextCommand() {
    return until(`a command for ${this.id}`, () => this.#commands.shift());
  }

  /** Answers a command. */
  answer(command, answer) {
    return this.#publish(`commands/${command.id}/ack`, { attempt: command.attempt, ...answer });
  }

  /** Says goodbye. */
  leave() {
    return this.#client.endAsync();
  }

  /** Breaks the connection without a goodbye, for good. */
  async vanish() {
    this.#client.options.reconnectPeriod = 0;
    this.#client.stream.destroy();
    await this.#client.endAsync(true);
  }

  async #publish(topic, message) {
    await this.#client.publishAsync(`devices/${this.id}/${topic}`, JSON.stringify(message), { qos: 1 });
  }
}
