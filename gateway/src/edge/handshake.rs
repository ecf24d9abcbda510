//! From an accepted socket to a connection: CONNECT under a deadline, CONNACK.

use super::{
    batch::{BadName, Known},
    connection::{Client, Connection, Opening},
    publishing::TOPIC_ALIAS_MAXIMUM,
    reason::Reason,
    registry::Takeover,
    session::Inherited,
    shared::Shared,
    wire::{
        BadConnect, Connect, Dialect, FrameError, Reasons, Version, connack, connect, take_frame,
    },
};
use crate::{auth::Brought, count::Counter};
use bytes::BytesMut;
use mqtt_protocol_core::mqtt::{
    packet::{
        AssignedClientIdentifier, MaximumPacketSize, Property, ReceiveMaximum, ServerKeepAlive,
        SessionExpiryInterval, TopicAliasMaximum,
    },
    result_code::MqttError,
};
use protocol::DeviceId;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::oneshot,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The first byte of a CONNECT.
const CONNECT: u8 = 0x10;

/// The longest client id, in bytes.
const CLIENT_ID_BYTES_MAX: usize = 256;

/// How many messages may be in flight to a client of 3.1.1, which cannot say what it takes, at most.
const WINDOW_V3: u16 = 100;

/// A socket on its way to become a connection.
pub(super) struct Handshake<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) socket: S,
    pub(super) address: SocketAddr,
    pub(super) brought: Brought,
    /// Whether there is room for one more connection; who comes without is told and goes.
    pub(super) room: bool,
    pub(super) stop: CancellationToken,
}

/// Where a connection comes from.
struct Origin {
    address: SocketAddr,
    brought: Brought,
}

/// What came first, if it could be a CONNECT.
enum First {
    Connect(Box<Connect>),
    Refused(Option<Dialect>, Reason),
}

impl<S: AsyncRead + AsyncWrite> Handshake<S> {
    /// Waits for CONNECT and answers it; none: it was refused, counted and closed.
    pub(super) async fn run(self) -> Option<Connection<S>> {
        let Self { shared, socket, address, brought, room, stop } = self;
        let (mut reader, writer) = tokio::io::split(socket);
        let mut buffer = BytesMut::new();
        let deadline = Duration::from_millis(shared.mqtt.connect_timeout_ms);
        let first = tokio::select! {
            first = timeout(deadline, first(&shared, &mut reader, &mut buffer)) => first,
            () = stop.cancelled() => return None,
        };
        let verdict = match first {
            Err(_) => {
                shared.counters.refused_timeout.increment();
                return None;
            }
            Ok(None) => {
                shared.counters.refused_malformed.increment();
                return None;
            }
            Ok(Some(First::Refused(dialect, reason))) => Err((dialect, reason)),
            Ok(Some(First::Connect(connect))) => {
                let dialect = Some(dialect(&connect));
                check(&shared, &connect, room).map_err(|reason| (dialect, reason)).map(|()| connect)
            }
        };
        match verdict {
            Ok(connect) => {
                let origin = Origin { address, brought };
                open(shared, *connect, origin, reader, writer, buffer, stop).await
            }
            Err((dialect, reason)) => {
                counter(&shared, reason).increment();
                tracing::debug!(?reason, "connection refused");
                refuse(writer, dialect, reason, shared.write_timeout()).await;
                None
            }
        }
    }
}

/// Reads the first packet; none: the peer went away or sent what nothing can be answered to.
async fn first<S: AsyncRead>(
    shared: &Shared,
    reader: &mut ReadHalf<S>,
    buffer: &mut BytesMut,
) -> Option<First> {
    loop {
        if buffer.first().is_some_and(|head| *head != CONNECT) {
            return None;
        }
        match take_frame(buffer, shared.limits.mqtt_packet_bytes as usize) {
            Ok(Some(frame)) => {
                return Some(match connect(&frame.body) {
                    Ok(connect) => First::Connect(Box::new(connect)),
                    Err(BadConnect { version, reason }) => First::Refused(
                        // How it wants to be told is not known.
                        version.map(|version| Dialect {
                            version,
                            reasons: Reasons::AsCodes,
                            packet_bytes_max: usize::MAX,
                        }),
                        reason,
                    ),
                });
            }
            Err(FrameError::Malformed) => return None,
            Err(FrameError::TooLarge) => {
                shared.counters.limit_packet.increment();
                return None;
            }
            Ok(None) => {}
        }
        let bytes = reader.read_buf(buffer).await.ok().filter(|bytes| *bytes > 0)?;
        shared.counters.bytes_in.add(bytes as u64);
    }
}

