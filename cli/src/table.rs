//! Rows under headings, as wide as the terminal.

use crate::{Output, output::OutputError};
use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};

/// Prints `rows` under `headings`.
pub(crate) fn print<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [Cell; N]>,
    output: &mut Output,
) -> Result<(), OutputError> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // The output decides whether colour gets through, not the table.
    table.enforce_styling().style_text_only();
    table.set_header(headings.map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        output.line(line.trim_end())?;
    }
    Ok(())
}
