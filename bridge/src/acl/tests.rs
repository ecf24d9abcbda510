use super::*;
use proptest::prelude::*;
use protocol::TopicFilter;

fn device(id: &'static str) -> DeviceId {
    id.parse().unwrap()
}

fn rule(effect: Effect, whom: Whom, action: Option<Action>, topic: &str) -> Rule {
    let topic = topic.parse().unwrap();
    Rule { origin: Origin::Configured(0), effect, whom, action, topic }
}

fn user<'a>(name: &'a str, role: Role) -> Client<'a> {
    Client { who: Who::User(name, role), client_id: "cli" }
}

#[test]
fn a_device_speaks_up_for_itself_and_hears_its_own_topics_only() {
    let (rules, id) = (Rules::new(vec![]), device("d1"));
    let client = Client { who: Who::Device(&id, None), client_id: "other" };
    for topic in ["telemetry", "telemetry/t", "events", "state", "commands/c/ack"] {
        let own = format!("devices/d1/{topic}");
        assert!(rules.allow(&client, Action::Publish, &own), "{own}");
        let others = format!("devices/d2/{topic}");
        assert!(!rules.allow(&client, Action::Publish, &others), "{others}");
    }
    for topic in
        ["devices/d1/commands/c", "devices/d1/desired", "devices/d1", "a", "$SYS/x", "other"]
    {
        assert!(!rules.allow(&client, Action::Publish, topic), "{topic}");
    }
    for (filter, grant) in [
        ("devices/d1/commands/+", Grant::Whole),
        ("devices/d1/#", Grant::Whole),
        ("devices/+/commands/#", Grant::Partly),
        ("#", Grant::Partly),
        ("devices/d2/#", Grant::Refused),
        ("devices", Grant::Refused),
        ("$SYS/#", Grant::Refused),
    ] {
        assert_eq!(rules.grant(&client, filter).0, grant, "{filter}");
    }
    assert!(!rules.allow(&client, Action::Subscribe, "devices/d2/commands/c"));
}

#[test]
fn a_viewer_reads_an_operator_commands_and_an_admin_does_all() {
    let rules = Rules::new(vec![]);
    for (role, allowed) in [
        (Role::Viewer, &[][..]),
        (Role::Operator, &["devices/d/commands/c", "devices/d/commands/c/cancel", "a/b"]),
        (Role::Admin, &["devices/d/commands/c", "a/b", "devices/d/telemetry", "devices/d/desired"]),
    ] {
        let client = user("ann", role);
        for topic in
            ["devices/d/commands/c", "devices/d/telemetry", "devices/d/desired", "a/b", "$SYS/x"]
        {
            let expected = allowed.contains(&topic)
                || (topic == "devices/d/commands/c/cancel" && role == Role::Operator);
            assert_eq!(rules.allow(&client, Action::Publish, topic), expected, "{role} {topic}");
        }
        assert_eq!(rules.grant(&client, "#").0, Grant::Whole);
        assert_eq!(rules.grant(&client, "$SYS/broker/#").0, Grant::Whole);
    }
}

#[test]
fn the_first_rule_that_concerns_the_client_decides() {
    let ann = || Whom { user: Some("ann".into()), ..Whom::default() };
    let rules = Rules::new(vec![
        rule(Effect::Allow, ann(), Some(Action::Publish), "secret/%u"),
        rule(Effect::Deny, Whom::default(), None, "secret/#"),
    ]);
    let (ann, bob) = (user("ann", Role::Viewer), user("bob", Role::Admin));
    assert!(rules.allow(&ann, Action::Publish, "secret/ann"));
    assert!(!rules.allow(&ann, Action::Subscribe, "secret/ann"));
    assert!(!rules.allow(&bob, Action::Publish, "secret/ann"));
    assert_eq!(rules.grant(&bob, "secret/x").0, Grant::Refused);
    assert_eq!(rules.grant(&bob, "#").0, Grant::Partly);
    assert_eq!(rules.grant(&bob, "open/#").0, Grant::Whole);
    let decision = rules.decide(&bob, Action::Publish, "secret/ann");
    let said = decision.by.unwrap().to_string();
    assert_eq!(said, "[[acl]] 1: deny publish and subscribe 'secret/#' for everybody");
}

#[test]
fn a_rule_concerns_who_is_all_that_it_says() {
    let pump =
        Whom { device: Some("p-*".parse().unwrap()), kind: Some("pump".into()), ..Whom::default() };
    let rules = Rules::new(vec![rule(Effect::Allow, pump, None, "shared/%c")]);
    let may = |id: &'static str, kind, client_id, topic| {
        let id = device(id);
        let client = Client { who: Who::Device(&id, kind), client_id };
        rules.allow(&client, Action::Publish, topic)
    };
    assert!(may("p-1", Some("pump"), "p-1", "shared/p-1"));
    assert!(!may("p-1", Some("tank"), "p-1", "shared/p-1"));
    assert!(!may("p-1", None, "p-1", "shared/p-1"));
    assert!(!may("x-1", Some("pump"), "x-1", "shared/x-1"));
    for evil in ["+", "#", "a/b", ""] {
        assert!(!may("p-1", Some("pump"), evil, "shared/p-1"), "{evil}");
        assert!(!may("p-1", Some("pump"), evil, "shared/a/b"), "{evil}");
    }
}

proptest! {
    /// What is granted wholly or refused is so topic by topic too.
    #[test]
    fn a_grant_says_what_the_topics_say(
        rules in prop::collection::vec((any::<bool>(), "[ab+]?(/[ab+]){0,2}(/#)?"), 0..5),
        filter in "[ab+$]?(/[ab+]){0,2}(/#)?",
    ) {
        prop_assume!(!filter.is_empty());
        let rules: Vec<Rule> = rules.into_iter().filter(|(_, topic)| !topic.is_empty())
            .map(|(allow, topic)| {
                let effect = if allow { Effect::Allow } else { Effect::Deny };
                rule(effect, Whom::default(), None, &topic)
            }).collect();
        let rules = Rules(rules.into());
        let client = user("ann", Role::Viewer);
        let parsed: TopicFilter = filter.parse().unwrap();
        let level = ["a", "b", "c"];
        let mut topics: Vec<String> = level.iter().chain(&["$"]).map(|it| (*it).to_owned()).collect();
        for _ in 0..3 {
            let deeper: Vec<_> = topics.iter()
                .flat_map(|topic| level.map(|next| format!("{topic}/{next}"))).collect();
            topics.extend(deeper);
        }
        let matched: Vec<_> = topics.iter().filter(|topic| parsed.matches(topic)).collect();
        let allowed = matched.iter()
            .filter(|topic| rules.allow(&client, Action::Subscribe, topic)).count();
        match rules.grant(&client, &filter).0 {
            Grant::Whole => prop_assert_eq!(allowed, matched.len()),
            Grant::Refused => prop_assert_eq!(allowed, 0),
            Grant::Partly => {}
        }
    }
}
