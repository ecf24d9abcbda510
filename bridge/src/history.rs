//! Values of the past as columns: as they came, or downsampled into buckets.

use crate::data::{Data, Fields, Metrics};
use protocol::{History, HistoryColumn, Millis, Timestamp, TopicName};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// What metrics a channel had at one time.
#[derive(Clone, Debug)]
pub struct Row {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    pub data: Data,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, itself not part of it.
    pub to: Timestamp,
}

/// The values of `rows` as they came; only those of `fields`, where some are named.
#[must_use]
pub fn raw(channel: TopicName, span: Span, rows: &[Row], fields: Option<&Fields>) -> History {
    let mut columns = Columns::new(fields);
    let mut timestamps = Vec::with_capacity(rows.len());
    for row in rows {
        if columns.add(timestamps.len(), row) {
            timestamps.push(row.timestamp);
        }
    }
    let metrics = columns.into_metrics(|cells| {
        let mut values = vec![Value::Null; timestamps.len()];
        for (place, text) in cells {
            if let Some(value) = values.get_mut(place) {
                *value = parsed(text);
            }
        }
        HistoryColumn::Values { values }
    });
    History { channel, from: span.from, to: span.to, bucket_ms: None, timestamps, metrics }
}

/// The least, greatest and last value in each of at most `points` buckets of equal length. Buckets from the
/// first to the last that has a value are there; those between without one are null.
#[must_use]
pub fn buckets(
    channel: TopicName,
    span: Span,
    points: u32,
    rows: &[Row],
    fields: Option<&Fields>,
) -> History {
    let bucket = (span.to.since(span.from).0.div_ceil(u64::from(points.max(1)))).max(1);
    let place = |row: &Row| row.timestamp.since(span.from).0 / bucket;
    let (first, last) = (rows.first().map_or(0, place), rows.last().map_or(0, place));
    let count = if rows.is_empty() { 0 } else { usize::try_from(last - first + 1).unwrap_or(0) };
    let mut columns = Columns::new(fields);
    for row in rows {
        columns.add(usize::try_from(place(row) - first).unwrap_or(0), row);
    }
    let start = |index| span.from.plus(Millis((first + index) * bucket));
    History {
        channel,
        from: span.from,
        to: span.to,
        bucket_ms: Some(Millis(bucket)),
        timestamps: (0..count as u64).map(start).collect(),
        metrics: columns.into_metrics(|cells| Buckets::new(count).filled(cells).into_column()),
    }
}

/// The values by metric: the row or bucket of each, and its text.
struct Columns<'a> {
    fields: Option<&'a Fields>,
    places: HashMap<&'a str, usize>,
    columns: Vec<(&'a str, Vec<(usize, &'a str)>)>,
    /// Where the metrics of the row before went: the next is most likely alike.
    likely: Vec<usize>,
}

impl<'a> Columns<'a> {
    fn new(fields: Option<&'a Fields>) -> Self {
        Self { fields, places: HashMap::new(), columns: Vec::new(), likely: Vec::new() }
    }

    /// Adds a row's values; false where it has none that is wanted.
    fn add(&mut self, place: usize, row: &'a Row) -> bool {
        let Data::Metrics(metrics) = &row.data else { return false };
        let metrics: &'a Metrics = metrics;
        let mut any = false;
        for (index, (name, text)) in metrics.iter().enumerate() {
            if self.fields.is_some_and(|fields| !fields.has(name)) {
                continue;
            }
            let column = self.column(index, name);
            if let Some((_, cells)) = self.columns.get_mut(column) {
                cells.push((place, text));
            }
            any = true;
        }
        any
    }

    fn column(&mut self, index: usize, name: &'a str) -> usize {
        if let Some(likely) = self.likely.get(index)
            && self.columns.get(*likely).is_some_and(|(known, _)| *known == name)
        {
            return *likely;
        }
        let next = self.columns.len();
        let column = *self.places.entry(name).or_insert(next);
        if column == next {
            self.columns.push((name, Vec::new()));
        }
        self.likely.resize(self.likely.len().max(index + 1), column);
        if let Some(likely) = self.likely.get_mut(index) {
            *likely = column;
        }
        column
    }

    fn into_metrics(
        self,
        column: impl Fn(Vec<(usize, &'a str)>) -> HistoryColumn,
    ) -> BTreeMap<String, HistoryColumn> {
        let named = |(name, cells)| (unquoted(name), column(cells));
        self.columns.into_iter().map(named).collect()
    }
}

/// One metric, downsampled.
struct Buckets<'a> {
    min: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
    last: Vec<Option<&'a str>>,
}

impl<'a> Buckets<'a> {
    fn new(count: usize) -> Self {
        Self { min: vec![None; count], max: vec![None; count], last: vec![None; count] }
    }

