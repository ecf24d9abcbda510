//! Mosquitto's clients among themselves and beside a WebSocket client.

use serde_json::json;
use tests::{
    Connect, Peer, TestGateway, Version,
    mosquitto::{self, Subscriber},
    mqtt::WILL_RETAIN,
};

const VERSIONS: [&str; 2] = ["311", "5"];

#[tokio::test]
async fn what_mosquitto_pub_says_reaches_a_websocket_and_mosquitto_sub_in_order() {
    let gateway = TestGateway::start().await;
    for version in VERSIONS {
        let topic = format!("devices/pump-{version}/telemetry");
        let channel = format!("telemetry/pump-{version}");
        let mut live = gateway.live().await;
        live.subscribe(&[&channel]).await;
        let arguments = ["-V", version, "-t", "#", "-F", "%t %p"];
        let mut subscriber = Subscriber::start(gateway.mqtt(), &arguments).await;
        for (number, qos) in ["0", "1", "2"].into_iter().enumerate() {
            let payload = json!({ "n": number }).to_string();
            let arguments = ["-V", version, "-q", qos, "-t", &topic, "-m", &payload];
            mosquitto::publish(gateway.mqtt(), &arguments).await;
            assert_eq!(subscriber.line().await, format!("{topic} {payload}"));
            let update = live.next().await;
            let expected = (&json!(channel), &json!(number + 1), &json!({ "n": number }));
            assert_eq!((&update["channel"], &update["seq"], &update["data"]), expected);
        }
    }
}

#[tokio::test]
async fn a_message_comes_with_the_lower_of_both_qualities() {
    let gateway = TestGateway::start().await;
    for version in VERSIONS {
        for subscribed in ["0", "1", "2"] {
            let arguments = ["-V", version, "-q", subscribed, "-t", "a/+", "-F", "%q %p"];
            let mut subscriber = Subscriber::start(gateway.mqtt(), &arguments).await;
            for published in ["0", "1", "2"] {
                let arguments = ["-V", version, "-q", published, "-t", "a/b", "-m", "hi"];
                mosquitto::publish(gateway.mqtt(), &arguments).await;
                let expected = format!("{} hi", published.min(subscribed));
                assert_eq!(subscriber.line().await, expected, "{version} {published}");
            }
        }
    }
}

#[tokio::test]
async fn many_messages_of_each_quality_come_whole_and_in_order() {
    const COUNT: usize = 500;
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#"]).await;
    for (version, qos) in
        [("311", "0"), ("311", "1"), ("311", "2"), ("5", "0"), ("5", "1"), ("5", "2")]
    {
        let device = format!("d{version}-{qos}");
        let topic = format!("devices/{device}/telemetry/n");
        let arguments = ["-V", version, "-q", qos, "-t", &topic, "-F", "%p"];
        let mut subscriber = Subscriber::start(gateway.mqtt(), &arguments).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("lines");
        let lines: Vec<String> = (1..=COUNT).map(|number| number.to_string()).collect();
        std::fs::write(&file, lines.join("\n") + "\n").expect("a file");
        let script = format!(
            "exec mosquitto_pub -h 127.0.0.1 -p {} -V {version} -q {qos} -t {topic} -l < {}",
            gateway.mqtt().port(),
            file.display()
        );
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", &script]);
        assert_eq!(tests::Program::of(command).run().await.code, Some(0));
        assert_eq!(subscriber.lines(COUNT).await, lines);
        for number in 1..=COUNT {
            let update = live.update(&format!("telemetry/{device}")).await;
            assert_eq!((&update["seq"], &update["data"]["n"]), (&json!(number), &json!(number)));
        }
    }
}

#[tokio::test]
async fn a_retained_message_waits_for_who_subscribes_later() {
    let gateway = TestGateway::start().await;
    let publish = async |payload: &str| {
        let arguments = ["-r", "-q", "1", "-t", "shelf/1", "-m", payload];
        mosquitto::publish(gateway.mqtt(), &arguments).await;
    };
    publish("old").await;
    publish("new").await;
    for version in VERSIONS {
        let arguments = ["-V", version, "-t", "shelf/#", "-F", "%r %p"];
        let mut subscriber = Subscriber::start(gateway.mqtt(), &arguments).await;
        assert_eq!(subscriber.line().await, "1 new");
        publish("new").await;
        assert_eq!(
            subscriber.line().await,
            "0 new",
            "a live message is not retained for {version}"
        );
    }
    mosquitto::publish(gateway.mqtt(), &["-r", "-q", "1", "-t", "shelf/1", "-n"]).await;
    let mut subscriber = Subscriber::start(gateway.mqtt(), &["-t", "shelf/#", "-F", "%r %p"]).await;
    publish("again").await;
    assert_eq!(subscriber.line().await, "0 again", "the empty message cleared the shelf");
}

