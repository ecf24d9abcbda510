//! One WebSocket connection to `/ws`, from the handshake to its end. [`super::Link`] makes new ones.

use super::columns::Columns;
use crate::{
    gateway::{ANSWER_MAX, Endpoint, Refused, Unreachable, root_cause, speaks_tls},
    text::clean,
};
use futures_util::{SinkExt, StreamExt};
use protocol::{
    ClientMessage, CloseCode, Millis, Problem, Reply, RequestId, Retry, SUBPROTOCOL,
    SUBPROTOCOL_COLUMNS, Update,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        error::ProtocolError,
        http::{HeaderValue, Response, header},
        protocol::CloseFrame,
    },
};

/// Why a connection could not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("{0}")]
    Unreachable(Unreachable),
    #[error("{0}")]
    Refused(Refused),
    #[error("the gateway closed the connection: {code} ({})", clean(.reason))]
    Closed { code: u16, reason: String },
    #[error("the connection broke: {0}")]
    Lost(String),
    #[error("the gateway does not speak {SUBPROTOCOL} ({0}): check --url")]
    Strange(String),
}

impl Broken {
    /// When a gateway that shuts down asks its clients to come back, each at a time of its own.
    pub(super) fn advice(&self) -> Option<Duration> {
        let Self::Closed { code, reason } = self else { return None };
        let (_, wait) = reason.split_once("come back after ")?;
        let wait: u64 = wait.strip_suffix(" ms")?.parse().ok()?;
        let is_advice = *code == CloseCode::ShuttingDown.code() && wait <= ADVICE_MS_MAX;
        is_advice.then_some(Duration::from_millis(wait))
    }

    /// Whether to come back.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Closed { code, .. } => Retry::after(*code),
            Self::Unreachable(_) | Self::Lost(_) => Retry::BackOff,
            Self::Refused(_) | Self::Strange(_) => Retry::Never,
        }
    }
}

/// How telemetry is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As JSON, like all else.
    Json,
    /// In columns, from a gateway that has them: for who follows whole fleets.
    Columns,
}

impl Encoding {
    fn subprotocols(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static(SUBPROTOCOL),
            Self::Columns => {
                let both = format!("{SUBPROTOCOL_COLUMNS}, {SUBPROTOCOL}");
                HeaderValue::from_str(&both).expect("names of subprotocols are ASCII")
            }
        }
    }
}

/// What the gateway said, and how it was written; what came in columns, as it would have been written in JSON.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) raw: Box<RawValue>,
    pub(crate) message: Said,
}

impl Incoming {
    /// Reads a message.
    pub(crate) fn read(raw: Box<RawValue>) -> Self {
        let update = serde_json::from_str(raw.get()).map(Said::Update);
        let message = update
            .or_else(|_| serde_json::from_str(raw.get()).map(Said::Reply))
            .unwrap_or(Said::Unknown);
        Self { raw, message }
    }

    fn update(update: Update) -> Result<Self, serde_json::Error> {
        Ok(Self { raw: to_raw_value(&update)?, message: Said::Update(update) })
    }
}

/// One message of a frame.
#[derive(Debug)]
pub(crate) enum Said {
    Update(Update),
    Reply(Reply),
    /// Nothing this version knows.
    Unknown,
}

/// An open connection, greeted by its `welcome`.
#[derive(Debug)]
pub(crate) struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What the gateway's numbers belong to.
    pub(crate) epoch: String,
    silence_max: Duration,
    requests: u64,
    columns: Columns,
}

impl Session {
    /// Connects and waits for the `welcome`.
    pub(crate) async fn open(endpoint: &Endpoint, encoding: Encoding) -> Result<Self, Broken> {
        let unreachable = |why| Broken::Unreachable(Unreachable { url: endpoint.url.clone(), why });
        let socket = timeout(ANSWER_MAX, handshake(endpoint, encoding))
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", ANSWER_MAX.as_secs())))?
            .map_err(|error| not_opened(error, unreachable))?;
        let mut session = Self {
            socket,
            epoch: String::new(),
            silence_max: ANSWER_MAX,
            requests: 0,
            columns: Columns::default(),
        };
        session.welcome().await?;
        Ok(session)
    }

    async fn welcome(&mut self) -> Result<(), Broken> {
        let first = self.next().await?.into_iter().next().map(|first| first.message);
        let Some(Said::Reply(Reply::Welcome { epoch, ping_interval_ms, .. })) = first else {
            return Err(Broken::Strange("its first message is no welcome".into()));
        };
        self.epoch = epoch;
        self.silence_max = silence_max(ping_interval_ms);
        Ok(())
    }

    /// Asks for something, and gives the mark of the answer, which comes by [`Session::next`].
    pub(crate) async fn ask(&mut self, message: &ClientMessage) -> Result<RequestId, Broken> {
        self.requests += 1;
        let id = RequestId::Number(self.requests.into());
        let text = serde_json::to_string(&Request { id: id.clone(), message })
            .map_err(|error| Broken::Strange(error.to_string()))?;
        let sending = self.socket.send(Message::text(text));
        match timeout(ANSWER_MAX, sending).await {
            Ok(sent) => sent.map(|()| id).map_err(lost),
            Err(_) => Err(Broken::Lost("the gateway takes nothing in".into())),
        }
    }

