//! Answers as devices write them, from their bytes on.

use super::*;
use crate::{
    ingest::{self, Inbound},
    route::Destination,
};

#[test]
fn an_answer_counts_however_deep_its_result_nests() {
    for levels in [101, 126, 127, 128, 50_000] {
        let mut bench = Bench::online();
        bench.commands.limits.result_bytes = 1_000;
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (status, end) in
            [("failed", CommandState::Failed), ("rejected", CommandState::Rejected)]
        {
            let id = bench.create(json!({"name": "a"}));
            let answer = format!(r#"{{"result": {deep}, "status": "{status}"}}"#);
            let topic = Destination::Answer { device: device(), command: id };
            hear(&mut bench, ingest::decode(&topic, answer.as_bytes()));
            assert_left_out(&bench, id, end);
        }
        let id = bench.create(json!({"name": "a"}));
        hear(
            &mut bench,
            ingest::decode_response(&device(), id, deep.as_bytes()).map(|it| vec![it]),
        );
        assert_left_out(&bench, id, CommandState::Succeeded);
        let id = bench.create(json!({"name": "a"}));
        let report = format!(r#"[{{"id": "{id}", "status": "failed", "result": {deep}}}]"#);
        let topic = Destination::Recent { device: device() };
        hear(&mut bench, ingest::decode(&topic, report.as_bytes()));
        assert_left_out(&bench, id, CommandState::Failed);
    }
}

#[test]
fn a_puback_that_refuses_a_command_is_told() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    bench.sent();
    bench.commands.delivered(bench.time(), id, 1, Some(0x97));
    let noted = bench.commands.get(id).unwrap().transitions.last().unwrap();
    let why = "the receiver refused the message: its PUBACK has 0x97";
    assert_eq!((noted.state, noted.reason.as_deref()), (CommandState::Delivered, Some(why)));
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(bench.sent(), [], "it is not sent again");
    bench.answer(id, json!({"status": "succeeded"}));
    assert_eq!(bench.state(id), CommandState::Succeeded, "what the device says counts");
}

/// Gives the book what was decoded.
fn hear(bench: &mut Bench, decoded: Result<Vec<Inbound>, ingest::Undecodable>) {
    let now = bench.time();
    match decoded.expect("it decodes").pop().expect("it says something") {
        Inbound::Answer { command, answer, .. } => {
            assert!(bench.commands.answer(now, &device(), command, &answer));
        }
        Inbound::Recent { answers, .. } => bench.commands.recent(now, &device(), &answers),
        other @ (Inbound::Update { .. }
        | Inbound::State { .. }
        | Inbound::Event { .. }
        | Inbound::Mapped { .. }) => panic!("{other:?}"),
    }
}

fn assert_left_out(bench: &Bench, id: CommandId, state: CommandState) {
    let details = bench.commands.get(id).expect("known");
    assert_eq!((details.command.state, &details.command.result), (state, &None));
    let said = details.transitions.last().and_then(|last| last.reason.as_deref());
    assert_eq!(said, Some("the result was left out: it nests more than 100 levels deep"));
}
