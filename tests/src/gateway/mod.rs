//! A gateway of its own for each test: the process and its files. What it is asked is in `asking`.

mod asking;

use crate::{Authority, binary, until};
use serde::Deserialize;
use std::{
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a gateway may take to end; its own bound is `shutdown.grace_ms`.
const END_WITHIN: Duration = Duration::from_secs(15);

/// The real binary on free ports with a data directory of its own; stopped when it is dropped.
///
/// A test in which the gateway logs an error that was not expected fails.
#[derive(Debug)]
pub struct TestGateway {
    child: Child,
    program: &'static str,
    folder: TempDir,
    settings: Vec<(String, String)>,
    flags: Vec<String>,
    endpoints: Endpoints,
    expected_error: Option<String>,
    http: reqwest::Client,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Endpoints {
    mqtt: SocketAddr,
    mqtt_tls: Option<SocketAddr>,
    http: SocketAddr,
}

impl TestGateway {
    /// With the settings that a fresh installation has.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings such as `("LIMITS__DEVICES", "3")`: the environment's without `SLUICE_`.
    ///
    /// # Panics
    /// When it does not come up; shows its log.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_flags(settings, &[]).await
    }

    /// With TLS for MQTT, by a certificate of `authority`, and settings; with `("HTTP__TLS", "true")` for HTTP
    /// as well, which [`Self::get`] and its like do not speak.
    ///
    /// # Panics
    /// When it does not come up; shows its log.
    pub async fn with_tls(authority: &Authority, settings: &[(&str, &str)]) -> Self {
        let server = authority.server();
        let (cert, key) = (server.cert.display().to_string(), server.key.display().to_string());
        let tls = [("TLS__CERT", &*cert), ("TLS__KEY", &key), ("MQTT__TLS_LISTEN", "127.0.0.1:0")];
        Self::with(&[&tls, settings].concat()).await
    }

    /// With settings, and flags such as `--demo`.
    ///
    /// # Panics
    /// When it does not come up; shows its log.
    pub async fn with_flags(settings: &[(&str, &str)], flags: &[&str]) -> Self {
        Self::of_program("sluice-gateway", settings, flags).await
    }

    /// A build with fault points, which kills itself at `point`; started again, it no longer does.
    ///
    /// # Panics
    /// When it does not come up; shows its log.
    pub async fn with_fault(point: &str) -> Self {
        let settings = [("FAULT", point)];
        let mut gateway = Self::of_program("sluice-gateway-faults", &settings, &[]).await;
        gateway.settings.clear();
        gateway
    }

    /// Waits until it was killed. What it left behind stays.
    ///
    /// # Panics
    /// When it ended in another way.
    pub async fn killed(&mut self) {
        let status = self.ended().await;
        assert!(status.code().is_none(), "it was to be killed: {status}\n{}", self.log());
        let _not_written_yet = fs::remove_file(self.endpoints_file());
    }

    async fn of_program(program: &'static str, settings: &[(&str, &str)], flags: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let settings = settings.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let (settings, flags) = (
            settings.collect::<Vec<_>>(),
            flags.iter().map(|&flag| flag.into()).collect::<Vec<_>>(),
        );
        let http = reqwest::Client::builder().tls_backend_preconfigured(trust::in_nobody());
        let http = http.no_proxy().build().expect("a client without TLS");
        let child = spawn(program, folder.path(), &settings, &flags);
        let endpoints = Endpoints { mqtt: ANY_PORT, mqtt_tls: None, http: ANY_PORT };
        let expected_error = None;
        let mut gateway =
            Self { child, program, folder, settings, flags, endpoints, expected_error, http };
        gateway.await_endpoints().await;
        gateway
    }

    /// Waits until it listens, and notes where.
    async fn await_endpoints(&mut self) {
        let file = self.endpoints_file();
        let mut endpoints = None;
        until("endpoints.json", async || {
            endpoints = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the gateway ended: {}", read_log(self.folder.path()));
            endpoints.is_some()
        })
        .await;
        self.endpoints = endpoints.expect("waited for it");
    }

    /// Kills it (SIGKILL) and waits until it is gone. What it left behind stays.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
        // Written by who listens no more: who waits for the next one must not take it for that one's.
        let _not_written_yet = fs::remove_file(self.endpoints_file());
    }

    /// Starts it again on what the one before left behind, at the same addresses.
    pub async fn start_again(&mut self) {
        self.start_again_with(&[]).await;
    }

    /// The same, with flags such as `--recover` for this once.
    ///
    /// # Panics
    /// When it does not come up; shows its log.
    pub async fn start_again_with(&mut self, flags: &[&str]) {
        let Endpoints { mqtt, http, .. } = self.endpoints;
        let mut settings = self.settings.clone();
        settings.push(("MQTT__LISTEN".into(), mqtt.to_string()));
        settings.push(("HTTP__LISTEN".into(), http.to_string()));
        let flags = self.flags.iter().cloned().chain(flags.iter().map(|&flag| flag.into()));
        self.child = spawn(self.program, self.folder.path(), &settings, &flags.collect::<Vec<_>>());
        self.await_endpoints().await;
    }

    /// Ends it in order and starts it again.
    ///
    /// # Panics
    /// When it does not end with 0, or does not come up.
    pub async fn restart(&mut self) {
        self.terminate();
        assert_eq!(self.ended().await.code(), Some(0), "{}", self.log());
        self.start_again().await;
    }

    /// Lets no file of the gateway grow past `bytes` any more (`setrlimit`, `RLIMIT_FSIZE`): writes
    /// fail as they do on a disk that is full. None: as before.
    ///
    /// # Panics
    /// When the system does not allow it.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let soft = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let pid = self.pid().to_string();
        let mut prlimit = Command::new("prlimit");
        prlimit.args(["--pid", &pid, &format!("--fsize={soft}:unlimited")]);
        assert!(prlimit.status().expect("prlimit runs").success(), "the limit cannot be set");
    }

    /// Where it speaks MQTT.
    #[must_use]
    pub fn mqtt(&self) -> SocketAddr {
        self.endpoints.mqtt
    }

    /// Where it speaks MQTT over TLS.
    ///
    /// # Panics
    /// When `mqtt.tls_listen` is not set.
    #[must_use]
    pub fn mqtt_tls(&self) -> SocketAddr {
        self.endpoints.mqtt_tls.expect("mqtt.tls_listen is set")
    }

    /// Where it speaks HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.endpoints.http
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in bytes (proc(5), statm).
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid())).expect("it runs");
        let pages = statm.split(' ').nth(1).expect("the second is the resident set");
        pages.parse::<u64>().expect("a number") * 4_096
    }

    /// The URL that the command line takes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.endpoints.http)
    }

    /// Where it keeps its files.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The file that tells where it listens.
    #[must_use]
    pub fn endpoints_file(&self) -> PathBuf {
        self.data_dir().join("endpoints.json")
    }

    /// Lets the test pass though an error with this text is logged.
    pub fn expect_error(&mut self, text: &str) {
        self.expected_error = Some(text.into());
    }

    /// Its log so far: one JSON object a line.
    #[must_use]
    pub fn log(&self) -> String {
        read_log(self.folder.path())
    }

    /// Asks it to end, and goes on at once.
    pub fn terminate(&self) {
        signal(self.child.id(), "-TERM");
    }

    /// Asks it to read its certificates again.
    pub fn hang_up(&self) {
        signal(self.child.id(), "-HUP");
    }

    /// Waits until it has ended by itself or because it was asked to.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the gateway's end", async || {
            status = self.child.try_wait().expect("a child can be asked");
            status.is_some()
        })
        .await;
        status.expect("waited for it")
    }

    /// Ends it where that has not happened; by force where it takes too long.
    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.terminate();
        let deadline = Instant::now() + END_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                self.child.kill().expect("a child can be killed");
                self.child.wait().expect("a killed child ends");
                panic!("the gateway did not end when it was asked to:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test has failed already; its panic is the one to show.
            let _gone_already = self.child.kill();
            let _ended = self.child.wait();
            return eprint(&self.log());
        }
        self.end();
        let log = self.log();
        let expected = self.expected_error.as_deref();
        let is_error = |line: &&str| line.contains(r#""level":"ERROR""#) || !line.starts_with('{');
        let unexpected = |line: &&str| expected.is_none_or(|text| !line.contains(text));
        let error = log.lines().find(|line| is_error(line) && unexpected(line));
        assert!(error.is_none(), "the gateway logged {error:?}; the whole log:\n{log}");
    }
}

#[expect(clippy::print_stderr, reason = "the log explains a failed test")]
fn eprint(log: &str) {
    eprintln!("the gateway's log:\n{log}");
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn spawn(program: &str, folder: &Path, settings: &[(String, String)], flags: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log"));
    let log = log.expect("a log file");
    let mut command = Command::new(binary(program));
    command.args(flags);
    command.env_clear().env("SLUICE_LOG__FORMAT", "json");
    command.env("SLUICE_DATA_DIR", folder.join("data"));
    command.env("SLUICE_MQTT__LISTEN", "127.0.0.1:0").env("SLUICE_HTTP__LISTEN", "127.0.0.1:0");
    command.envs(settings.iter().map(|(key, value)| (format!("SLUICE_{key}"), value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("the gateway starts")
}

fn read_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).expect("the log is text")
}

/// Sends a signal such as `-TERM`.
fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "process {pid} cannot be signalled");
}
