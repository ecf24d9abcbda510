//! A subscription that outlives its connections: connects, subscribes, comes back as the close code
//! allows, and goes on where it broke. Its callers see events and decide what they mean.

use super::{
    back_off::BackOff,
    continuity::Span,
    session::{Broken, Encoding, Incoming, Said, Session},
};
use crate::gateway::Endpoint;
use protocol::{
    ClientMessage, Cursor, Offset, Reply, RequestId, SubscribeOptions, TopicFilter, TopicName,
};
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// What happens on a link.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection stands and has asked for its channels.
    Connected {
        /// What its numbers belong to.
        epoch: String,
    },
    /// It is gone; the link comes back after `wait`.
    Lost {
        /// How it ended.
        broken: Broken,
        /// Until the next attempt.
        wait: Duration,
    },
    /// A frame came.
    Said(Vec<Incoming>),
}

/// A subscription. Drive it with [`Link::next`].
#[derive(Debug)]
pub(crate) struct Link {
    endpoint: Endpoint,
    channels: Vec<TopicFilter>,
    options: SubscribeOptions,
    encoding: Encoding,
    back_off: BackOff,
    state: State,
    /// Where to go on; none: anew.
    cursor: Option<Cursor>,
    /// What was asked for again on this connection and has not been answered.
    replays: HashMap<RequestId, (TopicName, Span)>,
}

#[derive(Debug)]
enum State {
    /// Not one connection yet: a gateway that is not there is a mistake, not an outage.
    New,
    Waiting(Instant),
    Open {
        session: Box<Session>,
        since: Instant,
        past: Past,
    },
}

/// Whether what was asked for of the past has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// Not yet: the cursor stays where it was.
    Coming,
    /// It has: what is seen is where to go on.
    Sent,
}

impl Link {
    /// Connects with the first [`Link::next`].
    pub(crate) fn new(
        endpoint: Endpoint,
        channels: Vec<TopicFilter>,
        options: SubscribeOptions,
    ) -> Self {
        Self {
            endpoint,
            channels,
            options,
            encoding: Encoding::Json,
            back_off: BackOff::default(),
            state: State::New,
            cursor: None,
            replays: HashMap::new(),
        }
    }

    /// The same with telemetry in another encoding.
    pub(crate) fn encoded(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// The next event.
    ///
    /// # Errors
    /// What makes coming back useless.
    ///
    /// # Cancel safety
    /// An attempt to connect starts over; nothing received is lost.
    pub(crate) async fn next(&mut self) -> Result<Event, Broken> {
        match &mut self.state {
            State::New => match self.open().await {
                Err(broken @ Broken::Unreachable(_)) => Err(broken),
                opened => self.opened(opened),
            },
            State::Waiting(until) => {
                tokio::time::sleep_until(*until).await;
                let opened = self.open().await;
                self.opened(opened)
            }
            State::Open { session, since, .. } => match session.next().await {
                Ok(said) => {
                    self.note(&said);
                    Ok(Event::Said(said))
                }
                Err(broken) => {
                    let lasted = since.elapsed();
                    self.lost(broken, lasted)
                }
            },
        }
    }

    /// Asks for updates that are missing; their end is told by [`Self::replayed`]. Without a connection nothing
    /// is asked: whoever misses them asks again when it is live.
    pub(crate) async fn replay(&mut self, channel: TopicName, span: Span) {
        let State::Open { session, .. } = &mut self.state else { return };
        if self.replays.values().any(|pending| *pending == (channel.clone(), span)) {
            return;
        }
        let Span { from, to } = span;
        let message = ClientMessage::Replay { channel: channel.clone(), from, to };
        if let Ok(id) = session.ask(&message).await {
            self.replays.insert(id, (channel, span));
        }
    }

    /// What a reply ends that was asked for again: nothing more comes of it.
    pub(crate) fn replayed(&mut self, reply: &Reply) -> Option<(TopicName, Span)> {
        match reply {
            Reply::Ok { id, .. } | Reply::Error { id, .. } => self.replays.remove(id.as_ref()?),
            Reply::Welcome { .. }
            | Reply::Subscribed { .. }
            | Reply::Unsubscribed { .. }
            | Reply::History(_)
            | Reply::Live { .. }
            | Reply::Reset { .. }
            | Reply::Lag { .. }
            | Reply::Pong { .. } => None,
        }
    }

    /// Takes note of how far the gateway's order was seen. A frame that came is whole.
    fn note(&mut self, frame: &[Incoming]) {
        let State::Open { session, past, .. } = &mut self.state else { return };
        let epoch = &session.epoch;
        for incoming in frame {
            match (&incoming.message, *past) {
                (Said::Reply(Reply::Live { offset, .. }), _) => {
                    *past = Past::Sent;
                    see(&mut self.cursor, epoch, *offset);
                }
                (Said::Update(update), Past::Sent) => see(&mut self.cursor, epoch, update.offset),
                (Said::Reply(Reply::Reset { .. }), Past::Coming) => self.cursor = None,
                (Said::Update(_) | Said::Reply(_) | Said::Unknown, _) => {}
            }
        }
    }

    /// Says goodbye to the gateway.
    pub(crate) async fn close(self) {
        match self.state {
            State::Open { session, .. } => session.close().await,
            State::New | State::Waiting(_) => {}
        }
    }

    async fn open(&self) -> Result<Session, Broken> {
        let mut session = Session::open(&self.endpoint, self.encoding).await?;
        session.ask(&self.subscribe()).await?;
        Ok(session)
    }

    /// From where it broke, if that is known: then neither the values nor the past come again.
    fn subscribe(&self) -> ClientMessage {
        let mut options = self.options.clone();
        if let Some(cursor) = &self.cursor {
            let since = Some(cursor.clone());
            options = SubscribeOptions { since, snapshot: None, history: None, ..options };
        }
        ClientMessage::Subscribe { channels: self.channels.clone(), options }
    }

    fn opened(&mut self, opened: Result<Session, Broken>) -> Result<Event, Broken> {
        match opened {
            Ok(session) => {
                let epoch = session.epoch.clone();
                let (since, past) = (Instant::now(), Past::Coming);
                self.state = State::Open { session: Box::new(session), since, past };
                self.replays.clear();
                Ok(Event::Connected { epoch })
            }
            Err(broken) => self.lost(broken, Duration::ZERO),
        }
    }

    fn lost(&mut self, broken: Broken, lasted: Duration) -> Result<Event, Broken> {
        match self.back_off.wait(broken.retry(), lasted, rand::random()) {
            None => Err(broken),
            Some(wait) => {
                let wait = broken.advice().unwrap_or(wait);
                self.state = State::Waiting(Instant::now() + wait);
                Ok(Event::Lost { broken, wait })
            }
        }
    }
}

/// Moves the cursor on to what was seen.
fn see(cursor: &mut Option<Cursor>, epoch: &str, offset: Offset) {
    let before = cursor.as_ref().map_or(Offset(0), |cursor| cursor.offset);
    *cursor = Some(Cursor { epoch: epoch.into(), offset: before.max(offset) });
}
