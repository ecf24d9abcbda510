//! Where topics lead, and which routes cannot be.

use super::*;
use proptest::prelude::*;

fn telemetry(device: &str, payload: Payload) -> Option<Destination> {
    Some(Destination::Telemetry {
        channel: format!("telemetry/{device}").parse().unwrap(),
        device: device.parse().unwrap(),
        payload,
    })
}

fn metric(name: &str) -> Payload {
    Payload::Metric { name: name.into(), text: false }
}

#[test]
fn the_built_in_routes_are_those_of_the_contract() {
    let table = RouteTable::new(vec![]);
    let id = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
    assert_eq!(table.resolve("devices/d1/telemetry"), telemetry("d1", Payload::Json));
    assert_eq!(table.resolve("devices/d1/telemetry/temp"), telemetry("d1", metric("temp")));
    assert_eq!(
        table.resolve("devices/d1/state"),
        Some(Destination::State { device: "d1".parse().unwrap() })
    );
    assert_eq!(
        table.resolve(&format!("devices/d1/commands/{id}/ack")),
        Some(Destination::Answer { device: "d1".parse().unwrap(), command: id.parse().unwrap() })
    );
    for other in [
        "devices/d 1/telemetry",
        "devices//telemetry",
        "devices/d1/telemetry/a/b",
        "devices/d1/commands/7/ack",
        "devices/d1",
        "devices",
        "/devices/d1/telemetry",
        "other/topic",
    ] {
        assert_eq!(table.resolve(other), None, "{other}");
    }
}

#[test]
fn configured_routes_come_first_and_capture() {
    let route = |topic, channel, codec| Route::new(topic, channel, codec).unwrap();
    let table = RouteTable::new(vec![
        route("plant/{area}/{device}/{metric}", "telemetry/{device}", Codec::Scalar),
        route("weather/{place...}", "weather/{place...}", Codec::Json),
    ]);
    assert_eq!(table.resolve("plant/hall/p1/rpm"), telemetry("p1", metric("rpm")));
    assert_eq!(
        table.resolve("weather/at//wien"),
        Some(Destination::Custom {
            channel: "weather/at//wien".parse().unwrap(),
            payload: Payload::Json
        })
    );
    assert_eq!(table.resolve("weather"), None);
}

#[test]
fn routes_that_cannot_be_say_why() {
    let refused = |topic, channel, codec| Route::new(topic, channel, codec).unwrap_err();
    let level = |template: &str, level: &str| BadRoute::Level {
        template: template.into(),
        level: level.into(),
    };
    assert_eq!(refused("a/{x", "b", Codec::Json), level("a/{x", "{x"));
    assert_eq!(refused("a/{x...}/b", "b", Codec::Json), level("a/{x...}/b", "b"));
    assert_eq!(refused("a/+", "b", Codec::Json), level("a/+", "+"));
    assert_eq!(refused("", "b", Codec::Json), level("", ""));
    assert!(matches!(refused("{x}/{x}", "b", Codec::Json), BadRoute::Twice { .. }));
    assert!(matches!(refused("a/{x}", "b/{y}", Codec::Json), BadRoute::Unknown { .. }));
    assert!(matches!(refused("a/{x}", "presence/{x}", Codec::Json), BadRoute::Reserved(_)));
    assert!(matches!(refused("a/{x}", "{x}", Codec::Json), BadRoute::Reserved(_)));
    assert!(matches!(
        refused("a/{x...}", "telemetry/{x...}", Codec::Json),
        BadRoute::TelemetryShape(_)
    ));
    assert!(matches!(refused("a/{d}", "telemetry/{d}", Codec::Text), BadRoute::NoMetric(_)));
}

proptest! {
    #[test]
    fn no_text_panics(template: String, topic: String) {
        let table = RouteTable::new(Route::new(&template, "x/y", Codec::Json).into_iter().collect());
        let _destination = table.resolve(&topic);
    }

    #[test]
    fn a_rest_template_copies_the_topic(rest in "[a-z/]{1,12}") {
        let table =
            RouteTable::new(vec![Route::new("w/{r...}", "c/{r...}", Codec::Json).unwrap()]);
        let channel = match table.resolve(&format!("w/{rest}")) {
            Some(Destination::Custom { channel, .. }) => channel.to_string(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(channel, format!("c/{rest}"));
    }
}
