//! mosquitto's own clients, both versions and every QoS.

use super::support::*;
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};

fn client(program: &str, edge: &TestEdge, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &edge.address.port().to_string()]);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn output(child: Child) -> Output {
    soon(child.wait_with_output()).await.unwrap()
}

#[tokio::test]
async fn mosquitto_publishes_and_subscribes_in_both_versions_and_every_qos() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let arguments = ["-V", version, "-q", qos, "-t", "a/#", "-C", "20", "-F", "%t %q %p"];
            let now = edge.counters.connections_accepted.get();
            let subscriber = client("mosquitto_sub", &edge, &arguments).spawn().unwrap();
            edge.counts("connections_accepted", now + 1).await;
            soon(async {
                while !edge.exchange.has_links() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let lines: String = (0..20).map(|number| format!("{number}\n")).collect();
            let arguments = ["-V", version, "-q", qos, "-t", "a/b", "-l"];
            let mut publisher =
                client("mosquitto_pub", &edge, &arguments).stdin(Stdio::piped()).spawn().unwrap();
            let mut input = publisher.stdin.take().unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut input, lines.as_bytes()).await.unwrap();
            drop(input);
            let published = output(publisher).await;
            assert!(published.status.success(), "{version} {qos} {published:?}");
            let heard = String::from_utf8(output(subscriber).await.stdout).unwrap();
            let expected: String = (0..20).map(|number| format!("a/b {qos} {number}\n")).collect();
            assert_eq!(heard, expected, "{version} {qos}");
        }
    }
    assert_eq!(edge.counters.violations.get(), 0);
}
