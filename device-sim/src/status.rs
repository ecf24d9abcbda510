//! What a person at a terminal sees.

use device_sim::{Counters, Totals};
use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing_subscriber::EnvFilter;

/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[K";

/// Logs to standard error, warnings and worse unless `RUST_LOG` says otherwise.
pub(crate) fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).init();
}

/// Writes a line to standard error, over the status if there is one.
pub(crate) fn tell(text: &str) {
    let clear = if stderr().is_terminal() { CLEAR } else { "" };
    write(&format!("{clear}{text}\n"));
}

/// Shows a status line once a second; ends never, and shows nothing where no terminal is.
pub(crate) async fn show(counters: &Counters) {
    if !stderr().is_terminal() {
        return std::future::pending().await;
    }
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = (seconds.tick().await, counters.totals());
    loop {
        let now = (seconds.tick().await, counters.totals());
        write(&format!("{CLEAR}{}", line(counters.device_count(), before, now)));
        before = now;
    }
}

fn line(devices: usize, before: (Instant, Totals), now: (Instant, Totals)) -> String {
    let seconds = (now.0 - before.0).as_secs_f64().max(f64::EPSILON);
    let rate = (now.1.messages - before.1.messages) as f64 / seconds;
    format!(
        "{devices} devices, {} connected, {rate:.1} msg/s, {} commands",
        now.1.connected, now.1.commands
    )
}

/// A standard error that is closed is no reason to stop a fleet.
fn write(text: &str) {
    let _closed = stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_line_shows_the_rate_since_the_last_one() {
        let start = Instant::now();
        let before = Totals { messages: 100, ..Totals::default() };
        let now = Totals { messages: 501, connected: 198, commands: 12, ..Totals::default() };
        let text = line(200, (start, before), (start + Duration::from_secs(1), now));
        assert_eq!(text, "200 devices, 198 connected, 401.0 msg/s, 12 commands");
    }
}
