//! Retained messages: the last one of each topic whose publisher set RETAIN.
//!
//! In memory, to be found at once, and on the disk. A change is given to the store while the memory is locked,
//! so that both have the same order.

use super::{
    backlog::{ByTopic, Page, Place, page},
    outbox::Room,
    wire::{decode_record, encode_record},
};
use crate::{
    exchange::Message,
    store::{KeyAndBody, Row, StoreHandle, Table},
};
use protocol::{DeviceId, Timestamp, TopicFilter, TopicName};
use std::sync::{Arc, PoisonError, RwLock};

/// All retained messages, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Retained {
    messages_max: usize,
    bytes_max: usize,
    store: StoreHandle,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_topic: ByTopic,
    bytes: usize,
    payload_bytes: usize,
    /// How many have been retained.
    numbers: u64,
}

/// The bounds are reached: the message is not retained, an older one on its topic is gone. So is one on a new topic
/// while more waits for the disk than may: those that are there can still be replaced and removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Retained {
    pub(super) fn new(messages_max: u32, bytes_max: u32, store: StoreHandle) -> Self {
        let (messages_max, bytes_max) = (messages_max as usize, bytes_max as usize);
        Self { messages_max, bytes_max, store, kept: RwLock::default() }
    }

    /// Takes up what an earlier process kept. What cannot be read is left where it is, and said.
    pub(super) fn restore(&self, rows: Vec<KeyAndBody>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for (topic, body) in rows {
            match decode_record(&body) {
                Ok(record) => kept.insert(record.message),
                Err(_) => tracing::warn!(topic, "a retained message on the disk cannot be read"),
            }
        }
    }

    /// Keeps `message` in the place of an older one on its topic, and numbers it; an empty payload only removes that.
    pub(super) fn keep(&self, message: &mut Message) -> Result<(), Full> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let was_there = kept.remove(&message.topic);
        let full = kept.by_topic.len() >= self.messages_max
            || kept.bytes + message.content_bytes() > self.bytes_max
            || !(was_there || self.store.has_room());
        let is_empty = message.payload.is_empty();
        if is_empty || !full {
            kept.numbers += 1;
            message.retained_as = kept.numbers;
        }
        if is_empty || full {
            if was_there {
                self.write(Row::gone(Table::Retained, message.topic.as_str()));
            }
            return if is_empty { Ok(()) } else { Err(Full) };
        }
        let body = encode_record(message, message.qos, true, &[], None);
        self.write(Row::set(Table::Retained, message.topic.as_str(), body));
        kept.insert(Arc::new(message.clone()));
        Ok(())
    }

    /// Lets go of what has expired at `now`.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let expired = |message: &Arc<Message>| {
            message.properties.expires_at.is_some_and(|expires_at| expires_at <= now)
        };
        let all = kept.by_topic.iter();
        let gone: Vec<TopicName> =
            all.filter(|(_, kept)| expired(kept)).map(|(topic, _)| topic.clone()).collect();
        self.remove_all(&mut kept, gone);
    }

    /// Lets go of all on the topics of a device, for it was deleted.
    pub(super) fn forget(&self, device: &DeviceId) {
        let below = format!("devices/{device}/");
        let first: TopicName = below.parse().expect("ids make valid topics");
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let from = kept.by_topic.range(first..).map(|(topic, _)| topic);
        let gone: Vec<TopicName> =
            from.take_while(|topic| topic.as_str().starts_with(&below)).cloned().collect();
        self.remove_all(&mut kept, gone);
    }

    /// How many there are, and the bytes of their payloads.
    pub(super) fn counts(&self) -> (usize, usize) {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        (kept.by_topic.len(), kept.payload_bytes)
    }

    /// The number of the last that was retained.
    pub(super) fn last(&self) -> u64 {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).numbers
    }

    /// The next messages that `filter` matches.
    pub(super) fn page(&self, filter: &TopicFilter, place: &Place, room: Room) -> Page {
        page(
            &self.kept.read().unwrap_or_else(PoisonError::into_inner).by_topic,
            filter,
            place,
            room,
        )
    }

    fn remove_all(&self, kept: &mut Kept, topics: Vec<TopicName>) {
        for topic in topics {
            kept.remove(&topic);
            self.write(Row::gone(Table::Retained, topic.as_str()));
        }
    }

    fn write(&self, row: Row) {
        self.store.keep_rows(vec![row]);
    }
}

impl Kept {
    fn insert(&mut self, message: Arc<Message>) {
        self.bytes += message.content_bytes();
        self.payload_bytes += message.payload.len();
        self.by_topic.insert(message.topic.clone(), message);
    }

