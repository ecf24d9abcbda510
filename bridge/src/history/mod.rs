//! Values of the past as columns: as they came, or downsampled into buckets.

mod buckets;
mod columns;

use crate::data::{Data, Fields};
use buckets::Buckets;
use columns::Columns;
use protocol::{History, HistoryColumn, Timestamp, TopicName};
use serde_json::Value;

/// What metrics a channel had at one time.
#[derive(Clone, Debug)]
pub struct Row {
    /// When.
    pub timestamp: Timestamp,
    /// What.
    pub data: Data,
}

impl Row {
    /// Whether it has a metric that somebody wants: of `fields`, where some are named.
    fn is_wanted(&self, fields: Option<&Fields>) -> bool {
        let Data::Metrics(metrics) = &self.data else { return false };
        let mut names = metrics.names();
        names.any(|name| fields.is_none_or(|fields| fields.has(name)))
    }
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
    let rows: Vec<_> = rows.iter().filter(|row| row.is_wanted(fields)).collect();
    let mut columns = Columns::default();
    for (place, row) in rows.iter().enumerate() {
        columns.each(row, fields, |column: &mut Vec<_>, text| column.push((place, text)));
    }
    let column = |cells: Vec<(usize, &str)>| {
        let mut values = vec![Value::Null; rows.len()];
        for (place, text) in cells {
            if let Some(value) = values.get_mut(place) {
                *value = parsed(text);
            }
        }
        HistoryColumn::Values { values }
    };
    History {
        channel,
        from: span.from,
        to: span.to,
        bucket_ms: None,
        timestamps: rows.iter().map(|row| row.timestamp).collect(),
        metrics: columns.into_metrics(column),
    }
}

/// Takes the rows of a stretch of time one by one, and gives their values as they came if there are at most
/// so many points, else downsampled: it never holds more than the answer does.
#[derive(Debug)]
pub struct Condensing<'a> {
    span: Span,
    points: u32,
    fields: Option<&'a Fields>,
    state: State,
    bytes: usize,
}

#[derive(Debug)]
enum State {
    Raw(Vec<Row>),
    Buckets(Buckets),
}

impl<'a> Condensing<'a> {
    /// Wants at most `points` of `span`, only of `fields`, where some are named.
    #[must_use]
    pub const fn new(span: Span, points: u32, fields: Option<&'a Fields>) -> Self {
        Self { span, points, fields, state: State::Raw(Vec::new()), bytes: 0 }
    }

    /// How many bytes it holds, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next row in the order of time.
    pub fn add(&mut self, row: Row) {
        if !row.is_wanted(self.fields) {
            return;
        }
        match &mut self.state {
            State::Raw(rows) if rows.len() < self.points as usize => {
                self.bytes += size_of::<Row>() + row.data.text().len();
                rows.push(row);
            }
            State::Raw(rows) => {
                let rows = std::mem::take(rows);
                let first = rows.first().map_or(row.timestamp, |row| row.timestamp);
                let from = self.span.from.max(first);
                let mut buckets = Buckets::new(Span { from, ..self.span }, self.points);
                for row in rows.iter().chain([&row]) {
                    buckets.add(row, self.fields);
                }
                self.bytes = buckets.bytes();
                self.state = State::Buckets(buckets);
            }
            State::Buckets(buckets) => {
                buckets.add(&row, self.fields);
                self.bytes = buckets.bytes();
            }
        }
    }

    /// What it was given.
    #[must_use]
    pub fn history(self, channel: TopicName) -> History {
        match self.state {
            State::Raw(rows) => raw(channel, self.span, &rows, self.fields),
            State::Buckets(buckets) => buckets.history(channel, self.span),
        }
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Metrics;
    use protocol::Millis;
    use serde_json::json;

    fn rows(rows: &[(i64, &str)]) -> Vec<Row> {
        let row = |(timestamp, text): &(i64, &str)| Row {
            timestamp: Timestamp(*timestamp),
            data: Data::Metrics(Metrics::parse(text).unwrap()),
        };
        rows.iter().map(row).collect()
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: Timestamp(from), to: Timestamp(to) }
    }

