//! What reaches whom, and in which order.

use super::{Fixture, message, own, payloads, topic, topics, within};
use crate::exchange::{Message, Properties, Settings};
use bridge::event::ConnectionId;
use proptest::prelude::*;
use protocol::{Timestamp, TopicFilter};
use tokio::join;

#[tokio::test]
async fn a_message_arrives_as_it_was_published() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["a/+"]).await;
    let message = Message {
        topic: topic("a/b"),
        payload: "payload".into(),
        qos: 2,
        retain: true,
        publisher: Some(ConnectionId(7)),
        served: Some(ConnectionId(8)),
        retained_as: 0,
        properties: Properties {
            payload_is_utf8: Some(true),
            expires_at: Some(Timestamp(9)),
            content_type: Some("text/plain".into()),
            response_topic: Some("c".into()),
            correlation_data: Some("d".into()),
            user: vec![("key".into(), "value".into())],
        },
    };
    fixture.exchange.publish(message.clone()).await.unwrap();
    assert_eq!(*within(link.recv()).await.unwrap().message, message);
}

#[tokio::test]
async fn overlapping_filters_deliver_once_and_in_the_order_of_publishing() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["b/#", "a", "+/c", "#", "b/+"]).await;
    let sent = ["a", "b/c", "a", "x/c", "b/c", "a", "b", "b/d"];
    for topic in sent {
        fixture.publish(topic, "").await;
    }
    assert_eq!(topics(&fixture.settle(&mut link).await), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_holds_across_many_topics_under_load() {
    let fixture = Fixture::start(Settings::default());
    let filters: Vec<String> = (0..300).map(|n| format!("load/{n}")).collect();
    let mut link = fixture.link(&filters.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let numbers: Vec<String> = (0..3_000).map(|n| n.to_string()).collect();
    for (n, number) in numbers.iter().enumerate() {
        fixture.publish(&format!("load/{}", n * 7 % 300), number.as_str()).await;
    }
    assert_eq!(payloads(&fixture.settle(&mut link).await), numbers);
}

#[tokio::test]
async fn a_hundred_thousand_messages_reach_a_link_that_reads() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["#", "many/+"]).await;
    // Fewer at a time than a link's queue takes: what overflows it is dropped, and is another test.
    for first in (0..100_000_u32).step_by(4_000) {
        let numbers = first..first + 4_000;
        let publishing = async {
            for n in numbers.clone() {
                fixture.publish(&format!("many/{}", n % 50), n.to_be_bytes()).await;
            }
        };
        let reading = async {
            for n in numbers.clone() {
                assert_eq!(
                    within(link.recv()).await.unwrap().message.payload.as_ref(),
                    n.to_be_bytes()
                );
            }
        };
        join!(publishing, reading);
    }
    assert_eq!(fixture.exchange.counters().lost.get(), 0);
}

#[tokio::test]
async fn topics_that_rumqttd_cannot_take_are_ordinary_here() {
    let fixture = Fixture::start(Settings::default());
    let mut all = fixture.link(&["#"]).await;
    let mut system = fixture.link(&["$SYS/#", "$share/g/x", "é/+"]).await;
    let long = "x".repeat(65_000);
    for topic in ["é/b", "$SYS/a", "/", "$share/g/x", "barrier/0", "ü", &long, "t/"] {
        fixture.publish(topic, "").await;
    }
    assert_eq!(
        topics(&fixture.settle(&mut all).await),
        ["é/b", "/", "barrier/0", "ü", &long, "t/"]
    );
    assert_eq!(topics(&fixture.settle(&mut system).await), ["é/b", "$SYS/a", "$share/g/x"]);
}

#[tokio::test]
async fn filters_beyond_the_bound_are_served_all_the_same() {
    let fixture = Fixture::start(Settings { filters_max: 2, ..Settings::default() });
    let mut first = fixture.link(&["a/#", "b"]).await;
    let mut second = fixture.link(&["c/+", "$d", "b"]).await;
    for topic in ["a/1", "b", "c/2", "$d", "e"] {
        fixture.publish(topic, "").await;
    }
    assert_eq!(topics(&fixture.settle(&mut first).await), ["a/1", "b"]);
    assert_eq!(topics(&fixture.settle(&mut second).await), ["b", "c/2", "$d"]);
    second.unsubscribe(own("c/+")).await.unwrap();
    fixture.publish("c/2", "").await;
    fixture.publish("$d", "").await;
    assert_eq!(topics(&fixture.settle(&mut second).await), ["$d"]);
}

fn filters() -> impl Strategy<Value = TopicFilter> {
    "([ab$+é]?/){0,3}[ab$+#é]?".prop_filter_map("not a filter", |text| text.parse().ok())
}

fn topic_names() -> impl Strategy<Value = String> {
    "([ab$é]?/){0,3}[ab$é]?".prop_filter("not a topic", |text| !text.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn links_receive_what_the_naive_reference_says(
        links in prop::collection::vec(prop::collection::vec(filters(), 0..6), 1..12),
        published in prop::collection::vec(topic_names(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(received_as_matched(&links, &published))?;
    }
}

async fn received_as_matched(
    links: &[Vec<TopicFilter>],
    published: &[String],
) -> Result<(), TestCaseError> {
    let fixture = Fixture::start(Settings { filters_max: 20, ..Settings::default() });
    let mut open = Vec::new();
    for filters in links {
        open.push(fixture.link(&filters.iter().map(TopicFilter::as_str).collect::<Vec<_>>()).await);
    }
    for topic in published {
        within(fixture.exchange.publish(message(topic, ""))).await.unwrap();
    }
    for (link, filters) in open.iter_mut().zip(links) {
        let wanted = |topic: &&String| filters.iter().any(|filter| filter.matches(topic));
        let expected: Vec<_> = published.iter().filter(wanted).collect();
        let received = fixture.settle(link).await;
        prop_assert_eq!(topics(&received), expected);
    }
    Ok(())
}
