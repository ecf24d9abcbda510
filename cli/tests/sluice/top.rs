//! `sluice top`, and the live line, in a terminal: `script` of util-linux gives them one.

use crate::support::{
    fake::{COMMAND, Fake, Script, Session, Step, command_in, snapshot, update},
    run,
};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::{Instant, timeout, timeout_at},
};

const DEADLINE: Duration = Duration::from_secs(30);

/// What gives the terminal back: the screen from before, and a cursor.
const GIVEN_BACK: &str = "\u{1b}[?1049l";

/// A run in a terminal of 100 columns and 20 rows.
struct Terminal {
    child: Child,
    shown: String,
}

impl Terminal {
    fn start(arguments: &str) -> Self {
        Self::shell(&format!("exec {} {arguments}", env!("CARGO_BIN_EXE_sluice")))
    }

    fn shell(line: &str) -> Self {
        let line = format!("stty cols 100 rows 20; {line}");
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &line, "/dev/null"]).env_clear();
        script.env("TERM", "xterm").env("PATH", std::env::var_os("PATH").unwrap());
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Self { child: script.spawn().unwrap(), shown: String::new() }
    }

    /// Waits until this was shown.
    async fn until(&mut self, text: &str) {
        let end = Instant::now() + DEADLINE;
        let mut bytes = [0; 4_096];
        while !self.shown.contains(text) {
            let reading = self.child.stdout.as_mut().unwrap().read(&mut bytes);
            let count = timeout_at(end, reading).await.map_or(0, |read| read.unwrap());
            assert_ne!(count, 0, "'{text}' was never shown: {:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    async fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).await.unwrap();
    }

    /// All that was shown, and the exit code.
    async fn end(mut self) -> (String, Option<i32>) {
        let mut rest = Vec::new();
        let reading = self.child.stdout.as_mut().unwrap().read_to_end(&mut rest);
        timeout(DEADLINE, reading).await.expect("it ends").unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        let status = timeout(DEADLINE, self.child.wait()).await.expect("it ends").unwrap();
        (self.shown, status.code())
    }
}

/// A gateway with one device, whose telemetry comes in columns.
async fn fake() -> Fake {
    let nothing = json!({ "items": [], "next": null });
    let presence = json!({
        "status": "online", "since": 0, "reason": "connected", "address": null, "protocol": null, "node": "n",
    });
    // A slow machine may need more than one connection.
    let session = |_| Session {
        snapshots: vec![snapshot("presence/pump-1", 1, presence.clone())],
        ..Session::new(vec![Step::Binary(columns())])
    };
    let answers = vec![("GET /alerts", nothing.clone().into()), ("GET /commands", nothing.into())];
    let sessions = (0..9).map(session).collect();
    let pages = vec![vec![json!({ "id": "pump-1" })]];
    Fake::start(Script { pages, answers, sessions, ..Script::default() }).await
}

/// `telemetry/pump-1` with `rpm` 1234, as `sluice.v1.columns` has it.
fn columns() -> Vec<u8> {
    let mut names = br#"{"channels":["telemetry/pump-1"],"shapes":[["rpm"]]}"#.to_vec();
    let mut frame = vec![1, 0, 1, 0, u8::try_from(names.len()).unwrap(), 0, 0, 0];
    frame.extend([0; 16]);
    names.resize(names.len().next_multiple_of(8), 0);
    frame.extend(names);
    frame.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    for cell in [[0, 0], [1, 0], [1, 0], [1, 0], [0xd2, 4]] {
        frame.extend([2, 0, 0, 0, 2, 0, 0, 0, cell[0], cell[1], 0, 0, 0, 0, 0, 0]);
    }
    frame
}

#[tokio::test]
async fn top_shows_the_fleet_and_gives_the_terminal_back() {
    let fake = fake().await;
    let mut terminal = Terminal::start(&format!("top --url {}", fake.url));
    terminal.until("rpm=1234").await;
    // What did not change is not drawn again: "under" is a word of the list of commands only.
    terminal.press("3").await;
    terminal.until("under").await;
    terminal.press("q").await;
    let (shown, code) = terminal.end().await;
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(shown.contains(GIVEN_BACK), "{shown:?}");
}

#[tokio::test]
async fn top_gives_the_terminal_back_on_a_signal() {
    let fake = fake().await;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("top.pid");
    let binary = env!("CARGO_BIN_EXE_sluice");
    let line = format!("echo $$ >{}; exec {binary} top --url {}", file.display(), fake.url);
    let mut terminal = Terminal::shell(&line);
    terminal.until("rpm=1234").await;
    let pid = std::fs::read_to_string(&file).unwrap();
    let sent = Command::new("kill").args(["-TERM", pid.trim()]).status().await.unwrap();
    assert!(sent.success());
    let (shown, code) = terminal.end().await;
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(shown.contains(GIVEN_BACK), "{shown:?}");
}

#[tokio::test]
async fn top_without_a_terminal_says_what_there_is_instead() {
    let run = run("http://127.0.0.1:9", &["top"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("sluice watch gateway/stats --json"), "{}", run.stderr);
}

#[tokio::test]
async fn waiting_draws_a_live_line_that_is_gone_in_the_end() {
    let stage = |state: &str, changes: Value| {
        Step::Frame(vec![update("commands/pump-1", 1, command_in(state, changes))])
    };
    let steps = vec![
        Step::UntilPosted,
        stage("started", json!({ "progress": 50 })),
        Step::UntilCue,
        stage("succeeded", json!({})),
    ];
    let accepted = Some(command_in("queued", json!({})));
    let sessions = vec![Session::new(steps)];
    let fake = Fake::start(Script { accepted, sessions, ..Script::default() }).await;
    let line = format!("send pump-1 set --wait --url {}", fake.url);
    let mut terminal = Terminal::start(&line);
    terminal.until("[##########----------]  50 %").await;
    fake.cue();
    let (shown, code) = terminal.end().await;
    assert_eq!(code, Some(0), "{shown:?}");
    let last = shown.rsplit("\u{1b}[2K").next().unwrap();
    assert!(last.contains("succeeded") && !last.contains('#'), "{shown:?}");
    assert!(shown.contains(COMMAND), "{shown:?}");
}
