//! What the sources say together, and every mistake in one report.

use super::{tree::keys, *};
use std::{io::Write, os::unix::ffi::OsStringExt as _};

fn with_file(text: &str, environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let environment =
        environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let file_path = file.path().to_owned();
    let loaded = load(&Sources { file: Some(file_path), environment, flags: vec![] });
    loaded.map_err(|Mistakes(mistakes)| {
        let path = file.path().display().to_string();
        Mistakes(mistakes.into_iter().map(|text| text.replace(&path, "FILE")).collect())
    })
}

#[test]
fn nothing_set_means_the_defaults() {
    assert_eq!(load(&Sources::default()), Ok(Config::default()));
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let loaded = with_file(
        "[mqtt]\nlisten = '127.0.0.1:1'\n[http]\nflush_ms = 5",
        &[
            ("SLUICE_MQTT__LISTEN", "127.0.0.1:2"),
            ("SLUICE_HTTP__ALLOWED_HOSTS", "a.example, b.example"),
            ("SLUICE_URL", "http://127.0.0.1:8080"),
            ("HOME", "/"),
        ],
    )
    .unwrap();
    assert_eq!((loaded.mqtt.listen.port(), loaded.http.flush_ms), (2, 5));
    assert_eq!(loaded.http.allowed_hosts, ["a.example", "b.example"]);
    let flags = vec![("mqtt.listen", "127.0.0.1:3".into())];
    let environment =
        [("SLUICE_MQTT__LISTEN".to_owned(), "127.0.0.1:2".into())].into_iter().collect();
    let loaded = load(&Sources { file: None, environment, flags }).unwrap();
    assert_eq!(loaded.mqtt.listen.port(), 3);
}

#[test]
fn an_empty_variable_empties_a_list() {
    let text = "[http]\nallowed_hosts = ['a.example']\n[[acl]]\neffect = 'deny'\ntopic = '#'";
    for empty in ["", " "] {
        let emptied = [("SLUICE_HTTP__ALLOWED_HOSTS", empty), ("SLUICE_ACL", empty)];
        assert_eq!(with_file(text, &emptied), Ok(Config::default()));
    }
    let Mistakes(told) =
        with_file("", &[("SLUICE_HTTP__ALLOWED_HOSTS", "a.example,")]).unwrap_err();
    assert!(told[0].starts_with("http.allowed_hosts: ''"), "{told:?}");
}

#[test]
fn what_the_command_line_is_told_by_the_environment_is_no_setting_and_a_typo_of_it_is_a_mistake() {
    let told = OF_COMMAND_LINE.map(|name| (name, "of the command line"));
    assert_eq!(with_file("", &told), Ok(Config::default()));
    let Mistakes(mistakes) = with_file("", &[("SLUICE_TOKENS", "slt_x")]).unwrap_err();
    assert!(mistakes[0].contains("unknown key (from SLUICE_TOKENS)"), "{mistakes:?}");
}

#[test]
fn every_mistake_is_in_one_report() {
    let report = with_file(
        r#"
        data_dri = "x"
        [mqtt]
        listen = "here"
        [http]
        listen = "0.0.0.0:80"
        allowed_origins = ["dashboard.example"]
        [limits]
        topic_bytes = "many"
        topic_levels = 0
        mqtt_packet_bytes = -1
        [log]
        format = "xml"
        level = "loud="
        [mqtts]
        listen = "127.0.0.1:8883"
        [[routes]]
        topic = "a/{x"
        channel = "b"
        [[routes]]
        topic = "a/{x}"
        channel = "telemetry/{y}"
        "#,
        &[("SLUICE_HTTP__FLUSH_MS", "soon"), ("SLUICE_NOTHING", "1")],
    )
    .unwrap_err();
    insta::assert_snapshot!(report);
}

#[test]
fn every_example_reads_and_the_full_one_says_the_defaults() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.is_dir() {
            continue;
        }
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        let loaded = load(&sources).unwrap_or_else(|error| panic!("{error}"));
        if file.ends_with("sluice.toml") {
            let text = std::fs::read_to_string(&file).unwrap();
            let missing: Vec<_> = keys("", &serde_json::to_value(Config::default()).unwrap())
                .into_iter()
                .filter(|key| key != "routes")
                .filter(|key| !text.contains(key.rsplit('.').next().unwrap()))
                .collect();
            assert_eq!((loaded, missing), (Config::default(), vec![]));
        }
        examples += 1;
    }
    assert!(examples >= 2);
}

#[test]
fn each_entry_of_a_list_is_told_of_and_a_number_that_is_too_large_by_its_place() {
    let Mistakes(told) = with_file(
        "[[retention]]\nhours = 1\n[[retention]]\nchannels = '#'\n[[retention]]\nchannels = 5",
        &[("SLUICE_DATA_DIR", "")],
    )
    .unwrap_err();
    let places = ["retention[0] = ", "retention[2] = ", "data_dir: "];
    for (told, place) in told.iter().zip(places) {
        assert!(told.starts_with(place), "{told}");
    }
    assert_eq!(told.len(), places.len(), "{told:?}");
    let large = with_file("[limits]\ndevices = 99999999999999999999", &[]).unwrap_err();
    assert!(large.to_string().contains("line 2"), "{large}");
}

