//! From an accepted socket to a connection: CONNECT under a deadline, CONNACK.

use super::{
    access::MaybeAccess,
    batch::{BadName, Known},
    connection::{Client, Connection, Opening},
    publishing::TOPIC_ALIAS_MAXIMUM,
    reason::Reason,
    registry::{Heir, Incumbent, NotGiven, Takeover},
    session::Inherited,
    shared::Shared,
    sign_in,
    welcome::{Told, connack_properties, takes_connack},
    wire::{
        BadConnect, Connect, Dialect, FrameError, Reasons, Version, connack, connect, take_frame,
    },
};
use crate::{auth::Brought, config::Ack, count::Counter};
use bridge::event::ConnectionId;
use bytes::BytesMut;
use mqtt_protocol_core::mqtt::packet::Property;
use protocol::DeviceId;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
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

/// What came first, if it could be a CONNECT.
enum First {
    Connect(Box<Connect>),
    Refused(Option<Dialect>, Reason),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshake<S> {
    /// Waits for CONNECT and answers it; none: it was refused, counted and closed.
    pub(super) async fn run(self) -> Option<Box<Connection<S>>> {
        let Self { shared, mut socket, address, brought, room, stop } = self;
        let mut buffer = BytesMut::new();
        let deadline = Duration::from_millis(shared.mqtt.connect_timeout_ms);
        let first = timeout(deadline, first(&shared, &mut socket, &mut buffer));
        let first = stop.run_until_cancelled(first).await?;
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
                let admitted = admit(&shared, *connect, address, &brought, room);
                let admitted = stop.run_until_cancelled(admitted).await?;
                admitted.map_err(|reason| (dialect, reason))
            }
        };
        match verdict {
            Ok(admitted) => Some(open(shared, admitted, address, socket, buffer, stop).await),
            Err((dialect, reason)) => {
                if let Some(counter) = counter(&shared, reason) {
                    counter.increment();
                }
                tracing::debug!(?reason, "connection refused");
                refuse(socket, dialect, reason, shared.write_timeout()).await;
                None
            }
        }
    }
}

/// Reads the first packet; none: the peer went away or sent what nothing can be answered to.
async fn first<S: AsyncRead + Unpin>(
    shared: &Shared,
    socket: &mut S,
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
                            packet_bytes_max: u32::MAX,
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
        let bytes = socket.read_buf(buffer).await.ok().filter(|bytes| *bytes > 0)?;
        shared.counters.bytes_in.add(bytes as u64);
    }
}

/// A client that may come in.
struct Admitted {
    connect: Connect,
    connection: ConnectionId,
    id: Arc<str>,
    told: Told,
    /// What CONNACK says beside its reason; for MQTT 5.
    properties: Vec<Property>,
    access: MaybeAccess,
    taken_over: oneshot::Receiver<Takeover>,
    incumbent: Option<Incumbent>,
}

/// Finds out who the client is and whether it may come in, and gives it its client id.
async fn admit(
    shared: &Shared,
    connect: Connect,
    address: SocketAddr,
    brought: &Brought,
    room: bool,
) -> Result<Admitted, Reason> {
    check(shared, &connect, room)?;
    let principal = sign_in::sign_in(shared, &connect, address, brought).await?;
    // Whoever is let in counts; who is not cannot have somebody else banned.
    if shared.flapping.comes(&connect.client_id, Instant::now()).is_err() {
        return Err(Reason::Banned);
    }
    let is_assigned = connect.client_id.is_empty();
    let id: Arc<str> = if is_assigned {
        format!("auto-{}", uuid::Uuid::now_v7()).into()
    } else {
        connect.client_id.as_str().into()
    };
    let told = Told::to(shared, &connect, is_assigned.then(|| Arc::clone(&id)));
    let properties = connack_properties(shared, connect.version, &told).map_err(|error| {
        tracing::error!(%error, "the properties of CONNACK cannot be made");
        Reason::ImplementationSpecific
    })?;
    if connect.packet_bytes_max.is_some() && !takes_connack(dialect(&connect), &properties) {
        return Err(Reason::PacketTooLarge);
    }
    let will = connect.will.as_ref().map(|will| &*will.topic);
    let access = sign_in::access(shared, principal, &id, will)?;
    let connection = shared.next_connection();
    // Between signing in and now the credential may have gone, and nobody would say so any more.
    let claimed = shared.registry.claim(&id, connection, &access, |access| shared.may_stay(access));
    let (taken_over, incumbent) = claimed.map_err(|not_given| match not_given {
        NotGiven::NotYours => Reason::ClientIdNotValid,
        NotGiven::Gone => Reason::NotAuthorized,
    })?;
    Ok(Admitted { connect, connection, id, told, properties, access, taken_over, incumbent })
}

