//! The process: its flags, its files, its exit codes, its end.

use serde_json::{Value, json};
use std::{fs, net::TcpListener, os::unix::ffi::OsStrExt as _, path::Path, process::Stdio};
use tests::{Connect, Ended, Peer, Program, TestGateway, Version, binary, soon};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::Command,
};

async fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let program = Program::new("sluice-gateway", arguments);
    settings.iter().fold(program, |program, (name, value)| program.env(name, value)).run().await
}

#[tokio::test]
async fn asked_to_end_it_closes_browsers_with_4100_and_ends_with_0() {
    let mut gateway = TestGateway::start().await;
    let live = gateway.live().await;
    let device = gateway.device("d1").await;
    let endpoints: Value =
        serde_json::from_slice(&fs::read(gateway.endpoints_file()).expect("it is there"))
            .expect("it is JSON");
    assert_eq!(endpoints["mqtt"], gateway.mqtt().to_string());
    assert_eq!(endpoints["http"], gateway.http().to_string());
    gateway.terminate();
    let (code, reason) = live.farewell().await;
    let advice = reason
        .strip_prefix("shutting down; come back after ")
        .and_then(|rest| rest.strip_suffix(" ms"));
    let after = advice.unwrap_or_else(|| panic!("{reason}")).parse::<u64>().expect("a number");
    assert!(code == 4100 && (500..=20_000).contains(&after), "{code}: {reason}");
    device.peer.closed().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert!(!gateway.endpoints_file().exists(), "who listens no more is not to be found");
}

#[tokio::test]
async fn who_watches_devices_hears_that_they_are_gone_before_the_gateway_is() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["presence/#"]).await;
    let _devices = (gateway.device("d1").await, gateway.device("d2").await);
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "hub")).await;
    hub.publish("devices/heard/telemetry", b"{}", 1).await;
    gateway.terminate();
    for _ in 0..3 {
        let gone = live.find(|message| message["data"]["reason"] == "shutdown").await;
        assert_eq!(gone["data"]["status"], "offline", "{gone}");
    }
    assert_eq!(live.closed().await, 4100);
}

#[tokio::test]
async fn asked_to_end_while_it_starts_it_ends_with_0() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(binary("sluice-gateway"));
    command.env_clear().env("SLUICE_DATA_DIR", folder.path());
    command.env("SLUICE_MQTT__LISTEN", "127.0.0.1:0").env("SLUICE_HTTP__LISTEN", "127.0.0.1:0");
    let mut gateway =
        command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the gateway starts");
    let mut log = BufReader::new(gateway.stderr.take().expect("it is piped")).lines();
    let first = soon("its first words", log.next_line()).await.expect("a text");
    assert!(first.is_some_and(|line| !line.contains("listening")), "it has not started yet");
    let pid = gateway.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(sent.expect("kill runs").success());
    let ended = soon("its end", gateway.wait()).await.expect("a status");
    assert_eq!(ended.code(), Some(0), "{ended}");
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let mut gateway = TestGateway::start().await;
    let mut halves = Vec::new();
    for half in [
        "GET /healthz HT",
        "POST /api/v1/devices/d1/commands HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let mut stream = TcpStream::connect(gateway.http()).await.expect("it accepts");
        stream.write_all(half.as_bytes()).await.expect("it is open");
        halves.push(stream);
    }
    // It has read both once it answers what came later.
    assert_eq!(gateway.get_text("/healthz").await.0, 200);
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert!(!gateway.log().contains("not everything was finished"), "{}", gateway.log());
}

