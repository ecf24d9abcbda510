//! The running parts: each in a task of its own, none of them detached, and waited for in the end.

use crate::{
    config::Config,
    exchange::{self, Exchange},
};
use anyhow::Context as _;
use std::pin::Pin;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The exchange's future, and what ends it: last, when nobody publishes any more.
pub(super) struct ExchangeTask {
    run: Pin<Box<dyn Future<Output = ()> + Send>>,
    stop: CancellationToken,
}

impl std::fmt::Debug for ExchangeTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExchangeTask")
    }
}

impl ExchangeTask {
    /// The exchange that the configuration wants, and its task.
    pub(super) fn new(config: &Config) -> (Exchange, Self) {
        let settings = exchange::Settings {
            links_max: (config.limits.mqtt_connections as usize)
                .saturating_add(config.limits.mqtt_sessions as usize),
            ..exchange::Settings::default()
        };
        let stop = CancellationToken::new();
        let (exchange, run) = Exchange::start(settings, stop.clone());
        (exchange, Self { run: Box::pin(run), stop })
    }
}

/// The tasks of all parts.
pub(super) struct Parts {
    tasks: JoinSet<anyhow::Result<()>>,
    exchange_stop: CancellationToken,
}

/// How a part ended.
pub(super) type Ended = Result<anyhow::Result<()>, JoinError>;

impl Parts {
    /// Starts the exchange, which all others need.
    pub(super) fn new(exchange: ExchangeTask) -> Self {
        let ExchangeTask { run, stop: exchange_stop } = exchange;
        let mut parts = Self { tasks: JoinSet::new(), exchange_stop };
        parts.start(run);
        parts
    }

    /// Starts a part that does not fail.
    pub(super) fn start(&mut self, part: impl Future<Output = ()> + Send + 'static) {
        self.start_fallible(async {
            part.await;
            Ok(())
        });
    }

    /// Starts a part whose failure ends the gateway.
    pub(super) fn start_fallible(
        &mut self,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.tasks.spawn(part);
    }

    /// Waits until one ends. Dropped before, it loses nothing.
    pub(super) async fn next_end(&mut self) -> Option<Ended> {
        self.tasks.join_next().await
    }

    /// Waits for all parts; the first failure is what the gateway ends with.
    pub(super) async fn drain(&mut self, ended_early: Option<Ended>) -> anyhow::Result<()> {
        let mut outcome = match ended_early {
            None => Ok(()),
            Some(Ok(Ok(()))) => Err(anyhow::anyhow!("a part of the gateway ended by itself")),
            Some(ended) => verdict(ended),
        };
        loop {
            if self.tasks.len() <= 1 {
                self.exchange_stop.cancel();
            }
            let Some(ended) = self.next_end().await else { return outcome };
            outcome = outcome.and(verdict(ended));
        }
    }
}

fn verdict(ended: Ended) -> anyhow::Result<()> {
    ended.context("a part of the gateway panicked")?
}
