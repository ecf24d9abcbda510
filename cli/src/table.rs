//! Rows under headings, as wide as the terminal.

use crate::{Output, output::OutputError};
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, presets};

/// With fewer characters for each column the lines are left to the terminal to break.
const COLUMN_MIN: u16 = 10;

/// The space behind a column.
const GAP: u16 = 2;

/// Prints `rows` under `headings`.
pub(crate) fn print<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [Cell; N]>,
    output: &mut Output,
) -> Result<(), OutputError> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // The output decides whether colour gets through, not the table.
    table.enforce_styling().style_text_only();
    table.set_header(headings.map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
    table.add_rows(rows);
    arrange(&mut table);
    for line in table.lines() {
        output.line(line.trim_end())?;
    }
    Ok(())
}

/// Gives the columns their widths. The first, which has ids, is never broken: what is copied from it is whole.
fn arrange(table: &mut Table) {
    let widths = table.column_max_content_widths();
    let (first, others) = widths.split_first().map_or((0, 0), |(first, rest)| (*first, rest.len()));
    let needed = (COLUMN_MIN + GAP) * u16::try_from(others).unwrap_or(u16::MAX / 100) + first + GAP;
    let fits = table.width().is_none_or(|width| width >= needed);
    table.set_content_arrangement(if fits {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    if let Some(ids) = table.column_mut(0) {
        ids.set_constraint(ColumnConstraint::ContentWidth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(width: u16) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_width(width);
        table.set_header(["ID", "STATUS", "VALUES"]);
        table.add_row(["thermostat-002", "online", "flow=170.8 power=2261.0 pressure=5.83"]);
        arrange(&mut table);
        table.lines().collect()
    }

    #[test]
    fn an_id_is_whole_in_a_terminal_of_any_width() {
        for width in [1, 20, 40, 60, 200] {
            let lines = lines(width);
            assert!(lines.iter().any(|line| line.starts_with("thermostat-002 ")), "{lines:?}");
        }
    }

    #[test]
    fn values_go_on_below_themselves_where_there_is_room_for_columns() {
        let lines = lines(50);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= 50), "{lines:?}");
    }
}
