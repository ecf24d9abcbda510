// How mqtt.js meets credentials: sign_in.mjs HOST PORT VERSION DEVICE SECRET REVOKE...
//
// Signs in well and badly, publishes and subscribes what it may and may not, and then runs the command REVOKE... and
// waits to be closed; prints one JSON object of the codes that came. Exits with 1 where something did not happen
// within 30 s.

import mqtt from "mqtt";
import { execFileSync } from "node:child_process";

const [host, port, version, device, secret, command, ...revoke] = process.argv.slice(2);
const five = version === "5";

const deadline = setTimeout(() => {
  console.error("waited too long");
  process.exit(1);
}, 30_000);

// What 3.1.1 says in a CONNACK, in the words of MQTT 5.
const AS_FIVE = { 0: 0, 4: 134, 5: 135 };

async function connect(password, will) {
  const client = mqtt.connect(`mqtt://${host}:${port}`, {
    clientId: device,
    protocolVersion: five ? 5 : 4,
    username: password === undefined ? undefined : device,
    password,
    reconnectPeriod: 0,
    will: will && { topic: will, payload: "{}", qos: 1, retain: false },
  });
  client.on("error", () => {});
  const packets = new Map();
  const wanted = new Map();
  client.on("packetreceive", (packet) => {
    const take = wanted.get(packet.cmd);
    if (take) {
      wanted.delete(packet.cmd);
      take(packet);
    } else {
      packets.set(packet.cmd, packet);
    }
  });
  const packet = (cmd) => {
    const came = packets.get(cmd);
    packets.delete(cmd);
    return came ?? new Promise((resolve) => wanted.set(cmd, resolve));
  };
  const closed = new Promise((resolve) => client.on("close", resolve));
  const { reasonCode, returnCode } = await packet("connack");
  return { client, packet, closed, code: five ? reasonCode : AS_FIVE[returnCode] };
}

async function refused(...how) {
  const { client, closed, code } = await connect(...how);
  await closed;
  client.end(true);
  return code;
}

const codes = {
  wrong: await refused("wrong"),
  nothing: await refused(undefined),
  "will of another": await refused(secret, "devices/another/events"),
};
const own = await connect(secret);
codes.right = own.code;

async function publish(topic) {
  own.client.publish(topic, '{"n":1}', { qos: 1 }, () => {});
  return (await own.packet("puback")).reasonCode ?? 0;
}

async function subscribe(topic) {
  own.client.subscribe(topic, { qos: 1 }, () => {});
  const granted = (await own.packet("suback")).granted[0];
  return granted.qos ?? granted;
}

codes.publish = await publish(`devices/${device}/telemetry`);
codes["publish for another"] = await publish("devices/another/telemetry");
codes.subscribe = await subscribe(`devices/${device}/commands/#`);
codes["subscribe to another"] = await subscribe("devices/another/commands/#");
execFileSync(command, revoke);
// Only MQTT 5 is told why.
codes.revoked = five ? (await own.packet("disconnect")).reasonCode : null;
await own.closed;
own.client.end(true);
clearTimeout(deadline);
process.stdout.write(JSON.stringify(codes));
