//! What a connection was given and has not confirmed.

use crate::mail::Parcel;
use std::collections::VecDeque;

/// The messages on their way at once; more wait in the device.
pub(crate) const MESSAGES_MAX: usize = 32;

/// The messages on their way: handed over, then written, then acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    handed: VecDeque<Parcel>,
    written: VecDeque<(u16, Parcel)>,
}

impl Flight {
    pub(crate) fn has_room(&self) -> bool {
        self.handed.len() + self.written.len() < MESSAGES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handed.is_empty() && self.written.is_empty()
    }

    /// A message was handed to the client.
    pub(crate) fn hand(&mut self, parcel: Parcel) {
        self.handed.push_back(parcel);
    }

    /// The client wrote the oldest message handed to it, under this packet id; 0 is QoS 0, and
    /// done. Gives the number of readings in it, none where it was no telemetry.
    pub(crate) fn write(&mut self, packet: u16) -> Option<u64> {
        let parcel = self.handed.pop_front()?;
        let readings = Some(parcel.readings()).filter(|count| *count > 0);
        if packet != 0 {
            self.written.push_back((packet, parcel));
        }
        readings
    }

    /// The PUBACK for this packet id came. Gives the number of readings it stands for.
    pub(crate) fn acknowledge(&mut self, packet: u16) -> u64 {
        let at = self.written.iter().position(|(id, _)| *id == packet);
        at.and_then(|at| self.written.remove(at)).map_or(0, |(_, parcel)| parcel.readings())
    }

    /// The connection is gone: gives all that nobody confirmed, in the order it was handed over.
    pub(crate) fn lose(&mut self) -> Vec<Parcel> {
        let written = self.written.drain(..).map(|(_, parcel)| parcel);
        written.chain(self.handed.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Reading;
    use protocol::Timestamp;

    fn readings(numbers: std::ops::Range<i64>) -> Parcel {
        let reading = |n| Reading::new(Timestamp(n), serde_json::Map::new());
        Parcel::Readings(numbers.map(reading).collect())
    }

    #[test]
    fn what_was_not_acknowledged_is_lost_in_order() {
        let mut flight = Flight::default();
        for n in 0..4 {
            flight.hand(readings(n..n + 1));
        }
        assert_eq!([1, 2, 3].map(|id| flight.write(id)), [Some(1); 3]);
        assert_eq!(flight.acknowledge(2), 1);
        assert_eq!(flight.lose(), [readings(0..1), readings(2..3), readings(3..4)]);
        assert!(flight.is_empty());
    }

    #[test]
    fn qos_0_is_done_once_it_is_written() {
        let mut flight = Flight::default();
        flight.hand(readings(0..3));
        assert_eq!(flight.write(0), Some(3));
        assert!(flight.is_empty());
    }

    #[test]
    fn an_unknown_acknowledgement_stands_for_nothing() {
        let mut flight = Flight::default();
        flight.hand(Parcel::State);
        assert_eq!((flight.write(1), flight.acknowledge(9), flight.acknowledge(1)), (None, 0, 0));
    }

    #[test]
    fn there_is_room_up_to_the_bound() {
        let mut flight = Flight::default();
        for n in 0..MESSAGES_MAX {
            assert!(flight.has_room(), "{n}");
            flight.hand(Parcel::State);
        }
        assert!(!flight.has_room());
        flight.write(1);
        assert!(!flight.has_room());
        flight.acknowledge(1);
        assert!(flight.has_room());
    }
}
