//! The processes of a benchmark. Each prepares itself, says so, is told when to act, and says what it
//! measured.

use crate::{SECOND_US, now_us};
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{io, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::sleep,
};

/// Load before the window.
const WARM_UP_US: u64 = 2 * SECOND_US;
/// Load after the window, so that its end is like its middle.
const TAIL_US: u64 = SECOND_US / 2;
/// How long subscribers wait for what is still on its way.
const REST_US: u64 = 2 * SECOND_US;
/// For the word to reach all parts.
const LEAD_US: u64 = SECOND_US / 5;

/// When what happens. Messages that are sent from `begin_us` on and before `end_us` count.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The first message is due.
    pub(crate) start_us: u64,
    pub(crate) begin_us: u64,
    pub(crate) end_us: u64,
    /// No message is sent any more.
    pub(crate) stop_us: u64,
    /// Nobody listens any more.
    pub(crate) rest_us: u64,
}

impl Plan {
    /// From now on; the window takes so many seconds.
    pub(crate) fn of(seconds: u32) -> Self {
        let start_us = now_us() + LEAD_US;
        let begin_us = start_us + WARM_UP_US;
        let end_us = begin_us + u64::from(seconds) * SECOND_US;
        let stop_us = end_us + TAIL_US;
        Self { start_us, begin_us, end_us, stop_us, rest_us: stop_us + REST_US }
    }

    /// Whether a message that was sent then counts.
    pub(crate) fn counts(&self, sent_us: u64) -> bool {
        (self.begin_us..self.end_us).contains(&sent_us)
    }
}

/// Waits for a moment.
pub(crate) async fn until(at_us: u64) {
    sleep(Duration::from_micros(at_us.saturating_sub(now_us()))).await;
}

/// A process of the benchmark, seen from the one that starts it. It ends when this is dropped.
pub(crate) struct Part {
    _child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Part {
    /// Starts the part `name` of this program, which prepares itself.
    pub(crate) fn start(name: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let orders = child.stdin.take().context("piped")?;
        let lines = BufReader::new(child.stdout.take().context("piped")?).lines();
        Ok(Self { _child: child, orders, lines })
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        ensure!(self.line().await? == READY, "a part of the benchmark is not ready");
        Ok(())
    }

    /// Tells it when to act.
    pub(crate) async fn go(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let order = serde_json::to_string(plan)? + "\n";
        Ok(self.orders.write_all(order.as_bytes()).await?)
    }

    /// What it measured.
    pub(crate) async fn result<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        self.lines.next_line().await?.context("a part of the benchmark ended early")
    }
}

const READY: &str = "ready";

/// In the part itself: says that it is ready, and waits for its order.
pub(crate) fn await_order() -> anyhow::Result<Plan> {
    say(READY)?;
    let mut order = String::new();
    io::stdin().read_line(&mut order)?;
    serde_json::from_str(&order).context("the benchmark ended early")
}

/// In the part itself: says what it measured.
pub(crate) fn report(result: &impl Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string(result)?)
}

#[expect(clippy::print_stdout, reason = "the benchmark reads it")]
fn say(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}
