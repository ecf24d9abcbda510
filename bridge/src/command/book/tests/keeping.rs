//! What is stored, brought back and taken back.

use super::*;
use std::collections::HashMap;

/// The store: rows by key, as the last commit left them.
#[derive(Default)]
struct Store(HashMap<(RowKind, String), String>);

impl Store {
    fn commit(&mut self, rows: Vec<Row>) {
        for Row { kind, key, body } in rows {
            match body {
                Some(body) => drop(self.0.insert((kind, key), body)),
                None => drop(self.0.remove(&(kind, key))),
            }
        }
    }

    fn kept(&self) -> Kept {
        let rows = self.0.iter().map(|((kind, key), body)| (*kind, key.as_str(), body.as_str()));
        read_back(rows)
    }
}

/// Lets the gateway die and start again on what was stored.
pub(super) fn restart(bench: &mut Bench) {
    let mut store = Store::default();
    store.commit(bench.commands.take_rows());
    let limits = bench.commands.limits;
    bench.commands = Commands::new(limits);
    bench.commands.restore(bench.time(), store.kept(), |_| {});
}

#[test]
fn after_a_restart_deadlines_that_passed_have_their_effect() {
    let mut bench = Bench::online();
    let sent = bench.create(json!({"name": "a", "timeout_ms": 100}));
    let queued = bench.create(json!({"name": "b", "ttl_ms": 100}));
    let open = bench.create(json!({"name": "c"}));
    bench.now += 200;
    restart(&mut bench);
    use CommandState as S;
    assert_eq!(
        [sent, queued, open].map(|id| bench.state(id)),
        [S::TimedOut, S::Expired, S::Queued]
    );
    assert_eq!(bench.story(sent), [S::Queued, S::Sent, S::TimedOut]);
}

#[test]
fn after_a_restart_the_order_stays_and_what_was_acknowledged_is_not_sent_again() {
    let mut bench = Bench::online();
    let first = bench.create(json!({"name": "a"}));
    let low = bench.create(json!({"name": "b"}));
    let high = bench.create(json!({"name": "c", "priority": 1}));
    bench.acknowledge(first, 1);
    assert_eq!(bench.sent(), [(FIRST, first, 1)]);
    restart(&mut bench);
    bench.receives(SECOND, true);
    assert_eq!(bench.sent(), [], "the device has the first, which has not ended");
    bench.answer(first, json!({"status": "succeeded"}));
    bench.answer(high, json!({"status": "succeeded"}));
    assert_eq!(bench.sent(), [(SECOND, high, 1), (SECOND, low, 1)]);
}

#[test]
fn after_a_restart_what_was_sent_without_puback_is_sent_again() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    restart(&mut bench);
    bench.receives(FIRST, true);
    assert_eq!(bench.sent(), [(FIRST, id, 2)]);
}

#[test]
fn a_key_is_known_after_a_restart() {
    let mut bench = Bench::new();
    let id = bench.try_create_with_key(json!({"name": "a"}), Some("k")).unwrap();
    restart(&mut bench);
    assert_eq!(bench.try_create_with_key(json!({"name": "a"}), Some("k")), Ok(id));
    let reused = bench.try_create_with_key(json!({"name": "b"}), Some("k"));
    assert_eq!(reused, Err(CreateError::KeyReused("k".into())));
}

#[test]
fn what_is_accepted_is_read_again_however_deep_it_nests() {
    for levels in [1, 50, 99, 100] {
        let mut bench = Bench::online();
        bench.commands.limits.result_bytes = 1_000;
        let expect = json!({"metric": "m", "op": "==", "value": nested(levels)});
        let params = json!({"x": nested(levels - 1)});
        let request = json!({"name": "a", "params": params, "expect": expect});
        let id = bench.try_create_with_key(request.clone(), Some("k")).unwrap();
        bench.answer(id, json!({"status": "succeeded", "result": nested(levels)}));
        let batch = json!({"devices": ["d"], "command": request});
        let batch = batches::try_start(&mut bench, 1, batch, Some("b")).unwrap();
        let before = bench.commands.get(id).cloned();
        restart(&mut bench);
        assert_eq!(bench.commands.get(id).cloned(), before, "{levels}");
        assert_eq!(before.unwrap().command.result, Some(nested(levels)));
        assert!(bench.commands.batch(&batch.id).is_some());
    }
}

