//! `sluice top`: the fleet, live, on a full screen.
//!
//! [`fleet`] is what is known, [`keys`] what was chosen, [`rows`] and [`view`] how it is shown; all of them are
//! tested without a terminal. Here they meet the connection, the keyboard, time and signals.

mod cut;
mod fleet;
mod keys;
mod rows;
mod screen;
mod theme;
mod view;

use crate::{
    Exit,
    client::{Encoding, Event, Link},
    gateway::Gateway,
    pages::Pages,
    text::{now, seconds},
};
use anyhow::Result;
use crossterm::event::{Event as Input, EventStream};
use fleet::{Fleet, Lists};
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture};
use keys::{After, Choice};
use protocol::{AlertState, CommandState, Mode, SubscribeOptions, TopicFilter};
use screen::Screen;
use serde::Deserialize;
use std::time::Duration;
use theme::Theme;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};
use view::View;

/// How often it is drawn, and rates are made.
const TICK: Duration = Duration::from_secs(1);

/// What is listened to.
const CHANNELS: [&str; 5] =
    ["telemetry/+", "presence/+", "alerts/+/+", "commands/+", "gateway/stats"];

/// Shows the fleet until somebody leaves, or a signal comes.
pub(crate) async fn run(gateway: &Gateway) -> Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut top = Top::new(gateway)?;
    let mut screen = Screen::take()?;
    let ended = tokio::select! {
        ended = top.run(&mut screen) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    };
    // Before anything is said of how it ended.
    drop(screen);
    ended.map(|()| Exit::Fine)
}

struct Top<'a> {
    gateway: &'a Gateway,
    place: String,
    link: Link,
    fleet: Fleet,
    choice: Choice,
    theme: Theme,
    trouble: Option<String>,
    /// What there is, asked for and not yet here.
    asked: Option<LocalBoxFuture<'a, Result<Lists>>>,
}

impl<'a> Top<'a> {
    fn new(gateway: &'a Gateway) -> Result<Self> {
        let channels =
            CHANNELS.map(str::parse).into_iter().collect::<Result<Vec<TopicFilter>, _>>()?;
        // A screen shows no more than a value a second.
        let mode = Some(Mode::Latest);
        let options = SubscribeOptions { mode, throttle: Some(1.0), ..SubscribeOptions::default() };
        let link =
            Link::new(gateway.endpoint.clone(), channels, options).encoded(Encoding::Columns);
        Ok(Self {
            gateway,
            place: gateway.endpoint.url.to_string(),
            link,
            fleet: Fleet::default(),
            choice: Choice::default(),
            theme: Theme::from_environment(),
            trouble: None,
            asked: None,
        })
    }

    async fn run(&mut self, screen: &mut Screen) -> Result<()> {
        let mut keys = EventStream::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticked = Instant::now();
        loop {
            tokio::select! {
                event = self.link.next() => self.happened(event?),
                lists = asked(&mut self.asked) => self.listed(lists),
                input = keys.next() => {
                    let Some(input) = input else { return Ok(()) };
                    if self.input(&input?, screen)? == After::Leave {
                        return Ok(());
                    }
                    self.draw(screen)?;
                }
                _ = tick.tick() => {
                    self.fleet.tick(now(), ticked.elapsed().as_secs_f64().max(0.1));
                    ticked = Instant::now();
                    self.draw(screen)?;
                }
            }
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Connected { .. } => self.trouble = None,
            Event::Lost { broken, wait } => {
                self.trouble = Some(format!("{broken}; trying again in {}", seconds(wait)));
            }
            Event::Said(frame) => {
                let is_live = self.fleet.frame(&frame);
                if is_live || (self.fleet.is_behind() && self.asked.is_none()) {
                    self.ask();
                }
            }
        }
    }

    fn ask(&mut self) {
        self.fleet.lists_asked();
        self.asked = Some(lists(self.gateway).boxed_local());
    }

    fn listed(&mut self, lists: Result<Lists>) {
        self.asked = None;
        match lists {
            Ok(lists) => self.fleet.lists(lists),
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    /// Anything else than a key (a new size, above all) has it drawn anew.
    fn input(&mut self, input: &Input, screen: &Screen) -> Result<After> {
        match input {
            Input::Key(key) => Ok(self.choice.key(*key, view::page(screen.0.size()?.height))),
            Input::Resize(..)
            | Input::Mouse(_)
            | Input::Paste(_)
            | Input::FocusGained
            | Input::FocusLost => Ok(After::GoOn),
        }
    }

    fn draw(&mut self, screen: &mut Screen) -> Result<()> {
        let view = View {
            fleet: &self.fleet,
            place: &self.place,
            trouble: self.trouble.as_deref(),
            now: now(),
            theme: self.theme,
        };
        screen.0.draw(|frame| view.draw(frame, &mut self.choice))?;
        Ok(())
    }
}

/// What was asked for, or never.
async fn asked(asked: &mut Option<LocalBoxFuture<'_, Result<Lists>>>) -> Result<Lists> {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

/// A device in the gateway's list; the rest of it is told.
#[derive(Deserialize)]
struct Listed {
    id: String,
}

/// The devices, the alerts that are not cleared, the commands that have not ended.
async fn lists(gateway: &Gateway) -> Result<Lists> {
    let mut lists = Lists::default();
    let devices =
        Pages::new(gateway, "devices", vec![]).at_most(usize::MAX).all::<Listed>().await?;
    lists.devices = devices.into_iter().map(|device| device.id).collect();
    let by = |state: &str| vec![("state", state.to_owned())];
    for state in [AlertState::Active, AlertState::Acknowledged] {
        lists.alerts.extend(Pages::new(gateway, "alerts", by(state.name())).all().await?);
    }
    for state in CommandState::ALL.into_iter().filter(|state| !state.is_final()) {
        lists.commands.extend(Pages::new(gateway, "commands", by(state.name())).all().await?);
    }
    Ok(lists)
}
