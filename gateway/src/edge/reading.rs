//! From bytes to packets to what they do.

use super::{
    connection::Connection,
    ending::End,
    outbox::Answer,
    reason::Reason,
    wire::{Frame, FrameError, Packet, decode, pingresp, take_frame},
};
use crate::clock::now;
use tokio::io::{AsyncRead, AsyncWrite};

/// How far packets were handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// As far as they came, and nothing must be waited for.
    AllThatMay,
    /// Up to a change of subscriptions, which must not overtake the messages before it.
    UpToChange,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Handles the whole packets that have come.
    pub(super) fn decode_packets(&mut self) -> Result<Decoded, End> {
        let mut packets = 0;
        let decoded = self.decode_counting(&mut packets);
        self.note_heard(packets);
        if packets > 0 {
            self.shared.counters.packets_in.add(packets);
        }
        decoded
    }

    fn decode_counting(&mut self, packets: &mut u64) -> Result<Decoded, End> {
        while self.may_decode() {
            if !self.batch.is_empty() && changes_subscriptions(&self.buffer) {
                return Ok(Decoded::UpToChange);
            }
            let packet_bytes_max = self.shared.limits.mqtt_packet_bytes as usize;
            match take_frame(&mut self.buffer, packet_bytes_max) {
                Ok(Some(frame)) => {
                    *packets += 1;
                    self.packet(&frame)?;
                }
                Ok(None) => break,
                Err(FrameError::TooLarge) => {
                    self.shared.counters.limit_packet.increment();
                    return Err(End::Violation(Reason::PacketTooLarge));
                }
                Err(FrameError::Malformed) => return Err(self.undecoded(Reason::MalformedPacket)),
            }
        }
        Ok(Decoded::AllThatMay)
    }

    fn packet(&mut self, frame: &Frame) -> Result<(), End> {
        let packet = decode(self.client.dialect.version, frame, now);
        let packet = packet.map_err(|reason| self.undecoded(reason))?;
        match packet {
            Packet::Publish(publish) => self.published(publish)?,
            Packet::PubAck { id, refused } => {
                self.acknowledged(id, Answer::Acknowledged, refused)?;
            }
            Packet::PubComp(id) => self.acknowledged(id, Answer::Completed, None)?,
            Packet::PubRec { id, accepted } => self.received(id, accepted)?,
            Packet::PubRel(id) => self.released(id),
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe)?,
            Packet::Unsubscribe { id, filters } => self.unsubscribe(id, &filters)?,
            Packet::PingReq => {
                pingresp(&mut self.out);
                self.shared.counters.packets_out.increment();
            }
            Packet::Disconnect { reason, session_expiry } => {
                return Err(self.goodbye(reason, session_expiry));
            }
        }
        Ok(())
    }

    fn undecoded(&self, reason: Reason) -> End {
        self.shared.counters.decode_errors.increment();
        End::Violation(reason)
    }

    fn goodbye(&mut self, reason: u8, session_expiry: Option<u32>) -> End {
        if let Some(seconds) = session_expiry {
            // A session that was to end with the connection cannot be prolonged now.
            if self.client.session_expiry == 0 && seconds != 0 {
                return End::Violation(Reason::ProtocolError);
            }
            self.client.session_expiry = seconds.min(self.shared.limits.mqtt_session_seconds);
        }
        if reason == 0 {
            self.client.will = None;
        }
        End::Disconnected
    }
}

/// Whether the next packet is SUBSCRIBE or UNSUBSCRIBE.
fn changes_subscriptions(buffer: &[u8]) -> bool {
    matches!(buffer.first(), Some(0x80..=0x8F | 0xA0..=0xAF))
}