#[test]
fn an_entry_that_cannot_be_read_hides_nothing_of_the_others() {
    let Mistakes(told) = with_file(
        "[[acl]]\neffect = 'maybe'\ntopic = 'x'\n\
         [[acl]]\neffect = 'allow'\ntopic = 'a/#/c'\nuser = 'a'\ntype = 'pump'\n\
         [[alerts]]\ncode = 'x'\noffline_ms = '1'\n\
         [[alerts]]\ncode = ''\nmetric = 't'\nabove = 1\nclear = 2\n\
         [[retention]]\nchannels = 5\n\
         [[retention]]\nchannels = 'a/#/b'\nhours = 0\n\
         [[http]]\nflush_ms = 1\n\
         [webhook]\nurl = 'ftp://h/'\nca = '/nowhere.pem'\nsecret = 'whsec_!'",
        &[],
    )
    .unwrap_err();
    let expected = [
        "acl[0] = ",
        "alerts[0] = ",
        "http[0] = ",
        "retention[0] = ",
        "retention[1].channels: ",
        "retention[1].hours: ",
        "alerts[1]: code ''",
        "alerts[1]: clear = 2",
        "webhook.url: ",
        "webhook.secret: ",
        "webhook.ca: ",
        "acl[1].device: ",
        "acl[1].topic: ",
    ];
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn a_whole_number_may_be_written_with_a_point_and_a_fraction_is_told() {
    let text = "[http]\nflush_ms = 30.0\n[[retention]]\nchannels = '#'\nhours = 2.0";
    let loaded = with_file(text, &[("SLUICE_LIMITS__DEVICES", "5e3")]).unwrap();
    assert_eq!((loaded.http.flush_ms, loaded.limits.devices), (30, 5_000));
    let environment = [("SLUICE_LIMITS__DEVICES", "7.5")];
    let Mistakes(told) = with_file("[http]\nflush_ms = 30.5", &environment).unwrap_err();
    assert!(told[0].starts_with("http.flush_ms = 30.5: "), "{told:?}");
    assert!(told[1].starts_with("limits.devices = 7.5: "), "{told:?}");
}

#[test]
fn what_is_not_utf_8_is_told_where_it_is_a_setting_and_left_alone_elsewhere() {
    let bytes = OsString::from_vec(vec![0xff]);
    let environment = ["LESS", "SLUICE_DATA_DIR"].map(|name| (name.to_owned(), bytes.clone()));
    let flags = vec![("http.listen", bytes)];
    let environment = environment.into_iter().collect();
    let Mistakes(told) = load(&Sources { file: None, environment, flags }).unwrap_err();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("from SLUICE_DATA_DIR") && told[1].contains("http.listen"));
}

#[test]
fn a_route_with_an_unknown_field_is_refused() {
    let report = with_file("[[routes]]\ntopic = 'a'\nchannel = 'b'\ncodec = 'json'", &[]);
    insta::assert_snapshot!(report.unwrap_err());
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_named() {
    insta::assert_snapshot!(with_file("[mqtt", &[]).unwrap_err());
    let sources = Sources { file: Some("/nowhere/sluice.toml".into()), ..Sources::default() };
    insta::assert_snapshot!(load(&sources).unwrap_err());
}

#[test]
fn no_mistake_tells_a_secret_and_one_is_told_once() {
    let webhook = "[webhook]\nurl = 'https://h.example'\n";
    for (text, told) in [
        (format!("{webhook}secret = whsec_GEHEIM"), "line 3, column 10: "),
        (format!("{webhook}secret = \"whsec_GEHEIM\n"), "line 3, column "),
        (format!("{webhook}secret = [\n\"GEHEIM=\"\n\"a\"]"), "line 5, column "),
        (format!("{webhook}secret = 8273645162"), "webhook.secret: it is a number, not a text"),
        (format!("{webhook}secret = ['GEHEIM']"), "webhook.secret: it is a list, not a text"),
        (format!("{webhook}secret = [{{a = 'GEHEIM'}}]"), "webhook.secret: it is a list, not a"),
        ("[webhook]\nurl = ['https://h.example/GEHEIM']".into(), "webhook.url: it is a list, not"),
        ("[[webhook]]\nsecret = 'GEHEIM'".into(), "webhook: it is a list, not a section"),
        ("webhook = 'GEHEIM'".into(), "webhook: it is a text in quotes, not a section"),
        ("[alerting]\nsecret = 'GEHEIM'".into(), "alerting.secret: unknown key"),
        ("[[retention]]\nhours = 1\nsecret = 'GEHEIM'".into(), "retention[0] = "),
    ] {
        let Mistakes(mistakes) = with_file(&text, &[]).unwrap_err();
        let [mistake] = &mistakes[..] else { panic!("{mistakes:?}") };
        assert!(mistake.contains(told), "{text}: {mistake}");
        assert!(!mistake.contains("GEHEIM") && !mistake.contains("8273645162"), "{mistake}");
    }
    let environment =
        [("SLUICE_WEBHOOK__SECRET".to_owned(), OsString::from_vec(b"GEHEIM\xff".into()))];
    let sources = Sources { environment: environment.into(), ..Sources::default() };
    let report = load(&sources).unwrap_err().to_string();
    assert!(report.contains("webhook.secret: ") && !report.contains("GEHEIM"), "{report}");
}
