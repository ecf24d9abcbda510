//! `sluice watch`: a line for each update, and a note for whatever happens to the connection.

use crate::{
    Exit, Output,
    args::Wishes,
    client::{Broken, Continuity, Event, Incoming, Link, Said, Span, Verdict},
    gateway::{Gateway, Refused},
    output::{Format, OutputError},
    text::{clean, compact, local, now, seconds},
};
use anyhow::Result;
use protocol::{Reply, ResetReason, TopicFilter, TopicName, Update};
use serde_json::value::RawValue;
use std::ops::ControlFlow;

/// Prints updates until there were enough, Ctrl-C, or the gateway has no use for us.
pub(crate) async fn watch(gateway: &Gateway, wishes: &Wishes, output: &mut Output) -> Result<Exit> {
    let endpoint = gateway.endpoint.clone();
    let link = Link::new(endpoint.clone(), wishes.channels.clone(), wishes.options());
    let mut watch = Watch {
        place: endpoint.url.to_string(),
        continuity: Continuity::new(&wishes.options()),
        left: wishes.count,
        output,
    };
    tokio::select! {
        ended = watch.run(link) => ended.map(|()| Exit::Fine),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| Exit::Fine)?),
    }
}

struct Watch<'a> {
    place: String,
    continuity: Continuity,
    /// How many updates are still wanted; `None`: all.
    left: Option<u64>,
    output: &'a mut Output,
}

impl Watch<'_> {
    async fn run(&mut self, mut link: Link) -> Result<()> {
        loop {
            match link.next().await? {
                Event::Connected { epoch } => self.connected(&epoch),
                Event::Lost { broken, wait } => {
                    self.output.note(&format!("{broken}; trying again in {}", seconds(wait)));
                }
                Event::Said(frame) => {
                    if self.frame(frame, &mut link).await?.is_break() {
                        link.close().await;
                        return Ok(());
                    }
                }
            }
        }
    }

    fn connected(&mut self, epoch: &str) {
        let changed = self.continuity.connected(epoch);
        self.output.note(&format!("connected to {}", self.place));
        if changed {
            self.output.note("reset: the gateway numbers anew, and what came between is unknown");
        }
    }

    async fn frame(&mut self, frame: Vec<Incoming>, link: &mut Link) -> Result<ControlFlow<()>> {
        for incoming in frame {
            match incoming.message {
                Said::Update(update) => {
                    if self.update(&update, &incoming.raw, link).await?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Said::Reply(reply) => match link.replayed(&reply) {
                    Some((channel, span)) => self.give_up(&channel, span),
                    None => self.reply(reply, link).await?,
                },
                Said::Unknown => {
                    let text = clean(incoming.raw.get());
                    self.output.note(&format!("a message this version does not know: {text}"));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn update(
        &mut self,
        update: &Update,
        raw: &RawValue,
        link: &mut Link,
    ) -> Result<ControlFlow<()>, OutputError> {
        match self.continuity.judge(update) {
            Verdict::Drop => return Ok(ControlFlow::Continue(())),
            Verdict::Take => {}
            Verdict::Hole(span) => {
                self.output.note(&hole(update, span.count()));
                link.replay(update.channel.clone(), span).await;
            }
        }
        match self.output.format() {
            Format::Json => self.output.raw(raw)?,
            Format::Text => self.output.line(&line(update))?,
        }
        Ok(self.count())
    }

    fn count(&mut self) -> ControlFlow<()> {
        self.left = self.left.map(|left| left - 1);
        if self.left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The gateway has sent again what it has of a hole.
    fn give_up(&mut self, channel: &TopicName, span: Span) {
        let lost = self.continuity.give_up(channel, span);
        if lost > 0 {
            let (channel, noun) = (clean(channel.as_str()), updates(lost));
            self.output.note(&format!("lost: {lost} {noun} of {channel} cannot be had any more"));
        }
    }

    /// Beside holes all that is ever asked for is the subscription, so an error is its end.
    async fn reply(&mut self, reply: Reply, link: &mut Link) -> Result<(), Broken> {
        match reply {
            Reply::Live { .. } => {
                // Those that a broken connection cut short.
                for (channel, span) in self.continuity.holes() {
                    link.replay(channel, span).await;
                }
            }
            Reply::Error { code, message, .. } => {
                return Err(Broken::Refused(Refused { code, detail: message }));
            }
            Reply::Reset { channels, epoch, reason, .. } => {
                self.continuity.reset(&channels, &epoch);
                self.output.note(&reset(&channels, reason));
            }
            Reply::Lag { on, dropped } => {
                self.continuity.lag(on);
                self.output.note(&lag(on, dropped));
            }
            Reply::Welcome { .. }
            | Reply::Subscribed { .. }
            | Reply::Unsubscribed { .. }
            | Reply::History(_)
            | Reply::Ok { .. }
            | Reply::Pong { .. } => {}
        }
        Ok(())
    }
}

fn line(update: &Update) -> String {
    let data = match serde_json::from_str(update.data.get()) {
        Ok(value) => compact(&value),
        Err(_) => clean(update.data.get()),
    };
    let time = local(now(), update.timestamp);
    format!("{time}  {}  {data}", clean(update.channel.as_str()))
}

fn hole(update: &Update, missing: u64) -> String {
    let channel = clean(update.channel.as_str());
    let noun = updates(missing);
    format!("hole in seq of {channel}: {missing} {noun} missing before {}", update.seq)
}

fn updates(count: u64) -> &'static str {
    if count == 1 { "update" } else { "updates" }
}

fn reset(channels: &[TopicFilter], reason: ResetReason) -> String {
    let names: Vec<_> = channels.iter().map(|channel| clean(channel.as_str())).collect();
    let why = match reason {
        ResetReason::Epoch => "the gateway numbers anew",
        ResetReason::Expired => "what we missed is no longer kept",
        ResetReason::Overflow => "we were too slow for it",
        ResetReason::Crash => "the gateway was killed and lost some",
    };
    format!("reset of {}: {why}; the values follow", names.join(", "))
}

fn lag(on: bool, dropped: u64) -> String {
    if on {
        "lag: we are slow, telemetry comes merged to its newest values".into()
    } else {
        format!("lag is over: {dropped} updates were merged away")
    }
}
