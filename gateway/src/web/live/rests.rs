//! The rests of a demanding client: while one has the core work for long, it is not heard, so that the others
//! are. What it sends meanwhile waits in its socket.

use axum::extract::ws::{Message, WebSocket};
use futures_util::{StreamExt, stream::SplitStream};
use std::time::Duration;
use tokio::time::{self, Instant};

/// The core's work for one client counts from here on.
const WORK: Duration = Duration::from_micros(100);

/// A client is not heard again for so many times as long as the core worked for it: no more than a tenth of the core
/// is for one.
const REST: u32 = 9;

/// But for no longer than this: its pongs are not heard either.
const REST_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Rests {
    /// When the client is heard again, if it rests.
    heard_at: Option<Instant>,
}

impl Rests {
    /// The core has worked for the client for so long. Gives whether it rests for that.
    pub(super) fn after(&mut self, worked: Duration) -> bool {
        let rests = worked >= WORK;
        if rests {
            self.heard_at = Some(Instant::now() + (worked * REST).min(REST_MAX));
        }
        rests
    }

    /// Waits for the next message of the client, who may have to rest before.
    ///
    /// # Cancel safety
    /// Safe: nothing is read before the rest is over, and reading loses nothing.
    pub(super) async fn hear(
        &mut self,
        reader: &mut SplitStream<WebSocket>,
    ) -> Option<Result<Message, axum::Error>> {
        if let Some(at) = self.heard_at {
            time::sleep_until(at).await;
            self.heard_at = None;
        }
        reader.next().await
    }
}