#[tokio::test]
async fn who_has_sent_half_a_body_hears_that_the_gateway_stops() {
    let mut gateway = TestGateway::start().await;
    let mut halves = Vec::new();
    for half in ["content-length: 9\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n5\r\n{"] {
        let mut stream = TcpStream::connect(gateway.http()).await.expect("it accepts");
        let head = "PUT /api/v1/devices/d1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        stream.write_all(format!("{head}{half}").as_bytes()).await.expect("it is open");
        halves.push(stream);
    }
    // It has read both once it answers what came later.
    assert_eq!(gateway.get_text("/healthz").await.0, 200);
    gateway.terminate();
    for mut stream in halves {
        let mut answer = String::new();
        soon("its answer", stream.read_to_string(&mut answer)).await.expect("it is text");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains(r#""code":"shutting_down""#), "{answer}");
    }
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn what_is_acknowledged_to_the_end_is_in_every_session_that_is_kept() {
    const MESSAGES: u16 = 1_000;
    let mut gateway = TestGateway::start().await;
    let kept = |client| Connect { clean: false, ..Connect::new(Version::V3, client) };
    let mut sessions = Vec::new();
    for client in ["here", "away"] {
        let mut peer = Peer::connect(gateway.mqtt(), kept(client)).await;
        peer.subscribe("q/#", 1).await;
        sessions.push(peer);
    }
    sessions.pop().expect("it is away").disconnect().await;
    // Its session is kept too: what it sent is settled before its connection ends.
    let mut publisher = Peer::connect(gateway.mqtt(), kept("publisher")).await;
    for number in 1..=MESSAGES {
        publisher.publish_unawaited("q/a", &number.to_be_bytes()).await;
    }
    gateway.terminate();
    let mut acknowledged = Vec::new();
    while let Some(answer) = publisher.next().await {
        acknowledged.push([answer.body[0], answer.body[1]]);
    }
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.start_again().await;
    for client in ["here", "away"] {
        let mut peer = Peer::connect(gateway.mqtt(), kept(client)).await;
        for id in &acknowledged {
            let message = peer.message().await;
            assert_eq!(message.payload[..], id[..], "{client}: in order, and none is missing");
            peer.puback(message.id).await;
        }
    }
}

#[tokio::test]
async fn the_wills_of_who_is_there_to_the_end_are_in_sessions_that_are_kept() {
    let mut gateway = TestGateway::start().await;
    let kept = Connect { clean: false, ..Connect::new(Version::V3, "away") };
    let mut away = Peer::connect(gateway.mqtt(), kept).await;
    away.subscribe("wills/#", 1).await;
    away.disconnect().await;
    let will = Some(("wills/a", &b"gone"[..]));
    let mortal = Connect { will, ..Connect::new(Version::V3, "mortal") };
    let mortal = Peer::connect(gateway.mqtt(), mortal).await;
    gateway.restart().await;
    mortal.closed().await;
    let mut away = Peer::connect(gateway.mqtt(), kept).await;
    assert_eq!(away.message().await.topic, "wills/a");
}

#[tokio::test]
async fn an_mqtt_5_client_is_told_that_the_gateway_shuts_down() {
    const SHUTTING_DOWN: u8 = 0x8b;
    let gateway = TestGateway::start().await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "d1")).await;
    gateway.terminate();
    let goodbye = peer.next().await.expect("a DISCONNECT comes first");
    assert_eq!((goodbye.kind, goodbye.body.first()), (14, Some(&SHUTTING_DOWN)));
}

#[tokio::test]
async fn a_stale_endpoints_file_is_removed_before_anything_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("endpoints.json");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    // That somebody answers there now says nothing of the one who wrote it.
    let stale = format!(r#"{{"mqtt":"{address}","http":"{address}"}}"#);
    fs::write(&file, stale).expect("a file");
    let data_dir = folder.path().to_str().expect("UTF-8");
    let settings = [("SLUICE_DATA_DIR", data_dir), ("SLUICE_MQTT__LISTEN", &address)];
    assert_eq!(run(&[], &settings).await.code, Some(1));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data_dir = folder.path().to_str().expect("UTF-8");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    for (key, variable, other) in [
        ("mqtt.listen", "SLUICE_MQTT__LISTEN", "SLUICE_HTTP__LISTEN"),
        ("http.listen", "SLUICE_HTTP__LISTEN", "SLUICE_MQTT__LISTEN"),
    ] {
        let settings =
            [("SLUICE_DATA_DIR", data_dir), (variable, &address), (other, "127.0.0.1:0")];
        let Ended { code, stderr, .. } = run(&[], &settings).await;
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(key) && stderr.contains(&address), "{stderr}");
    }
}