/// Whether `connect` can come in, whoever sent it.
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
    match connect.will.as_ref().map(|will| Known::new(shared, &will.topic, &None)) {
        Some(Err(BadName::Invalid | BadName::OverLimit)) => Err(Reason::TopicNameInvalid),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Where a refusal is counted; none: where it was decided.
fn counter(shared: &Shared, reason: Reason) -> Option<&Counter> {
    let counters = &shared.counters;
    Some(match reason {
        Reason::BadUserNameOrPassword
        | Reason::NotAuthorized
        | Reason::ServerBusy
        | Reason::ConnectionRateExceeded => return None,
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
    })
}

async fn refuse<S: AsyncWrite + Unpin>(
    mut socket: S,
    dialect: Option<Dialect>,
    reason: Reason,
    write_timeout: Duration,
) {
    let Some(dialect) = dialect else { return };
    let mut out = BytesMut::new();
    connack(&mut out, dialect, false, reason, &[]);
    if !dialect.takes(out.len()) {
        return;
    }
    let _late = timeout(write_timeout, async {
        socket.write_all_buf(&mut out).await?;
        socket.shutdown().await
    })
    .await;
}

async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    shared: Arc<Shared>,
    admitted: Admitted,
    address: SocketAddr,
    socket: S,
    buffer: BytesMut,
    stop: CancellationToken,
) -> Box<Connection<S>> {
    let Admitted { connect, connection, id, told, properties, access, taken_over, incumbent } =
        admitted;
    let inherited = match incumbent {
        Some(Incumbent { takeover, is_own }) => {
            let inherited = inherit(takeover, connect.clean || !is_own).await;
            let ended = inherited.ended;
            if is_own { inherited } else { Inherited { ended, ..Inherited::default() } }
        }
        None => Inherited::default(),
    };
    let mut out = BytesMut::new();
    let session_expiry = told.session_expiry.unwrap_or(connect.session_expiry);
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
        address,
        dialect,
        is_bridge: connect.is_bridge,
        device: own_device(&access, &id),
        access,
        id,
        attached: false,
        session_expiry,
        keep_alive,
        will: connect.will.map(Box::new),
    };
    let (was_attached, ended) = (inherited.attached, inherited.ended);
    let opening = Opening {
        shared,
        client,
        window,
        aliases_max: connect.aliases_max.min(TOPIC_ALIAS_MAXIMUM),
        inherited,
        socket,
        buffer,
        out,
        taken_over,
        stop,
    };
    let mut connection = Box::new(Connection::new(opening));
    let is_device = connection.client.access.as_ref().is_some_and(|access| access.is_namesake());
    if was_attached || is_device || connection.leaves_own_will() {
        connection.attach(was_attached);
    }
    connection.resume();
    connection.note_connected();
    if ended || connection.session.journal.is_some() {
        keep_beginning(&mut connection).await;
    }
    connection
}

/// What CONNACK says of a session survives a kill: that it is there, or that an earlier one is no more. Where the disk
/// fails, life goes on.
async fn keep_beginning<S>(connection: &mut Connection<S>) {
    if let Some(journal) = &mut connection.session.journal {
        journal.flush();
    }
    if connection.shared.ack != Ack::Accepted {
        let _either_way = connection.shared.store.settled().await;
    }
}

/// The device whose own connection it is or can become: of a client that signed in the one that it is, if its
/// client id says so too.
fn own_device(access: &MaybeAccess, id: &Arc<str>) -> Option<DeviceId> {
    let can_be = access.as_ref().is_none_or(|access| access.is_namesake());
    if can_be { Arc::clone(id).try_into().ok() } else { None }
}

fn dialect(connect: &Connect) -> Dialect {
    let packet_bytes_max = connect.packet_bytes_max.unwrap_or(u32::MAX);
    Dialect { version: connect.version, reasons: connect.reasons, packet_bytes_max }
}

/// Waits until the connection that had the client id has ended, and for what it leaves.
async fn inherit(incumbent: oneshot::Sender<Takeover>, clean: bool) -> Inherited {
    let (inherits, inheritance) = oneshot::channel();
    // Either end may be gone: a connection that is ending anyway, or one that panicked.
    match incumbent.send(Takeover::Heir(Heir { clean, inherits })) {
        Ok(()) => inheritance.await.unwrap_or_default(),
        Err(_) => Inherited::default(),
    }
}