#[test]
fn a_result_that_nests_too_deep_is_left_out_and_the_rest_is_read_again() {
    for levels in 101..=126 {
        let mut bench = Bench::online();
        bench.commands.limits.result_bytes = 1_000;
        let id = bench.create(json!({"name": "a"}));
        bench.answer(id, json!({"status": "succeeded", "result": nested(levels)}));
        restart(&mut bench);
        let details = bench.commands.get(id).unwrap();
        assert_eq!(
            (details.command.state, &details.command.result),
            (CommandState::Succeeded, &None)
        );
        let said = details.transitions.last().and_then(|last| last.reason.clone());
        let why = "the result was left out: it nests more than 100 levels deep";
        assert_eq!(said.as_deref(), Some(why));
    }
}

#[test]
fn ended_commands_are_listed_after_a_restart_up_to_the_limit() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..4).map(|_| bench.create(json!({"name": "a", "ttl_ms": 0}))).collect();
    restart(&mut bench);
    let listed: Vec<_> = bench.commands.list(None).map(|command| command.id).collect();
    assert_eq!(listed, [ids[3], ids[2]]);
}

#[test]
fn what_was_stored_and_not_told_is_told_after_a_restart() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    let told = bench.commands.get(id).unwrap().command.clone();
    bench.now += 1;
    bench.answer(id, json!({"status": "succeeded"}));
    let told_at = Timestamp(1_000);
    restart(&mut bench);
    bench.commands.tell_untold(&HashMap::from([(device(), (told_at, Some(told)))]));
    let effects = bench.commands.take_effects();
    assert!(
        matches!(&effects[..], [Effect::Changed(_, it)] if it.command.state == CommandState::Succeeded)
    );
    let last = bench.commands.get(id).unwrap().command.clone();
    for last in [Some(last), None] {
        bench.commands.tell_untold(&HashMap::from([(device(), (bench.time(), last))]));
        assert_eq!(bench.commands.take_effects(), []);
    }
}

#[test]
fn a_command_that_was_not_stored_never_was() {
    let mut bench = Bench::online();
    bench.loses(FIRST);
    let old = bench.create(json!({"name": "a", "supersede": "target"}));
    bench.commands.take_rows();
    bench.commands.take_effects();
    let id = bench.try_create_with_key(json!({"name": "a", "supersede": "target"}), Some("k"));
    let id = id.unwrap();
    let effects = bench.commands.take_effects();
    let left = bench.commands.not_stored(bench.time(), effects);
    assert!(bench.commands.get(id).is_none());
    assert_eq!(bench.state(old), CommandState::Queued, "nothing took its place");
    let gone: Vec<_> =
        bench.commands.take_rows().into_iter().filter(|row| row.body.is_none()).collect();
    assert_eq!(gone[0].key, id.to_string());
    assert!(left.iter().all(|effect| !matches!(effect, Effect::Created(..) | Effect::Send { .. })));
    assert!(bench.try_create_with_key(json!({"name": "b"}), Some("k")).is_ok(), "the key is free");
}

#[test]
fn what_could_not_be_stored_is_not_sent_until_it_can_be() {
    let mut bench = Bench::new();
    let id = bench.create(json!({"name": "a"}));
    bench.commands.take_effects();
    bench.receives(FIRST, true);
    let effects = bench.commands.take_effects();
    let left = bench.commands.not_stored(bench.time(), effects);
    assert!(left.iter().all(|effect| !matches!(effect, Effect::Send { .. })), "{left:?}");
    assert_eq!(bench.state(id), CommandState::Queued);
    assert_eq!(bench.commands.get(id).unwrap().command.attempt, 0);
    bench.receives(SECOND, true);
    assert_eq!(bench.sent(), []);
    bench.commands.stored(bench.time());
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
}
