// Publishes one message over MQTT 3.1.1 on a WebSocket, and waits until the broker has it.

/** A message by hand. */
export interface HandMessage {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

const timeoutMs = 10_000;
const packetId = 1;
const types = { connect: 1, connack: 2, publish: 3, puback: 4, disconnect: 14 } as const;

const refusals: readonly string[] = [
  "",
  "the gateway does not speak this version of MQTT",
  "the gateway refused the client's name",
  "the gateway is not available",
  "the gateway refused the credentials",
  "publishing is not allowed here",
];

/** Publishes; gives why not, where it was not taken. `url` is that of the gateway's MQTT over WebSocket. */
export function publishByHand(url: URL, message: HandMessage): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, "mqtt");
    socket.binaryType = "arraybuffer";
    const end = (why: string | null) => {
      clearTimeout(timer);
      socket.onclose = null;
      socket.close();
      resolve(why);
    };
    const timer = setTimeout(() => end("the gateway did not answer in time"), timeoutMs);
    let received = new Uint8Array();
    socket.onclose = () => end("the gateway closed the connection: it does not take this message from here");
    socket.onopen = () => socket.send(connectPacket(`page-${crypto.randomUUID().slice(0, 13)}`));
    socket.onmessage = ({ data }) => {
      received = concat(received, new Uint8Array(data as ArrayBuffer));
      for (let packet = nextPacket(received); packet !== null; packet = nextPacket(received)) {
        received = received.slice(packet.length);
        if (packet.type === types.connack) {
          const code = packet.body[1] ?? 255;
          if (code !== 0) return end(refusals[code] ?? `the gateway refused the connection (${code})`);
          socket.send(publishPacket(message));
          if (message.qos > 0) continue;
          // Without an acknowledgement there is nothing to wait for but that it has left.
          socket.send(new Uint8Array([types.disconnect << 4, 0]));
          return end(null);
        }
        if (packet.type === types.puback) return end(null);
      }
    };
  });
}

/** A CONNECT for a session that ends with the connection. */
export function connectPacket(client: string): Uint8Array<ArrayBuffer> {
  const cleanSession = 0b10;
  const keepAliveS = 30;
  return packet(types.connect << 4, text("MQTT"), [4, cleanSession, 0, keepAliveS], text(client));
}

/** A PUBLISH. */
export function publishPacket({ topic, payload, qos, retain }: HandMessage): Uint8Array<ArrayBuffer> {
  const flags = (qos << 1) | (retain ? 1 : 0);
  const id = qos > 0 ? [0, packetId] : [];
  return packet((types.publish << 4) | flags, text(topic), id, new TextEncoder().encode(payload));
}

function packet(head: number, ...parts: (readonly number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const body = parts.flatMap((part) => [...part]);
  const length: number[] = [];
  for (let rest = body.length; length.length === 0 || rest > 0; rest = Math.floor(rest / 128)) {
    length.push((rest % 128) | (rest >= 128 ? 128 : 0));
  }
  return new Uint8Array([head, ...length, ...body]);
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes];
}

/** The first whole packet; what a broker sends to us fits into one byte of length. */
function nextPacket(bytes: Uint8Array): { type: number; body: Uint8Array; length: number } | null {
  const [head, size] = bytes;
  if (head === undefined || size === undefined || bytes.length < 2 + size) return null;
  return { type: head >> 4, body: bytes.slice(2, 2 + size), length: 2 + size };
}

function concat(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
