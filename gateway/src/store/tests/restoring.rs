//! What is there after an end in order, after a crash, and who gets in.

use super::{
    super::{
        Batch, GapReason, OpenError, Order, ReadError, Receipt, Row, RowsWanted, Table, open,
        schema::Meta,
    },
    support::{TestStore, name, settings, texts},
};
use bridge::{data::Data, update::ChannelKind};
use protocol::{Offset, Seq};

#[tokio::test]
async fn an_end_in_order_leaves_no_gap_and_goes_on_with_the_numbers() {
    let mut store = TestStore::new();
    let kept = store.fill("telemetry/a", 3, 1_000).await;
    let epoch = store.restored.epoch.clone();
    store.numbers.offset += 10;
    let store = store.reopen();
    let restored = &store.restored;
    assert_eq!((&restored.epoch, restored.last_offset), (&epoch, Offset(13)));
    assert!(restored.gaps.is_empty());
    assert_eq!(restored.new_channels_after, Seq(0));
    let [channel] = &restored.channels[..] else { panic!("{:?}", restored.channels) };
    assert_eq!((channel.name.as_str(), channel.kind), ("telemetry/a", ChannelKind::Telemetry));
    assert_eq!((channel.seq, channel.stamp), (Seq(3), kept[2].stamp));
    assert_eq!(channel.value.as_ref().map(Data::text), Some(r#"{"n":2}"#));
}

#[tokio::test]
async fn values_are_merged_by_metric_also_across_a_restart() {
    let mut store = TestStore::new();
    let updates = [r#"{"a":1,"b":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]
        .map(|json| store.numbers.update("telemetry/a", 5, json));
    store.keep(updates.to_vec());
    let mut store = store.reopen();
    let update = store.numbers.update("telemetry/a", 6, r#"{"a":9}"#);
    store.keep(vec![update]);
    let store = store.reopen();
    let value = &store.restored.channels[0].value;
    assert_eq!(value.as_ref().map(Data::text), Some(r#"{"a":9,"b":2,"c":3}"#));
}

#[tokio::test]
async fn after_a_crash_no_number_is_used_again_and_the_gap_is_known() {
    let mut store = TestStore::new();
    store.fill("telemetry/a", 3, 1_000).await;
    let store = TestStore::open(store.crash(), |_| {});
    let reserved = 1 << 32;
    let [gap] = store.restored.gaps[..] else { panic!("{:?}", store.restored.gaps) };
    assert_eq!((gap.first, gap.last), (Offset(4), Offset(reserved)));
    assert_eq!(gap.reason, GapReason::Crash);
    assert_eq!(store.restored.last_offset, Offset(reserved));
    assert_eq!(store.restored.channels[0].seq, Seq(3 + reserved - 3));
    assert_eq!(store.restored.new_channels_after, Seq(reserved - 3));
    let resumed = store.handle().log(Offset(3), vec!["#".parse().unwrap()], 1_000).await;
    assert_eq!(resumed.unwrap_err(), ReadError::Gone);
}

#[tokio::test]
async fn crashes_with_nothing_stored_between_them_are_one_gap() {
    let mut store = TestStore::new();
    store.fill("telemetry/a", 3, 1_000).await;
    let mut dir = store.crash();
    for _ in 0..3 {
        dir = TestStore::open(dir, |_| {}).crash();
    }
    let store = TestStore::open(dir, |_| {});
    assert_eq!(store.restored.gaps.len(), 1);
    assert_eq!(store.restored.gaps[0].last, store.restored.last_offset);
    let seq = store.restored.channels[0].seq;
    let store = store.reopen();
    assert_eq!(store.restored.channels[0].seq, seq, "an end in order raises nothing more");
}

#[tokio::test]
async fn a_channel_that_was_silent_since_a_crash_keeps_its_raised_number() {
    let mut store = TestStore::new();
    store.fill("telemetry/a", 3, 1_000).await;
    let mut store = TestStore::open(store.crash(), |_| {});
    let raised = store.restored.channels[0].seq;
    store.fill("telemetry/b", 2, 1_000).await;
    let mut store = store.reopen();
    let seq_of = |store: &TestStore, channel: &str| {
        let channels = &store.restored.channels;
        channels.iter().find(|known| known.name.as_str() == channel).unwrap().seq
    };
    assert_eq!(seq_of(&store, "telemetry/a"), raised);
    let next = store.fill("telemetry/a", 1, 9).await;
    assert_eq!(next[0].stamp.seq, Seq(raised.0 + 1));
    let store = TestStore::open(store.crash(), |_| {});
    assert!(seq_of(&store, "telemetry/a") > Seq(raised.0 + 1));
}

#[tokio::test]
async fn rows_are_what_they_were_last_and_read_by_their_keys() {
    let store = TestStore::new();
    let set = |key: &str, body: &str| Row::set(Table::Device, key, body);
    store.keep_with(Vec::new(), vec![set("a", "1"), set("b", "1"), set("a", "2"), set("c", "3")]);
    store.keep_with(Vec::new(), vec![Row::gone(Table::Device, "b")]);
    let mut store = store.reopen();
    let row = |key: &str, body: &str| (key.to_owned(), body.as_bytes().to_vec());
    assert_eq!(store.restored.rows.take(Table::Device), [row("a", "2"), row("c", "3")]);
    let wanted = RowsWanted {
        table: Table::Device,
        from: "a".into(),
        to: Some("c".into()),
        order: Order::Ascending,
        limit: 5,
    };
    let handle = store.handle();
    assert_eq!(handle.rows(wanted.clone()).await.unwrap(), [row("a", "2")]);
    let newest = RowsWanted { to: None, order: Order::Descending, limit: 1, ..wanted };
    assert_eq!(handle.rows(newest).await.unwrap(), [row("c", "3")]);
}

#[test]
fn devices_of_the_first_version_are_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    connection.execute_batch(include_str!("../schema/1.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    // CRC-32 of `pump-1`, its length, `{"type":"pump"}`, its length, as version 1 wrote it.
    let sql = r#"INSERT INTO device VALUES ('pump-1', '{"type":"pump"}', 1226301564)"#;
    connection.execute_batch(sql).unwrap();
    Meta::fresh().write(&connection).unwrap();
    drop(connection);
    let mut store = TestStore::open(dir, |_| {});
    let kept = ("pump-1".to_owned(), br#"{"type":"pump"}"#.to_vec());
    assert_eq!(store.restored.rows.take(Table::Device), [kept]);
}

#[tokio::test]
async fn a_second_gateway_is_refused_by_the_name_of_the_directory() {
    let store = TestStore::new();
    let refused = open(settings(store.dir.path())).unwrap_err();
    assert!(matches!(refused, OpenError::Locked(_)));
    assert!(refused.to_string().contains(&*store.dir.path().to_string_lossy()), "{refused}");
}

#[test]
fn a_file_of_a_newer_gateway_is_refused_with_both_versions() {
    let dir = TestStore::new().close();
    let path = dir.path().join("sluice.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    let refused = open(settings(dir.path())).unwrap_err().to_string();
    for part in [&*path.to_string_lossy(), "version 7", "up to 2"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test]
async fn receipts_are_given_after_the_commit_and_refused_once_it_is_closed() {
    let mut store = TestStore::new();
    let kept = store.fill("alerts/info/a", 1, 5).await;
    let handle = store.handle();
    let page = handle.log(Offset(0), vec!["#".parse().unwrap()], 1_000).await.unwrap();
    assert_eq!(texts(&page.updates), texts(&kept));
    let _dir = store.close();
    assert!(handle.settled().await.is_err());
    assert_eq!(handle.newest(name("alerts/info/a"), 1).await.unwrap_err(), ReadError::Closed);
    handle.keep(Batch {
        updates: Vec::new(),
        rows: Vec::new(),
        receipts: vec![Receipt::patient(|outcome| assert!(outcome.is_err()))],
        through: Offset(1),
    });
}
