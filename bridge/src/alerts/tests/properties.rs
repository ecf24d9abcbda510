//! The book of alerts and the thresholds beside plain references.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Move {
    Raise(u8, u8),
    Clear(u8, u8),
    Acknowledge(usize),
    ClearById(usize),
    Gone(u8),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        (0_u8..3, 0_u8..6).prop_map(|(device, code)| Move::Raise(device, code)),
        (0_u8..3, 0_u8..6).prop_map(|(device, code)| Move::Clear(device, code)),
        (0_usize..8).prop_map(Move::Acknowledge),
        (0_usize..8).prop_map(Move::ClearById),
        (0_u8..3).prop_map(Move::Gone),
    ]
}

proptest! {
    /// Whatever is done: one open alert of each device and code, bounds hold, the changes tell all there
    /// is, and a restored book is the same.
    #[test]
    fn the_book_keeps_its_promises(moves in prop::collection::vec(any_move(), 1..80)) {
        let mut book = alerts(vec![]);
        let mut told: BTreeMap<AlertId, Alert> = BTreeMap::new();
        let name = |number: u8| device(&format!("d{number}"));
        for (second, step) in moves.into_iter().enumerate() {
            let now = at(i64::try_from(second).unwrap());
            let nth = |book: &Alerts, at: usize| book.list(None).nth(at).map(|alert| alert.id);
            match step {
                Move::Raise(d, code) => book.event(now, &name(d), event(&code.to_string())),
                Move::Clear(d, code) => book.event(now, &name(d), over(&code.to_string())),
                Move::Acknowledge(at) => {
                    if let Some(id) = nth(&book, at) {
                        let _already_cleared = book.acknowledge(now, id, "ann");
                    }
                }
                Move::ClearById(at) => {
                    if let Some(id) = nth(&book, at) {
                        let _already_cleared = book.clear(now, id, "ann");
                    }
                }
                Move::Gone(d) => book.device_gone(now, &name(d)),
            }
            for Change { occasion, alert } in book.take_changes() {
                book.stored(&alert);
                let before = told.insert(alert.id, alert.clone());
                prop_assert_eq!(before.is_none(), occasion == Occasion::Raised);
                prop_assert!(before.is_none_or(|it| it.state != AlertState::Cleared), "final");
            }
            for id in book.take_forgotten() {
                prop_assert!(told.remove(&id).is_some());
            }
            let open: Vec<_> = book.list(None).filter(|it| it.state != AlertState::Cleared).collect();
            let keys: BTreeSet<_> =
                open.iter().map(|it| (it.device.clone(), it.severity, it.code.clone())).collect();
            prop_assert_eq!(keys.len(), open.len());
            prop_assert!(open.len() <= LIMITS.open);
            prop_assert!(book.list(None).count() <= LIMITS.open + LIMITS.cleared_kept);
        }
        let all: Vec<_> = book.list(None).cloned().collect();
        prop_assert_eq!(told.into_values().rev().collect::<Vec<_>>(), all.clone());
        let mut again = alerts(vec![]);
        again.restore(at(99), all.clone(), |_| None);
        prop_assert_eq!(again.list(None).cloned().collect::<Vec<_>>(), all);
        prop_assert_eq!(again.figures(), book.figures());
    }

    /// A threshold agrees with a plain reading of its words, looked at every second or only when a value comes.
    #[test]
    fn thresholds_agree_with_the_naive_reference(
        values in prop::collection::vec((0_i64..12, any::<bool>(), 25_i32..35), 1..60),
    ) {
        let mut book = alerts(vec![hot()]);
        let (mut now, mut since, mut raised) = (0, None, false);
        for (pause, looked_at, value) in values {
            for second in now + 1..=now + pause {
                if looked_at {
                    ticks(&mut book, second);
                }
                raised |= since.is_some_and(|since| second - since >= 10);
            }
            now += pause;
            says(&mut book, now, &value.to_string());
            if raised {
                raised = value > 28;
                since = None;
            } else if value > 30 {
                let since = *since.get_or_insert(now);
                raised = now - since >= 10;
            } else {
                since = None;
            }
            if raised {
                since = None;
            }
            prop_assert_eq!(figures(&mut book).critical == 1, raised, "at {}", now);
        }
    }
}
