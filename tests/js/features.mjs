// What mqtt.js can beside publishing and subscribing: features.mjs HOST PORT VERSION
//
// Retained messages, wills, a session that is resumed, and a shared subscription; prints one JSON object of what
// came. Exits with 1 where something did not happen within 30 s.

import mqtt from "mqtt";

const [host, port, version] = process.argv.slice(2);
const name = `mqttjs-${version.replaceAll(".", "")}`;

const deadline = setTimeout(() => {
  console.error("waited too long");
  process.exit(1);
}, 30_000);

async function connect(suffix, { kept = false, will } = {}) {
  const five = version === "5";
  const client = mqtt.connect(`mqtt://${host}:${port}`, {
    clientId: `${name}-${suffix}`,
    protocolVersion: five ? 5 : 4,
    clean: !kept,
    properties: five && kept ? { sessionExpiryInterval: 60 } : undefined,
    reconnectPeriod: 0,
    will,
  });
  const inbox = [];
  let wake = () => {};
  client.on("message", (topic, payload, packet) => {
    inbox.push([topic, payload.toString(), packet.qos, packet.retain]);
    wake();
  });
  const present = await new Promise((resolve, reject) => {
    client.on("connect", (connack) => resolve(connack.sessionPresent));
    client.on("error", reject);
  });
  const message = async () => {
    while (inbox.length === 0) {
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
    return inbox.shift();
  };
  return { client, inbox, message, present };
}

const came = {};
const { client: publisher } = await connect("p");
await publisher.publishAsync(`${name}/shelf`, "kept", { qos: 1, retain: true });
const watcher = await connect("w");
await watcher.client.subscribeAsync(`${name}/#`, { qos: 2 });
came.retained = await watcher.message();

const will = (payload) => ({ topic: `${name}/will`, payload, qos: 1, retain: false });
(await connect("mortal", { will: will("gone") })).client.stream.destroy();
came.will = await watcher.message();
await (await connect("polite", { will: will("unheard") })).client.endAsync();
await watcher.client.endAsync();

let sleeper = await connect("sleeper", { kept: true });
came.new = sleeper.present;
await sleeper.client.subscribeAsync(`${name}/mail`, { qos: 2 });
await sleeper.client.endAsync();
for (const qos of [1, 2]) {
  await publisher.publishAsync(`${name}/mail`, String(qos), { qos });
}
sleeper = await connect("sleeper", { kept: true });
came.resumed = [sleeper.present, await sleeper.message(), await sleeper.message()];
await sleeper.client.endAsync();

const members = [await connect("member-0"), await connect("member-1")];
for (const { client } of members) {
  await client.subscribeAsync(`$share/${name}/${name}/work`, { qos: 1 });
}
for (let number = 0; number < 10; number += 1) {
  await publisher.publishAsync(`${name}/work`, String(number), { qos: 1 });
}
const all = () => members.flatMap(({ inbox }) => inbox);
while (all().length < 10) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
came.shared = all()
  .map(([, payload]) => Number(payload))
  .sort((a, b) => a - b);
for (const client of [publisher, ...members.map((member) => member.client)]) {
  await client.endAsync();
}
clearTimeout(deadline);
process.stdout.write(JSON.stringify(came));