    /// Takes the values in the order of time.
    fn filled(mut self, cells: Vec<(usize, &'a str)>) -> Self {
        for (place, text) in cells {
            let Some(last) = self.last.get_mut(place) else { continue };
            *last = Some(text);
            let number = text.as_bytes().first().is_some_and(|b| matches!(b, b'-' | b'0'..=b'9'));
            let Some(number) = number.then(|| text.parse().ok()).flatten() else { continue };
            keep(&mut self.min, place, number, f64::min);
            keep(&mut self.max, place, number, f64::max);
        }
        self
    }

    fn into_column(self) -> HistoryColumn {
        let last = self.last.into_iter().map(|text| text.map_or(Value::Null, parsed)).collect();
        HistoryColumn::Buckets { min: self.min, max: self.max, last }
    }
}

fn keep(column: &mut [Option<f64>], place: usize, number: f64, better: fn(f64, f64) -> f64) {
    if let Some(cell) = column.get_mut(place) {
        *cell = Some(cell.map_or(number, |before| better(before, number)));
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The name that stands in JSON between quotes.
fn unquoted(name: &str) -> String {
    if name.contains('\\') {
        serde_json::from_str(&format!("\"{name}\"")).unwrap_or_else(|_| name.into())
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn rows(rows: &[(i64, &str)]) -> Vec<Row> {
        let row = |(timestamp, text): &(i64, &str)| Row {
            timestamp: Timestamp(*timestamp),
            data: Data::Metrics(Arc::new(Metrics::parse(text).unwrap())),
        };
        rows.iter().map(row).collect()
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: Timestamp(from), to: Timestamp(to) }
    }

    fn channel() -> TopicName {
        "telemetry/a".parse().unwrap()
    }

    #[test]
    fn raw_columns_have_a_place_for_each_row() {
        let rows = rows(&[(1, r#"{"t":1.5,"ok":true}"#), (2, r#"{"\"q":"x","t":2}"#), (3, "{}")]);
        let history = serde_json::to_value(raw(channel(), span(0, 9), &rows, None)).unwrap();
        assert_eq!(
            history,
            json!({"channel": "telemetry/a", "from": 0, "to": 9, "bucket_ms": null, "timestamps": [1, 2],
                "metrics": {"t": {"values": [1.5, 2]}, "ok": {"values": [true, null]}, "\"q": {"values": [null, "x"]}}})
        );
    }

    #[test]
    fn fields_leave_out_rows_without_them() {
        let rows = rows(&[(1, r#"{"t":1}"#), (2, r#"{"h":2}"#), (3, r#"{"h":3,"t":3}"#)]);
        let history = raw(channel(), span(0, 9), &rows, Some(&Fields::new(["h"])));
        assert_eq!(history.timestamps, [Timestamp(2), Timestamp(3)]);
        assert_eq!(
            serde_json::to_value(history.metrics).unwrap(),
            json!({"h": {"values": [2, 3]}})
        );
    }

    #[test]
    fn buckets_keep_the_extremes_and_the_last_value() {
        let rows = rows(&[
            (110, r#"{"t":5,"s":"a"}"#),
            (115, r#"{"t":-1}"#),
            (119, r#"{"t":2,"s":"b"}"#),
            (149, r#"{"t":7}"#),
        ]);
        let history = buckets(channel(), span(100, 200), 5, &rows, None);
        assert_eq!(history.bucket_ms, Some(Millis(20)));
        assert_eq!(history.timestamps, [100, 120, 140].map(Timestamp));
        assert_eq!(
            serde_json::to_value(history.metrics).unwrap(),
            json!({"t": {"min": [-1.0, null, 7.0], "max": [5.0, null, 7.0], "last": [2, null, 7]},
                "s": {"min": [null, null, null], "max": [null, null, null], "last": ["b", null, null]}})
        );
    }

    #[test]
    fn there_are_never_more_buckets_than_points() {
        for (points, length) in [(1, 1_000), (7, 1_000), (999, 1_000), (1_000, 999)] {
            let all: Vec<_> = (0..length).map(|n| (n, r#"{"t":1}"#)).collect();
            let history = buckets(channel(), span(0, length), points, &rows(&all), None);
            assert!(history.timestamps.len() <= points as usize, "{points} {length}");
        }
    }
}
