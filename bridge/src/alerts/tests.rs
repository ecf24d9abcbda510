//! What is raised, counted and cleared by whom.

mod properties;
mod restoring;

use super::*;
use protocol::{AnswerError, CommandState, Millis};
use serde_json::json;

const LIMITS: AlertLimits = AlertLimits { open: 6, open_per_device: 4, cleared_kept: 3 };

fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000)
}

fn device(id: &str) -> DeviceId {
    id.parse().unwrap()
}

fn alerts(rules: Vec<Rule>) -> Alerts {
    Alerts::new(LIMITS, AlertSettings { rules, commands: Some(Severity::Warning) })
}

fn event(code: &str) -> DeviceEvent {
    let (severity, code, message) = (Severity::Warning, code.into(), "it is so".into());
    DeviceEvent { severity, code, message, data: None, clear: false }
}

fn over(code: &str) -> DeviceEvent {
    DeviceEvent { clear: true, ..event(code) }
}

fn hot() -> Rule {
    let condition = Condition::Threshold {
        metric: "temperature".into(),
        side: Side::Above,
        limit: 30.0,
        clear: 28.0,
        lasting: Millis(10_000),
    };
    Rule {
        severity: Severity::Critical,
        code: "hot".into(),
        message: None,
        kind: Some("thermostat".into()),
        condition,
    }
}

fn away(kind: &str, seconds: u64) -> Rule {
    let condition = Condition::Offline { longer_than: Millis(seconds * 1_000) };
    let (severity, code) = (Severity::Warning, "offline".into());
    Rule { severity, code, message: None, kind: Some(kind.into()), condition }
}

/// What happened since the last call, as `occasion code`; now it is stored.
fn happened(alerts: &mut Alerts) -> Vec<String> {
    let changes = alerts.take_changes();
    changes.iter().for_each(|change| alerts.stored(&change.alert));
    let text = |change: Change| format!("{:?} {}", change.occasion, change.alert.code);
    changes.into_iter().map(text).collect()
}

/// The figures once all that happened is stored.
fn figures(alerts: &mut Alerts) -> AlertFigures {
    happened(alerts);
    alerts.figures()
}

