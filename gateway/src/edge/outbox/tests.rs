//! What leaves an outbox when, and what it holds.

use super::{
    super::{
        budget::{Budget, Weight},
        mark::Mark,
        subscriptions::Grant,
    },
    *,
};
use crate::exchange::Properties;
use protocol::{CommandId, Timestamp};

fn outbox(window: u16) -> Outbox {
    of_budget(window, Arc::new(Budget::new(usize::MAX)))
}

fn of_budget(window: u16, budget: Arc<Budget>) -> Outbox {
    Outbox::new(Bounds { messages_max: 3, payload_bytes_max: 10, budget }, window)
}

fn entry(qos: u8, payload: &'static str) -> Entry {
    let message = Message {
        topic: "t".parse().unwrap(),
        payload: payload.into(),
        qos,
        retain: false,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: Properties::default(),
    };
    Entry::new(Arc::new(message), Grant { qos: 2, ..Grant::default() })
}

fn next(outbox: &mut Outbox) -> Option<(String, Option<u16>, bool)> {
    match outbox.next()? {
        Next::Message { entry, id, duplicate } => {
            let text = String::from_utf8(entry.message.payload.to_vec()).unwrap();
            Some((text, id, duplicate))
        }
        Next::Release(id) => Some(("PUBREL".into(), Some(id), true)),
    }
}

fn completed(outbox: &mut Outbox, id: u16) {
    assert!(outbox.answer(id, Answer::Completed).unwrap().is_some());
}

#[test]
fn messages_leave_in_order_and_wait_for_the_window() {
    let mut outbox = outbox(1);
    for (qos, payload) in [(1, "a"), (1, "b"), (0, "c")] {
        outbox.push(entry(qos, payload)).unwrap();
    }
    assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
    assert_eq!(next(&mut outbox), None);
    let ended = outbox.answer(1, Answer::Acknowledged).unwrap();
    assert_eq!(ended, Some(Ended { number: Number(1), command: None }));
    assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
    assert_eq!(next(&mut outbox), Some(("c".into(), None, false)));
    assert_eq!(next(&mut outbox), None);
}

#[test]
fn a_full_outbox_gives_back_what_it_cannot_take() {
    let mut outbox = outbox(1);
    outbox.push(entry(0, "123456")).unwrap();
    assert!(outbox.push(entry(0, "12345")).is_err());
    outbox.push(entry(0, "1")).unwrap();
    outbox.push(entry(0, "1")).unwrap();
    assert!(outbox.push(entry(0, "")).is_err());
}

#[test]
fn what_is_in_flight_counts_until_it_is_acknowledged() {
    let mut outbox = outbox(3);
    outbox.push(entry(1, "1234567890")).unwrap();
    next(&mut outbox);
    assert!(outbox.push(entry(1, "1")).is_err());
    outbox.answer(1, Answer::Acknowledged).unwrap();
    outbox.push(entry(1, "1")).unwrap();
}

#[test]
fn one_message_over_the_byte_bound_passes_an_empty_outbox() {
    assert!(outbox(1).push(entry(0, "12345678901")).is_ok());
}

#[test]
fn a_budget_bounds_all_outboxes_together_and_gets_everything_back() {
    let budget = Arc::new(Budget::new(2 * entry(1, "ab").weight().footprint_bytes));
    let mut outbox = of_budget(1, Arc::clone(&budget));
    outbox.push(entry(1, "ab")).unwrap();
    outbox.push(entry(1, "ab")).unwrap();
    assert!(outbox.push(entry(1, "ab")).is_err());
    let used = budget.used();
    assert_eq!((used.messages, used.payload_bytes), (2, 4));
    next(&mut outbox);
    assert!(outbox.push(entry(1, "ab")).is_err());
    outbox.answer(1, Answer::Acknowledged).unwrap();
    outbox.push(entry(2, "ab")).unwrap();
    next(&mut outbox);
    drop(outbox);
    assert_eq!(budget.used(), Weight::default());
}

#[test]
fn exactly_once_takes_two_rounds() {
    let mut outbox = outbox(1);
    outbox.push(entry(2, "a")).unwrap();
    assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
    assert_eq!(outbox.receive(1, true), Ok(Received::Release(Number(1))));
    outbox.push(entry(2, "b")).unwrap();
    assert_eq!(next(&mut outbox), None);
    completed(&mut outbox, 1);
    assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
    assert_eq!(outbox.receive(2, false), Ok(Received::Refused(Number(2))));
    assert_eq!(outbox.receive(2, true), Ok(Received::Unknown));
}

