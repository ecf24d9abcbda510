use super::*;
use proptest::prelude::*;
use protocol::{Actor, Command, CommandDetails, CommandState, Transition};
use serde_json::from_str;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn deed(action: &str) -> Deed<'_> {
    let by = Party::User { name: "ann", address: Some("127.0.0.1:5") };
    Deed { by, action, device: None, details: json!({"action": action, "hash": "\"}"}) }
}

/// What a store would hold after these changes.
fn apply(kept: &mut Vec<(u64, String)>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Set { first, lines } => kept.push((first, lines)),
            Change::Gone { first } => kept.retain(|(known, _)| *known != first),
        }
    }
}

fn lines(kept: &[(u64, String)]) -> Vec<&str> {
    kept.iter().flat_map(|(_, lines)| lines.lines()).collect()
}

/// The first number and hash chain, checked as `sluice audit verify` does.
fn verify(lines: &[&str]) -> Result<u64, String> {
    let mut before: Option<AuditEntry> = None;
    for line in lines {
        let (canonical, claimed) = AuditEntry::split(line).ok_or("no entry")?;
        let entry: AuditEntry = from_str(line).map_err(|error| error.to_string())?;
        if hash(canonical.as_bytes()) != claimed {
            return Err(format!("entry {} was changed", entry.number));
        }
        if let Some(before) = &before
            && (entry.number != before.number + 1 || entry.previous != before.hash)
        {
            return Err(format!("entry {} does not follow", entry.number));
        }
        before = Some(entry);
    }
    Ok(before.map_or(0, |entry| entry.number))
}

fn command() -> Command {
    let command = json!({
        "id": "01890000-0000-7000-8000-000000000000", "device": "d", "name": "open", "params": {},
        "state": "queued", "attempt": 0, "priority": 0, "progress": null, "result": null,
        "error": null, "late": false, "created_at": 1, "created_by": null, "not_before": null,
        "deliver_by": 2, "finish_by": null, "batch": null, "verified": null,
    });
    serde_json::from_value(command).unwrap()
}

#[test]
fn a_step_in_the_place_of_one_that_was_taken_back_is_new() {
    let step = |state| Transition { state, at: Timestamp(1), by: Actor::Timer, reason: None };
    let of = |states: &[CommandState]| states.iter().copied().map(step).collect::<Vec<_>>();
    let mut steps = Steps::default();
    let mut seen = |states: &[CommandState]| {
        let details = CommandDetails { command: command(), transitions: of(states) };
        steps.unseen(&details).map(|(_, step)| step.state).collect::<Vec<_>>()
    };
    use CommandState as S;
    assert_eq!(seen(&[S::Queued]), [S::Queued]);
    assert_eq!(seen(&[S::Queued, S::Sent]), [S::Sent]);
    assert_eq!(seen(&[S::Queued, S::Expired]), [S::Expired]);
    assert_eq!(seen(&[S::Queued, S::Expired]), []);
}

#[test]
fn entries_are_chained_from_nothing_on() {
    let mut audit = Audit::new(1_000);
    audit.record(NOW, deed("a"));
    audit.record(NOW, deed("b"));
    let mut kept = Vec::new();
    apply(&mut kept, audit.take_changes());
    let lines = lines(&kept);
    assert_eq!(verify(&lines), Ok(2));
    let first: AuditEntry = from_str(lines[0]).unwrap();
    assert_eq!((first.previous.as_str(), first.number), (AuditEntry::NO_HASH, 1));
    assert_eq!(
        (first.user.as_deref(), first.address.as_deref()),
        (Some("ann"), Some("127.0.0.1:5"))
    );
    assert_eq!(audit.head().0, 2);
}

#[test]
fn what_is_long_is_told_by_its_hash() {
    let mut audit = Audit::new(1_000);
    let details = json!({ "text": "x".repeat(DETAILS_BYTES_MAX) });
    let expected = hash(details.to_string().as_bytes());
    audit.record(NOW, Deed { details, ..deed("a") });
    let Change::Set { lines, .. } = audit.take_changes().remove(0) else { panic!("one is new") };
    let entry: AuditEntry = from_str(lines.trim_end()).unwrap();
    let details: Value = from_str(entry.details.get()).unwrap();
    assert_eq!(details["sha256"], expected);
}

#[test]
fn the_oldest_go_and_the_rest_says_where_it_begins() {
    let mut audit = Audit::new(100);
    let mut kept = Vec::new();
    for _ in 0..1_000 {
        audit.record(NOW, deed("a"));
        apply(&mut kept, audit.take_changes());
        assert!(audit.count() <= 101, "{}", audit.count());
    }
    let lines = lines(&kept);
    assert_eq!(lines.len() as u64, audit.count());
    verify(&lines).unwrap();
    let entries: Vec<AuditEntry> = lines.iter().map(|line| from_str(line).unwrap()).collect();
    let pruned = entries.iter().rfind(|entry| entry.action == AuditEntry::PRUNED).unwrap();
    let told: Value = from_str(pruned.details.get()).unwrap();
    assert_eq!(told, json!({"through": entries[0].number - 1, "hash": entries[0].previous}));
}

#[test]
fn a_restored_log_goes_on_where_it_was() {
    let mut audit = Audit::new(100);
    let mut kept = Vec::new();
    for round in 0..400 {
        audit.record(NOW, deed("a"));
        if round % 7 == 0 {
            apply(&mut kept, audit.take_changes());
        }
    }
    apply(&mut kept, audit.take_changes());
    let mut again = Audit::new(100);
    again.restore(kept.iter().map(|(first, lines)| (*first, lines.as_str()))).unwrap();
    assert_eq!((again.head(), again.count()), (audit.head(), audit.count()));
    again.record(NOW, deed("b"));
    apply(&mut kept, again.take_changes());
    assert_eq!(verify(&lines(&kept)), Ok(again.head().0));
}

#[test]
fn a_chunk_that_is_no_log_is_named() {
    assert_eq!(Audit::new(100).restore([(7, "{}")]), Err(Unreadable(7)));
    assert_eq!(Audit::new(100).restore([(8, "")]), Err(Unreadable(8)));
}

proptest! {
    #[test]
    fn no_byte_can_be_changed_unseen(at in 0_usize..10_000, byte in 0x20_u8..0x7f) {
        let mut audit = Audit::new(1_000);
        for action in ["a", "b", "c"] {
            audit.record(NOW, deed(action));
        }
        let Change::Set { lines, .. } = audit.take_changes().remove(0) else { panic!("three are new") };
        let mut bytes = lines.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte && bytes[at] != b'\n');
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        let changed: Vec<_> = changed.lines().collect();
        prop_assert!(verify(&changed).is_err(), "{changed:?}");
    }

    #[test]
    fn details_of_any_kind_are_kept_as_an_object(text: String, number: f64) {
        let mut audit = Audit::new(1_000);
        for details in [Value::Null, json!(text), json!([number]), json!({ text.clone(): number })] {
            audit.record(NOW, Deed { details, ..deed(&text) });
        }
        let mut kept = Vec::new();
        apply(&mut kept, audit.take_changes());
        prop_assert_eq!(verify(&lines(&kept)), Ok(4));
    }
}
