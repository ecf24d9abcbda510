//! What the keys do, and what is to be seen.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What is in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Devices,
    Alerts,
    Commands,
}

impl Pane {
    pub(super) const ALL: [Self; 3] = [Self::Devices, Self::Alerts, Self::Commands];

    fn next(self) -> Self {
        match self {
            Self::Devices => Self::Alerts,
            Self::Alerts => Self::Commands,
            Self::Commands => Self::Devices,
        }
    }
}

/// The order of the devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// By id.
    #[default]
    Name,
    /// The most updates a second first.
    Rate,
    /// Those that are online and were heard of longest ago first.
    Slowest,
    /// Those that are offline first, the newest of them on top.
    Offline,
}

/// What the person at the terminal has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) pane: Pane,
    pub(super) order: Order,
    /// The first row in sight.
    pub(super) top: usize,
    /// Only devices whose id has this.
    pub(super) filter: String,
    /// The filter is being written.
    pub(super) writes: bool,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    GoOn,
    Leave,
}

impl Choice {
    /// Does what a key asks; `page` is how many rows are in sight.
    pub(super) fn key(&mut self, key: KeyEvent, page: usize) -> After {
        if key.kind == KeyEventKind::Release {
            return After::GoOn;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return After::Leave;
        }
        if self.writes {
            self.write(key.code);
            return After::GoOn;
        }
        self.command(key.code, page)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the keys are the library's, not ours")]
    fn command(&mut self, code: KeyCode, page: usize) -> After {
        match code {
            KeyCode::Char('q') => return After::Leave,
            KeyCode::Esc if self.filter.is_empty() => return After::Leave,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab => self.show(self.pane.next()),
            KeyCode::Char('1') => self.show(Pane::Devices),
            KeyCode::Char('2') => self.show(Pane::Alerts),
            KeyCode::Char('3') => self.show(Pane::Commands),
            KeyCode::Char('n') => self.sort(Order::Name),
            KeyCode::Char('r') => self.sort(Order::Rate),
            KeyCode::Char('s') => self.sort(Order::Slowest),
            KeyCode::Char('o') => self.sort(Order::Offline),
            KeyCode::Char('/') => self.writes = true,
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.top = self.top.saturating_add(1),
            KeyCode::PageUp => self.top = self.top.saturating_sub(page),
            KeyCode::PageDown => self.top = self.top.saturating_add(page),
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = usize::MAX,
            _ => {}
        }
        After::GoOn
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the keys are the library's, not ours")]
    fn write(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.writes = false,
            KeyCode::Esc => {
                self.writes = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.len() < 128 => self.filter.push(letter),
            _ => {}
        }
        self.top = 0;
    }

    fn show(&mut self, pane: Pane) {
        (self.pane, self.top) = (pane, 0);
    }

    fn sort(&mut self, order: Order) {
        (self.pane, self.order, self.top) = (Pane::Devices, order, 0);
    }

    /// The first row in sight of `rows`, `page` of which are.
    pub(super) fn first(&mut self, rows: usize, page: usize) -> usize {
        self.top = self.top.min(rows.saturating_sub(page));
        self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(choice: &mut Choice, keys: &[KeyCode]) -> Vec<After> {
        keys.iter().map(|code| choice.key(KeyEvent::from(*code), 10)).collect()
    }

    #[test]
    fn panes_and_orders_are_chosen_and_begin_at_the_top() {
        let mut choice = Choice { top: 7, ..Choice::default() };
        press(&mut choice, &[KeyCode::Tab]);
        assert_eq!((choice.pane, choice.top), (Pane::Alerts, 0));
        press(&mut choice, &[KeyCode::Char('3'), KeyCode::Char('s')]);
        assert_eq!((choice.pane, choice.order), (Pane::Devices, Order::Slowest));
    }

    #[test]
    fn scrolling_stays_within_the_rows() {
        let mut choice = Choice::default();
        press(&mut choice, &[KeyCode::PageDown, KeyCode::Down, KeyCode::Up, KeyCode::Up]);
        assert_eq!(choice.first(100, 10), 9);
        press(&mut choice, &[KeyCode::End, KeyCode::Down]);
        assert_eq!(choice.first(100, 10), 90);
        assert_eq!(choice.first(5, 10), 0);
    }

    #[test]
    fn what_is_written_is_the_filter_and_no_command() {
        let mut choice = Choice::default();
        let written = [KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Char('x')];
        assert_eq!(press(&mut choice, &written), [After::GoOn; 3]);
        press(&mut choice, &[KeyCode::Backspace, KeyCode::Enter]);
        assert_eq!((choice.filter.as_str(), choice.writes), ("q", false));
        assert_eq!(press(&mut choice, &[KeyCode::Esc, KeyCode::Esc]), [After::GoOn, After::Leave]);
    }

    #[test]
    fn ctrl_c_leaves_even_while_writing() {
        let mut choice = Choice { writes: true, ..Choice::default() };
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(choice.key(ctrl_c, 10), After::Leave);
    }
}
