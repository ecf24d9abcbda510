// Publishes and subscribes with mqtt.js: roundtrip.mjs HOST PORT VERSION COUNT [PATH]
//
// With a PATH it speaks MQTT over WebSocket there; with SLUICE_CA, a file of certificates to trust, over TLS.
//
// For each QoS it publishes COUNT messages and waits for all of them to come back, in order; then it
// prints one JSON object of what came. Exits with 1 where something did not happen within 30 s.

import { readFileSync } from "node:fs";
import mqtt from "mqtt";

const [host, port, version, count, path] = process.argv.slice(2);
const name = `mqttjs-${version.replaceAll(".", "")}${path ? "-ws" : ""}`;
const ca = process.env.SLUICE_CA && readFileSync(process.env.SLUICE_CA);
const secure = ca ? "s" : "";
const url = path ? `ws${secure}://${host}:${port}${path}` : `mqtt${secure}://${host}:${port}`;
const topic = `devices/${name}/telemetry`;

const deadline = setTimeout(() => {
  console.error("waited too long");
  process.exit(1);
}, 30_000);

const client = await mqtt.connectAsync(url, {
  clientId: name,
  protocolVersion: version === "5" ? 5 : 4,
  reconnectPeriod: 0,
  ca,
});

const received = [];
let enough = () => {};
client.on("message", (_topic, payload, packet) => {
  received.push({ qos: packet.qos, n: JSON.parse(payload.toString()).n });
  if (received.length === Number(count)) enough();
});
await client.subscribeAsync(topic, { qos: 2 });

const came = {};
for (const qos of [0, 1, 2]) {
  received.length = 0;
  const all = new Promise((resolve) => {
    enough = resolve;
  });
  const published = [];
  for (let n = 0; n < Number(count); n += 1) {
    published.push(client.publishAsync(topic, JSON.stringify({ qos, n }), { qos }));
  }
  await Promise.all([all, ...published]);
  if (received.some((message) => message.qos !== qos)) {
    throw new Error(`a message of QoS ${qos} came back with another`);
  }
  came[qos] = received.map((message) => message.n);
}
await client.endAsync();
clearTimeout(deadline);
process.stdout.write(JSON.stringify(came));
