use super::*;
use serde_json::json;

fn compile(mappings: &Value) -> Result<Mappings, Vec<(usize, String)>> {
    let settings: Vec<MappingSettings> = serde_json::from_value(mappings.clone()).unwrap();
    Mappings::new(&settings, 64)
}

fn rendered(mapping: Value, name: &str, params: Value) -> Result<Rendered, String> {
    let mappings = compile(&json!([mapping])).unwrap();
    let delivery = Delivery {
        id: CommandId::from_u128(1),
        name: name.into(),
        params,
        attempt: 1,
        issued_at: protocol::Timestamp(0),
        not_after: protocol::Timestamp(0),
        timeout_ms: protocol::Millis(0),
    };
    mappings.of(Some("t")).unwrap().render(&"d".parse().unwrap(), &delivery)
}

#[test]
fn what_is_wrong_with_a_mapping_is_named_with_its_place() {
    let good = json!({"type": "t", "topic": "c/{device}"});
    let with = |key: &str, value: Value| {
        let mut mapping = good.clone();
        mapping[key] = value;
        mapping
    };
    let answer = |answer: Value| with("answers", json!([answer]));
    for (mapping, named) in [
        (with("type", json!("")), "type is empty"),
        (with("topic", json!("c/device")), "no level {device}"),
        (with("topic", json!("c/{device}/#")), "none that can be published to"),
        (with("topic", json!("$SYS/{device}")), "none that can be published to"),
        (with("topic", json!("c/{device}/{nme}")), "uses {nme}"),
        (with("payload", json!({"a": ["{param}"]})), "payload: '{param}' uses {param}"),
        (with("commands", json!([{"name": "a"}, {"name": "a"}])), "commands[1]: name 'a'"),
        (with("commands", json!([{"name": "a", "topic": "{x}"}])), "commands[0]: topic"),
        (answer(json!({"topic": "s/x", "when": {"/a": 1}})), "answers[0]: topic 's/x' has no"),
        (answer(json!({"topic": "s/{device}"})), "any message would be an answer"),
        (answer(json!({"topic": "s/{device}", "command": "id"})), "'id' is no JSON Pointer"),
        (answer(json!({"topic": "s/{device", "command": "/id"})), "answers[0]: topic"),
        (answer(json!({"topic": "s/{device}", "when": {"/a": "{b}"}})), "uses {b}"),
        (
            with("presence", json!({"topic": "p/{device}", "online": 1, "offline": "1"})),
            "online and offline are both 1",
        ),
        (with("presence", json!({"topic": "p", "online": 1, "offline": 2})), "presence: topic"),
    ] {
        let mistakes = compile(&json!([{"type": "other", "topic": "{device}"}, mapping]));
        let (place, why) = mistakes.unwrap_err().remove(0);
        assert_eq!(place, 1);
        assert!(why.contains(named), "{named}: {why}");
    }
    let twice = compile(&json!([good, good])).unwrap_err();
    assert_eq!(twice, [(1, "type 't' has two mappings".to_owned())]);
}

#[test]
fn a_payload_is_bounded_and_no_parameter_makes_another_topic() {
    let mapping = json!({"type": "t", "topic": "c/{device}/{params.x}", "payload": "{params.y}"});
    let filled = rendered(mapping.clone(), "n", json!({"x": "a", "y": "b"})).unwrap();
    assert_eq!((filled.topic.as_str(), filled.payload.as_str()), ("c/d/a", "b"));
    for x in ["a/b", "+", "#", "a\u{0}"] {
        let why = rendered(mapping.clone(), "n", json!({"x": x, "y": "b"})).unwrap_err();
        assert!(why.contains("is no topic"), "{why}");
    }
    let why = rendered(mapping.clone(), "n", json!({"x": "a", "y": "b".repeat(65)})).unwrap_err();
    assert!(why.contains("65 bytes, more than limits.command_params_bytes, 64"), "{why}");
    let why = rendered(mapping, "n", json!({"x": "a"})).unwrap_err();
    assert!(why.contains("params.y"), "{why}");
}

#[test]
fn where_commands_are_listed_others_are_none() {
    let listed = json!({"type": "t", "topic": "c/{device}", "commands": [{"name": "a"}]});
    assert!(rendered(listed.clone(), "a", json!({})).is_ok());
    let why = rendered(listed, "b", json!({})).unwrap_err();
    assert_eq!(why, "name: 'b' is no command of devices of type 't': there are a");
    let all = json!({"type": "t", "topic": "c/{device}", "commands": [{"name": "*", "topic": "o/{name}"}]});
    assert_eq!(rendered(all, "b", json!({})).unwrap().topic.as_str(), "o/b");
}

#[test]
fn only_devices_whose_ids_match_are_meant() {
    let mapping = json!({"type": "t", "devices": ["shelly*"], "topic": "{device}/rpc",
        "presence": {"topic": "{device}/online", "online": true, "offline": false}});
    let mappings = compile(&json!([mapping])).unwrap();
    let spoken = mappings.resolve("shelly1/online").unwrap();
    assert_eq!(mappings.kind_of(&spoken), Some("t"));
    assert!(mappings.resolve("pump/online").is_none() && mappings.resolve("shelly1/x").is_none());
}
