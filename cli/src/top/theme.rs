//! Colours, and none where none are wanted (<https://no-color.org>): what matters is told in words and bold.

use protocol::Severity;
use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) colored: bool,
}

impl Theme {
    pub(super) fn from_environment() -> Self {
        Self { colored: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn color(self, color: Color) -> Style {
        if self.colored { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn heading(self) -> Style {
        self.color(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn quiet(self) -> Style {
        self.color(Color::DarkGray)
    }

    pub(super) fn bad(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn severity(self, severity: Severity) -> Style {
        match severity {
            Severity::Info => self.color(Color::Cyan),
            Severity::Warning => self.color(Color::Yellow),
            Severity::Critical => self.bad(),
        }
    }

    /// A colour by its number in the palette of terminals.
    pub(super) fn numbered(self, number: u8) -> Style {
        self.color(Color::Indexed(number))
    }
}
