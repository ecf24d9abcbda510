//! What does not fit: it ends with an ellipsis, so that the beginning of a number is not taken for all of it.

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Row,
};

/// The end of what was cut.
const ELLIPSIS: &str = "\u{2026}";

/// A row of a list, before it is known how much fits.
pub(super) struct Cells<const N: usize> {
    pub(super) texts: [String; N],
    pub(super) style: Style,
}

/// Cuts rows to what `widths` give in `area`, and says how wide the columns are.
pub(super) fn rows<const N: usize>(
    area: Rect,
    widths: [Constraint; N],
    rows: Vec<Cells<N>>,
) -> (Vec<Row<'static>>, Vec<Constraint>) {
    let columns = Layout::horizontal(widths).flex(Flex::Start).spacing(1).split(area);
    let columns: Vec<_> = columns.iter().map(|column| column.width).collect();
    let cut = rows.into_iter().map(|Cells { texts, style }| {
        let cells = texts.into_iter().zip(&columns).map(|(text, width)| fit(text, *width));
        Row::new(cells).style(style)
    });
    (cut.collect(), columns.iter().map(|width| Constraint::Length(*width)).collect())
}

/// Draws a line; where it is too long, the last place has the ellipsis.
pub(super) fn line(frame: &mut Frame<'_>, area: Rect, line: &Line<'_>) {
    frame.render_widget(line, area);
    if !area.is_empty()
        && line.width() > usize::from(area.width)
        && let Some(last) = area.columns().next_back()
    {
        frame.render_widget(ELLIPSIS, last);
    }
}

fn fit(text: String, width: u16) -> String {
    let width = usize::from(width);
    if wide(&text) <= width {
        return text;
    }
    let mut cut = String::new();
    let mut taken = wide(ELLIPSIS);
    for character in text.chars() {
        taken += wide(character.encode_utf8(&mut [0; 4]));
        if taken > width {
            break;
        }
        cut.push(character);
    }
    cut + ELLIPSIS
}

/// How many places of the screen it takes.
fn wide(text: &str) -> usize {
    Span::raw(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_an_ellipsis_and_is_never_too_wide() {
        for (text, width, cut) in [
            ("a=21.5", 6, "a=21.5"),
            ("a=21.5", 5, "a=21\u{2026}"),
            ("\u{6e29}\u{5ea6}", 4, "\u{6e29}\u{5ea6}"),
            ("\u{6e29}\u{5ea6}", 3, "\u{6e29}\u{2026}"),
            ("\u{6e29}\u{5ea6}", 2, "\u{2026}"),
        ] {
            assert_eq!(fit(text.into(), width), cut, "{text} in {width}");
        }
    }
}
