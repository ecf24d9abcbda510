"""Publishes and subscribes with paho-mqtt: roundtrip.py HOST PORT VERSION COUNT [PATH]

With a PATH it speaks MQTT over WebSocket there; with SLUICE_CA, a file of certificates to trust, over TLS.

For each QoS it publishes COUNT messages and waits for all of them to come back, in order; then it
prints one JSON object of what came. Exits with 1 where something did not happen within 30 s.
"""

import json
import os
import queue
import sys

import paho.mqtt.client as mqtt

DEADLINE_S = 30


def main(host, port, version, count, path=None):
    protocol = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}[version]
    name = f"paho-{version.replace('.', '')}{'-ws' if path else ''}"
    events = queue.Queue()
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=name,
        protocol=protocol,
        transport="websockets" if path else "tcp",
    )
    if ca := os.environ.get("SLUICE_CA"):
        client.tls_set(ca_certs=ca)
    if path:
        client.ws_set_options(path=path)
    client.on_connect = lambda client, data, flags, reason, properties: events.put(reason)
    client.on_subscribe = lambda client, data, mid, reasons, properties: events.put(reasons)
    messages = queue.Queue()
    client.on_message = lambda client, data, message: messages.put(message)
    client.connect(host, port)
    client.loop_start()
    if events.get(timeout=DEADLINE_S).is_failure:
        raise SystemExit("the CONNECT was refused")
    client.subscribe(f"devices/{name}/telemetry", qos=2)
    events.get(timeout=DEADLINE_S)

    came = {}
    for qos in (0, 1, 2):
        for number in range(count):
            published = client.publish(
                f"devices/{name}/telemetry", json.dumps({"qos": qos, "n": number}), qos=qos
            )
        published.wait_for_publish(DEADLINE_S)
        received = [messages.get(timeout=DEADLINE_S) for _ in range(count)]
        if any(message.qos != qos for message in received):
            raise SystemExit(f"a message of QoS {qos} came back with another")
        came[str(qos)] = [json.loads(message.payload)["n"] for message in received]
    client.disconnect()
    client.loop_stop()
    json.dump(came, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