    fn condensed(span: Span, points: u32, rows: &[Row], fields: Option<&Fields>) -> History {
        let mut condensing = Condensing::new(span, points, fields);
        rows.iter().for_each(|row| condensing.add(row.clone()));
        condensing.history(channel())
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
    fn as_many_rows_as_points_come_as_they_are() {
        let rows = rows(&[(1, r#"{"t":1}"#), (2, r#"{"h":2}"#), (3, r#"{"h":3,"t":3}"#)]);
        let (span, only) = (span(0, 9), Fields::new(["h"]));
        assert_eq!(condensed(span, 3, &rows, None), raw(channel(), span, &rows, None));
        let wanted = condensed(span, 2, &rows, Some(&only));
        assert_eq!(wanted, raw(channel(), span, &rows, Some(&only)), "others do not count");
        assert_eq!(condensed(span, 2, &rows, None).bucket_ms, Some(Millis(4)));
    }

    #[test]
    fn buckets_keep_the_extremes_and_the_last_value() {
        let rows = rows(&[
            (105, r#"{"t":5,"s":"a"}"#),
            (110, r#"{"t":-1}"#),
            (119, r#"{"t":2,"s":"b"}"#),
            (149, r#"{"t":7}"#),
        ]);
        let history = condensed(span(105, 164), 3, &rows, None);
        assert_eq!(history.bucket_ms, Some(Millis(20)));
        assert_eq!(history.timestamps, [105, 125, 145].map(Timestamp));
        assert_eq!(
            serde_json::to_value(history.metrics).unwrap(),
            json!({"t": {"min": [-1.0, null, 7.0], "max": [5.0, null, 7.0], "last": [2, null, 7]},
                "s": {"min": [null, null, null], "max": [null, null, null], "last": ["b", null, null]}})
        );
    }

    #[test]
    fn extremes_are_values_that_were() {
        let extremes = |values: &[&str]| {
            let texts: Vec<_> = values.iter().map(|value| format!(r#"{{"t":{value}}}"#)).collect();
            let all: Vec<_> = (0..).zip(texts.iter().map(String::as_str)).collect();
            let history = condensed(span(0, 9), 1, &rows(&all), None);
            let column = serde_json::to_value(&history.metrics["t"]).unwrap();
            (column["min"][0].to_string(), column["max"][0].to_string())
        };
        let both = |least: &str, greatest: &str| (least.to_owned(), greatest.to_owned());
        let (least, greatest) = ("9007199254740993", "9007199254740995");
        assert_eq!(extremes(&[greatest, least, "9007199254740994"]), both(least, greatest));
        let minus = ["-9007199254740993", "-9007199254740992"];
        assert_eq!(extremes(&minus), both(minus[0], "-9007199254740992"));
        let mixed = ["9007199254740992.0", "9007199254740993", "0.5"];
        assert_eq!(extremes(&mixed), both("0.5", "9007199254740993"));
        let end = u64::MAX.to_string();
        assert_eq!(extremes(&[&end, "1e300", "-1e300"]), both("-1e+300", "1e+300"));
        assert_eq!(extremes(&[&end, "18446744073709551614"]), both("18446744073709551614", &end));
    }

    #[test]
    fn buckets_begin_with_the_first_value_and_end_with_the_last() {
        let rows = rows(&[(1_000_000, r#"{"t":1}"#), (1_000_004, r#"{"t":2}"#), (1_000_009, "{}")]);
        let history = condensed(span(0, 1_000_100), 1, &rows, None);
        let (from, to) = (Timestamp(0), Timestamp(1_000_100));
        assert_eq!((history.from, history.to), (from, to), "the span is what was asked for");
        assert_eq!(history.timestamps, [Timestamp(1_000_000)]);
        assert_eq!(history.bucket_ms, Some(Millis(100)));
    }

    #[test]
    fn there_are_never_more_buckets_than_points() {
        for (points, length) in [(1, 1_000), (7, 1_000), (999, 1_000), (1_000, 999)] {
            let all: Vec<_> = (0..length).map(|n| (n, r#"{"t":1}"#)).collect();
            let history = condensed(span(0, length), points, &rows(&all), None);
            assert!(history.timestamps.len() <= points as usize, "{points} {length}");
        }
    }

    #[test]
    fn any_number_of_rows_takes_no_more_room_than_the_buckets() {
        let span = span(0, 100_000);
        let mut condensing = Condensing::new(span, 10, None);
        let mut most = 0;
        for row in rows(&(0..100_000).map(|n| (n, r#"{"t":1.5}"#)).collect::<Vec<_>>()) {
            condensing.add(row);
            most = most.max(condensing.bytes());
        }
        assert!(most < 2_000, "{most}");
    }
}
