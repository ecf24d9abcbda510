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
use serde_json::{Value, value::RawValue};

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
    [
        Cell::new(&device.id),
        Cell::new(device.kind.as_deref().map_or_else(nothing, clean)),
        status_cell(device.status),
        Cell::new(device.last_seen_at.map_or_else(|| "never".into(), |seen| ago(now, seen))),
        Cell::new(values(&device.values).unwrap_or_else(nothing)),
    ]
}

/// As they are written where they nest deeper than is read here; none where there are none.
fn values(raw: &RawValue) -> Option<String> {
    match serde_json::from_str::<Value>(raw.get()) {
        Ok(Value::Object(values)) if values.is_empty() => None,
        Ok(values) => Some(compact(&values)),
        Err(_) => Some(clean(raw.get())),
    }
}

fn status_cell(status: Status) -> Cell {
    let color = match status {
        Status::Online => Color::Green,
        Status::Offline => Color::DarkGrey,
    };
    Cell::new(status.name()).fg(color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_however_deep_one_of_them_nests() {
        let told = |json: String| values(&RawValue::from_string(json).unwrap());
        assert_eq!(told("{}".into()), None);
        assert_eq!(told(r#"{"a":1}"#.into()).as_deref(), Some("a=1"));
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        assert_eq!(told(deep.clone()), Some(deep));
    }
}