#[tokio::test]
async fn a_start_that_fails_is_no_crash() {
    let mut gateway = TestGateway::start().await;
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let data_dir = gateway.data_dir();
    for key in ["SLUICE_MQTT__LISTEN", "SLUICE_HTTP__LISTEN"] {
        let settings = [
            ("SLUICE_DATA_DIR", data_dir.to_str().expect("UTF-8")),
            ("SLUICE_MQTT__LISTEN", "127.0.0.1:0"),
            ("SLUICE_HTTP__LISTEN", "127.0.0.1:0"),
            (key, &address),
        ];
        assert_eq!(run(&[], &settings).await.code, Some(1));
    }
    gateway.start_again().await;
    let offset = gateway.live().await.welcome["offset"].as_u64();
    assert!(offset.is_some_and(|offset| offset < 1 << 32), "no numbers are left out: {offset:?}");
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = file.path().join("below").to_str().expect("UTF-8").to_owned();
    let settings = [
        ("SLUICE_DATA_DIR", path.as_str()),
        ("SLUICE_MQTT__LISTEN", "127.0.0.1:0"),
        ("SLUICE_HTTP__LISTEN", "127.0.0.1:0"),
    ];
    let Ended { code, stderr, .. } = run(&[], &settings).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("data_dir") && stderr.contains(&path), "{stderr}");
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_is_told_at_once_with_64() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), "[mqtt]\nlisten = '127.0.0.1:0'\n[limits]\ndevice = 3\n")
        .expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let settings = [("SLUICE_HTTP__FLUSH_MS", "never"), ("SLUICE_LOG__FORMAT", "pretty")];
    let Ended { code, stderr, .. } = run(&["--config", path], &settings).await;
    assert_eq!(code, Some(64), "{stderr}");
    for text in ["limits.device", "http.flush_ms", "log.format", "did you mean limits.devices?"] {
        assert!(stderr.contains(text), "{text} is not in {stderr}");
    }
}

#[tokio::test]
async fn other_machines_are_not_served_without_credentials() {
    let settings = [("SLUICE_MQTT__LISTEN", "0.0.0.0:0"), ("SLUICE_HTTP__FLUSH_MS", "soon")];
    let Ended { code, stderr, .. } = run(&["--check-config"], &settings).await;
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("mqtt.listen"), "{stderr}");
    assert!(stderr.contains("http.flush_ms"), "together with all else that is wrong: {stderr}");
}

#[tokio::test]
async fn variables_of_others_may_have_any_bytes() {
    let bytes = std::ffi::OsStr::from_bytes(b"\xff");
    let mut command = Command::new(binary("sluice-gateway"));
    command.env_clear().env("LESS", bytes).arg("--check-config");
    assert_eq!(command.output().await.expect("it runs").status.code(), Some(0));
}

#[tokio::test]
async fn the_command_line_explains_itself() {
    for (arguments, code) in
        [(&["--help"][..], 0), (&["--version"], 0), (&["--wrong"], 64), (&["x"], 64)]
    {
        let ended = run(arguments, &[]).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
    }
    let help = run(&["--help"], &[]).await.stdout;
    for flag in ["--config", "--demo", "--check-config"] {
        assert!(help.contains(flag), "{help}");
    }
}

#[tokio::test]
async fn every_example_configuration_is_fine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("config/ is there") {
        let path = entry.expect("it is readable").path();
        if path.is_dir() {
            continue;
        }
        let path = path.to_str().expect("UTF-8");
        let data = tempfile::tempdir().expect("a temporary folder");
        let data = data.path().to_str().expect("UTF-8");
        // Without credentials there is no listening for other machines.
        for make in [["token", "create", "anna"], ["device", "add", "d1"]] {
            let made = run(&[&make[..], &["--data-dir", data]].concat(), &[]).await;
            assert_eq!(made.code, Some(0), "{}", made.stderr);
        }
        let check = ["--check-config", "--config", path, "--data-dir", data];
        let Ended { code, stderr, .. } = run(&check, &[]).await;
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{path}");
        checked += 1;
    }
    assert!(checked > 0, "config/ has examples");
}

