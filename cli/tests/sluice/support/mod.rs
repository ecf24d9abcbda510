//! Runs the binary and writes down what happened as a transcript to compare.

pub(crate) mod fake;

use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// No run of these tests takes longer, unless something hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a run went.
pub(crate) struct Run {
    pub(crate) arguments: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Run {
    /// What a person at the terminal would have seen.
    pub(crate) fn transcript(&self) -> String {
        let Self { arguments, stdout, stderr, code } = self;
        let code = code.map_or_else(|| "by a signal".into(), |code| code.to_string());
        format!("$ sluice {arguments}\n{stdout}--- stderr\n{stderr}--- exit {code}\n")
    }
}

/// The binary, ready to run against the gateway at `url`; the environment's own settings are left out.
pub(crate) fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(arguments).env_clear().env("SLUICE_URL", url).env("TZ", "UTC");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs it to its end.
pub(crate) async fn run(url: &str, arguments: &[&str]) -> Run {
    finish(command(url, arguments), arguments).await
}

/// Runs a prepared command to its end.
pub(crate) async fn finish(mut command: Command, arguments: &[&str]) -> Run {
    let ended = timeout(DEADLINE, command.output()).await.expect("it ends").unwrap();
    Run {
        arguments: arguments.join(" "),
        stdout: String::from_utf8(ended.stdout).unwrap(),
        stderr: String::from_utf8(ended.stderr).unwrap(),
        code: ended.status.code(),
    }
}

/// A run that is watched while it goes on.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(url: &str, arguments: &[&str]) -> Self {
        let mut child = command(url, arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line it prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("a line comes");
        line.unwrap().expect("it goes on")
    }

    /// Ctrl-C.
    pub(crate) async fn interrupt(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Stops reading, as `head` does once it has enough.
    pub(crate) fn stop_reading(self) -> Unread {
        Unread { child: self.child }
    }

    /// Its standard error and exit code.
    pub(crate) async fn end(self) -> (String, Option<i32>) {
        let Self { child, lines: _open_until_the_end } = self;
        Unread { child }.end().await
    }
}

/// A run whose standard output nobody reads.
pub(crate) struct Unread {
    child: Child,
}

impl Unread {
    pub(crate) async fn end(mut self) -> (String, Option<i32>) {
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        timeout(DEADLINE, pipe.read_to_string(&mut stderr)).await.expect("it ends").unwrap();
        let status = timeout(DEADLINE, self.child.wait()).await.expect("it ends").unwrap();
        (stderr, status.code())
    }
}

/// Compares with the stored snapshot; addresses, and times that were measured, read the same in each run.
macro_rules! assert_transcript {
    ($transcript:expr) => {{
        let transcript = $transcript;
        insta::with_settings!({
            filters => vec![
                (r"http://127\.0\.0\.1:\d+", "[gateway]"),
                (r"\d+\.\d s\b", "[t] s"),
                (r" +\[t\] s  ", "  [t] s  "),
            ],
            omit_expression => true,
        }, {
            insta::assert_snapshot!(transcript);
        })
    }};
}
pub(crate) use assert_transcript;
