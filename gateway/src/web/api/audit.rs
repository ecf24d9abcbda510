//! The audit log over HTTP.

use super::page_rows;
use crate::{
    core::watched::audit_key,
    store::{Order, RowsWanted, Table},
    web::{
        Web,
        asked::{Asked, time},
        problem::Refused,
        who::Who,
    },
};
use axum::{Json, extract::State};
use bridge::rights::Rights;
use protocol::{DeviceId, Page, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// So many rows of the store are read at once.
const ROWS_AT_ONCE: usize = 32;

/// After looking at so many entries a page ends, though it may not be full: the next one goes on there.
const ENTRIES_LOOKED_AT: usize = 20_000;

/// What `GET /audit` may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default, deserialize_with = "time")]
    from: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    to: Option<Timestamp>,
    user: Option<String>,
    action: Option<String>,
    limit: Option<usize>,
    cursor: Option<u64>,
}

/// What of an entry tells whether it is wanted.
#[derive(Debug, Deserialize)]
struct Seen {
    number: u64,
    at: Timestamp,
    user: Option<String>,
    action: String,
    device: Option<DeviceId>,
}

impl Wanted {
    fn takes(&self, entry: &Seen) -> bool {
        // `command` stands for `command.sent` too.
        let action = |wanted: &String| {
            let rest = entry.action.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && self.user.as_ref().is_none_or(|user| entry.user.as_ref() == Some(user))
            && self.action.as_ref().is_none_or(action)
    }
}

/// A page in the making: from the newest entry to older ones.
struct Search {
    rights: Rights,
    wanted: Wanted,
    rows: usize,
    found: Vec<(u64, Box<RawValue>)>,
    looked_at: usize,
    /// Entries from this number on were looked at.
    before: u64,
}

/// Whether a search goes on.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    Full,
}

impl Search {
    /// Looks at the entries that came together, the newest first.
    fn look_at(&mut self, lines: &str) -> Result<Goes, serde_json::Error> {
        for line in lines.lines().rev() {
            let seen: Seen = serde_json::from_str(line)?;
            if seen.number >= self.before {
                continue;
            }
            self.before = seen.number;
            self.looked_at += 1;
            let in_sight = self.rights.may_see_entry(&seen.action, seen.device.as_ref());
            if in_sight && self.wanted.takes(&seen) {
                self.found.push((seen.number, RawValue::from_string(line.into())?));
            }
            // One more than the page has tells that there is another page.
            if self.found.len() > self.rows || self.looked_at >= ENTRIES_LOOKED_AT {
                return Ok(Goes::Full);
            }
        }
        Ok(Goes::On)
    }

    fn page(mut self, full: bool) -> Page<Box<RawValue>> {
        let more = self.found.len() > self.rows;
        self.found.truncate(self.rows);
        let next = match self.found.last() {
            Some((number, _)) if more => Some(number.to_string()),
            Some(_) | None => full.then(|| self.before.to_string()),
        };
        Page { items: self.found.into_iter().map(|(_, entry)| entry).collect(), next }
    }
}

/// `GET /audit`, the newest first.
pub(super) async fn list(
    State(web): State<Arc<Web>>,
    who: Who,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Box<RawValue>>>, Refused> {
    let rows = page_rows(wanted.limit)?;
    let before = wanted.cursor.unwrap_or(u64::MAX);
    let rights = who.rights;
    let mut search = Search { rights, wanted, rows, found: Vec::new(), looked_at: 0, before };
    loop {
        let chunks = RowsWanted {
            table: Table::Audit,
            from: String::new(),
            to: Some(audit_key(search.before)),
            order: Order::Descending,
            limit: ROWS_AT_ONCE,
        };
        let chunks = web.store.rows(chunks).await?;
        if chunks.is_empty() {
            return Ok(Json(search.page(false)));
        }
        for (key, lines) in chunks {
            let damaged = || damaged(&key);
            let lines = std::str::from_utf8(&lines).map_err(|_| damaged())?;
            if search.look_at(lines).map_err(|_| damaged())? == Goes::Full {
                return Ok(Json(search.page(true)));
            }
        }
    }
}

fn damaged(key: &str) -> Refused {
    let detail = format!("the entries of the audit log from number {key} on cannot be read");
    Refused::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "store_damaged", detail)
}