    /// The messages of the next frame.
    ///
    /// # Cancel safety
    /// A frame is either returned or still to come.
    pub(crate) async fn next(&mut self) -> Result<Vec<Incoming>, Broken> {
        loop {
            let silence = |_| Broken::Lost("it fell silent".into());
            let frame = timeout(self.silence_max, self.socket.next()).await.map_err(silence)?;
            match frame {
                None => return Err(Broken::Lost("it ended without a close".into())),
                Some(Err(error)) => return Err(lost(error)),
                Some(Ok(Message::Text(text))) => return decode(&text),
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                Some(Ok(Message::Binary(frame))) => return self.binary(&frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            }
        }
    }

    fn binary(&mut self, frame: &[u8]) -> Result<Vec<Incoming>, Broken> {
        let updates = self.columns.read(frame).map_err(|bad| Broken::Strange(bad.to_string()))?;
        let incoming = updates.into_iter().map(Incoming::update).collect::<Result<_, _>>();
        incoming.map_err(|error| Broken::Strange(error.to_string()))
    }

    /// Says goodbye; a gateway that does not listen is not waited for.
    pub(crate) async fn close(mut self) {
        let _said = timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}

/// No advice to come back is taken that is longer than any back-off.
const ADVICE_MS_MAX: u64 = 20_000;

#[derive(Serialize)]
struct Request<'a> {
    id: RequestId,
    #[serde(flatten)]
    message: &'a ClientMessage,
}

/// The gateway pings at this interval: twice as long without a word, and it is gone.
fn silence_max(ping_interval: Millis) -> Duration {
    Duration::from_millis(ping_interval.0.saturating_mul(2))
}

async fn handshake(
    endpoint: &Endpoint,
    encoding: Encoding,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Error> {
    let mut request = endpoint.url.websocket().into_client_request()?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, encoding.subprotocols());
    request.headers_mut().extend(endpoint.headers.clone());
    let tls = Some(Connector::Rustls(endpoint.tls.clone()));
    let (socket, _response) = connect_async_tls_with_config(request, None, false, tls).await?;
    Ok(socket)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the error is the library's, not ours")]
fn not_opened(error: Error, unreachable: impl FnOnce(String) -> Broken) -> Broken {
    match error {
        Error::Http(response) if response.status().is_server_error() => {
            unreachable(format!("it answered {}", response.status()))
        }
        Error::Http(response) => refused(&response),
        Error::Io(error) => unreachable(root_cause(&error)),
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            unreachable("it hung up during the handshake".into())
        }
        error if speaks_tls(&error.to_string()) => unreachable(root_cause(&error)),
        error => Broken::Strange(error.to_string()),
    }
}

fn refused(response: &Response<Option<Vec<u8>>>) -> Broken {
    let body = response.body().as_deref().unwrap_or_default();
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Broken::Refused(problem.into()),
        Err(_) => Broken::Strange(format!("it answered the handshake with {}", response.status())),
    }
}

fn lost(error: Error) -> Broken {
    Broken::Lost(error.to_string())
}

fn closed(frame: Option<CloseFrame>) -> Broken {
    let Some(frame) = frame else { return Broken::Lost("it was closed without a code".into()) };
    let code = frame.code.into();
    let known = CloseCode::ALL.iter().find(|known| known.code() == code);
    let reason = match known {
        Some(known) if frame.reason.is_empty() => known.reason().into(),
        Some(_) | None => frame.reason.to_string(),
    };
    Broken::Closed { code, reason }
}

fn decode(frame: &str) -> Result<Vec<Incoming>, Broken> {
    let messages: Vec<Box<RawValue>> = serde_json::from_str(frame)
        .map_err(|error| Broken::Strange(format!("a frame is no JSON array: {error}")))?;
    Ok(messages.into_iter().map(Incoming::read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_message_with_our_mark() {
        let message = ClientMessage::Ping {};
        let text =
            serde_json::to_string(&Request { id: RequestId::Number(7.into()), message: &message });
        assert_eq!(text.unwrap(), r#"{"id":7,"type":"ping"}"#);
    }

    #[test]
    fn a_frame_gives_its_messages_in_order() {
        let frame = r#"[{"channel":"a/b","seq":1,"offset":2,"timestamp":3,"data":{"x": 1}},
            {"type":"lag","on":true,"dropped":4},{"type":"news"}]"#;
        let said = decode(frame).unwrap();
        assert!(
            matches!(&said[0].message, Said::Update(update) if update.data.get() == r#"{"x": 1}"#)
        );
        assert!(matches!(said[1].message, Said::Reply(Reply::Lag { on: true, dropped: 4 })));
        assert!(matches!(said[2].message, Said::Unknown));
        assert_eq!(said[2].raw.get(), r#"{"type":"news"}"#);
    }

    #[test]
    fn a_frame_that_is_no_array_is_not_taken() {
        assert!(matches!(decode("{}"), Err(Broken::Strange(_))));
    }

    #[test]
    fn only_a_gateway_that_shuts_down_says_when_to_come_back() {
        let advice = |code: u16, reason: &str| {
            Broken::Closed { code, reason: reason.into() }.advice().map(|wait| wait.as_millis())
        };
        assert_eq!(advice(4100, "shutting down; come back after 700 ms"), Some(700));
        for (code, reason) in [
            (4108, "too slow; come back after 700 ms"),
            (4100, "shutting down; come back after 20001 ms"),
            (4100, "shutting down; come back after -1 ms"),
            (4100, "shutting down"),
        ] {
            assert_eq!(advice(code, reason), None, "{code} {reason}");
        }
    }

    #[test]
    fn a_close_without_words_is_named_by_its_code() {
        let frame = CloseFrame { code: 4003.into(), reason: "".into() };
        let broken = closed(Some(frame));
        assert_eq!(broken.to_string(), "the gateway closed the connection: 4003 (forbidden)");
        assert_eq!(broken.retry(), Retry::Never);
    }
}
