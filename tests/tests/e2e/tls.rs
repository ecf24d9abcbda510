//! TLS: MQTT and HTTP over it, certificates of clients, and certificates that change.

use serde_json::json;
use std::{fs, path::Path};
use tests::{
    Authority, Connect, Ended, Identity, Peer, Program, TestGateway, TlsVersion, Version,
    mosquitto, until,
};
use tokio::process::Command;

/// The reason code for what the access rules refuse.
const NOT_AUTHORIZED: u8 = 0x87;

const TLS_VERSIONS: [TlsVersion; 2] = [TlsVersion::V12, TlsVersion::V13];

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs curl against the gateway's HTTPS.
async fn curl(authority: &Authority, gateway: &TestGateway, arguments: &[&str]) -> Ended {
    let (path, arguments) = arguments.split_first().expect("a path");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "8", "--noproxy", "*"]);
    command.arg("--cacert").arg(authority.ca()).args(arguments);
    command.arg(format!("https://localhost:{}{path}", gateway.http().port()));
    Program::of(command).run().await
}

#[tokio::test]
async fn mosquitto_publishes_and_subscribes_over_both_versions_of_tls() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[]).await;
    let ca = authority.ca();
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#"]).await;
    for version in ["tlsv1.2", "tlsv1.3"] {
        let tls = ["--cafile", text(&ca), "--tls-version", version];
        let subscribe = [&tls[..], &["-q", "1", "-t", "devices/#", "-F", "%t %p"]].concat();
        let mut subscriber = mosquitto::Subscriber::start(gateway.mqtt_tls(), &subscribe).await;
        let payload = json!({ "tls": version }).to_string();
        let publish = ["-q", "1", "-t", "devices/pump/telemetry", "-m", &payload];
        mosquitto::publish(gateway.mqtt_tls(), &[&tls[..], &publish].concat()).await;
        assert_eq!(live.next().await["data"], json!({ "tls": version }));
        assert_eq!(subscriber.line().await, format!("devices/pump/telemetry {payload}"));
    }
    let endpoints = fs::read_to_string(gateway.endpoints_file()).expect("it is there");
    assert!(endpoints.contains("\"mqtt_tls\""), "{endpoints}");
}

#[tokio::test]
async fn large_messages_go_both_ways_whole_over_tls() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[]).await;
    for version in TLS_VERSIONS {
        let stream = authority.connect(gateway.mqtt_tls(), version, None).await.expect("TLS");
        let mut peer = Peer::over(stream, Version::V5);
        peer.come_in(Connect::new(Version::V5, "large")).await;
        peer.subscribe("large", 1).await;
        let payload = vec![b'x'; 200_000];
        for _ in 0..20 {
            peer.publish("large", &payload, 1).await;
        }
        for _ in 0..20 {
            let message = peer.message().await;
            peer.puback(message.id).await;
            assert_eq!(message.payload, payload);
        }
    }
}

#[tokio::test]
async fn curl_gets_https_with_a_secure_cookie_and_hsts() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[("HTTP__TLS", "true")]).await;
    let answer = curl(&authority, &gateway, &["/healthz"]).await;
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.starts_with("HTTP/1.1 200 "), "{}", answer.stdout);
    assert!(answer.stdout.contains("strict-transport-security: max-age="), "{}", answer.stdout);

    let dir = gateway.data_dir();
    let create = ["token", "--data-dir", text(&dir), "create", "anna", "--role", "viewer"];
    let token = Program::new("sluice-gateway", &create).run().await.stdout.trim().to_owned();
    let body = json!({ "token": token }).to_string();
    let sign_in = ["/api/v1/session", "--json", &body];
    let answer = curl(&authority, &gateway, &sign_in).await.stdout;
    assert!(answer.contains("; HttpOnly; SameSite=Strict; Secure\r\n"), "{answer}");

    let mut plain = Command::new("curl");
    plain.args(["--silent", "--max-time", "8", "--noproxy", "*"]);
    plain.arg(format!("http://localhost:{}/healthz", gateway.http().port()));
    assert_ne!(Program::of(plain).run().await.code, Some(0), "nothing comes without TLS");
}

#[tokio::test]
async fn a_dashboards_websocket_comes_over_tls() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[("HTTP__TLS", "true")]).await;
    let mut live = authority.live(gateway.http()).await;
    live.subscribe(&["telemetry/#"]).await;
    let publish = ["-q", "1", "-t", "devices/pump/telemetry", "-m", r#"{"n":1}"#];
    mosquitto::publish(gateway.mqtt(), &publish).await;
    assert_eq!(live.next().await["data"], json!({"n": 1}));
    gateway.terminate();
    assert_eq!(live.closed().await, 4100);
}

