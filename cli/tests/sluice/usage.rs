//! Arguments, help, completions, and gateways that are none.

use crate::support::{
    assert_transcript,
    fake::{Fake, Script},
    run,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

/// Where no run of these tests gets to.
const NOWHERE: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn help_names_the_exit_codes() {
    assert_transcript!(run(NOWHERE, &["--help"]).await.transcript());
}

#[tokio::test]
async fn help_of_send_explains_each_option() {
    assert_transcript!(run(NOWHERE, &["send", "--help"]).await.transcript());
}

#[tokio::test]
async fn wrong_arguments_end_with_64() {
    for wrong in [
        &["devices", "--status", "asleep"][..],
        &["watch"],
        &["watch", "a#"],
        &["watch", "a", "--throttle", "0"],
        &["watch", "a", "--count", "0"],
        &["send", "a/b", "set"],
        &["send", "pump-1", ""],
        &["send", "pump-1", "set", "rpm"],
        &["send", "pump-1", "rpm=5", "--wait"],
        &["command", "explain", "17"],
        &["command", "list", "--state", "lost"],
        &["batch", "send", "set"],
        &["batch", "pause", "x"],
        &["desired", "set", "pump-1"],
        &["alerts", "--severity", "bad"],
        &["alerts", "ack"],
        &["devices", "--url", "ftp://127.0.0.1"],
        &["devices", "--url", "http://ann:secret@127.0.0.1"],
        &["devices", "--token", "two words"],
        &["devices", "--url", "https://127.0.0.1:9", "--ca", "/nowhere/ca.pem"],
        &["fly"],
        &[],
    ] {
        let run = run(NOWHERE, wrong).await;
        assert_eq!((run.code, run.stdout.as_str()), (Some(64), ""), "{wrong:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty(), "{wrong:?} is explained");
        assert!(run.stderr.matches("/nowhere/ca.pem").count() <= 1, "once: {}", run.stderr);
    }
}

#[tokio::test]
async fn a_wrong_channel_is_explained() {
    assert_transcript!(run(NOWHERE, &["watch", "a#"]).await.transcript());
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = run(NOWHERE, &["completions", shell]).await;
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(run.stdout.contains("progress-extends"), "{shell}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_named_with_the_way_out() {
    // Bound and given back: nobody listens there now.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut transcripts = String::new();
    for line in [&["devices"][..], &["watch", "#"], &["send", "pump-1", "set", "--wait"]] {
        transcripts += &run(&url, line).await.transcript();
    }
    assert_transcript!(transcripts);
}

#[tokio::test]
async fn a_gateway_that_speaks_the_other_scheme_is_told_with_the_address_to_give() {
    let fake = Fake::start(Script::default()).await;
    let over_tls = fake.url.replace("http", "https");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let in_plain = format!("http://{}", listener.local_addr().unwrap());
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let _asked = peer.read(&mut [0; 1_024]).await;
            // An alert, as TLS answers what is none of it.
            peer.write_all(&[0x15, 3, 3, 0, 2, 2, 50]).await.unwrap();
        }
    });
    let mut transcripts = String::new();
    for url in [over_tls, in_plain] {
        for line in [&["devices"][..], &["watch", "#"], &["send", "pump-1", "set"]] {
            transcripts += &run(&url, line).await.transcript();
        }
    }
    assert_transcript!(transcripts.replace("https://127", "[tls] http://127"));
}

#[tokio::test]
async fn something_else_than_a_gateway_is_told_from_one() {
    let fake = Fake::start(Script::default()).await;
    let elsewhere = format!("{}/elsewhere", fake.url);
    let mut transcripts = String::new();
    for line in [&["devices"][..], &["watch", "#"]] {
        transcripts += &run(&elsewhere, line).await.transcript();
    }
    assert_transcript!(transcripts);
}