    fn remove(&mut self, topic: &TopicName) -> bool {
        let old = self.by_topic.remove(topic);
        if let Some(old) = &old {
            self.bytes -= old.content_bytes();
            self.payload_bytes -= old.payload.len();
        }
        old.is_some()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::{self, Database, Settings};
    use protocol::Offset;
    use tempfile::TempDir;

    pub(in crate::edge) fn message(topic: &str, payload: &str) -> Message {
        Message {
            topic: topic.parse().unwrap(),
            payload: payload.to_owned().into(),
            qos: 1,
            retain: true,
            publisher: None,
            served: None,
            retained_as: 0,
            properties: crate::exchange::Properties::default(),
        }
    }

    /// All that match.
    fn all(retained: &Retained, filter: &str) -> Vec<Arc<Message>> {
        let room = Room { messages: usize::MAX, bytes: usize::MAX, any: true };
        let page = retained.page(&filter.parse().unwrap(), &Place::default(), room);
        assert_eq!(page.next, None);
        page.messages
    }

    fn found(retained: &Retained, filter: &str) -> Vec<String> {
        all(retained, filter).iter().map(|kept| kept.topic.to_string()).collect()
    }

    struct Fixture {
        retained: Retained,
        database: Option<Database>,
        folder: TempDir,
    }

    fn fixture(messages_max: u32, bytes_max: u32) -> Fixture {
        fixture_on(messages_max, bytes_max, |_| {})
    }

    fn fixture_on(
        messages_max: u32,
        bytes_max: u32,
        change: impl FnOnce(&mut Settings),
    ) -> Fixture {
        let folder = TempDir::new().unwrap();
        let mut settings = Settings::new(folder.path().into());
        change(&mut settings);
        let (database, _) = store::open(settings).unwrap();
        let retained = Retained::new(messages_max, bytes_max, database.handle());
        Fixture { retained, database: Some(database), folder }
    }

    impl Fixture {
        /// What another process finds.
        fn restarted(mut self) -> Retained {
            self.database.take().unwrap().close(Offset(0)).unwrap();
            let (database, mut restored) =
                store::open(Settings::new(self.folder.path().into())).unwrap();
            let retained = Retained::new(100, 10_000, database.handle());
            retained.restore(restored.rows.take(Table::Retained));
            retained
        }
    }

    #[test]
    fn the_last_message_of_a_topic_stays_until_an_empty_one() {
        let fixture = fixture(10, 1_000);
        let retained = &fixture.retained;
        retained.keep(&mut message("a/b", "1")).unwrap();
        retained.keep(&mut message("a/b", "2")).unwrap();
        let kept = all(retained, "a/+");
        assert_eq!(kept.iter().map(|kept| &kept.payload[..]).collect::<Vec<_>>(), [b"2"]);
        retained.keep(&mut message("a/b", "")).unwrap();
        assert_eq!(found(retained, "a/+"), Vec::<String>::new());
    }

    #[test]
    fn messages_over_the_bounds_are_refused_and_leave_nothing_stale() {
        let fixture = fixture(2, 10);
        let retained = &fixture.retained;
        retained.keep(&mut message("a", "1")).unwrap();
        retained.keep(&mut message("b", "1")).unwrap();
        assert_eq!(retained.keep(&mut message("c", "1")), Err(Full));
        assert_eq!(retained.keep(&mut message("b", "123456789")), Err(Full));
        assert_eq!(found(retained, "#"), ["a"]);
        retained.keep(&mut message("c", "1")).unwrap();
        assert_eq!(retained.counts(), (2, 2));
    }

    #[test]
    fn without_room_for_what_waits_nothing_new_is_retained() {
        let fixture = fixture_on(10, 1_000, |settings| settings.pending_bytes = 0);
        let retained = &fixture.retained;
        let body = |topic| encode_record(&message(topic, "1"), 1, true, &[], None);
        retained.restore(["a", "b"].map(|topic| (topic.to_owned(), body(topic))).into());
        assert_eq!(retained.keep(&mut message("c", "1")), Err(Full));
        retained.keep(&mut message("a", "2")).unwrap();
        retained.keep(&mut message("b", "")).unwrap();
        let kept = all(retained, "#");
        assert_eq!(kept.iter().map(|kept| &kept.payload[..]).collect::<Vec<_>>(), [b"2"]);
        assert_eq!(found(&fixture.restarted(), "#"), ["a"]);
    }

    #[test]
    fn what_is_retained_is_there_after_a_restart() {
        let fixture = fixture(3, 1_000);
        for (topic, payload) in [("a", "1"), ("b", "2"), ("b", "3"), ("c", "4"), ("c", "")] {
            fixture.retained.keep(&mut message(topic, payload)).unwrap();
        }
        let again = fixture.restarted();
        let kept = all(&again, "#");
        assert_eq!(kept.iter().map(|kept| &kept.payload[..]).collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(again.counts(), (2, 2));
    }

    #[test]
    fn of_a_device_all_is_let_go_and_nothing_of_another() {
        let fixture = fixture(10, 1_000);
        let others = ["devices/d", "devices/d-/state", "devices/d1", "devices/d10/state"];
        for topic in ["devices/d1/state", "devices/d1/telemetry/m"].iter().chain(&others) {
            fixture.retained.keep(&mut message(topic, "1")).unwrap();
        }
        fixture.retained.forget(&"d1".parse().unwrap());
        assert_eq!(found(&fixture.retained, "#"), others);
        assert_eq!(fixture.retained.counts().0, 4);
        assert_eq!(found(&fixture.restarted(), "#"), others);
    }

    #[test]
    fn what_has_expired_is_let_go() {
        let fixture = fixture(10, 1_000);
        let mut brief = message("a", "1");
        brief.properties.expires_at = Some(Timestamp(1_000));
        fixture.retained.keep(&mut brief).unwrap();
        fixture.retained.keep(&mut message("b", "1")).unwrap();
        fixture.retained.sweep(Timestamp(999));
        assert_eq!(found(&fixture.retained, "#"), ["a", "b"]);
        fixture.retained.sweep(Timestamp(1_000));
        assert_eq!(found(&fixture.retained, "#"), ["b"]);
        assert_eq!(found(&fixture.restarted(), "#"), ["b"]);
    }
}
