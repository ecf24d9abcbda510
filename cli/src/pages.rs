//! Lists that come in pages, one page after the other.

use crate::{Output, gateway::Gateway, text::clean};
use anyhow::{Result, bail};
use protocol::Page;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The most rows that the gateway gives at a time.
const PAGE_ROWS_MAX: usize = 1_000;

/// The pages of a list.
pub(crate) struct Pages<'a> {
    gateway: &'a Gateway,
    list: &'static str,
    query: Vec<(&'static str, String)>,
    next: Next,
    /// How many rows are still wanted; `None`: all.
    left: Option<usize>,
}

enum Next {
    First,
    After(String),
    Nothing,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(
        gateway: &'a Gateway,
        list: &'static str,
        query: Vec<(&'static str, String)>,
    ) -> Self {
        Self { gateway, list, query, next: Next::First, left: None }
    }

    /// No more rows than these.
    pub(crate) fn at_most(self, rows: usize) -> Self {
        Self { left: Some(rows), ..self }
    }

    /// The next page; `None` after the last.
    pub(crate) async fn page<T: DeserializeOwned>(&mut self) -> Result<Option<Vec<T>>> {
        let rows = self.left.map(|left| left.min(PAGE_ROWS_MAX));
        let limit = rows.map(|rows| rows.to_string());
        let mut wanted: Vec<_> = self.query.iter().map(|(name, v)| (*name, v.as_str())).collect();
        wanted.extend(limit.as_deref().map(|limit| ("limit", limit)));
        match &self.next {
            Next::Nothing => return Ok(None),
            Next::First | Next::After(_) if rows == Some(0) => return Ok(None),
            Next::First => {}
            Next::After(cursor) => wanted.push(("cursor", cursor)),
        }
        let Page { items, next } = self.gateway.page(self.list, &wanted).await?;
        self.left = self.left.map(|left| left.saturating_sub(items.len()));
        self.next = match (next, &self.next) {
            (None, _) => Next::Nothing,
            (Some(next), Next::After(cursor)) if next == *cursor => {
                bail!("the gateway's list goes in a circle at cursor '{}'", clean(&next))
            }
            (Some(next), _) => Next::After(next),
        };
        Ok(Some(items))
    }

    /// All rows that are left.
    pub(crate) async fn all<T: DeserializeOwned>(mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while let Some(items) = self.page().await? {
            all.extend(items);
        }
        Ok(all)
    }

    /// Prints all rows as they came.
    pub(crate) async fn print_json(mut self, output: &mut Output) -> Result<()> {
        while let Some(items) = self.page::<Box<RawValue>>().await? {
            for item in &items {
                output.raw(item)?;
            }
        }
        Ok(())
    }
}