/// Whether `connect` may come in.
fn check(shared: &Shared, connect: &Connect, room: bool) -> Result<(), Reason> {
    let id = &connect.client_id;
    let unusable = id.len() > CLIENT_ID_BYTES_MAX || id.chars().any(char::is_control);
    let nameless = id.is_empty() && connect.version == Version::V3 && !connect.clean;
    if !room {
        return Err(Reason::QuotaExceeded);
    }
    if unusable || nameless {
        return Err(Reason::ClientIdNotValid);
    }
    if connect.extended_authentication {
        return Err(Reason::BadAuthenticationMethod);
    }
    if shared.flapping.comes(id, Instant::now()).is_err() {
        return Err(Reason::Banned);
    }
    match connect.will.as_ref().map(|will| Known::new(shared, &will.topic)) {
        Some(Err(BadName::Invalid | BadName::OverLimit)) => Err(Reason::TopicNameInvalid),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn counter(shared: &Shared, reason: Reason) -> &Counter {
    let counters = &shared.counters;
    match reason {
        Reason::QuotaExceeded => &counters.refused_full,
        Reason::MalformedPacket | Reason::ProtocolError => &counters.refused_malformed,
        Reason::UnsupportedVersion => &counters.refused_version,
        Reason::ClientIdNotValid => &counters.refused_client_id,
        Reason::Banned => &counters.refused_banned,
        Reason::Success
        | Reason::NoSubscriptionExisted
        | Reason::ImplementationSpecific
        | Reason::ShuttingDown
        | Reason::BadAuthenticationMethod
        | Reason::KeepAliveTimeout
        | Reason::TakenOver
        | Reason::TopicFilterInvalid
        | Reason::TopicNameInvalid
        | Reason::PacketIdNotFound
        | Reason::ReceiveMaximumExceeded
        | Reason::TopicAliasInvalid
        | Reason::PacketTooLarge
        | Reason::AdministrativeAction => &counters.refused_other,
    }
}

async fn refuse<S: AsyncWrite>(
    mut writer: WriteHalf<S>,
    dialect: Option<Dialect>,
    reason: Reason,
    write_timeout: Duration,
) {
    let Some(dialect) = dialect else { return };
    let mut out = BytesMut::new();
    connack(&mut out, dialect, false, reason, &[]);
    let _late = timeout(write_timeout, async {
        writer.write_all_buf(&mut out).await?;
        writer.shutdown().await
    })
    .await;
}

async fn open<S: AsyncRead + AsyncWrite>(
    shared: Arc<Shared>,
    connect: Connect,
    origin: Origin,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    buffer: BytesMut,
    stop: CancellationToken,
) -> Option<Connection<S>> {
    let connection = shared.next_connection();
    let assigned = connect.client_id.is_empty().then(|| format!("auto-{}", uuid::Uuid::now_v7()));
    let id: Arc<str> = assigned.as_deref().unwrap_or(&connect.client_id).into();
    let (taken_over, incumbent) = shared.registry.claim(&id, connection);
    let inherited = match incumbent {
        Some(incumbent) => {
            shared.counters.takeovers.increment();
            inherit(incumbent, connect.clean).await
        }
        None => Inherited::default(),
    };
    let mut out = BytesMut::new();
    let session_expiry = connect.session_expiry.min(shared.limits.mqtt_session_seconds);
    let told = Told {
        assigned: assigned.as_deref(),
        session_expiry: (session_expiry < connect.session_expiry).then_some(session_expiry),
        keep_alive: keep_alive_told(&connect, shared.mqtt.keep_alive_max_s),
    };
    let properties = match connack_properties(&shared, &told) {
        Ok(properties) => properties,
        Err(error) => {
            tracing::error!(%error, "limits.mqtt_packet_bytes must be from 1 to 268,435,455");
            return None;
        }
    };
    let session_present = inherited.session.is_some();
    let keep_alive = told.keep_alive.unwrap_or(connect.keep_alive);
    let dialect = dialect(&connect);
    connack(&mut out, dialect, session_present, Reason::Success, &properties);
    shared.counters.connections_accepted.increment();
    shared.counters.packets_in.increment();
    shared.counters.packets_out.increment();
    let window = match connect.version {
        Version::V3 => WINDOW_V3,
        Version::V5 => connect.receive_maximum.unwrap_or(u16::MAX),
    }
    .min(shared.limits.mqtt_inflight);
    let client = Client {
        connection,
        address: origin.address,
        version: connect.version,
        dialect,
        device: own_device(&id, &origin.brought),
        id,
        attached: false,
        session_expiry,
        packet_bytes_max: connect.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize),
        silence_max: (keep_alive > 0).then(|| Duration::from_millis(u64::from(keep_alive) * 1_500)),
        will: connect.will,
    };
    let was_attached = inherited.attached;
    let opening = Opening {
        shared,
        client,
        window,
        aliases_max: connect.aliases_max.min(TOPIC_ALIAS_MAXIMUM),
        inherited,
        reader,
        writer,
        buffer,
        out,
        taken_over,
        stop,
    };
    let mut connection = Connection::new(opening);
    if was_attached {
        connection.attach(true);
    } else if matches!(origin.brought, Brought::Certificate(_)) {
        connection.attach(false);
    }
    connection.resume();
    connection.note_connected();
    Some(connection)
}

/// The device that a client id names, if the connection may be its own: who shows another device's certificate is
/// not that one.
fn own_device(id: &str, brought: &Brought) -> Option<DeviceId> {
    let named = id.parse().ok();
    match brought {
        Brought::Certificate(device) => named.filter(|named| named == device),
        Brought::Nothing | Brought::User(_) => named,
    }
}

fn dialect(connect: &Connect) -> Dialect {
    let packet_bytes_max = connect.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize);
    Dialect { version: connect.version, reasons: connect.reasons, packet_bytes_max }
}

