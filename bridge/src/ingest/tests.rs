//! What each payload reads as, and why others are refused.

use super::*;
use crate::mapping::Mappings;
use proptest::prelude::*;
use protocol::AnswerStatus;

fn telemetry(payload: Payload) -> Destination {
    Destination::Telemetry {
        channel: "telemetry/d1".parse().expect("valid"),
        device: "d1".parse().expect("valid"),
        payload,
    }
}

fn metric(text: bool) -> Payload {
    Payload::Metric { name: "m".into(), text }
}

/// Each update as its time and its data.
fn check(destination: &Destination, payload: &str) -> Result<Vec<(Option<i64>, String)>, String> {
    let inbound = decode(destination, payload.as_bytes()).map_err(|error| error.to_string())?;
    let pair = |inbound| match inbound {
        Inbound::Update { timestamp, data, .. } => {
            (timestamp.map(|time| time.0), data.text().into())
        }
        other @ (Inbound::State { .. }
        | Inbound::Event { .. }
        | Inbound::Recent { .. }
        | Inbound::Mapped { .. }
        | Inbound::Answer { .. }) => panic!("{other:?}"),
    };
    Ok(inbound.into_iter().map(pair).collect())
}

#[test]
fn telemetry_comes_plain_stamped_or_as_a_batch() {
    let json = telemetry(Payload::Json);
    let one = |time, text: &str| Ok(vec![(time, text.to_owned())]);
    assert_eq!(check(&json, r#"{"a":1}"#), one(None, r#"{"a":1}"#));
    assert_eq!(check(&json, r#"{"timestamp":5,"data":{"a":1}}"#), one(Some(5), r#"{"a":1}"#));
    assert_eq!(check(&json, r#"{"timestamp":5.0,"data":{"a":1}}"#), one(Some(5), r#"{"a":1}"#));
    assert_eq!(check(&json, r#"{"timestamp":5,"a":1}"#), one(None, r#"{"timestamp":5,"a":1}"#));
    assert_eq!(
        check(&json, r#" [{"timestamp":5,"data":{"a":1}},{"a":2}]"#),
        Ok(vec![(Some(5), r#"{"a":1}"#.into()), (None, r#"{"a":2}"#.into())])
    );
    assert_eq!(check(&json, "[]"), Ok(vec![]));
}

#[test]
fn a_batch_with_a_bad_entry_is_refused_whole_and_names_it() {
    let refused = check(&telemetry(Payload::Json), r#"[{"a":1},7]"#).expect_err("7 is no object");
    assert!(refused.starts_with("entry 1 of the batch"), "{refused}");
}

#[test]
fn a_time_out_of_range_is_refused() {
    let refused = check(&telemetry(Payload::Json), r#"{"timestamp":-1,"data":{}}"#);
    let why = "is no whole number of milliseconds in 0-8640000000000000";
    assert_eq!(refused, Err(format!("timestamp -1 {why}")));
    for bad in ["1.5", "\"1000\"", "null", "8640000000000001", "{}"] {
        let payload = format!(r#"{{"data":{{"a":1}},"timestamp":{bad}}}"#);
        let refused = check(&telemetry(Payload::Json), &payload);
        assert_eq!(refused, Err(format!("timestamp {bad} {why}")));
    }
}

#[test]
fn other_members_of_a_stamped_reading_are_ignored_and_metrics_may_be_named_like_its_own() {
    let json = telemetry(Payload::Json);
    let one = |time, text: &str| Ok(vec![(time, text.to_owned())]);
    let stamped = r#"{"timestamp":5,"data":{"a":1},"site":"north"}"#;
    assert_eq!(check(&json, stamped), one(Some(5), r#"{"a":1}"#));
    for plain in [r#"{"timestamp":5,"data":7}"#, r#"{"data":{"a":1}}"#] {
        assert_eq!(check(&json, plain), one(None, plain));
    }
}

#[test]
fn of_a_member_that_a_stamped_reading_has_twice_the_last_counts() {
    let json = telemetry(Payload::Json);
    for twice in [
        r#"{"timestamp":5,"data":{"a":1},"data":{"a":2}}"#,
        r#"{"timestamp":"x","data":7,"data":{"a":2},"timestamp":5}"#,
    ] {
        assert_eq!(check(&json, twice), Ok(vec![(Some(5), r#"{"a":2}"#.to_owned())]));
    }
    let metrics = r#"{"timestamp":5,"data":7}"#.to_owned();
    let twice = r#"{"timestamp":5,"data":{"a":1},"data":7}"#;
    assert_eq!(check(&json, twice), Ok(vec![(None, metrics)]));
}

#[test]
fn scalars_are_json_where_they_can_be_else_text() {
    let scalar = telemetry(metric(false));
    for (payload, value) in [
        ("21.5", "21.5"),
        ("true", "true"),
        ("{\"a\":1}", "{\"a\":1}"),
        ("on", "\"on\""),
        ("1e999", "\"1e999\""),
    ] {
        assert_eq!(check(&scalar, payload), Ok(vec![(None, format!("{{\"m\":{value}}}"))]));
    }
    assert!(check(&scalar, "").is_err());
    assert_eq!(check(&telemetry(metric(true)), "1"), Ok(vec![(None, r#"{"m":"1"}"#.into())]));
}

#[test]
fn an_answer_is_an_object_with_progress_in_its_range() {
    let destination = Destination::Answer {
        device: "d1".parse().unwrap(),
        command: "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c".parse().unwrap(),
    };
    let decoded = |payload: &str| decode(&destination, payload.as_bytes()).is_ok();
    assert!(decoded(r#" {"status":"progress","progress":100}"#));
    for bad in [
        r#"["failed",1,null,7,null]"#,
        r#"{"status":"progress","progress":101}"#,
        r#"{"status":"progress","progress":-1}"#,
        r#"{"status":"gone"}"#,
        "",
    ] {
        assert!(!decoded(bad), "{bad}");
    }
}

#[test]
fn an_answer_whose_error_alone_is_wrong_is_understood_all_the_same() {
    let device: DeviceId = "d1".parse().unwrap();
    let id = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
    let one = Destination::Answer { device: device.clone(), command: id.parse().unwrap() };
    let error = |said: &str| {
        let payload = format!(r#"{{"id":"{id}","status":"failed","attempt":2,"error":{said}}}"#);
        assert!(decode(&one, payload.as_bytes()).is_err(), "{said}");
        let mended = decode_mended(&one, payload.as_bytes()).expect(said);
        let [Inbound::Answer { answer, .. }] = &mended[..] else { panic!("{mended:?}") };
        assert_eq!((answer.status, answer.attempt), (AnswerStatus::Failed, Some(2)));
        let report = format!(r#"["{id}",{payload}]"#);
        let recent = Destination::Recent { device: device.clone() };
        let mended = decode_mended(&recent, report.as_bytes()).expect(said);
        let [Inbound::Recent { answers, .. }] = &mended[..] else { panic!("{mended:?}") };
        assert_eq!(answers[1].1, *answer);
        let error = answer.error.clone().unwrap();
        (error.code, error.message)
    };
    assert_eq!(error(r#""stuck""#), (String::new(), "stuck".into()));
    assert_eq!(error(r#"{"code":17,"message":"stuck"}"#), ("17".into(), "stuck".into()));
    assert_eq!(error(r#"{"code":"e","message":null}"#), ("e".into(), String::new()));
    assert_eq!(error("[1,2]"), (String::new(), "[1,2]".into()));
    assert_eq!(error(r#" { "code" : 1, "message" : "a\"}" } "#), ("1".into(), r#"a"}"#.into()));
    for bad in [
        r#"{"status":"gone","error":"stuck"}"#,
        r#"{"status":"failed","progress":101,"error":"stuck"}"#,
        r#"["failed",1,null,7,"stuck"]"#,
        r#"{"status":"failed","status":"succeeded"}"#,
        r#"{"status":"failed","status":"succeeded","error":null}"#,
        r#"{"status":"failed","status":"succeeded","error":{"code":"e","message":"stuck"}}"#,
        r#"{"status":"failed","status":"succeeded","error":"stuck"}"#,
        r#"{"status":"failed","error":"stuck","error":"dry"}"#,
        r#"{"status":"failed","error":{"code":"e","code":"f","message":"stuck"}}"#,
        r#"{"status":"failed","error":"stuck""#,
        "",
    ] {
        assert!(decode(&one, bad.as_bytes()).is_err(), "{bad}");
        assert!(decode_mended(&one, bad.as_bytes()).is_none(), "{bad}");
    }
    let state = Destination::State { device };
    assert!(decode_mended(&state, br#"{"error":"stuck"}"#).is_none());
}

#[test]
fn an_event_is_an_object_with_a_severity_and_a_code() {
    let destination = Destination::Event { device: "d1".parse().unwrap() };
    let decoded = |payload: &str| decode(&destination, payload.as_bytes()).is_ok();
    assert!(decoded(r#" {"severity":"info","code":"door","more":1}"#));
    assert!(decoded(r#"{"severity":"critical","code":"dry","message":"","data":{"l":0}}"#));
    let long = "x".repeat(1_025);
    for bad in [
        r#"["info","door","",null,false]"#,
        r#"{"severity":"fatal","code":"door"}"#,
        r#"{"severity":"info","code":""}"#,
        r#"{"severity":"info","code":"a\nb"}"#,
        r#"{"severity":"info"}"#,
        r#"{"severity":"info","code":"door","data":7}"#,
        &format!(r#"{{"severity":"info","code":"door","message":"{long}"}}"#),
        &format!(r#"{{"severity":"info","code":"door","data":{{"a":"{}"}}}}"#, "x".repeat(16_384)),
        "",
    ] {
        assert!(!decoded(bad), "{bad}");
    }
}

#[test]
fn a_report_of_the_last_commands_has_ids_and_answers() {
    let destination = Destination::Recent { device: "d1".parse().unwrap() };
    let id = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
    let payload = format!(r#"["{id}", {{"id": "{id}", "status": "failed", "attempt": 2}}]"#);
    let decoded = decode(&destination, payload.as_bytes()).unwrap();
    let [Inbound::Recent { answers, .. }] = &decoded[..] else { panic!("{decoded:?}") };
    let statuses: Vec<_> = answers.iter().map(|(_, it)| (it.status, it.attempt)).collect();
    assert_eq!(statuses, [(AnswerStatus::Succeeded, None), (AnswerStatus::Failed, Some(2))]);
    for (bad, named) in [
        (format!(r#"["{id}", 7]"#), "entry 1"),
        (r#"[{"status": "failed"}]"#.into(), "entry 0"),
        (format!("[{}]", vec!["0"; 257].join(",")), "257"),
    ] {
        let refused = decode(&destination, bad.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(named), "{refused}");
    }
}

#[test]
fn a_response_without_a_status_is_the_result_of_success() {
    let (device, id) = ("d1".parse().unwrap(), CommandId::from_u128(1));
    let read = |payload: &str| {
        let read = decode_response(&device, id, payload.as_bytes()).unwrap();
        let Inbound::Answer { answer, .. } = read else { panic!("{read:?}") };
        (answer.status, answer.result)
    };
    let done = AnswerStatus::Succeeded;
    assert_eq!(read(r#"{"rpm": 900}"#), (done, Some(serde_json::json!({"rpm": 900}))));
    assert_eq!(read("done"), (done, Some("done".into())));
    assert_eq!(read(""), (done, None));
    assert_eq!(read(r#"{"status": "failed"}"#), (AnswerStatus::Failed, None));
    assert_eq!(read("23 \u{b0}C [inside]"), (done, Some("23 \u{b0}C [inside]".into())));
    assert!(decode_response(&device, id, br#"{"status": "gone"}"#).is_err());
}

#[test]
fn a_response_that_means_to_be_an_object_or_an_array_and_is_none_says_nothing() {
    let (device, id) = ("d1".parse().unwrap(), CommandId::from_u128(1));
    for bad in [
        r#"{"status":"failed","result":{"t":NaN}}"#,
        r#"{"status":"rejected",}"#,
        "\u{feff}{\"status\":\"failed\"}",
        "{'status':'failed'}",
        r#"{"status":"started"}{}"#,
        " \n[1, 2",
    ] {
        assert!(decode_response(&device, id, bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_mapped_device_says_json_however_deep_or_a_text_and_no_broken_json() {
    let mapping = serde_json::json!([{
        "type": "lamp",
        "topic": "lamps/{device}/set",
        "answers": [{"topic": "lamps/{device}", "when": {"": "done"}}],
    }]);
    let mappings = Mappings::new(&serde_json::from_value::<Vec<_>>(mapping).unwrap(), 1_000);
    let spoken = mappings.unwrap().resolve("lamps/a").unwrap();
    let read = |payload: &[u8]| match decode_mapped(&spoken, payload) {
        Some(Inbound::Mapped { payload, .. }) => Some(payload),
        other => other.map(|other| panic!("{other:?}")),
    };
    let deep = format!(r#"{{"result":{}1{},"ok":true}}"#, "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(read(deep.as_bytes()).unwrap()["ok"], true);
    for text in ["done", "", "23 \u{b0}C [inside]"] {
        assert_eq!(read(text.as_bytes()), Some(Value::from(text)));
    }
    for bad in [r#"{"ok":true,"t":NaN}"#, " [1, 2", "\u{feff}{\"ok\":true}"] {
        assert_eq!(read(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(read(b"\xff"), None);
}

#[test]
fn the_numbers_of_an_answer_are_those_that_the_device_wrote_to_the_last_digit() {
    let (device, id) = ("d1".parse().unwrap(), CommandId::from_u128(1));
    for number in ["3e+23", "2.638344616030823e-256", "0.1", "9007199254740993"] {
        let answer = format!(r#"{{"status":"succeeded","result":{number}}}"#);
        let inbound = decode_response(&device, id, answer.as_bytes()).unwrap();
        let Inbound::Answer { answer, .. } = inbound else { panic!("{inbound:?}") };
        assert_eq!(answer.result.unwrap().to_string(), number);
    }
}

#[test]
fn raw_messages_say_how_their_payload_is_written() {
    let text = |payload: &[u8]| raw_message(payload, 1, false, |_| "AP8=".into()).text().to_owned();
    assert_eq!(text(b"{}"), r#"{"payload":{},"encoding":"json","qos":1,"retain":false}"#);
    assert_eq!(text(b"hi"), r#"{"payload":"hi","encoding":"utf8","qos":1,"retain":false}"#);
    assert_eq!(text(b"\0\xff"), r#"{"payload":"AP8=","encoding":"base64","qos":1,"retain":false}"#);
}

proptest! {
    #[test]
    fn no_payload_panics(payload: Vec<u8>) {
        for payload_kind in [Payload::Json, metric(false), metric(true)] {
            let _decoded = decode(&telemetry(payload_kind), &payload);
        }
    }
}
