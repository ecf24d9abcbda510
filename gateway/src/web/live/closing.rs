//! How a connection ends: with which code, what the client is told, and how long the line is kept for it.

use super::{super::Web, connection::Connection};
use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use protocol::CloseCode;
use std::{sync::Arc, time::Duration};
use tokio::time;
use tokio_tungstenite::tungstenite::{Error as TungsteniteError, error::ProtocolError};

/// How long a closing connection waits for the client's close frame.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// The same for a reader that is too slow: what is in the socket goes out first.
const CLOSE_SLOW_WITHIN: Duration = Duration::from_secs(30);

/// How long an answer that is under way may hold up the close frame.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// When clients of a gateway that shuts down are asked to come back: protocol.md's back-off.
const COME_BACK_MS: std::ops::Range<u64> = 500..20_000;

/// At most so many of them a second.
const COME_BACK_PER_S: u64 = 500;

/// Why a connection ends.
#[derive(Debug)]
pub(in crate::web) enum End {
    /// The client closed it, or it broke.
    Gone,
    /// The gateway closes it.
    Close(CloseCode),
}

impl Connection {
    /// Leaves the hub and closes.
    pub(super) async fn farewell(&mut self, end: End) {
        tracing::debug!(?end, "ended");
        let id = self.id;
        // Nothing more is put in while it closes. A core that has ended needs no farewell.
        let _core_ended = self.web.core.ask(move |bridge, _| bridge.hub.leave(id)).await;
        self.close(end).await;
    }

    /// Says goodbye and gives the client a moment to say it too, so that the close frame arrives.
    async fn close(&mut self, end: End) {
        let End::Close(code) = end else { return };
        let reason = if code == CloseCode::ShuttingDown {
            advice(self.web.stats.web.connections_now.get())
        } else {
            code.reason().into()
        };
        let web = Arc::clone(&self.web);
        tokio::select! {
            () = self.part(code, reason) => {}
            () = patience(&web, code) => {}
        }
    }

    /// Who leaves because the gateway does is told first what it asked, and what waits, such as that the devices are
    /// gone.
    async fn part(&mut self, code: CloseCode, reason: String) {
        if code == CloseCode::ShuttingDown
            && let Some(answer) = self.answering.take()
        {
            let _told_or_late = time::timeout(ANSWER_WITHIN, answer).await;
        }
        while code == CloseCode::ShuttingDown
            && let Some(frame) = self.next_frame()
        {
            if self.writer.send(frame).await.is_err() {
                return;
            }
        }
        say_goodbye(&mut self.writer, &mut self.reader, code, reason).await;
    }
}

/// How long the line is kept.
async fn patience(web: &Web, code: CloseCode) {
    if code == CloseCode::TooSlow {
        let _no_haste = time::timeout(CLOSE_SLOW_WITHIN, web.stopping.cancelled()).await;
    }
    time::sleep(CLOSE_WITHIN).await;
}

/// Sends the close frame and reads until the client has closed too.
pub(super) async fn say_goodbye<E>(
    writer: &mut (impl Sink<Message> + Unpin),
    reader: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    code: CloseCode,
    reason: String,
) {
    let frame = CloseFrame { code: code.code(), reason: reason.into() };
    if writer.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = reader.next().await {}
    }
}

/// What to close with when a stream failed: by a message over the size limit or a breach of RFC 6455. None: the line
/// broke.
pub(super) fn breach(error: &axum::Error) -> Option<CloseCode> {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref()) {
        Some(TungsteniteError::Capacity(_)) => Some(CloseCode::MessageTooBig),
        Some(TungsteniteError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => None,
        Some(TungsteniteError::Protocol(_) | TungsteniteError::Utf8(_)) => {
            Some(CloseCode::Malformed)
        }
        _ => None,
    }
}

/// When to come back: at random within a time in which so many connections can begin anew.
fn advice(connections: u64) -> String {
    let (least, most) = (COME_BACK_MS.start, COME_BACK_MS.end);
    let spread = (connections * 1_000 / COME_BACK_PER_S).clamp(least, most - least);
    let after = rand::random_range(least..=least + spread);
    format!("{}; come back after {after} ms", CloseCode::ShuttingDown.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn who_is_sent_away_is_told_to_come_back_at_a_time_of_its_own() {
        for (connections, most) in [(0, 1_000), (1_000, 2_500), (1_000_000, 20_000)] {
            let told: HashSet<u64> = (0..100)
                .map(|_| {
                    let reason = advice(connections);
                    let after = reason.strip_prefix("shutting down; come back after ").unwrap();
                    after.strip_suffix(" ms").unwrap().parse().unwrap()
                })
                .collect();
            assert!(told.iter().all(|after| (500..=most).contains(after)), "{told:?}");
            assert!(told.len() > 10, "{told:?}");
        }
    }
}
