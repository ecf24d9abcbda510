//! A WebSocket client of `/ws`, as docs/protocol.md, section 3, describes it.

use crate::{Stream, columns::Dictionary, soon};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{collections::VecDeque, net::SocketAddr};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

/// A connection. It reads only while the test waits for something: who does not ask is slow.
#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<Box<dyn Stream>>,
    /// Where it speaks columns: what it was told of them.
    columns: Option<Dictionary>,
    inbox: VecDeque<Value>,
    /// The first message.
    pub welcome: Value,
    last_id: u64,
    /// Why it was closed.
    reason: String,
}

/// Whether a message is an update of this channel.
#[must_use]
pub fn is_update(message: &Value, channel: &str) -> bool {
    message["channel"] == channel && message.get("type").is_none()
}

impl Live {
    /// Connects and takes the welcome.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self::over(stream.expect("the gateway accepts"), address).await
    }

    /// Connects and takes the welcome, where the gateway is there and does so.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = soon("a connection", TcpStream::connect(address)).await.ok()?;
        Self::try_over(stream, address, "sluice.v1").await
    }

    /// Connects with the subprotocol `sluice.v1.columns`; what comes as columns reads as text would.
    ///
    /// # Panics
    /// When the gateway does not accept it.
    pub async fn connect_columns(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        let stream = stream.expect("the gateway accepts");
        let live = Self::try_over(stream, address, "sluice.v1.columns").await;
        Self { columns: Some(Dictionary::default()), ..live.expect("the gateway accepts") }
    }

    /// Connects with as small a receive buffer as the system allows.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("the system allows small buffers");
        let stream = soon("a connection", socket.connect(address)).await;
        Self::over(stream.expect("the gateway accepts"), address).await
    }

    /// Connects with a token in the `Authorization` header and takes the welcome.
    ///
    /// # Errors
    /// The code with which the gateway closes instead of a welcome.
    ///
    /// # Panics
    /// When the gateway does not accept it.
    pub async fn connect_as(address: SocketAddr, token: &str) -> Result<Self, u16> {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        let stream = stream.expect("the gateway accepts");
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
        let live = Self::upgrade(stream, address, "sluice.v1", Some(bearer)).await;
        live.expect("the gateway accepts").welcomed().await
    }

    /// Connects over any stream and takes the welcome.
    ///
    /// # Panics
    /// When the gateway does not accept it.
    pub async fn over(stream: impl Stream + 'static, address: SocketAddr) -> Self {
        Self::try_over(stream, address, "sluice.v1")
            .await
            .expect("the gateway accepts and welcomes")
    }

    async fn try_over(
        stream: impl Stream + 'static,
        address: SocketAddr,
        protocol: &'static str,
    ) -> Option<Self> {
        Self::upgrade(stream, address, protocol, None).await?.welcomed().await.ok()
    }

    async fn upgrade(
        stream: impl Stream + 'static,
        address: SocketAddr,
        protocol: &'static str,
        authorization: Option<HeaderValue>,
    ) -> Option<Self> {
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a URL");
        let offer = HeaderValue::from_static(protocol);
        request.headers_mut().insert("sec-websocket-protocol", offer);
        if let Some(authorization) = authorization {
            request.headers_mut().insert("authorization", authorization);
        }
        let stream = Box::new(stream) as Box<dyn Stream>;
        let shaken = soon("a handshake", client_async(request, stream)).await;
        let (socket, response) = shaken.ok()?;
        assert_eq!(response.headers()["sec-websocket-protocol"], protocol);
        let (columns, inbox) = (None, VecDeque::new());
        Some(Self {
            socket,
            columns,
            inbox,
            welcome: Value::Null,
            last_id: 0,
            reason: String::new(),
        })
    }

    async fn welcomed(mut self) -> Result<Self, u16> {
        self.welcome = soon("a welcome", self.next_or_close()).await?;
        assert_eq!(self.welcome["type"], "welcome");
        Ok(self)
    }

    /// Sends one text frame as it is.
    ///
    /// # Panics
    /// When the connection is closed.
    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.send_frame(Message::Text(text.into().into())).await;
    }

    /// Sends one frame as it is.
    ///
    /// # Panics
    /// When the connection is closed.
    pub async fn send_frame(&mut self, frame: Message) {
        soon("the frame to leave", self.socket.send(frame)).await.expect("it is open");
    }

    /// Sends a request under a number of its own, and gives that number.
    pub async fn ask(&mut self, request: Value) -> u64 {
        let number = self.try_ask(request).await;
        number.expect("it is open")
    }

    /// The same, where the connection may have ended: none then.
    pub async fn try_ask(&mut self, mut request: Value) -> Option<u64> {
        self.last_id += 1;
        request["id"] = self.last_id.into();
        let frame = Message::Text(request.to_string().into());
        soon("the frame to leave", self.socket.send(frame)).await.ok()?;
        Some(self.last_id)
    }

    /// The next message, whatever it is.
    ///
    /// # Panics
    /// When none comes, or what comes is no array of objects.
    pub async fn next(&mut self) -> Value {
        match soon("a message", self.next_or_close()).await {
            Ok(message) => message,
            Err(code) => panic!("closed with {code} while a message was expected"),
        }
    }

    /// The code with which the gateway closes; messages before that are left out.
    pub async fn closed(self) -> u16 {
        self.farewell().await.0
    }

    /// The same, with the reason that the gateway gives.
    pub async fn farewell(mut self) -> (u16, String) {
        let closed = async {
            loop {
                if let Err(code) = self.next_or_close().await {
                    return code;
                }
            }
        };
        let code = soon("a close", closed).await;
        (code, self.reason)
    }

    /// The next message, or the code with which the connection ended: 1006 where it broke.
    ///
    /// # Errors
    /// That code.
    ///
    /// # Cancel safety
    /// A message is either returned or still to come.
    pub async fn next_or_close(&mut self) -> Result<Value, u16> {
        loop {
            if let Some(message) = self.inbox.pop_front() {
                return Ok(message);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), u16> {
        /// What a browser says of a connection that broke (RFC 6455, section 7.1.5).
        const BROKEN: u16 = 1006;
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let messages: Vec<Value> =
                    serde_json::from_str(&text).expect("a frame is an array of messages");
                assert!(!messages.is_empty() && messages.iter().all(Value::is_object), "{text}");
                self.inbox.extend(messages);
                Ok(())
            }
            Some(Ok(Message::Close(frame))) => {
                let Some(frame) = frame else { return Err(BROKEN) };
                self.reason = frame.reason.to_string();
                Err(u16::from(frame.code))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Binary(frame))) => {
                let columns = self.columns.as_mut().expect("columns were asked for");
                self.inbox.extend(columns.read(&frame));
                Ok(())
            }
            Some(Ok(frame @ Message::Frame(_))) => panic!("the gateway sent {frame:?}"),
            Some(Err(Error::ConnectionClosed | Error::Io(_) | Error::Protocol(_))) | None => {
                Err(BROKEN)
            }
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// Messages up to and with the first that is `wanted`.
    pub async fn through(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.next().await;
            let found = wanted(&message);
            messages.push(message);
            if found {
                return messages;
            }
        }
    }

    /// The first message that is `wanted`; those before are left out.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.through(wanted).await.pop().expect("ends with the one that was found")
    }

    /// The next update of a channel; other messages are left out.
    pub async fn update(&mut self, channel: &str) -> Value {
        self.find(|message| is_update(message, channel)).await
    }

    /// Asks, and gives the reply; messages before it are left out.
    pub async fn reply(&mut self, request: Value) -> Value {
        let id = self.ask(request).await;
        self.find(|message| message["id"] == id && message.get("type").is_some()).await
    }

    /// Subscribes and gives everything from `subscribed` to `live`.
    pub async fn subscribe(&mut self, channels: &[&str]) -> Vec<Value> {
        self.subscribe_with(channels, json!({})).await
    }

    /// Subscribes with options and gives everything from `subscribed` to `live`.
    ///
    /// # Panics
    /// When the gateway refuses.
    pub async fn subscribe_with(&mut self, channels: &[&str], options: Value) -> Vec<Value> {
        let request = json!({"type": "subscribe", "channels": channels, "options": options});
        let id = self.ask(request).await;
        let is_last = |message: &Value| {
            message["id"] == id && (message["type"] == "live" || message["type"] == "error")
        };
        let mut messages = self.through(is_last).await;
        assert_eq!(messages.last().expect("not empty")["type"], "live", "{messages:?}");
        let begin = messages.iter().position(|message| message["type"] == "subscribed");
        messages.split_off(begin.expect("`subscribed` comes before `live`"))
    }

    /// Waits until the gateway has done all that was asked before; gives what came before the pong.
    pub async fn settle(&mut self) -> Vec<Value> {
        let id = self.ask(json!({"type": "ping"})).await;
        let mut messages = self.through(|message| message["id"] == id).await;
        messages.pop();
        messages
    }
}
