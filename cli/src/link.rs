//! A subscription that outlives its connections: connects, subscribes, and comes back as the close
//! code allows. Its callers see events and decide what they mean.

use crate::{
    back_off::BackOff,
    gateway::GatewayUrl,
    session::{Broken, Incoming, Session},
};
use protocol::{ClientMessage, SubscribeOptions, TopicFilter};
use std::time::Duration;
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
    url: GatewayUrl,
    subscribe: ClientMessage,
    back_off: BackOff,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not one connection yet: a gateway that is not there is a mistake, not an outage.
    New,
    Waiting(Instant),
    Open {
        session: Box<Session>,
        since: Instant,
    },
}

impl Link {
    /// Connects with the first [`Link::next`].
    pub(crate) fn new(
        url: GatewayUrl,
        channels: Vec<TopicFilter>,
        options: SubscribeOptions,
    ) -> Self {
        let subscribe = ClientMessage::Subscribe { channels, options };
        Self { url, subscribe, back_off: BackOff::default(), state: State::New }
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
            State::Open { session, since } => match session.next().await {
                Ok(said) => Ok(Event::Said(said)),
                Err(broken) => {
                    let lasted = since.elapsed();
                    self.lost(broken, lasted)
                }
            },
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
        let mut session = Session::open(&self.url).await?;
        session.ask(&self.subscribe).await?;
        Ok(session)
    }

    fn opened(&mut self, opened: Result<Session, Broken>) -> Result<Event, Broken> {
        match opened {
            Ok(session) => {
                let epoch = session.epoch.clone();
                self.state = State::Open { session: Box::new(session), since: Instant::now() };
                Ok(Event::Connected { epoch })
            }
            Err(broken) => self.lost(broken, Duration::ZERO),
        }
    }

    fn lost(&mut self, broken: Broken, lasted: Duration) -> Result<Event, Broken> {
        match self.back_off.wait(broken.retry(), lasted, rand::random()) {
            None => Err(broken),
            Some(wait) => {
                self.state = State::Waiting(Instant::now() + wait);
                Ok(Event::Lost { broken, wait })
            }
        }
    }
}
