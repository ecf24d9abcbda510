"""How paho-mqtt meets credentials: sign_in.py HOST PORT VERSION DEVICE SECRET REVOKE...

Signs in well and badly, publishes and subscribes what it may and may not, and then runs the command REVOKE... and
waits to be closed; prints one JSON object of the codes that came. Exits with 1 where something did not happen
within 30 s.
"""

import json
import queue
import subprocess
import sys

import paho.mqtt.client as mqtt

DEADLINE_S = 30


class Client:
    """A client of which all codes are awaited."""

    def __init__(self, host, port, version, device, secret, will=None):
        self.events = queue.Queue()
        self.mqtt = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=device,
            protocol=mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311,
        )
        if secret is not None:
            self.mqtt.username_pw_set(device, secret)
        if will:
            self.mqtt.will_set(will, "{}", 1)
        self.mqtt.on_connect = lambda client, data, flags, reason, properties: self.events.put(reason.value)
        self.mqtt.on_publish = lambda client, data, mid, reason, properties: self.events.put(reason.value)
        self.mqtt.on_subscribe = lambda client, data, mid, reasons, properties: self.events.put(reasons[0].value)
        self.mqtt.on_disconnect = lambda client, data, flags, reason, properties: self.events.put(reason.value)
        self.mqtt.connect(host, port)
        self.mqtt.loop_start()
        self.code = self.event()

    def event(self):
        return self.events.get(timeout=DEADLINE_S)

    def publish(self, topic):
        self.mqtt.publish(topic, '{"n":1}', 1)
        return self.event()

    def subscribe(self, topic):
        self.mqtt.subscribe(topic, 1)
        return self.event()

    def refused(self):
        """The code of a CONNECT that was to be refused; it is not tried again."""
        self.mqtt.disconnect()
        self.mqtt.loop_stop()
        return self.code


def main(host, port, version, device, secret, *revoke):
    def client(secret, **options):
        return Client(host, port, version, device, secret, **options)

    codes = {
        "wrong": client("wrong").refused(),
        "nothing": client(None).refused(),
        "will of another": client(secret, will="devices/another/events").refused(),
    }
    own = client(secret)
    codes["right"] = own.code
    codes["publish"] = own.publish(f"devices/{device}/telemetry")
    codes["publish for another"] = own.publish("devices/another/telemetry")
    codes["subscribe"] = own.subscribe(f"devices/{device}/commands/#")
    codes["subscribe to another"] = own.subscribe("devices/another/commands/#")
    subprocess.run(revoke, check=True)
    closed = own.event()
    own.mqtt.loop_stop()
    # Only MQTT 5 is told why.
    codes["revoked"] = closed if version == "5" else None
    json.dump(codes, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