#[test]
fn an_answer_of_another_flow_is_wrong() {
    let mut outbox = outbox(3);
    outbox.push(entry(1, "a")).unwrap();
    outbox.push(entry(2, "b")).unwrap();
    next(&mut outbox);
    next(&mut outbox);
    assert_eq!(outbox.receive(1, true), Err(WrongFlow));
    assert_eq!(outbox.answer(1, Answer::Completed), Err(WrongFlow));
    assert_eq!(outbox.answer(2, Answer::Acknowledged), Err(WrongFlow));
    assert_eq!(outbox.answer(2, Answer::Completed), Err(WrongFlow));
    assert_eq!(outbox.answer(3, Answer::Completed), Ok(None));
}

#[test]
fn a_client_that_came_back_gets_what_was_in_flight_again_within_its_window() {
    let mut outbox = outbox(3);
    for payload in ["a", "b", "c"] {
        outbox.push(entry(2, payload)).unwrap();
        next(&mut outbox);
    }
    outbox.receive(1, true).unwrap();
    outbox.resume(2);
    assert_eq!(next(&mut outbox), Some(("PUBREL".into(), Some(1), true)));
    assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), true)));
    assert_eq!(next(&mut outbox), None);
    completed(&mut outbox, 1);
    assert_eq!(next(&mut outbox), Some(("c".into(), Some(3), true)));
    assert_eq!(next(&mut outbox), None);
}

#[test]
fn messages_are_sent_again_in_their_order_although_ids_begin_anew() {
    let mut outbox = outbox(3);
    outbox.last = Number(u64::from(u16::MAX) - 1);
    for payload in ["a", "b", "c"] {
        outbox.push(entry(1, payload)).unwrap();
        next(&mut outbox);
    }
    outbox.resume(3);
    for (payload, id) in [("a", 65_535), ("b", 1), ("c", 2)] {
        assert_eq!(next(&mut outbox), Some((payload.into(), Some(id), true)));
    }
}

#[test]
fn an_id_in_flight_is_passed_over() {
    let mut outbox = outbox(3);
    outbox.push(entry(1, "a")).unwrap();
    next(&mut outbox);
    outbox.last = Number(u64::from(u16::MAX));
    outbox.push(entry(1, "b")).unwrap();
    assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
}

#[test]
fn a_message_waits_until_it_is_stored_and_what_follows_waits_for_it() {
    let mut outbox = outbox(3);
    let mark = Mark::default();
    outbox.push(Entry { stored: Some(mark.clone()), ..entry(1, "a") }).unwrap();
    outbox.push(entry(0, "b")).unwrap();
    assert_eq!(next(&mut outbox), None);
    mark.set();
    assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
    assert_eq!(next(&mut outbox), Some(("b".into(), None, false)));
}

#[test]
fn what_is_restored_goes_on_where_it_stood() {
    let mut outbox = outbox(3);
    outbox.restore_released(Number(4));
    for (number, payload) in [(5, "sent"), (7, "later")] {
        outbox.restore(Number(number), entry(2, payload), Number(6));
    }
    outbox.push(entry(1, "x")).unwrap();
    outbox.resume(9);
    assert_eq!(next(&mut outbox), Some(("PUBREL".into(), Some(4), true)));
    assert_eq!(next(&mut outbox), Some(("sent".into(), Some(5), true)));
    assert_eq!(next(&mut outbox), Some(("later".into(), Some(7), false)));
    assert_eq!(next(&mut outbox), Some(("x".into(), Some(8), false)));
}

#[test]
fn commands_do_not_outlive_their_connection() {
    let mut outbox = outbox(1);
    let command = || Some(("0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c".parse().unwrap(), 1));
    outbox.push(Entry { command: command(), ..entry(1, "a") }).unwrap();
    outbox.push(Entry { command: command(), ..entry(1, "b") }).unwrap();
    outbox.push(entry(1, "c")).unwrap();
    next(&mut outbox);
    outbox.forget_commands();
    outbox.resume(1);
    assert_eq!(next(&mut outbox), Some(("c".into(), Some(3), false)));
    assert_eq!(outbox.load.payload_bytes, 1);
}

#[test]
fn a_message_expires_a_moment_after_its_time_and_a_command_at_it() {
    let mut brief = entry(1, "brief");
    assert!(!brief.has_expired(|| Timestamp(i64::MAX)));
    Arc::get_mut(&mut brief.message).unwrap().properties.expires_at = Some(Timestamp(1_000));
    for (now, expired) in [(999, false), (1_249, false), (1_250, true)] {
        assert_eq!(brief.has_expired(|| Timestamp(now)), expired, "{now}");
    }
    let command = Entry { command: Some((CommandId::from_u128(0), 1)), ..brief };
    assert!(!command.has_expired(|| Timestamp(999)) && command.has_expired(|| Timestamp(1_000)));
}
