//! The project's binaries as processes.

use crate::soon;
use std::{
    path::PathBuf,
    process::{Output, Stdio},
};
use tokio::process::Command;

/// Where the binary `name` was built: `SLUICE_BIN_DIR`, else beside the running test.
///
/// # Panics
/// When it is not there; says how to build it.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("SLUICE_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().expect("a running test has a path");
            let profile =
                test.ancestors().find(|folder| !folder.ends_with("deps") && folder.is_dir());
            profile.expect("a test lies in the target folder").to_owned()
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: cargo build --workspace --bins", path.display());
    path
}

/// A program that is run to its end.
#[derive(Debug)]
pub struct Program(Command);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// All that it printed.
    pub stdout: String,
    /// All that it complained about.
    pub stderr: String,
}

impl Program {
    /// One of the project's binaries, with no settings from the environment.
    #[must_use]
    pub fn new(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary(name));
        command.args(arguments).env_clear().env("NO_COLOR", "1");
        Self::of(command)
    }

    /// Any program.
    #[must_use]
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        Self(command)
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it does not start, or does not end in time.
    pub async fn run(mut self) -> Ended {
        let what = format!("the end of {:?}", self.0.as_std().get_program());
        let Output { status, stdout, stderr } =
            soon(&what, self.0.output()).await.expect("the program starts");
        Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("programs print UTF-8")
}
