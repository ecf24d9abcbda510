//! The only place that writes: results to standard output, what happens on the way to standard error.
//!
//! Colour reaches a terminal only, and none with `NO_COLOR` (<https://no-color.org>).

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde_json::value::RawValue;
use std::io::{self, ErrorKind, Stderr, Stdout, Write};

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
        // Where standard error is closed there is nobody left to tell.
        let _told = self.stderr.write_all(text.as_bytes());
    }
}