/// The certificate that the gateway shows to who comes now.
async fn shown(authority: &Authority, gateway: &TestGateway) -> Vec<u8> {
    let stream = authority.connect(gateway.mqtt_tls(), TlsVersion::V13, None).await.expect("TLS");
    let certificates = stream.get_ref().1.peer_certificates().expect("a server shows one");
    certificates[0].to_vec()
}

async fn until_shown(authority: &Authority, gateway: &TestGateway, identity: &Identity) {
    let wanted = identity.shown().to_vec();
    until("the new certificate", async || shown(authority, gateway).await == wanted).await;
}

#[tokio::test]
async fn a_new_certificate_counts_at_once_and_connections_stay() {
    let authority = Authority::new();
    let mut gateway = TestGateway::with_tls(&authority, &[]).await;
    // The files that it reads: made with the first certificate of this authority.
    let files = Identity {
        cert: authority.ca().with_file_name("server.cert.pem"),
        key: authority.ca().with_file_name("server.key.pem"),
    };
    let old = shown(&authority, &gateway).await;
    let stream = authority.connect(gateway.mqtt_tls(), TlsVersion::V13, None).await.expect("TLS");
    let mut peer = Peer::over(stream, Version::V5);
    peer.come_in(Connect::new(Version::V5, "stays")).await;

    files.replace_by(&authority.renewed_server());
    until_shown(&authority, &gateway, &files).await;
    assert_ne!(shown(&authority, &gateway).await, old);
    peer.settle().await;

    // A bad one changes nothing, is counted and said.
    gateway.expect_error("the one before stays");
    let good = files.shown().to_vec();
    fs::write(&files.cert, "no certificate").expect("a file");
    gateway.until_metric("sluice_listeners_tls_reload_failures_total", 1).await;
    assert_eq!(shown(&authority, &gateway).await, good);
    gateway.hang_up();
    gateway.until_metric("sluice_listeners_tls_reload_failures_total", 2).await;

    // SIGHUP reads at once what is there.
    let before = gateway.metric("sluice_listeners_tls_reloads_total").await;
    files.replace_by(&authority.renewed_server());
    gateway.hang_up();
    until_shown(&authority, &gateway, &files).await;
    assert!(gateway.metric("sluice_listeners_tls_reloads_total").await > before);
    peer.settle().await;
}

/// A gateway that wants certificates of clients.
async fn asking(authority: &Authority, ask: &str, more: &[(&str, &str)]) -> TestGateway {
    let ca = authority.ca();
    let settings =
        [("MQTT__CLIENT_CERTIFICATES__ASK", ask), ("MQTT__CLIENT_CERTIFICATES__CA", text(&ca))];
    TestGateway::with_tls(authority, &[&settings, more].concat()).await
}

/// Whether a client that shows `identity` comes as far as its CONNACK.
async fn comes_in(
    trusts: &Authority,
    gateway: &TestGateway,
    version: TlsVersion,
    identity: Option<&Identity>,
) -> bool {
    let Ok(stream) = trusts.connect(gateway.mqtt_tls(), version, identity).await else {
        return false;
    };
    let mut peer = Peer::over(stream, Version::V5);
    peer.send(&Connect::new(Version::V5, "whoever").encode()).await;
    peer.next().await.is_some_and(|packet| packet.kind == 2 && packet.body[1] == 0)
}

#[tokio::test]
async fn who_must_show_a_certificate_comes_in_with_a_good_one_only() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let gateway = asking(&authority, "required", &[]).await;
    for version in TLS_VERSIONS {
        let good = authority.device("pump-1");
        assert!(comes_in(&authority, &gateway, version, Some(&good)).await, "{version:?}");
        for (what, identity) in [
            ("none", None),
            ("foreign", Some(stranger.device("pump-1"))),
            ("expired", Some(authority.expired_device("pump-1"))),
            ("without a device id", Some(authority.common_name("pump-1"))),
        ] {
            let came = comes_in(&authority, &gateway, version, identity.as_ref()).await;
            assert!(!came, "{what} with {version:?}");
        }
    }
    assert_eq!(gateway.metric("sluice_listeners_tls_refused_total").await, 8);
}

#[tokio::test]
async fn who_may_show_a_certificate_comes_in_without_but_not_with_a_bad_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let gateway = asking(&authority, "optional", &[]).await;
    for version in TLS_VERSIONS {
        assert!(comes_in(&authority, &gateway, version, None).await);
        let bad = stranger.device("pump-1");
        assert!(!comes_in(&authority, &gateway, version, Some(&bad)).await);
    }
}

