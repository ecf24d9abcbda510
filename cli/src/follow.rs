//! Following something to its end on a channel: over connections that break, with a live line on a terminal,
//! until it is done, nobody wants to wait longer, or Ctrl-C.

use crate::{
    Output,
    args::Waiting,
    client::{Broken, Event, Incoming, Link, Said},
    gateway::{ANSWER_MAX, Gateway, Refused},
    output::REDRAW,
    text::seconds,
};
use anyhow::{Context, Result};
use protocol::{Reply, SubscribeOptions, Update};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Something that changes until it has ended.
pub(crate) trait Followed {
    /// Takes in what its channel says.
    fn update(&mut self, update: &Update, output: &mut Output) -> Result<()>;

    /// Asks how it is, after what happened while there was no connection.
    async fn catch_up(&mut self, output: &mut Output) -> Result<()>;

    /// Whether it has ended.
    fn is_done(&self) -> bool;

    /// How it is now, for the live line.
    fn now(&self) -> String;
}

/// A channel that is listened to.
pub(crate) struct Following {
    link: Link,
    begin: Instant,
}

impl Following {
    /// Listens, and only then returns: nothing that is done from here on is missed.
    pub(crate) async fn start(gateway: &Gateway, channel: String) -> Result<Self> {
        let options = SubscribeOptions { snapshot: Some(false), ..SubscribeOptions::default() };
        let mut link = Link::new(gateway.endpoint.clone(), vec![channel.parse()?], options);
        let late =
            "the gateway did not confirm the subscription in time, so nothing was asked of it";
        timeout(ANSWER_MAX, until_live(&mut link)).await.context(late)??;
        Ok(Self { link, begin: Instant::now() })
    }

    /// Follows `thing` until it is done, `waiting` is over, or Ctrl-C.
    pub(crate) async fn until_done(
        &mut self,
        thing: &mut impl Followed,
        waiting: Waiting,
        output: &mut Output,
    ) -> Result<()> {
        let bound = async {
            match waiting.wait_for {
                Some(bound) => tokio::time::sleep(bound).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            followed = self.follow(thing, output) => followed,
            () = bound => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        };
        output.erase();
        ended
    }

    async fn follow(&mut self, thing: &mut impl Followed, output: &mut Output) -> Result<()> {
        let mut redraw = interval(REDRAW);
        redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !thing.is_done() {
            tokio::select! {
                event = self.link.next() => happened(event?, thing, output).await?,
                _ = redraw.tick(), if output.has_live() => {}
            }
            if output.has_live() && !thing.is_done() {
                output.live(&format!("{}  {}", seconds(self.begin.elapsed()), thing.now()));
            }
        }
        Ok(())
    }
}

async fn happened(event: Event, thing: &mut impl Followed, output: &mut Output) -> Result<()> {
    match event {
        Event::Connected { .. } => output.note("connected again"),
        Event::Lost { broken, wait } => {
            output.note(&format!("{broken}; trying again in {}", seconds(wait)));
        }
        Event::Said(frame) => {
            if is_live(&frame)? {
                thing.catch_up(output).await?;
            }
            for incoming in &frame {
                match &incoming.message {
                    // What was asked for may be ahead of what is still on its way: the end stays the end.
                    Said::Update(update) if !thing.is_done() => thing.update(update, output)?,
                    Said::Update(_) | Said::Reply(_) | Said::Unknown => {}
                }
            }
        }
    }
    Ok(())
}

/// Waits until what happens from here on arrives.
async fn until_live(link: &mut Link) -> Result<(), Broken> {
    loop {
        match link.next().await? {
            Event::Connected { .. } | Event::Lost { .. } => {}
            Event::Said(frame) => {
                if is_live(&frame)? {
                    return Ok(());
                }
            }
        }
    }
}

/// All that is ever asked for is the subscription, so an error is its end.
fn is_live(frame: &[Incoming]) -> Result<bool, Broken> {
    let mut live = false;
    for incoming in frame {
        match &incoming.message {
            Said::Reply(Reply::Error { code, message, .. }) => {
                let (code, detail) = (code.clone(), message.clone());
                return Err(Broken::Refused(Refused { code, detail }));
            }
            Said::Reply(Reply::Live { .. }) => live = true,
            Said::Reply(_) | Said::Update(_) | Said::Unknown => {}
        }
    }
    Ok(live)
}
