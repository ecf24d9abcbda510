//! Rows downsampled: the least, greatest and last value of each metric in buckets of equal length.

use super::{Row, Span, columns::Columns, parsed};
use crate::data::Fields;
use protocol::{History, HistoryColumn, Millis, Timestamp, TopicName};
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// At most so many buckets as were asked for. Those from the first to the last that has a value are told;
/// between them those without one are null.
#[derive(Debug)]
pub(super) struct Buckets {
    begin: Timestamp,
    length: Millis,
    /// The first bucket that has a value, and the last.
    used: Option<(usize, usize)>,
    columns: Columns<Vec<Cell>>,
    bytes: usize,
}

/// One metric in one bucket.
#[derive(Clone, Debug, Default)]
struct Cell {
    /// The least and the greatest number.
    range: Option<(Number, Number)>,
    /// The text of the last value; empty where there is none.
    last: String,
}

impl Buckets {
    pub(super) fn new(span: Span, points: u32) -> Self {
        let length = span.to.since(span.from).0.div_ceil(u64::from(points.max(1))).max(1);
        Self {
            begin: span.from,
            length: Millis(length),
            used: None,
            columns: Columns::default(),
            bytes: 0,
        }
    }

    /// How many bytes it holds, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the next row in the order of time.
    pub(super) fn add(&mut self, row: &Row, fields: Option<&Fields>) {
        let place = row.timestamp.since(self.begin).0 / self.length.0;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let (first, last) = self.used.unwrap_or((place, place));
        self.used = Some((first.min(place), last.max(place)));
        let bytes = &mut self.bytes;
        self.columns.each(row, fields, |cells: &mut Vec<Cell>, text| {
            if cells.len() <= place {
                *bytes += (place + 1 - cells.len()) * size_of::<Cell>();
                cells.resize(place + 1, Cell::default());
            }
            if let Some(cell) = cells.get_mut(place) {
                *bytes = (*bytes + text.len()).saturating_sub(cell.last.len());
                cell.take(text);
            }
        });
    }

    pub(super) fn history(self, channel: TopicName, span: Span) -> History {
        let used = self.used.map_or(0..0, |(first, last)| first..last + 1);
        let begin = |place: usize| self.begin.plus(Millis(place as u64 * self.length.0));
        History {
            channel,
            from: span.from,
            to: span.to,
            bucket_ms: Some(self.length),
            timestamps: used.clone().map(begin).collect(),
            metrics: self.columns.into_metrics(|mut cells| {
                cells.resize(used.end, Cell::default());
                column(cells.get(used.clone()).unwrap_or_default())
            }),
        }
    }
}

impl Cell {
    fn take(&mut self, text: &str) {
        self.last.clear();
        self.last.push_str(text);
        let Some(number) = number(text) else { return };
        let Some((least, greatest)) = &mut self.range else {
            self.range = Some((number.clone(), number));
            return;
        };
        if order(&number, least).is_lt() {
            *least = number;
        } else if order(&number, greatest).is_gt() {
            *greatest = number;
        }
    }

    fn last(&self) -> Value {
        if self.last.is_empty() { Value::Null } else { parsed(&self.last) }
    }
}

fn column(cells: &[Cell]) -> HistoryColumn {
    HistoryColumn::Buckets {
        min: cells.iter().map(|cell| cell.range.as_ref().map(|(least, _)| least.clone())).collect(),
        max: cells.iter().map(|cell| cell.range.as_ref().map(|(_, most)| most.clone())).collect(),
        last: cells.iter().map(Cell::last).collect(),
    }
}

/// Doubles leave out no whole number below this.
const WHOLE_DOUBLES_END: f64 = 9_007_199_254_740_992.0;

/// The number that a value is, if it is one: a whole one to the last digit.
fn number(text: &str) -> Option<Number> {
    text.as_bytes().first().filter(|byte| matches!(byte, b'-' | b'0'..=b'9'))?;
    let double = text.parse::<f64>().ok()?;
    if double.abs() < WHOLE_DOUBLES_END {
        return Number::from_f64(double);
    }
    serde_json::from_str(text).ok()
}

/// The order of two numbers: that of their doubles, and where those are equal their own.
fn order(one: &Number, other: &Number) -> Ordering {
    let double = |number: &Number| number.as_f64().unwrap_or_default();
    // So large a double is whole.
    let whole = |number: &Number| number.as_i128().unwrap_or(double(number) as i128);
    double(one).total_cmp(&double(other)).then_with(|| whole(one).cmp(&whole(other)))
}
