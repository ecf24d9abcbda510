//! Values of the past: from the store what is there, from memory what is not stored yet.

use super::{Web, problem::Refused};
use crate::{clock, store::Past};
use axum::http::StatusCode;
use bridge::{
    data::{Data, Fields, Metrics},
    history::{self, Row, Span},
    update::{Stamp, Update},
};
use protocol::{History, HistoryRequest, Offset, Seq, Timestamp, TopicName};
use std::sync::Arc;

/// The most updates that one request may go through: five days at one a second.
const ROWS_MAX: usize = 500_000;

/// How many are read at once.
const PAGE_ROWS: usize = 100_000;

/// The place of an update in the order of time.
pub(super) type Place = (Timestamp, Seq);

/// Updates of one channel, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// The place of the last one.
    pub(super) last: Option<Place>,
    /// Whether there are no more.
    pub(super) at_end: bool,
    /// What came later was not stored when this was read.
    pub(super) through: Offset,
}

/// What `history` of a subscription asks for, for one channel; and the offset that it goes up to.
pub(super) async fn wanted(
    web: &Web,
    channel: TopicName,
    request: HistoryRequest,
    fields: Option<&Fields>,
) -> Result<(History, Offset), Refused> {
    match request {
        HistoryRequest::Last { last } => {
            let past = web.store.newest(channel.clone(), last as usize).await?;
            let rows = rows(past);
            let of = |row: Option<&Row>| row.map_or(clock::now(), |row| row.timestamp);
            let (from, to) = (of(rows.rows.first()), after(of(rows.rows.last())));
            Ok((history::raw(channel, Span { from, to }, &rows.rows, fields), rows.through))
        }
        HistoryRequest::Since { since, points } => {
            let span = Span { from: since, to: after(clock::now()) };
            let rows = everything(web, &channel, span).await?;
            Ok((condensed(channel, span, points, &rows.rows, fields), rows.through))
        }
    }
}

/// The values as they came if there are at most `points`, else downsampled.
pub(super) fn condensed(
    channel: TopicName,
    span: Span,
    points: u32,
    rows: &[Row],
    fields: Option<&Fields>,
) -> History {
    if rows.len() <= points as usize {
        history::raw(channel, span, rows, fields)
    } else {
        history::buckets(channel, span, points, rows, fields)
    }
}

/// All updates of a stretch of time, with those that are only in memory yet.
pub(super) async fn everything(
    web: &Web,
    channel: &TopicName,
    span: Span,
) -> Result<Rows, Refused> {
    let mut all = Rows::default();
    while !all.at_end {
        let page = page(web, channel, span, all.last, PAGE_ROWS).await?;
        all.rows.extend(page.rows);
        (all.last, all.at_end, all.through) = (page.last, page.at_end, page.through);
        if all.rows.len() > ROWS_MAX {
            let detail = format!(
                "there are more than {ROWS_MAX} updates of '{channel}' in that time: ask for a shorter one"
            );
            return Err(Refused::new(StatusCode::BAD_REQUEST, "too_much_history", detail));
        }
    }
    Ok(all)
}

/// Up to `limit` updates behind `cursor`.
pub(super) async fn page(
    web: &Web,
    channel: &TopicName,
    span: Span,
    cursor: Option<Place>,
    limit: usize,
) -> Result<Rows, Refused> {
    let past = web.store.between(channel.clone(), span.from, span.to, cursor, limit).await?;
    let mut page = rows(past);
    if page.at_end {
        let newer = unstored(web, channel, page.through).await?;
        let in_span = |stamp: Stamp| {
            span.from <= stamp.timestamp
                && stamp.timestamp < span.to
                && cursor.is_none_or(|cursor| place(stamp) > cursor)
        };
        let newer = newer.iter().filter(|update| in_span(update.stamp));
        page.rows.extend(
            newer
                .map(|update| Row { timestamp: update.stamp.timestamp, data: update.data.clone() }),
        );
        page.rows.sort_by_key(|row| row.timestamp);
    }
    Ok(page)
}

/// The updates after `through`, from memory.
async fn unstored(
    web: &Web,
    channel: &TopicName,
    through: Offset,
) -> Result<Vec<Arc<Update>>, Refused> {
    let channel = [channel.clone()];
    let newer = web.core.ask(move |bridge, _| {
        let newer = bridge.hub.newer(&channel, through);
        newer.map(|updates| updates.map(Arc::clone).collect())
    });
    newer.await?.ok_or_else(behind)
}

/// Neither the store nor memory has everything.
pub(super) fn behind() -> Refused {
    let detail = "the store does not keep up: some updates are neither stored nor in memory";
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail)
}

fn rows(past: Past) -> Rows {
    let (last, at_end, through) =
        (past.iter().next_back().map(|(stamp, _)| place(stamp)), past.at_end, past.through);
    let row = |(stamp, text): (Stamp, &str)| {
        let metrics = Metrics::reread(text.into())?;
        Some(Row { timestamp: stamp.timestamp, data: Data::Metrics(Arc::new(metrics)) })
    };
    Rows { rows: past.iter().filter_map(row).collect(), last, at_end, through }
}

fn place(stamp: Stamp) -> Place {
    (stamp.timestamp, stamp.seq)
}

/// The first moment that is not part of a span that ends with `time`.
fn after(time: Timestamp) -> Timestamp {
    Timestamp(time.0 + 1)
}
