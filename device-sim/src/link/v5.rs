//! MQTT 5.

use super::{
    Client, Connection, KEEP_ALIVE, Letter, NETWORK_TIMEOUT, PACKET_BYTES_MAX, PACKETS_MAX,
    REQUESTS_MAX, Signal, Stuck, Way,
};
use futures_util::stream;
use protocol::DeviceId;
use rumqttc::{
    NetworkOptions, Outgoing,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{
                ConnectReturnCode, Filter, Packet, PubAckReason, PublishProperties,
                SubscribeReasonCode,
            },
        },
    },
};

pub(super) fn open(id: &DeviceId, way: Way<'_>, secret: Option<&str>) -> Connection {
    let mut options = MqttOptions::new(id.as_str(), way.host, way.port);
    options.set_transport(way.transport);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_max_packet_size(u32::try_from(PACKET_BYTES_MAX).ok());
    options.set_outgoing_inflight_upper_limit(PACKETS_MAX);
    options.set_connection_timeout(NETWORK_TIMEOUT.as_secs());
    if let Some(secret) = secret {
        options.set_credentials(id.as_str(), secret);
    }
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    let (client, events) = AsyncClient::new(options, REQUESTS_MAX);
    let signals = stream::unfold(events, |mut events| async {
        Some((next_signal(&mut events).await, events))
    });
    Connection { client: Client::V5(client), signals: Box::pin(signals) }
}

pub(super) fn publish(client: &AsyncClient, letter: Letter) -> Result<(), Stuck> {
    let qos = if letter.confirmed { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    let properties = PublishProperties {
        correlation_data: letter.answers.map(|command| command.to_string().into()),
        content_type: Some("application/json".into()),
        ..PublishProperties::default()
    };
    client
        .try_publish_with_properties(letter.topic, qos, letter.retain, letter.payload, properties)
        .map_err(|_| Stuck)
}

/// Without our own answers, which the filter matches too.
pub(super) fn subscribe<const N: usize>(
    client: &AsyncClient,
    filters: [String; N],
) -> Result<(), Stuck> {
    let filter = |filter| Filter { nolocal: true, ..Filter::new(filter, QoS::AtLeastOnce) };
    client.try_subscribe_many(filters.map(filter)).map_err(|_| Stuck)
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
        Event::Incoming(Packet::ConnAck(ack)) => {
            (ack.code == ConnectReturnCode::Success).then_some(Signal::Connected)
        }
        Event::Incoming(Packet::PubAck(ack)) => {
            let taken = [PubAckReason::Success, PubAckReason::NoMatchingSubscribers];
            Some(if taken.contains(&ack.reason) {
                Signal::Acknowledged(ack.pkid)
            } else {
                Signal::Refused(ack.pkid)
            })
        }
        Event::Incoming(Packet::Publish(message)) => {
            let topic = String::from_utf8_lossy(&message.topic).into_owned();
            Some(Signal::Message { topic, payload: message.payload.into() })
        }
        Event::Incoming(Packet::SubAck(ack)) => ack
            .return_codes
            .iter()
            .find(|code| !matches!(code, SubscribeReasonCode::Success(_)))
            .map(|code| Signal::Broken(format!("the broker refused the subscription: {code:?}"))),
        Event::Outgoing(Outgoing::Publish(packet)) => Some(Signal::Written(packet)),
        Event::Outgoing(Outgoing::Disconnect) => Some(Signal::Finished),
        Event::Incoming(_) | Event::Outgoing(_) => None,
    }
}
