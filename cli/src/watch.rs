//! `sluice watch`: a line for each update, and a note for whatever happens to the connection.

use crate::{
    Exit, Output,
    args::Wishes,
    continuity::Continuity,
    gateway::{Gateway, Refused},
    link::{Event, Link},
    output::{Format, OutputError},
    session::{Broken, Incoming, Said},
    text::{clean, compact, local, now, seconds},
};
use anyhow::Result;
use protocol::{Advance, Reply, ResetReason, TopicFilter, Update};
use serde_json::value::RawValue;
use std::ops::ControlFlow;

/// Prints updates until there were enough, Ctrl-C, or the gateway has no use for us.
pub(crate) async fn watch(gateway: &Gateway, wishes: &Wishes, output: &mut Output) -> Result<Exit> {
    let url = gateway.url.clone();
    let link = Link::new(url.clone(), wishes.channels.clone(), wishes.options());
    let mut watch = Watch {
        place: url.to_string(),
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
                    if self.frame(frame)?.is_break() {
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

    fn frame(&mut self, frame: Vec<Incoming>) -> Result<ControlFlow<()>> {
        for incoming in frame {
            match incoming.message {
                Said::Update(update) => {
                    if self.update(&update, &incoming.raw)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Said::Reply(reply) => self.reply(reply)?,
                Said::Unknown => {
                    let text = clean(incoming.raw.get());
                    self.output.note(&format!("a message this version does not know: {text}"));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn update(&mut self, update: &Update, raw: &RawValue) -> Result<ControlFlow<()>, OutputError> {
        match self.continuity.advance(update) {
            Advance::Repeat => return Ok(ControlFlow::Continue(())),
            Advance::Next => {}
            Advance::Hole(missing) => self.output.note(&hole(update, missing)),
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

    /// All that is ever asked for is the subscription, so an error is its end.
    fn reply(&mut self, reply: Reply) -> Result<(), Broken> {
        match reply {
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
            | Reply::Live { .. }
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
    let noun = if missing == 1 { "update" } else { "updates" };
    format!("hole in seq of {channel}: {missing} {noun} missing before {}", update.seq)
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
