//! How the process ends.

use protocol::CommandState;
use std::process::ExitCode;

/// The exit codes, as `--help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: what was asked for was done.
    Fine,
    /// 1: the gateway refused, or something failed at runtime.
    Failed,
    /// 2: the command ended other than succeeded.
    NotSucceeded,
    /// 3: the command was still open when waiting for it ended.
    StillOpen,
    /// 64: the arguments are wrong.
    Usage,
}

/// The part of `--help` about exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0   fine
  1   the gateway refused, or something failed at runtime
  2   the command ended other than succeeded
  3   the command was still open when waiting for it ended
  64  the arguments are wrong";

impl Exit {
    /// The number the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::NotSucceeded => 2,
            Self::StillOpen => 3,
            Self::Usage => 64,
        }
    }

    /// How waiting for a command in `state` ends.
    pub(crate) const fn after(state: CommandState) -> Self {
        match state {
            CommandState::Succeeded => Self::Fine,
            CommandState::Failed
            | CommandState::Rejected
            | CommandState::Cancelled
            | CommandState::Superseded
            | CommandState::Expired
            | CommandState::TimedOut => Self::NotSucceeded,
            CommandState::Scheduled
            | CommandState::Queued
            | CommandState::Sent
            | CommandState::Delivered
            | CommandState::Started
            | CommandState::Cancelling => Self::StillOpen,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