#[tokio::test]
async fn a_will_is_published_when_its_client_is_lost_but_not_after_a_goodbye() {
    let gateway = TestGateway::start().await;
    for version in [Version::V3, Version::V5] {
        let mut subscriber =
            Subscriber::start(gateway.mqtt(), &["-q", "1", "-t", "wills/#", "-F", "%t %p"]).await;
        let connect =
            |client| Connect { will: Some(("wills/1", b"gone")), ..Connect::new(version, client) };
        Peer::connect(gateway.mqtt(), connect("polite")).await.disconnect().await;
        drop(Peer::connect(gateway.mqtt(), connect("lost")).await);
        assert_eq!(subscriber.line().await, "wills/1 gone");
        mosquitto::publish(gateway.mqtt(), &["-q", "1", "-t", "wills/2", "-m", "end"]).await;
        assert_eq!(subscriber.line().await, "wills/2 end", "one will only");
    }
}

#[tokio::test]
async fn mosquitto_subs_own_will_comes_when_it_is_killed() {
    let gateway = TestGateway::start().await;
    let mut watcher = Subscriber::start(gateway.mqtt(), &["-t", "wills/#", "-F", "%p"]).await;
    let will =
        ["-t", "x", "--will-topic", "wills/sub", "--will-payload", "gone", "--will-qos", "1"];
    Subscriber::start(gateway.mqtt(), &will).await.kill().await;
    assert_eq!(watcher.line().await, "gone");
}

#[tokio::test]
async fn a_will_may_be_retained() {
    let gateway = TestGateway::start().await;
    let mut watcher = Subscriber::start(gateway.mqtt(), &["-t", "wills/#", "-F", "%r %p"]).await;
    let connect = Connect {
        will: Some(("wills/1", b"gone")),
        will_flags: WILL_RETAIN,
        ..Connect::new(Version::V3, "lost")
    };
    drop(Peer::connect(gateway.mqtt(), connect).await);
    assert_eq!(watcher.line().await, "0 gone");
    let mut late = Subscriber::start(gateway.mqtt(), &["-t", "wills/#", "-F", "%r %p"]).await;
    assert_eq!(late.line().await, "1 gone");
}

#[tokio::test]
async fn a_session_that_was_to_be_kept_gets_what_it_missed() {
    let gateway = TestGateway::start().await;
    let connect = Connect { clean: false, ..Connect::new(Version::V3, "sleeper") };
    let mut peer = Peer::connect(gateway.mqtt(), connect).await;
    peer.subscribe("mail/#", 1).await;
    peer.disconnect().await;
    for number in ["1", "2", "3"] {
        mosquitto::publish(gateway.mqtt(), &["-q", "1", "-t", "mail/a", "-m", number]).await;
    }
    let mut peer = Peer::connect(gateway.mqtt(), connect).await;
    for number in ["1", "2", "3"] {
        let message = peer.message().await;
        peer.puback(message.id).await;
        assert_eq!(message.payload, number.as_bytes());
    }
}

#[tokio::test]
async fn mosquitto_sub_resumes_its_session_and_shares_its_work() {
    let gateway = TestGateway::start().await;
    for version in VERSIONS {
        let id = format!("sleeper-{version}");
        let mut arguments =
            vec!["-V", version, "-i", &id, "-c", "-q", "2", "-t", "mail", "-F", "%q %p"];
        if version == "5" {
            arguments.extend(["-x", "60"]);
        }
        Subscriber::start(gateway.mqtt(), &arguments).await.kill().await;
        for qos in ["1", "2"] {
            let message = ["-V", version, "-q", qos, "-t", "mail", "-m", "missed"];
            mosquitto::publish(gateway.mqtt(), &message).await;
        }
        // They come before its SUBACK does.
        let port = gateway.mqtt().port().to_string();
        let mut sleeper = tokio::process::Command::new("mosquitto_sub");
        sleeper.args(["-h", "127.0.0.1", "-p", &port, "-C", "2"]).args(&arguments);
        let ended = tests::Program::of(sleeper).run().await;
        assert_eq!(ended.stdout, "1 missed\n2 missed\n", "{}", ended.stderr);

        let topic = format!("$share/crew/work-{version}");
        let arguments = ["-V", version, "-q", "1", "-t", &topic, "-F", "%p"];
        let mut members = [
            Subscriber::start(gateway.mqtt(), &arguments).await,
            Subscriber::start(gateway.mqtt(), &arguments).await,
        ];
        let work = format!("work-{version}");
        for number in ["1", "2", "3", "4"] {
            mosquitto::publish(gateway.mqtt(), &["-q", "1", "-t", &work, "-m", number]).await;
        }
        let mut done = Vec::new();
        let [one, two] = &mut members;
        while done.len() < 4 {
            tokio::select! {
                line = one.line() => done.push(line),
                line = two.line() => done.push(line),
            }
        }
        done.sort();
        assert_eq!(done, ["1", "2", "3", "4"]);
    }
}

#[tokio::test]
async fn what_a_member_of_a_share_did_not_acknowledge_goes_to_another() {
    let gateway = TestGateway::start().await;
    let member = async |client| {
        let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, client)).await;
        peer.subscribe("$share/crew/jobs", 1).await;
        peer
    };
    let (mut stays, goes) = (member("stays").await, member("goes").await);
    let mut source = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "source")).await;
    for number in 0..10_u8 {
        source.publish("jobs", &[number], 1).await;
    }
    drop(goes);
    let mut came = Vec::new();
    while came.len() < 10 {
        let message = stays.message().await;
        stays.puback(message.id).await;
        came.push(message.payload[0]);
    }
    came.sort_unstable();
    assert_eq!(came, Vec::from_iter(0..10));
}
