//! The rules that hold where the configuration says nothing else.

use super::{Action, Effect, Origin, Pattern, Rule, Whom};
use protocol::{DevicePattern, Role};

/// A device speaks for itself and hears what is said to it. A viewer reads. An operator commands devices and
/// publishes elsewhere, but does not speak for devices. An admin does all.
pub(super) fn rules() -> Vec<Rule> {
    let any_device: DevicePattern = "*".parse().expect("a pattern of device ids");
    let device = || Whom { device: Some(any_device.clone()), ..Whom::default() };
    let role = |role| Whom { role: Some(role), ..Whom::default() };
    let up = ["telemetry", "telemetry/+", "events", "state", "commands/recent", "commands/+/ack"];
    let mut rules: Vec<Rule> = up
        .iter()
        .map(|end| allow(device(), Action::Publish, &format!("devices/%u/{end}")))
        .collect();
    rules.push(allow(device(), Action::Subscribe, "devices/%u/#"));
    for reader in [Role::Viewer, Role::Operator, Role::Admin] {
        rules.push(allow(role(reader), Action::Subscribe, "#"));
        rules.push(allow(role(reader), Action::Subscribe, "$SYS/#"));
    }
    let operator = || role(Role::Operator);
    rules.push(allow(operator(), Action::Publish, "devices/+/commands/+"));
    rules.push(allow(operator(), Action::Publish, "devices/+/commands/+/cancel"));
    let others = allow(operator(), Action::Publish, "devices/#");
    rules.push(Rule { effect: Effect::Deny, ..others });
    rules.push(allow(operator(), Action::Publish, "#"));
    rules.push(allow(role(Role::Admin), Action::Publish, "#"));
    rules
}

fn allow(whom: Whom, action: Action, topic: &str) -> Rule {
    let topic: Pattern = topic.parse().expect("a pattern of topics");
    Rule { origin: Origin::BuiltIn, effect: Effect::Allow, whom, action: Some(action), topic }
}
