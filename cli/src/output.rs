//! The only place that writes: results to standard output, what happens on the way to standard error.
//!
//! Colour reaches a terminal only, and none with `NO_COLOR` (<https://no-color.org>). So does the live line: what
//! stands below all that was printed while something is waited for, drawn again and again.

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde_json::value::RawValue;
use std::{
    io::{self, ErrorKind, IsTerminal, Stderr, Stdout, Write},
    time::Duration,
};

/// How often the live line is drawn.
pub(crate) const REDRAW: Duration = Duration::from_millis(200);

/// Back to the beginning of the line, and nothing left of it.
const ERASE: &[u8] = b"\r\x1b[2K";

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: what the gateway said, one JSON value a line.
    Json,
}

/// Why a result could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Nobody reads on, as after `| head`: no reason to complain.
    #[error("standard output is closed")]
    Closed,
    /// Writing failed, such as on a full disk.
    #[error("cannot write to standard output: {0}")]
    Failed(io::Error),
}

/// Where results, notes and errors go.
#[derive(Debug)]
pub struct Output {
    format: Format,
    stdout: AutoStream<Stdout>,
    stderr: AutoStream<Stderr>,
    live: Live,
    lines: Lines,
}

/// Where the lines of results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// To a person, who sees the live line too.
    Terminal,
    /// To a file or another program.
    Elsewhere,
}

/// The live line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Live {
    /// Nobody would see it, or see it as something else.
    Never,
    Off,
    On,
}

const NOTE: Style = AnsiColor::BrightBlack.on_default();
const ERROR: Style = AnsiColor::Red.on_default().bold();

impl Output {
    /// The process's own standard streams.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            stdout: AutoStream::auto(io::stdout()),
            stderr: AutoStream::auto(io::stderr()),
            live: live(format),
            lines: if io::stdout().is_terminal() { Lines::Terminal } else { Lines::Elsewhere },
        }
    }

    /// Whether [`Self::live`] draws anything.
    pub(crate) fn has_live(&self) -> bool {
        self.live != Live::Never
    }

    /// Whether who reads the results sees the live line too: what it shows needs no line then.
    pub(crate) fn is_seen_live(&self) -> bool {
        self.has_live() && self.lines == Lines::Terminal
    }

    /// Draws the live line in place of the one before; a terminal that is narrower gets its beginning.
    pub(crate) fn live(&mut self, line: &str) {
        if !self.has_live() {
            return;
        }
        self.erase();
        let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        let line: String = line.chars().take(width.saturating_sub(1)).collect();
        self.tell(&format!("{NOTE}{line}{NOTE:#}"));
        self.live = Live::On;
    }

    /// Takes the live line away.
    pub(crate) fn erase(&mut self) {
        if self.live == Live::On {
            // Not through the stream that takes colours out where they are not wanted: this is none.
            let _erased = io::stderr().write_all(ERASE);
            self.live = Live::Off;
        }
    }

    /// How results are to be printed.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints a result as it is, and flushes: who reads line by line is not kept waiting.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn text(&mut self, text: &str) -> Result<(), OutputError> {
        self.erase();
        let written = self.stdout.write_all(text.as_bytes()).and_then(|()| self.stdout.flush());
        written.map_err(|error| {
            if error.kind() == ErrorKind::BrokenPipe {
                OutputError::Closed
            } else {
                OutputError::Failed(error)
            }
        })
    }

    /// Prints a line of results.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn line(&mut self, line: &str) -> Result<(), OutputError> {
        self.text(&format!("{line}\n"))
    }

    /// Prints JSON as it came, on one line: a line break in it can only be between its tokens.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn raw(&mut self, json: &RawValue) -> Result<(), OutputError> {
        self.line(&json.get().replace(['\r', '\n'], " "))
    }

    /// Says what happens on the way.
    pub fn note(&mut self, note: &str) {
        self.say(&format!("{NOTE}{note}{NOTE:#}\n"));
    }

    /// Says why it ends.
    pub fn error(&mut self, error: &str) {
        self.say(&format!("{ERROR}error:{ERROR:#} {error}\n"));
    }

    fn say(&mut self, text: &str) {
        self.erase();
        self.tell(text);
    }

    fn tell(&mut self, text: &str) {
        // Where standard error is closed there is nobody left to tell.
        let _told = self.stderr.write_all(text.as_bytes());
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.erase();
    }
}

/// A line that is drawn again is for people who look at a terminal that can.
fn live(format: Format) -> Live {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match format {
        Format::Text if io::stderr().is_terminal() && !dumb => Live::Off,
        Format::Text | Format::Json => Live::Never,
    }
}
