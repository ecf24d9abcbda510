//! What goes on after a restart, and what is over then.

use super::*;

#[test]
fn what_is_restored_goes_on() {
    let mut before = alerts(vec![hot()]);
    says(&mut before, 0, "40");
    ticks(&mut before, 10);
    before.event(at(11), &device("t1"), event("door"));
    before.event(at(12), &device("t1"), over("door"));
    happened(&mut before);
    let kept = kept(&before);
    let mut after = alerts(vec![hot()]);
    restore(&mut after, 13, kept.clone());
    assert_eq!(self::kept(&after), kept);
    assert_eq!(after.figures(), before.figures());
    assert!(says(&mut after, 20, "41").is_empty(), "it is raised already");
    assert_eq!(says(&mut after, 21, "20"), ["Cleared hot"]);
}

#[test]
fn an_alert_whose_rule_is_gone_is_cleared_at_the_start_and_says_so() {
    let mut before = alerts(vec![hot(), away("pump", 60)]);
    says(&mut before, 0, "40");
    before.event(at(1), &device("p2"), event("hot"));
    before.presence(at(0), &device("p1"), Some("pump"), Status::Offline, at(0));
    ticks(&mut before, 60);
    let kept = kept(&before);
    assert_eq!(kept.len(), 3);
    let restored = |rules| {
        let mut after = alerts(rules);
        restore(&mut after, 70, kept.clone());
        after
    };
    assert!(happened(&mut restored(vec![hot(), away("pump", 90)])).is_empty());
    assert_eq!(happened(&mut restored(vec![hot()])), ["Cleared offline"]);
    let mut after = restored(vec![away("pump", 60)]);
    let [cleared] = &after.take_changes()[..] else { panic!("one rule is gone") };
    assert_eq!((cleared.occasion, &*cleared.alert.code), (Occasion::Cleared, "hot"));
    assert_eq!(cleared.alert.cleared_by, Some(Actor::Gateway));
    let why = " (cleared: its rule is no longer in the configuration)";
    assert_eq!(cleared.alert.message, format!("temperature is 40.0, above 30{why}"));
    let warning = Rule { severity: Severity::Warning, ..hot() };
    let mut after = restored(vec![warning, away("pump", 60)]);
    assert_eq!(happened(&mut after), ["Cleared hot"], "another severity is another alert");
    says(&mut after, 71, "40");
    assert_eq!(says(&mut after, 81, "40"), ["Raised hot"]);
}

#[test]
fn what_a_device_said_of_an_alert_needs_no_rule() {
    let mut before = alerts(vec![away("pump", 60)]);
    before.presence(at(0), &device("p1"), Some("pump"), Status::Offline, at(0));
    assert_eq!(ticks(&mut before, 60), ["Raised offline"]);
    before.event(at(61), &device("p1"), event("offline"));
    assert_eq!(happened(&mut before), ["Counted offline"]);
    let mut after = alerts(vec![]);
    restore(&mut after, 70, kept(&before));
    assert!(happened(&mut after).is_empty());
    after.event(at(71), &device("p1"), over("offline"));
    assert_eq!(happened(&mut after), ["Cleared offline"]);
}

#[test]
fn a_rule_for_another_type_with_the_same_code_clears_nothing_at_the_start() {
    let of_pumps = |metric: &str| {
        let Rule { condition: Condition::Threshold { lasting, .. }, .. } = hot() else {
            panic!("it is a threshold")
        };
        let (metric, side) = (metric.into(), Side::Above);
        let condition = Condition::Threshold { metric, side, limit: 300.0, clear: 300.0, lasting };
        Rule { kind: Some("pump".into()), condition, ..hot() }
    };
    for metric in ["temperature", "heat"] {
        let mut before = alerts(vec![hot(), of_pumps(metric)]);
        says(&mut before, 0, "40");
        assert_eq!(ticks(&mut before, 10), ["Raised hot"]);
        let mut after = alerts(vec![hot(), of_pumps(metric)]);
        restore(&mut after, 20, kept(&before));
        assert!(looks_again(&mut after, 20, "40").is_empty(), "{metric}");
        assert!(ticks(&mut after, 40).is_empty(), "{metric}: it is raised already");
        assert_eq!(says(&mut after, 41, "20"), ["Cleared hot"], "{metric}");
    }
}

#[test]
fn an_alert_of_a_rule_that_is_for_another_type_now_is_cleared_at_the_start() {
    let mut before = alerts(vec![hot()]);
    says(&mut before, 0, "40");
    assert_eq!(ticks(&mut before, 10), ["Raised hot"]);
    let mut after = alerts(vec![Rule { kind: Some("pump".into()), ..hot() }]);
    restore(&mut after, 20, kept(&before));
    assert_eq!(happened(&mut after), ["Cleared hot"]);
}

#[test]
fn an_old_value_clears_nothing_at_the_start_that_a_device_raised_itself() {
    let mut before = alerts(vec![hot()]);
    says(&mut before, 0, "20");
    let data = serde_json::from_value(json!({"metric": "temperature", "at": "the sensor"}));
    let raised = DeviceEvent { severity: Severity::Critical, data: data.unwrap(), ..event("hot") };
    before.event(at(1), &device("t1"), raised);
    assert_eq!(happened(&mut before), ["Raised hot"]);
    let mut after = alerts(vec![hot()]);
    restore(&mut after, 20, kept(&before));
    assert!(looks_again(&mut after, 20, "20").is_empty());
}

fn kept(alerts: &Alerts) -> Vec<Alert> {
    alerts.list(None).cloned().collect()
}

/// Restores what was kept of thermostats (`t…`) and pumps (`p…`).
fn restore(alerts: &mut Alerts, second: i64, kept: Vec<Alert>) {
    let kind_of =
        |id: &DeviceId| Some(if id.as_str().starts_with('t') { "thermostat" } else { "pump" });
    alerts.restore(at(second), kept, kind_of);
}

/// What the bridge says of a device when it starts: its type, and the value that it has.
fn looks_again(alerts: &mut Alerts, second: i64, value: &str) -> Vec<String> {
    alerts.kind_changed(at(second), &device("t1"), Some("thermostat"));
    says(alerts, second, value)
}
