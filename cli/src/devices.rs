//! `sluice devices`.

use crate::{
    Exit, Output,
    args::DeviceQuery,
    gateway::Gateway,
    output::Format,
    text::{ago, clean, compact, now},
};
use anyhow::{Result, bail};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use protocol::{Device, Page, Status, Timestamp};
use serde_json::value::RawValue;

/// Lists the devices that `query` selects, following the pages to the end.
pub(crate) async fn list(
    gateway: &Gateway,
    query: &DeviceQuery,
    output: &mut Output,
) -> Result<Exit> {
    let mut pages = Pages { gateway, query, next: Next::First };
    match output.format() {
        Format::Json => {
            while let Some(devices) = pages.page::<Box<RawValue>>().await? {
                print_json(&devices, output)?;
            }
        }
        Format::Text => {
            let mut all = Vec::new();
            while let Some(devices) = pages.page::<Device>().await? {
                all.extend(devices);
            }
            print_table(&all, output)?;
        }
    }
    Ok(Exit::Fine)
}

/// The pages of a list, one after the other.
struct Pages<'a> {
    gateway: &'a Gateway,
    query: &'a DeviceQuery,
    next: Next,
}

enum Next {
    First,
    After(String),
    Nothing,
}

impl Pages<'_> {
    /// The next page; `None` after the last.
    async fn page<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<Vec<T>>> {
        let mut wanted = self.query.pairs();
        match &self.next {
            Next::First => {}
            Next::After(cursor) => wanted.push(("cursor", cursor)),
            Next::Nothing => return Ok(None),
        }
        let Page { items, next } = self.gateway.devices(&wanted).await?;
        self.next = match (next, &self.next) {
            (None, _) => Next::Nothing,
            (Some(next), Next::After(cursor)) if next == *cursor => {
                bail!("the gateway's list goes in a circle at cursor '{}'", clean(&next))
            }
            (Some(next), _) => Next::After(next),
        };
        Ok(Some(items))
    }
}

impl DeviceQuery {
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let status = self.status.map(status_name);
        let pairs = [
            ("q", self.text.as_deref()),
            ("type", self.kind.as_deref()),
            ("tag", self.tag.as_deref()),
            ("status", status),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Offline => "offline",
    }
}

fn print_json(devices: &[Box<RawValue>], output: &mut Output) -> Result<()> {
    for device in devices {
        output.raw(device)?;
    }
    Ok(())
}

fn print_table(devices: &[Device], output: &mut Output) -> Result<()> {
    if devices.is_empty() {
        output.note("no devices");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // The output decides whether colour gets through, not the table.
    table.enforce_styling().style_text_only();
    table.set_header(["ID", "TYPE", "STATUS", "LAST SEEN", "VALUES"].map(heading));
    let now = now();
    table.add_rows(devices.iter().map(|device| row(now, device)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        output.line(line.trim_end())?;
    }
    Ok(())
}

fn heading(text: &str) -> Cell {
    Cell::new(text).add_attribute(Attribute::Bold)
}

fn row(now: Timestamp, device: &Device) -> Vec<Cell> {
    let nothing = || "-".to_owned();
    let values = device.values.as_object().is_none_or(|values| !values.is_empty());
    vec![
        Cell::new(&device.id),
        Cell::new(device.kind.as_deref().map_or_else(nothing, clean)),
        status_cell(device.status),
        Cell::new(device.last_seen_at.map_or_else(|| "never".into(), |seen| ago(now, seen))),
        Cell::new(if values { compact(&device.values) } else { nothing() }),
    ]
}

fn status_cell(status: Status) -> Cell {
    let color = match status {
        Status::Online => Color::Green,
        Status::Offline => Color::DarkGrey,
    };
    Cell::new(status_name(status)).fg(color)
}
