"""What paho-mqtt can beside publishing and subscribing: features.py HOST PORT VERSION

Retained messages, wills, a session that is resumed, and a shared subscription; prints one JSON object of what
came. Exits with 1 where something did not happen within 30 s.
"""

import json
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

DEADLINE_S = 30


class Client:
    """A client of which all is awaited."""

    def __init__(self, host, port, version, name, kept=False, will=None):
        self.events, self.messages = queue.Queue(), queue.Queue()
        self.five = version == "5"
        clean = {} if self.five else {"clean_session": not kept}
        self.mqtt = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=mqtt.MQTTv5 if self.five else mqtt.MQTTv311,
            **clean,
        )
        self.mqtt.on_connect = lambda client, data, flags, reason, properties: self.events.put(
            (reason.is_failure, flags.session_present)
        )
        self.mqtt.on_subscribe = lambda client, data, mid, reasons, properties: self.events.put(reasons)
        self.mqtt.on_disconnect = lambda client, data, flags, reason, properties: self.events.put(reason)
        self.mqtt.on_message = lambda client, data, message: self.messages.put(message)
        if will:
            self.mqtt.will_set(*will)
        options = {}
        if self.five:
            options["clean_start"] = not kept
            if kept:
                options["properties"] = Properties(PacketTypes.CONNECT)
                options["properties"].SessionExpiryInterval = 60
        self.mqtt.connect(host, port, **options)
        self.mqtt.loop_start()
        failed, self.present = self.event()
        if failed:
            raise SystemExit("the CONNECT was refused")

    def event(self):
        return self.events.get(timeout=DEADLINE_S)

    def subscribe(self, topic, qos):
        self.mqtt.subscribe(topic, qos)
        if any(reason.is_failure for reason in self.event()):
            raise SystemExit(f"{topic} was refused")

    def publish(self, topic, payload, qos=1, retain=False):
        self.mqtt.publish(topic, payload, qos, retain).wait_for_publish(DEADLINE_S)

    def message(self):
        message = self.messages.get(timeout=DEADLINE_S)
        return [message.topic, message.payload.decode(), message.qos, message.retain]

    def leave(self):
        self.mqtt.disconnect()
        self.event()
        self.mqtt.loop_stop()

    def break_off(self):
        """Ends the connection without DISCONNECT."""
        self.mqtt.loop_stop()
        self.mqtt.socket().close()


def main(host, port, version):
    name = f"paho-{version.replace('.', '')}"

    def client(suffix, **options):
        return Client(host, port, version, f"{name}-{suffix}", **options)

    came = {}
    publisher = client("p")
    publisher.publish(f"{name}/shelf", "kept", retain=True)
    watcher = client("w")
    watcher.subscribe(f"{name}/#", 2)
    came["retained"] = watcher.message()

    client("mortal", will=(f"{name}/will", "gone", 1, False)).break_off()
    came["will"] = watcher.message()
    client("polite", will=(f"{name}/will", "unheard", 1, False)).leave()
    watcher.leave()

    sleeper = client("sleeper", kept=True)
    came["new"] = sleeper.present
    sleeper.subscribe(f"{name}/mail", 2)
    sleeper.leave()
    for qos in (1, 2):
        publisher.publish(f"{name}/mail", str(qos), qos)
    sleeper = client("sleeper", kept=True)
    came["resumed"] = [sleeper.present, sleeper.message(), sleeper.message()]
    sleeper.leave()

    members = [client(f"member-{number}") for number in range(2)]
    for member in members:
        member.subscribe(f"$share/{name}/{name}/work", 1)
    for number in range(10):
        publisher.publish(f"{name}/work", str(number))
    shared = []
    while len(shared) < 10:
        for member in members:
            try:
                shared.append(int(member.messages.get(timeout=0.1).payload))
            except queue.Empty:
                pass
    came["shared"] = sorted(shared)
    for each in (*members, publisher):
        each.leave()
    json.dump(came, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
