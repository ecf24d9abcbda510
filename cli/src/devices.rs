//! `sluice devices`.

use crate::{
    Exit, Output,
    args::DeviceQuery,
    gateway::Gateway,
    output::Format,
    pages::Pages,
    table,
    text::{ago, clean, compact, now},
};
use anyhow::Result;
use comfy_table::{Cell, Color};
use protocol::{Device, Status, Timestamp};

/// Lists the devices that `query` selects, following the pages to the end.
pub(crate) async fn list(
    gateway: &Gateway,
    query: &DeviceQuery,
    output: &mut Output,
) -> Result<Exit> {
    let pages = Pages::new(gateway, "devices", query.pairs());
    match output.format() {
        Format::Json => pages.print_json(output).await?,
        Format::Text => print(&pages.all().await?, output)?,
    }
    Ok(Exit::Fine)
}

fn print(devices: &[Device], output: &mut Output) -> Result<()> {
    if devices.is_empty() {
        output.note("no devices");
        return Ok(());
    }
    let now = now();
    let rows = devices.iter().map(|device| row(now, device));
    Ok(table::print(["ID", "TYPE", "STATUS", "LAST SEEN", "VALUES"], rows, output)?)
}

fn row(now: Timestamp, device: &Device) -> [Cell; 5] {
    let nothing = || "-".to_owned();
    let values = device.values.as_object().is_none_or(|values| !values.is_empty());
    [
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
    Cell::new(status.name()).fg(color)
}