/// The keep-alive that an MQTT 5 client is told because it wants a longer one than `max` seconds. One of
/// 3.1.1 cannot be told.
fn keep_alive_told(connect: &Connect, max: u16) -> Option<u16> {
    let longer = connect.keep_alive == 0 || connect.keep_alive > max;
    (max > 0 && longer && connect.version == Version::V5).then_some(max)
}

/// What a client is told that it did not ask for.
struct Told<'a> {
    /// Its client id.
    assigned: Option<&'a str>,
    session_expiry: Option<u32>,
    keep_alive: Option<u16>,
}

/// Waits until the connection that had the client id has ended, and for what it leaves.
async fn inherit(incumbent: oneshot::Sender<Takeover>, clean: bool) -> Inherited {
    let (heir, inheritance) = oneshot::channel();
    // Either end may be gone: a connection that is ending anyway, or one that panicked.
    match incumbent.send(Takeover { clean, heir }) {
        Ok(()) => inheritance.await.unwrap_or_default(),
        Err(_) => Inherited::default(),
    }
}

fn connack_properties(shared: &Shared, told: &Told<'_>) -> Result<Vec<Property>, MqttError> {
    let mut properties: Vec<Property> = vec![
        ReceiveMaximum::new(shared.limits.mqtt_inflight)?.into(),
        MaximumPacketSize::new(shared.limits.mqtt_packet_bytes)?.into(),
        TopicAliasMaximum::new(TOPIC_ALIAS_MAXIMUM)?.into(),
    ];
    if let Some(seconds) = told.keep_alive {
        properties.push(ServerKeepAlive::new(seconds)?.into());
    }
    if let Some(seconds) = told.session_expiry {
        properties.push(SessionExpiryInterval::new(seconds)?.into());
    }
    if let Some(assigned) = told.assigned {
        properties.push(AssignedClientIdentifier::new(assigned)?.into());
    }
    Ok(properties)
}
