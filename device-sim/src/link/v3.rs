//! MQTT 3.1.1.

use super::{
    Client, Connection, KEEP_ALIVE, Letter, NETWORK_TIMEOUT, PACKET_BYTES_MAX, PACKETS_MAX,
    REQUESTS_MAX, Signal, Stuck, Way,
};
use futures_util::stream;
use protocol::DeviceId;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Outgoing, Packet, QoS,
    SubscribeFilter, SubscribeReasonCode,
};

pub(super) fn open(id: &DeviceId, way: Way<'_>, secret: Option<&str>) -> Connection {
    let mut options = MqttOptions::new(id.as_str(), way.host, way.port);
    options.set_transport(way.transport);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    options.set_inflight(PACKETS_MAX);
    if let Some(secret) = secret {
        options.set_credentials(id.as_str(), secret);
    }
    let (client, mut events) = AsyncClient::new(options, REQUESTS_MAX);
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(NETWORK_TIMEOUT.as_secs());
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    let signals = stream::unfold(events, |mut events| async {
        Some((next_signal(&mut events).await, events))
    });
    Connection { client: Client::V3(client), signals: Box::pin(signals) }
}

pub(super) fn publish(client: &AsyncClient, letter: Letter) -> Result<(), Stuck> {
    let qos = if letter.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    client.try_publish(letter.topic, qos, letter.retain, letter.payload).map_err(|_| Stuck)
}

pub(super) fn subscribe<const N: usize>(
    client: &AsyncClient,
    filters: [String; N],
) -> Result<(), Stuck> {
    let filters = filters.map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
    client.try_subscribe_many(filters).map_err(|_| Stuck)
}

async fn next_signal(events: &mut EventLoop) -> Signal {
    loop {
        match events.poll().await {
            Err(error) => return Signal::Broken(error.to_string()),
            Ok(event) => {
                if let Some(signal) = translate(event) {
                    return signal;
                }
            }
        }
    }
}

fn translate(event: Event) -> Option<Signal> {
    match event {
        Event::Incoming(Packet::ConnAck(_)) => Some(Signal::Connected),
        Event::Incoming(Packet::PubAck(ack)) => Some(Signal::Acknowledged(ack.pkid)),
        Event::Incoming(Packet::Publish(message)) => {
            Some(Signal::Message { topic: message.topic, payload: message.payload.into() })
        }
        Event::Incoming(Packet::SubAck(ack)) => ack
            .return_codes
            .contains(&SubscribeReasonCode::Failure)
            .then(|| Signal::Broken("the broker refused the subscription".into())),
        Event::Outgoing(Outgoing::Publish(packet)) => Some(Signal::Written(packet)),
        Event::Outgoing(Outgoing::Disconnect) => Some(Signal::Finished),
        Event::Incoming(_) | Event::Outgoing(_) => None,
    }
}
