//! How long a client may be silent or stuck, and how long it rests: the one timer of a connection.

use super::{
    super::{ending::End, pace::Rests},
    Client, Connection,
};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// Where the timer rests while there is no deadline.
pub(super) const FAR: Duration = Duration::from_secs(24 * 3600);

/// So much more of a packet is as good as a whole one: who sends a large one over a slow line is not silent. Who trickles
/// less is, and no packet is larger than `limits.mqtt_packet_bytes`, so none is on its way for ever.
const PROGRESS_BYTES: usize = 1024;

impl Client {
    /// How long it may say nothing: one and a half times what it announced `[MQTT-3.1.2-22]`.
    pub(super) fn silence_max(&self) -> Option<Duration> {
        let announced = Duration::from_secs(self.keep_alive.into());
        (!announced.is_zero()).then(|| announced * 3 / 2)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(in crate::edge) fn rests(&self) -> Rests {
        self.pace.as_ref().map_or(Rests::default(), |pace| pace.rests)
    }

    /// The next moment at which the peer has been silent or stuck for too long, or has rested long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let silent = self.client.silence_max().map(|max| self.heard + max);
        let stuck = self.stuck_since.map(|since| since + self.shared.write_timeout());
        let Rests { reading, writing } = self.rests();
        [silent, stuck, reading, writing, self.ends].into_iter().flatten().min()
    }

    /// Notes what came: so many whole packets, and what of the next is in the buffer.
    pub(in crate::edge) fn note_heard(&mut self, packets: u64) {
        if packets > 0 || self.buffer.len() >= self.heard_bytes + PROGRESS_BYTES {
            (self.heard, self.heard_bytes) = (Instant::now(), self.buffer.len());
        }
    }

    pub(super) fn time_out(&mut self, now: Instant) -> Result<(), End> {
        // Not reading is not silence, but where a PUBREL waits: a store that fails may never say what it waits for, and its
        // client, which did not wait for PUBREC, can come again.
        if !self.may_read() && !self.holds_a_release() {
            self.heard = now;
        }
        if let Some(pace) = &mut self.pace {
            pace.rest_until(now);
        }
        if self.client.silence_max().is_some_and(|max| self.heard + max <= now) {
            return Err(End::KeepAlive);
        }
        let stuck =
            self.stuck_since.is_some_and(|since| since + self.shared.write_timeout() <= now);
        if stuck {
            return Err(End::WriteTimeout);
        }
        if self.ends.is_some_and(|ends| ends <= now) {
            return Err(End::Revoked);
        }
        let next = self.deadline().unwrap_or(now + FAR);
        self.timer.as_mut().reset(next);
        Ok(())
    }
}
