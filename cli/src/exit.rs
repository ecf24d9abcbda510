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
    /// 2: what was waited for ended other than wanted.
    NotSucceeded,
    /// 3: what was waited for was still open when waiting ended.
    StillOpen,
    /// 4: the token does not see all that is to be verified.
    NotInSight,
    /// 64: the arguments are wrong.
    Usage,
}

/// The part of `--help` about exit codes.
pub(crate) const HELP: &str = "\
Exit codes:
  0   fine
  1   the gateway refused, or something failed at runtime
  2   --wait: it ended, and not as wanted (a command that did not succeed or was not seen to
      do what it was expected to; a row of a batch that did not succeed)
  3   --wait: it was still open when waiting ended
  4   audit verify: the token does not see the whole log, so nothing can be said of it
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
            Self::NotInSight => 4,
            Self::Usage => 64,
        }
    }

    /// How waiting for a command ends that is in `state`, and was seen to do what it was expected to, or not.
    pub(crate) fn after(state: CommandState, verified: Option<bool>) -> Self {
        match state {
            CommandState::Succeeded if verified == Some(false) => Self::NotSucceeded,
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