#[tokio::test]
async fn checking_the_settings_takes_no_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let ended = run(&["--check-config"], &[("SLUICE_MQTT__LISTEN", &address)]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn the_demo_has_devices_that_obey() {
    let gateway = TestGateway::with_flags(&[], &["--demo"]).await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#"]).await;
    let update = live.find(|message| message.get("channel").is_some()).await;
    let device =
        update["channel"].as_str().expect("a text").trim_start_matches("telemetry/").to_owned();
    let path = format!("/api/v1/devices/{device}/commands");
    let request = gateway.request(reqwest::Method::POST, &path).header("prefer", "wait=20");
    let answer = request.json(&json!({"name": "no-such-thing"})).send().await.expect("an answer");
    let command: Value = answer.json().await.expect("a command");
    assert_eq!(command["state"], "rejected", "{command}");
}

#[tokio::test]
async fn the_soft_limit_of_open_files_becomes_the_hard_one_and_bounds_all_connections() {
    let few = with_few_files(&[]).await;
    assert!(!few.contains("WARN"), "nobody has asked for more: {few}");
    assert!(few.contains("connections=1792"), "{few}");
    let many = with_few_files(&[("SLUICE_LIMITS__MQTT_CONNECTIONS", "5000")]).await;
    assert!(
        many.contains("limits.mqtt_connections wants more open files than the system allows"),
        "{many}"
    );
}

#[tokio::test]
async fn the_table_of_open_files_does_not_grow_while_a_fleet_comes() {
    let gateway = TestGateway::with(&[("LIMITS__MQTT_CONNECTIONS", "1500")]).await;
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("it runs");
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).expect("a size");
    assert!(size.trim().parse::<u32>().expect("a number") >= 1_500, "{size}");
}

/// What a gateway says at its start that may have 2,048 files open, and 256 of them at first.
async fn with_few_files(settings: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let script = r#"ulimit -S -n 256; ulimit -H -n 2048; exec "$0" 2>"$1""#;
    let mut command = tokio::process::Command::new("bash");
    command.args(["-c", script]).arg(tests::binary("sluice-gateway")).arg(&log).kill_on_drop(true);
    command.env_clear().env("SLUICE_DATA_DIR", folder.path().join("data"));
    command.env("SLUICE_MQTT__LISTEN", "127.0.0.1:0").env("SLUICE_HTTP__LISTEN", "127.0.0.1:0");
    let child = command.envs(settings.iter().copied()).spawn().expect("bash runs");
    let limits = format!("/proc/{}/limits", child.id().expect("it runs"));
    tests::until("the soft limit to rise", async || {
        let limits = fs::read_to_string(&limits).expect("it runs");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
        line.split_whitespace().skip(3).take(2).eq(["2048", "2048"])
    })
    .await;
    let mut text = String::new();
    tests::until("its start", async || {
        text = fs::read_to_string(&log).expect("a log");
        text.contains("listening")
    })
    .await;
    text
}

#[tokio::test]
async fn checking_the_settings_tells_what_else_a_start_would_refuse_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_str().expect("UTF-8");
    let check = ["--check-config", "--data-dir", data];
    fs::write(folder.path().join("devices.json"), "no JSON").expect("a file");
    let Ended { code, stderr, .. } = run(&check, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("devices.json"), "{stderr}");
    fs::remove_file(folder.path().join("devices.json")).expect("it is there");
    assert_eq!(run(&check, &[]).await.code, Some(0));
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let below = file.join("below");
    let check = ["--check-config", "--data-dir", below.to_str().expect("UTF-8")];
    let Ended { code, stderr, .. } = run(&check, &[]).await;
    assert!(code == Some(1) && stderr.contains("data_dir"), "{stderr}");
    let start = ["--data-dir", file.to_str().expect("UTF-8")];
    let Ended { code, stderr, .. } = run(&start, &[]).await;
    assert!(code == Some(1) && stderr.contains("is a file and no directory"), "{stderr}");
}