#[tokio::test]
async fn a_certificate_makes_the_connection_its_devices_own_and_no_others() {
    let authority = Authority::new();
    let more = [("MQTT__CLIENT_CERTIFICATES__DEVICE", "common_name")];
    let gateway = asking(&authority, "required", &more).await;
    let mut live = gateway.live().await;
    live.subscribe(&["presence/#"]).await;
    let identity = authority.common_name("pump-1");
    let connect = async |client| {
        let stream = authority.connect(gateway.mqtt_tls(), TlsVersion::V13, Some(&identity)).await;
        let mut peer = Peer::over(stream.expect("TLS"), Version::V5);
        peer.come_in(Connect::new(Version::V5, client)).await;
        peer
    };
    // Another device's name with this certificate: it still is this device, and nobody is connected.
    let mut other = connect("pump-2").await;
    let code = other.publish_for_code("devices/pump-2/telemetry", b"{\"n\":1}").await;
    assert_eq!(code, NOT_AUTHORIZED);
    other.publish("devices/pump-1/telemetry", b"{\"n\":1}", 1).await;
    let heard = live.update("presence/pump-1").await;
    assert_eq!(heard["data"]["reason"], "heard");

    let own = connect("pump-1").await;
    let connected = live.update("presence/pump-1").await;
    assert_eq!(connected["data"]["reason"], "connected");
    own.disconnect().await;
    let gone = live.update("presence/pump-1").await;
    assert_eq!(gone["data"]["reason"], "disconnected");
}

#[tokio::test]
async fn what_speaks_no_tls_is_closed_and_counted() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[]).await;
    let mut peer = Peer::open(gateway.mqtt_tls(), Version::V3).await;
    peer.send(&Connect::new(Version::V3, "plain").encode()).await;
    peer.closed().await;
    gateway.until_metric("sluice_listeners_tls_refused_total", 1).await;
}

#[tokio::test]
async fn a_client_that_offers_only_another_protocol_is_refused_by_https() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[("HTTP__TLS", "true")]).await;
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-alpn", "h2", "-connect"]);
    command.arg(format!("127.0.0.1:{}", gateway.http().port()));
    let ended = Program::of(command).run().await;
    assert!(ended.stderr.contains("no application protocol"), "{}", ended.stderr);
    let without = authority.connect(gateway.http(), TlsVersion::V12, None).await;
    assert!(without.is_ok(), "who names none comes in");
}

#[tokio::test]
async fn the_command_line_speaks_https_and_believes_whom_it_is_told_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let gateway = TestGateway::with_tls(&authority, &[("HTTP__TLS", "true")]).await;
    let sluice = async |host: &str, ca: Option<&Authority>, arguments: &[&str]| {
        let url = format!("https://{host}:{}", gateway.http().port());
        let program = Program::new("sluice", &[&["--url", &url], arguments].concat());
        match ca {
            None => program.run().await,
            Some(ca) => program.env("SLUICE_CA", text(&ca.ca())).run().await,
        }
    };
    // The API, and the WebSocket.
    for arguments in [&["devices"][..], &["watch", "gateway/stats", "--count", "1"]] {
        for host in ["localhost", "127.0.0.1"] {
            let ended = sluice(host, Some(&authority), arguments).await;
            assert_eq!(ended.code, Some(0), "{arguments:?} at {host}: {}", ended.stderr);
        }
        for ca in [None, Some(&stranger)] {
            let ended = sluice("localhost", ca, arguments).await;
            assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stdout);
            assert!(ended.stderr.contains("invalid peer certificate"), "{}", ended.stderr);
            assert!(ended.stderr.contains("--ca"), "{}", ended.stderr);
        }
    }
    let ca = authority.ca();
    let ended = sluice("localhost", None, &["--ca", text(&ca), "devices"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = sluice("localhost", None, &["--ca", "/nowhere", "devices"]).await;
    assert_eq!(ended.code, Some(64), "{}", ended.stdout);
    assert!(ended.stderr.contains("--ca or SLUICE_CA: /nowhere has no"), "{}", ended.stderr);
}

#[tokio::test]
async fn simulated_devices_speak_tls_and_believe_whom_they_are_told_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let gateway = TestGateway::with_tls(&authority, &[]).await;
    let fleet = async |ca: &Authority, version: &str| {
        let broker = format!("mqtts://localhost:{}", gateway.mqtt_tls().port());
        let ca = ca.ca();
        let broker = ["--mqtt", &broker, "--ca", text(&ca), "--mqtt-version", version];
        let fleet = ["--devices", "1", "--types", "pump", "--rate", "20", "--duration", "2s"];
        Program::new("device-sim", &[&broker[..], &fleet].concat()).run().await
    };
    for (count, version) in [(1, "3.1.1"), (2, "5")] {
        let ended = fleet(&authority, version).await;
        assert_eq!(ended.code, Some(0), "{version}: {}", ended.stderr);
        let accepted = gateway.metric("sluice_listeners_tls_accepted_total").await;
        assert!(accepted >= count, "{version}: {accepted}");
        let (status, _) = gateway.get("/api/v1/devices/sim-pump-001").await;
        assert_eq!(status, 200, "{version}");
    }
    let ended = fleet(&stranger, "5").await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stderr.contains("invalid peer certificate"), "{}", ended.stderr);
}
