//! A device's telemetry of the past: `GET /devices/{id}/telemetry`.

use super::parse;
use crate::{
    clock,
    web::{
        Web,
        asked::{Asked, time},
        history::{self, Budget, Place},
        problem::Refused,
        who::{Who, unknown_device},
    },
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bridge::{data::Fields, history::Span};
use protocol::{DeviceId, History, HistoryColumn, HistoryRequest, Seq, Timestamp, TopicName};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use std::{collections::HashSet, sync::Arc};

/// The rows of a page, and the most.
const PAGE_ROWS_MAX: usize = 10_000;

/// What may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
    points: Option<u32>,
    fields: Option<String>,
    #[serde(default)]
    format: Format,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// A page of history, as `/ws` sends it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "history")]
struct Page {
    #[serde(flatten)]
    history: History,
    next: Option<String>,
}

/// `GET /devices/{id}/telemetry`.
pub(super) async fn get(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Refused> {
    let Path(path) = path?;
    let id: DeviceId = parse(&path)?;
    who.check_of("telemetry", &id)?;
    let asked = id.clone();
    if !web.core.ask(move |bridge, _| bridge.devices().get(&asked).is_some()).await? {
        return Err(unknown_device(&id));
    }
    let page = page(&web, &id, &wanted).await?;
    match wanted.format {
        Format::Json => Ok(Json(page).into_response()),
        Format::Csv => csv(&id, &wanted, &page),
    }
}

async fn page(web: &Web, id: &DeviceId, wanted: &Wanted) -> Result<Page, Refused> {
    let channel: TopicName = parse(&format!("telemetry/{id}"))?;
    let mut span = wanted.span()?;
    let fields = wanted.fields.as_ref().map(|names| Fields::new(names.split(',')));
    // What was published before this request is to be found, though it may still wait to be stored.
    let _failing_is_seen_below = web.store.settled().await;
    if let Some(points) = wanted.points()? {
        let budget = &mut Budget::default();
        if wanted.to.is_none() {
            (span.to, _) = history::open_end(web, &channel, span.from, budget).await?;
        }
        let (mut history, _) =
            history::condensed(web, channel, span, points, fields.as_ref(), budget).await?;
        if let (None, Some(first)) = (wanted.from, history.timestamps.first()) {
            history.from = *first;
        }
        return Ok(Page { history, next: None });
    }
    let limit = match wanted.limit.unwrap_or(PAGE_ROWS_MAX) {
        limit @ 1..=PAGE_ROWS_MAX => limit,
        limit => {
            return Err(Refused::bad_query(format!("limit {limit} is not in 1-{PAGE_ROWS_MAX}")));
        }
    };
    let rows = history::page(web, &channel, span, wanted.place()?, limit).await?;
    let next = rows.last.filter(|_| !rows.at_end).map(|(time, seq)| format!("{time}~{seq}"));
    if wanted.to.is_none() {
        let newest = rows.rows.last().map_or(span.from, |row| row.timestamp);
        span.to = history::after(newest.max(clock::now()));
    }
    let history = bridge::history::raw(channel, span, &rows.rows, fields.as_ref());
    Ok(Page { history, next })
}

impl Wanted {
    fn span(&self) -> Result<Span, Refused> {
        let from = self.from.unwrap_or(Timestamp::MIN);
        let to = self.to.unwrap_or(history::NO_END);
        if from < to {
            return Ok(Span { from, to });
        }
        Err(Refused::bad_query(format!("from {from} is not before to {to}")))
    }

    fn points(&self) -> Result<Option<u32>, Refused> {
        match self.points {
            None => Ok(None),
            Some(_) if self.limit.is_some() || self.cursor.is_some() => Err(Refused::bad_query(
                "points gives all of the time at once: leave out limit and cursor",
            )),
            Some(points @ 1..=HistoryRequest::POINTS_MAX) => Ok(Some(points)),
            Some(points) => Err(Refused::bad_query(format!(
                "points {points} is not in 1-{}",
                HistoryRequest::POINTS_MAX
            ))),
        }
    }

    fn place(&self) -> Result<Option<Place>, Refused> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let place = cursor
            .split_once('~')
            .and_then(|(time, seq)| Some((Timestamp(time.parse().ok()?), Seq(seq.parse().ok()?))));
        let bad = || Refused::bad_query(format!("cursor '{cursor}' is not one that was given"));
        place.map(Some).ok_or_else(bad)
    }

    /// The query of the next page.
    fn next(&self, span: Span, cursor: &str) -> String {
        let mut query = format!("from={}&format=csv&cursor={cursor}", span.from);
        if let Some(to) = self.to {
            query.push_str(&format!("&to={to}"));
        }
        if let Some(limit) = self.limit {
            query.push_str(&format!("&limit={limit}"));
        }
        if let Some(fields) = &self.fields {
            query.push_str("&fields=");
            query.extend(form_urlencoded::byte_serialize(fields.as_bytes()));
        }
        query
    }
}

/// `timestamp`, then a column a metric; for buckets three. Metrics that were asked for by name have theirs in that order
/// on every page, though a page has none of their values.
fn csv(id: &DeviceId, wanted: &Wanted, page: &Page) -> Result<Response, Refused> {
    let text = table(&page.history, wanted.fields.as_deref()).map_err(|error| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "csv", error.to_string())
    })?;
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response();
    if let Some(cursor) = &page.next {
        let span = Span { from: page.history.from, to: page.history.to };
        let query = wanted.next(span, cursor);
        let link = format!("<{}/devices/{id}/telemetry?{query}>; rel=\"next\"", super::PREFIX);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}

fn table(history: &History, fields: Option<&str>) -> Result<Vec<u8>, csv::Error> {
    let mut names = vec!["timestamp".to_owned()];
    let mut columns: Vec<Vec<String>> = Vec::new();
    let nothing = match history.bucket_ms {
        None => HistoryColumn::Values { values: Vec::new() },
        Some(_) => HistoryColumn::Buckets { min: Vec::new(), max: Vec::new(), last: Vec::new() },
    };
    for name in metrics(history, fields) {
        match history.metrics.get(name).unwrap_or(&nothing) {
            HistoryColumn::Values { values } => {
                names.push(name.into());
                columns.push(values.iter().map(cell).collect());
            }
            HistoryColumn::Buckets { min, max, last } => {
                names.extend(["min", "max", "last"].map(|part| format!("{name}.{part}")));
                columns.extend([min, max].map(|side| side.iter().map(number).collect()));
                columns.push(last.iter().map(cell).collect());
            }
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&names)?;
    for (row, timestamp) in history.timestamps.iter().enumerate() {
        writer.write_field(timestamp.to_string())?;
        for column in &columns {
            writer.write_field(column.get(row).map_or("", String::as_str))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// The names of the columns, each once.
fn metrics<'a>(history: &'a History, fields: Option<&'a str>) -> Vec<&'a str> {
    let Some(fields) = fields else { return history.metrics.keys().map(String::as_str).collect() };
    let mut seen = HashSet::new();
    fields.split(',').filter(|name| seen.insert(*name)).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn number(number: &Option<Number>) -> String {
    let text = |number: &Number| match (number.as_i128(), number.as_f64()) {
        (None, Some(double)) => double.to_string(),
        (Some(_), _) | (None, None) => number.to_string(),
    };
    number.as_ref().map(text).unwrap_or_default()
}
