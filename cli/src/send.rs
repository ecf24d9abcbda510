//! `sluice send`: hands a command over, and follows it to its end where that is wanted.

use crate::{
    Exit, Output,
    args::Order,
    client::{Broken, Event, Incoming, Link, Said},
    command::{stage, summary},
    gateway::{ANSWER_MAX, Gateway, Refused},
    output::{Format, OutputError},
    text::seconds,
};
use anyhow::{Context, Result, bail};
use protocol::{Command, CommandDetails, CommandId, Reply, SubscribeOptions, TopicFilter};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Sends the command that `order` describes.
pub(crate) async fn send(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    if order.waits() {
        send_and_follow(gateway, order, output).await
    } else {
        hand_over(gateway, order, output).await
    }
}

async fn hand_over(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    let accepted = Accepted::offer(gateway, order).await?;
    match output.format() {
        Format::Json => output.raw(&accepted.raw)?,
        Format::Text => output.line(&summary(&accepted.command))?,
    }
    Ok(Exit::Fine)
}

/// Listens first and sends then, so that no step is missed.
async fn send_and_follow(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    let mut link = listen(gateway, order)?;
    let late = "the gateway did not confirm the subscription in time, so nothing was sent";
    timeout(ANSWER_MAX, until_live(&mut link)).await.context(late)??;
    let begin = Instant::now();
    let accepted = Accepted::offer(gateway, order).await?;
    let id = accepted.command.id;
    let mut follower =
        Follower { gateway, id, begin, shown: None, reached: accepted.command, output };
    follower.accepted(&accepted.raw)?;
    follower.wait(&mut link, order.wait_for).await.with_context(|| goes_on(id))
}

fn goes_on(id: CommandId) -> String {
    format!("command {id} was accepted and goes on (look with 'sluice command {id}')")
}

fn listen(gateway: &Gateway, order: &Order) -> Result<Link> {
    let channel: TopicFilter = format!("commands/{}", order.device).parse()?;
    let options = SubscribeOptions { snapshot: Some(false), ..SubscribeOptions::default() };
    Ok(Link::new(gateway.endpoint.clone(), vec![channel], options))
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
                return Err(Broken::Refused(Refused {
                    code: code.clone(),
                    detail: message.clone(),
                }));
            }
            Said::Reply(Reply::Live { .. }) => live = true,
            Said::Reply(_) | Said::Update(_) | Said::Unknown => {}
        }
    }
    Ok(live)
}

/// A command as the gateway accepted it.
struct Accepted {
    raw: Box<RawValue>,
    command: Command,
}

impl Accepted {
    async fn offer(gateway: &Gateway, order: &Order) -> Result<Self> {
        let raw: Box<RawValue> = gateway.command(&order.device, &order.request()).await?;
        let command =
            serde_json::from_str(raw.get()).context("the gateway's command cannot be read")?;
        Ok(Self { raw, command })
    }
}

/// Follows one command.
struct Follower<'a> {
    gateway: &'a Gateway,
    id: CommandId,
    begin: Instant,
    /// The stage that was printed last.
    shown: Option<String>,
    /// The newest that is known.
    reached: Command,
    output: &'a mut Output,
}

impl Follower<'_> {
    /// Prints the id; the stages come over the link, but an end that is known already is shown at once.
    fn accepted(&mut self, raw: &RawValue) -> Result<(), OutputError> {
        match self.output.format() {
            Format::Json => self.output.raw(raw)?,
            Format::Text => self.output.line(&format!("command {}", self.id))?,
        }
        if self.reached.state.is_final() {
            let ended = self.reached.clone();
            self.show_text(&ended)?;
        }
        Ok(())
    }

    /// Follows the command to its end, to `bound`, or to Ctrl-C.
    async fn wait(&mut self, link: &mut Link, bound: Option<Duration>) -> Result<Exit> {
        let bound = async {
            match bound {
                Some(bound) => tokio::time::sleep(bound).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            followed = self.follow(link) => followed?,
            () = bound => self.still_open(),
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                self.still_open();
            }
        }
        Ok(Exit::after(self.reached.state))
    }

    fn still_open(&mut self) {
        let state = self.reached.state;
        self.output.note(&format!("still {state}: {}", goes_on(self.id)));
    }

    async fn follow(&mut self, link: &mut Link) -> Result<()> {
        while !self.reached.state.is_final() {
            match link.next().await? {
                Event::Connected { .. } => self.output.note("connected again"),
                Event::Lost { broken, wait } => {
                    self.output.note(&format!("{broken}; trying again in {}", seconds(wait)));
                }
                Event::Said(frame) => self.frame(&frame).await?,
            }
        }
        Ok(())
    }

    /// What happened while there was no connection is asked for once the channel is live again.
    async fn frame(&mut self, frame: &[Incoming]) -> Result<()> {
        if is_live(frame)? {
            self.catch_up().await?;
        }
        for incoming in frame {
            match &incoming.message {
                // What is asked for may be ahead of what is still on its way: the end stays the end.
                Said::Update(_) if self.reached.state.is_final() => {}
                Said::Update(update) => self.update(&update.data)?,
                Said::Reply(_) | Said::Unknown => {}
            }
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<()> {
        let raw: Box<RawValue> = self.gateway.show(self.id).await?;
        let details: CommandDetails = serde_json::from_str(raw.get())?;
        if details.command.id != self.id {
            bail!("the gateway showed another command: {}", details.command.id);
        }
        self.saw(details.command, &raw)
    }

    fn update(&mut self, data: &RawValue) -> Result<()> {
        let command: Command = serde_json::from_str(data.get())?;
        if command.id == self.id { self.saw(command, data) } else { Ok(()) }
    }

    fn saw(&mut self, command: Command, raw: &RawValue) -> Result<()> {
        match self.output.format() {
            Format::Json => self.output.raw(raw)?,
            Format::Text => self.show_text(&command)?,
        }
        self.reached = command;
        Ok(())
    }

    fn show_text(&mut self, command: &Command) -> Result<(), OutputError> {
        let stage = stage(command);
        if self.shown.as_ref() == Some(&stage) {
            return Ok(());
        }
        let elapsed = seconds(self.begin.elapsed());
        self.output.line(&format!("{elapsed:>9}  {stage}"))?;
        self.shown = Some(stage);
        Ok(())
    }
}
