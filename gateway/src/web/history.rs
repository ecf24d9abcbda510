//! Values of the past: from the store what is there, from memory what is not stored yet.

use super::{Web, problem::Refused};
use crate::{clock, store::Past};
use axum::http::StatusCode;
use bridge::{
    data::{Data, Fields, Metrics},
    history::{self, Condensing, Row, Span},
    update::{Stamp, Update},
};
use protocol::{History, HistoryRequest, Offset, Seq, Timestamp, TopicName};
use std::sync::Arc;

/// The most updates that one request may go through: two months at one a second.
const ROWS_MAX: usize = 5_000_000;

/// The most bytes that one request's answer may need while it is made.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many are read at once; others read between.
const PAGE_ROWS: usize = 5_000;

/// The end of a stretch of time that has none: behind every time there is.
pub(super) const NO_END: Timestamp = Timestamp(Timestamp::MAX.0 + 1);

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

/// What is left of what one request may read and hold, for all its channels.
#[derive(Debug)]
pub(super) struct Budget {
    rows: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { rows: ROWS_MAX, bytes: BYTES_MAX }
    }
}

impl Budget {
    /// Takes what goes into the answer.
    fn take(&mut self, bytes: usize) -> Result<(), Refused> {
        self.check(bytes)?;
        self.bytes -= bytes;
        Ok(())
    }

    /// Whether so much could go into the answer.
    fn check(&self, bytes: usize) -> Result<(), Refused> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(too_much(format!(
            "the values need more than {BYTES_MAX} bytes: ask for fewer points, metrics or channels"
        )))
    }

    /// Takes what was read.
    fn read(&mut self, rows: usize) -> Result<(), Refused> {
        let left = self.rows.checked_sub(rows).ok_or_else(|| {
            let most = format!("there are more than {ROWS_MAX} updates in that time");
            too_much(format!("{most}: ask for a shorter one"))
        });
        self.rows = left?;
        Ok(())
    }
}

/// More was asked for than one request may have.
pub(super) fn too_much(detail: String) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "too_much_history", detail)
}

/// What `history` of a subscription asks for, for one channel; and the offset that it goes up to.
pub(super) async fn wanted(
    web: &Web,
    channel: TopicName,
    request: HistoryRequest,
    fields: Option<&Fields>,
    budget: &mut Budget,
) -> Result<(History, Offset), Refused> {
    match request {
        HistoryRequest::Last { last } => {
            let past = web.store.newest(channel.clone(), last as usize).await?;
            budget.take(past.bytes())?;
            let rows = rows(past);
            let of = |row: Option<&Row>| row.map_or(clock::now(), |row| row.timestamp);
            let (from, to) = (of(rows.rows.first()), after(of(rows.rows.last())));
            Ok((history::raw(channel, Span { from, to }, &rows.rows, fields), rows.through))
        }
        HistoryRequest::Since { since, points } => {
            let (to, seen) = open_end(web, &channel, since, budget).await?;
            let span = Span { from: since, to };
            let (history, through) = condensed(web, channel, span, points, fields, budget).await?;
            // What was stored between may be behind that end.
            Ok((history, through.min(seen)))
        }
    }
}

/// The values of a stretch of time, with those that are only in memory yet, as they came if there are at
/// most `points`, else downsampled; and the offset that they go up to.
pub(super) async fn condensed(
    web: &Web,
    channel: TopicName,
    span: Span,
    points: u32,
    fields: Option<&Fields>,
    budget: &mut Budget,
) -> Result<(History, Offset), Refused> {
    let mut condensing = Condensing::new(span, points, fields);
    let mut last = None;
    loop {
        let page = page(web, &channel, span, last, PAGE_ROWS).await?;
        budget.read(page.rows.len())?;
        page.rows.into_iter().for_each(|row| condensing.add(row));
        budget.check(condensing.bytes())?;
        last = page.last;
        if page.at_end {
            budget.take(condensing.bytes())?;
            return Ok((condensing.history(channel), page.through));
        }
    }
}

/// The end of a stretch of time that has none: behind now and behind all values from `from` on, for a device's clock
/// may be ahead; and the offset up to which that is known.
pub(super) async fn open_end(
    web: &Web,
    channel: &TopicName,
    from: Timestamp,
    budget: &mut Budget,
) -> Result<(Timestamp, Offset), Refused> {
    let mut newest = from.max(clock::now());
    let span = Span { from: after(newest), to: NO_END };
    let (mut last, mut through) = (None, Offset(u64::MAX));
    loop {
        let page = page(web, channel, span, last, PAGE_ROWS).await?;
        budget.read(page.rows.len())?;
        newest = page.rows.last().map_or(newest, |row| row.timestamp);
        (last, through) = (page.last, through.min(page.through));
        if page.at_end {
            return Ok((after(newest), through));
        }
    }
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
        let metrics = Metrics::reread(text)?;
        Some(Row { timestamp: stamp.timestamp, data: Data::Metrics(metrics) })
    };
    Rows { rows: past.iter().filter_map(row).collect(), last, at_end, through }
}

fn place(stamp: Stamp) -> Place {
    (stamp.timestamp, stamp.seq)
}

/// The first moment that is not part of a span that ends with `time`.
pub(super) fn after(time: Timestamp) -> Timestamp {
    Timestamp(time.0 + 1)
}
