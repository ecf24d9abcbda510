//! The terminal: taken for a full screen, and given back as it was, also after a panic.

use anyhow::{Context, Result, bail};
use ratatui::DefaultTerminal;
use std::io::{self, IsTerminal};

/// The terminal while it is ours; given back when it is dropped. A panic gives it back before it is told.
pub(super) struct Screen(pub(super) DefaultTerminal);

impl Screen {
    pub(super) fn take() -> Result<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            bail!(
                "'sluice top' needs a terminal: for programs there is 'sluice watch gateway/stats --json'"
            );
        }
        Ok(Self(ratatui::try_init().context("the terminal cannot be set up")?))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