fn says(alerts: &mut Alerts, second: i64, value: &str) -> Vec<String> {
    let metrics = Metrics::parse(&format!(r#"{{"temperature":{value}}}"#)).unwrap();
    alerts.telemetry(at(second), &device("t1"), Some("thermostat"), &metrics);
    happened(alerts)
}

fn ticks(alerts: &mut Alerts, second: i64) -> Vec<String> {
    alerts.tick(at(second));
    happened(alerts)
}

#[test]
fn an_event_is_raised_counted_acknowledged_and_cleared() {
    let mut alerts = alerts(vec![]);
    let pump = device("p1");
    alerts.event(at(1), &pump, event("dry"));
    assert_eq!(happened(&mut alerts), ["Raised dry"]);
    let id = alerts.list(None).next().unwrap().id;
    alerts.event(at(2), &pump, event("dry"));
    alerts.acknowledge(at(3), id, "ann").unwrap();
    alerts.acknowledge(at(4), id, "bob").unwrap();
    alerts.event(at(5), &pump, event("dry"));
    alerts.event(at(6), &pump, over("dry"));
    alerts.event(at(7), &pump, over("dry"));
    let expected = ["Counted dry", "Acknowledged dry", "Counted dry", "Cleared dry"];
    assert_eq!(happened(&mut alerts), expected);
    let alert = alerts.get(id).unwrap();
    assert_eq!((alert.state, alert.count, alert.raised_at), (AlertState::Cleared, 3, at(1)));
    assert_eq!(alert.acknowledged_by.as_deref(), Some("ann"));
    assert_eq!((alert.acknowledged_at, alert.cleared_at), (Some(at(3)), Some(at(6))));
    assert_eq!(alert.cleared_by, Some(Actor::Device));
    alerts.event(at(8), &pump, event("dry"));
    happened(&mut alerts);
    assert_eq!(alerts.list(None).count(), 2, "what comes after a clear is another alert");
}

#[test]
fn what_differs_in_device_severity_or_code_is_another_alert() {
    let mut alerts = alerts(vec![]);
    alerts.event(at(1), &device("p1"), event("dry"));
    alerts.event(at(1), &device("p2"), event("dry"));
    alerts.event(at(1), &device("p1"), event("hot"));
    let critical = DeviceEvent { severity: Severity::Critical, ..event("dry") };
    alerts.event(at(1), &device("p1"), critical.clone());
    assert_eq!(figures(&mut alerts).active, 4);
    alerts.event(at(2), &device("p1"), DeviceEvent { clear: true, ..critical });
    let figures = figures(&mut alerts);
    assert_eq!((figures.active, figures.warning, figures.critical), (3, 3, 0));
}

#[test]
fn a_cleared_alert_can_be_neither_acknowledged_nor_cleared() {
    let mut alerts = alerts(vec![]);
    alerts.event(at(1), &device("p1"), event("dry"));
    happened(&mut alerts);
    let id = alerts.list(None).next().unwrap().id;
    let cleared = alerts.clear(at(2), id, "ann").unwrap();
    assert_eq!(cleared.cleared_by, Some(Actor::User("ann".into())));
    assert_eq!(alerts.acknowledge(at(3), id, "ann"), Err(AlertError::AlreadyCleared(id)));
    assert_eq!(alerts.clear(at(3), id, "ann"), Err(AlertError::AlreadyCleared(id)));
    let other = AlertId::new(at(9), 9);
    assert_eq!(alerts.acknowledge(at(3), other, "ann"), Err(AlertError::Unknown(other)));
}

#[test]
fn alerts_are_bounded_and_what_is_refused_is_counted() {
    let mut alerts = alerts(vec![]);
    for code in ["a", "b", "c", "d", "e"] {
        alerts.event(at(1), &device("p1"), event(code));
    }
    assert_eq!((figures(&mut alerts).active, alerts.refused()), (4, 1));
    for code in ["a", "b", "c"] {
        alerts.event(at(1), &device("p2"), event(code));
    }
    assert_eq!((figures(&mut alerts).active, alerts.refused()), (6, 2));
    for code in ["a", "b", "c", "d"] {
        alerts.event(at(2), &device("p1"), over(code));
    }
    happened(&mut alerts);
    assert_eq!(alerts.list(None).count(), 2 + LIMITS.cleared_kept);
    assert_eq!(alerts.take_forgotten().len(), 1);
}

#[test]
fn a_threshold_must_last_and_has_hysteresis() {
    let mut alerts = alerts(vec![hot()]);
    assert!(says(&mut alerts, 0, "31").is_empty());
    assert!(says(&mut alerts, 5, "30").is_empty(), "a break begins anew");
    assert!(says(&mut alerts, 6, "30.5").is_empty());
    assert!(ticks(&mut alerts, 15).is_empty());
    assert_eq!(ticks(&mut alerts, 16), ["Raised hot"], "though nothing more was heard");
    let alert = alerts.list(None).next().unwrap().clone();
    assert_eq!(alert.message, "temperature is 30.5, above 30");
    assert_eq!(alert.data["since"], 6_000);
    assert!(says(&mut alerts, 17, "29").is_empty(), "not back at 28 yet");
    assert!(says(&mut alerts, 18, "35").is_empty(), "raised once");
    assert_eq!(says(&mut alerts, 19, "28"), ["Cleared hot"]);
    assert!(ticks(&mut alerts, 99).is_empty());
}

#[test]
fn a_value_may_raise_by_itself_when_it_has_lasted() {
    let mut alerts = alerts(vec![hot()]);
    assert!(says(&mut alerts, 0, "31").is_empty());
    assert_eq!(says(&mut alerts, 10, "32"), ["Raised hot"]);
    assert!(ticks(&mut alerts, 10).is_empty());
}

#[test]
fn what_lasted_is_raised_by_what_ends_it_before_it_is_cleared() {
    let mut alerts = alerts(vec![hot(), away("pump", 60)]);
    says(&mut alerts, 0, "31.5");
    assert_eq!(says(&mut alerts, 10, "20"), ["Raised hot", "Cleared hot"]);
    let alert = alerts.list(None).next().unwrap();
    assert_eq!(alert.message, "temperature is 31.5, above 30");
    let pump = device("p1");
    alerts.presence(at(20), &pump, Some("pump"), Status::Offline, at(20));
    alerts.presence(at(80), &pump, Some("pump"), Status::Online, at(80));
    assert_eq!(happened(&mut alerts), ["Raised offline", "Cleared offline"]);
    alerts.presence(at(90), &pump, Some("pump"), Status::Offline, at(90));
    alerts.kind_changed(at(150), &pump, None);
    assert_eq!(happened(&mut alerts), ["Raised offline", "Cleared offline"]);
    says(&mut alerts, 200, "31");
    assert!(says(&mut alerts, 209, "20").is_empty(), "not for as long as the rule asks");
}

#[test]
fn texts_and_other_types_are_not_measured() {
    let mut alerts = alerts(vec![hot()]);
    for value in [r#""31""#, "true", "null", "{}"] {
        says(&mut alerts, 0, value);
    }
    let metrics = Metrics::parse(r#"{"temperature":99}"#).unwrap();
    alerts.telemetry(at(0), &device("p1"), Some("pump"), &metrics);
    alerts.telemetry(at(0), &device("p2"), None, &metrics);
    assert!(ticks(&mut alerts, 99).is_empty());
}

#[test]
fn a_device_may_be_away_for_as_long_as_its_type_allows() {
    let mut alerts = alerts(vec![away("pump", 60), away("tracker", 600)]);
    let presence = |alerts: &mut Alerts, id: &str, kind: &str, status, second| {
        alerts.presence(at(second), &device(id), Some(kind), status, at(second));
    };
    for (id, kind) in [("p1", "pump"), ("p2", "pump"), ("t1", "tracker"), ("x", "lamp")] {
        presence(&mut alerts, id, kind, Status::Offline, 0);
    }
    presence(&mut alerts, "p2", "pump", Status::Online, 30);
    assert!(ticks(&mut alerts, 59).is_empty());
    assert_eq!(ticks(&mut alerts, 60), ["Raised offline"]);
    assert_eq!(alerts.list(None).next().unwrap().message, "offline for longer than 60 s");
    assert_eq!(ticks(&mut alerts, 600), ["Raised offline"]);
    presence(&mut alerts, "p1", "pump", Status::Online, 700);
    assert_eq!(happened(&mut alerts), ["Cleared offline"]);
    presence(&mut alerts, "p1", "pump", Status::Offline, 800);
    assert_eq!(ticks(&mut alerts, 860), ["Raised offline"]);
}

#[test]
fn another_type_means_other_rules() {
    let mut alerts = alerts(vec![away("pump", 60), away("tracker", 600)]);
    alerts.presence(at(0), &device("d"), Some("pump"), Status::Offline, at(0));
    assert_eq!(ticks(&mut alerts, 60), ["Raised offline"]);
    alerts.kind_changed(at(61), &device("d"), Some("tracker"));
    assert_eq!(happened(&mut alerts), ["Cleared offline"]);
    assert!(ticks(&mut alerts, 599).is_empty());
    assert_eq!(ticks(&mut alerts, 600), ["Raised offline"]);
}

fn command(state: CommandState) -> Command {
    Command {
        id: protocol::CommandId::from_u128(7),
        device: device("p1"),
        name: "fill".into(),
        params: json!({}),
        state,
        attempt: 1,
        priority: 0,
        progress: None,
        result: None,
        error: None,
        late: false,
        created_at: at(0),
        created_by: None,
        not_before: None,
        deliver_by: at(60),
        finish_by: None,
        batch: None,
        verified: None,
    }
}

#[test]
fn commands_that_fail_or_time_out_raise_and_one_that_succeeds_clears() {
    let mut alerts = alerts(vec![]);
    let error = AnswerError { code: "dry".into(), message: "no water".into() };
    let failed = Command { error: Some(error), ..command(CommandState::Failed) };
    alerts.command(at(1), &failed);
    assert_eq!(happened(&mut alerts), ["Raised command_failed:fill"]);
    assert_eq!(alerts.list(None).next().unwrap().message, "command fill failed: no water");
    alerts.command(at(2), &command(CommandState::Failed));
    alerts.command(at(3), &command(CommandState::TimedOut));
    for state in [CommandState::Rejected, CommandState::Expired, CommandState::Cancelled] {
        alerts.command(at(4), &command(state));
    }
    alerts.command(at(5), &Command { name: "drain".into(), ..command(CommandState::Succeeded) });
    let raised = ["Counted command_failed:fill", "Raised command_timed_out:fill"];
    assert_eq!(happened(&mut alerts), raised, "another command says nothing of this one");
    alerts.command(at(6), &command(CommandState::Succeeded));
    let all = ["Cleared command_failed:fill", "Cleared command_timed_out:fill"];
    assert_eq!(happened(&mut alerts), all);
}

#[test]
fn a_late_answer_clears_what_timed_out() {
    let mut alerts = alerts(vec![]);
    alerts.command(at(1), &command(CommandState::TimedOut));
    alerts.command(at(2), &Command { late: true, ..command(CommandState::Failed) });
    let all = [
        "Raised command_timed_out:fill",
        "Cleared command_timed_out:fill",
        "Raised command_failed:fill",
    ];
    assert_eq!(happened(&mut alerts), all);
}

#[test]
fn nothing_is_wrong_with_a_device_that_is_gone() {
    let mut alerts = alerts(vec![hot(), away("thermostat", 60)]);
    alerts.event(at(0), &device("t1"), event("door"));
    says(&mut alerts, 0, "40");
    alerts.presence(at(0), &device("t1"), Some("thermostat"), Status::Offline, at(0));
    alerts.device_gone(at(1), &device("t1"));
    assert_eq!(happened(&mut alerts), ["Cleared door"]);
    assert!(ticks(&mut alerts, 999).is_empty());
}

#[test]
fn rules_that_cannot_be_say_all_that_is_wrong() {
    let mistakes = |metric: &str, limit, clear| {
        let (metric, side, lasting) = (metric.into(), Side::Below, Millis(0));
        let condition = Condition::Threshold { metric, side, limit, clear, lasting };
        condition.mistakes().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let both = mistakes("", 1.0, 0.5);
    assert!(both.starts_with("metric is empty") && both.contains("wrong side"), "{both}");
    assert_eq!(mistakes("m", f64::NAN, f64::NAN), "NaN is no finite number");
    assert_eq!(hot().condition.mistakes(), []);
}

#[test]
fn rules_collide_where_it_could_not_be_said_which_one_clears() {
    assert!(hot().collides(&Rule { kind: None, ..hot() }));
    assert!(!hot().collides(&Rule { kind: Some("pump".into()), ..hot() }));
}

#[test]
fn alerts_are_listed_and_counted_as_they_are_stored() {
    let mut alerts = alerts(vec![]);
    let seen = |alerts: &Alerts| {
        let listed = alerts.list(None).map(|alert| (alert.state, alert.count)).collect::<Vec<_>>();
        let AlertFigures { active, acknowledged, .. } = alerts.figures();
        (listed, active, acknowledged)
    };
    let change = |alerts: &mut Alerts, second| {
        alerts.event(at(second), &device("p1"), event("dry"));
        alerts.take_changes().remove(0).alert
    };
    let raised = change(&mut alerts, 1);
    assert_eq!(seen(&alerts), (vec![], 0, 0));
    let counted = change(&mut alerts, 2);
    alerts.stored(&raised);
    assert_eq!(seen(&alerts), (vec![(AlertState::Active, 1)], 1, 0));
    alerts.stored(&counted);
    assert_eq!(seen(&alerts), (vec![(AlertState::Active, 2)], 1, 0));
    let acknowledged = alerts.acknowledge(at(3), raised.id, "ann").unwrap();
    let cleared = alerts.clear(at(4), raised.id, "ann").unwrap();
    assert_eq!(seen(&alerts), (vec![(AlertState::Active, 2)], 1, 0));
    alerts.stored(&acknowledged);
    assert_eq!(seen(&alerts), (vec![(AlertState::Acknowledged, 2)], 0, 1));
    alerts.stored(&cleared);
    assert_eq!(seen(&alerts), (vec![(AlertState::Cleared, 2)], 0, 0));
}
