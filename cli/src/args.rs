//! The arguments: what can be asked, and how texts become values. Nothing is checked again after this.

use crate::{
    exit,
    gateway::{GatewayUrl, Token},
    output::Format,
};
use clap::{Parser, Subcommand, ValueHint};
use jiff::{SignedDuration, tz::TimeZone};
use protocol::{
    CommandId, CommandRequest, DeviceId, Millis, Mode, Status, SubscribeOptions, Timestamp,
    TopicFilter,
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Operates a Sluice gateway: lists devices, watches channels, sends commands.
#[derive(Clone, Debug, Parser)]
#[command(name = "sluice", version, after_help = exit::HELP, max_term_width = 100)]
pub struct Args {
    /// The gateway's address
    #[arg(
        long,
        global = true,
        env = "SLUICE_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080",
        value_hint = ValueHint::Url
    )]
    pub(crate) url: GatewayUrl,

    /// The token, as 'sluice-gateway token create' printed it; better given by the environment
    #[arg(long, global = true, env = "SLUICE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<Token>,

    /// Print what the gateway says as JSON, one object a line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    pub(crate) action: Action,
}

impl Args {
    /// How results are to be printed.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Action {
    /// List devices with their newest values
    Devices(DeviceQuery),
    /// Print the updates of channels as they come; reconnects by itself
    Watch(Wishes),
    /// Send a command to a device
    #[command(after_help = exit::HELP)]
    Send(Box<Order>),
    /// Show a command and each step it took
    Command {
        /// The command's id
        id: CommandId,
    },
    /// Cancel a command
    Cancel {
        /// The command's id
        id: CommandId,
    },
    /// Look at the audit log
    Audit {
        /// What to do with it
        #[command(subcommand)]
        action: AuditAction,
    },
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Check that no entry was changed or left out
    Verify,
}

/// Which devices.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeviceQuery {
    /// Only devices of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    /// Only devices with this tag, or with this value of it
    #[arg(long, value_name = "KEY[:VALUE]")]
    pub(crate) tag: Option<String>,
    /// Only devices with this status
    #[arg(long, value_name = "online|offline", value_parser = parse_status)]
    pub(crate) status: Option<Status>,
    /// Only devices that the gateway finds by this text
    #[arg(short = 'q', long = "query", value_name = "TEXT")]
    pub(crate) text: Option<String>,
}

/// Which updates.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Wishes {
    /// Channels such as telemetry/pump-1; + stands for one level, # for the rest
    #[arg(required = true, value_name = "CHANNEL")]
    pub(crate) channels: Vec<TopicFilter>,
    /// Between two flushes only the newest values of a channel
    #[arg(long)]
    latest: bool,
    /// At most this many updates a second of each channel; implies --latest
    #[arg(long, value_name = "N", value_parser = parse_throttle)]
    throttle: Option<f64>,
    /// Do not begin with the value that each channel has
    #[arg(long)]
    no_snapshot: bool,
    /// End after this many updates
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

impl Wishes {
    pub(crate) fn options(&self) -> SubscribeOptions {
        SubscribeOptions {
            mode: self.latest.then_some(Mode::Latest),
            throttle: self.throttle,
            snapshot: self.no_snapshot.then_some(false),
            ..SubscribeOptions::default()
        }
    }
}

/// A command to send.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Order {
    /// The device
    pub(crate) device: DeviceId,
    /// What to do, in the device's own words
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: String,
    /// Parameters; a value is JSON where it reads as JSON (21.5, true, null, {"a":1}), else text
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    pairs: Vec<(String, Value)>,
    /// Parameters as one JSON object; KEY=VALUE adds to them and wins
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    params: Option<Map<String, Value>>,
    /// Follow the command to its end; fine only if it succeeds
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, such as 5m; implies --wait. The command goes on without us
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait_for: Option<Duration>,
    /// How long it may wait to be sent; 0: now or never [gateway's default: 60s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    ttl: Option<Duration>,
    /// How long the device may take once it is sent [gateway's default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Higher goes first [gateway's default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Take the place of a queued command with the same key
    #[arg(long, value_name = "KEY")]
    supersede: Option<String>,
    /// Running it twice does no harm: it may be sent again after the device has it
    #[arg(long)]
    idempotent: bool,
    /// What the device reports on the way renews its time
    #[arg(long)]
    progress_extends: bool,
    /// Do not send before: +10m, 2030-01-31T18:30 (local) or 2030-01-31T18:30:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    not_before: Option<Timestamp>,
}

impl Order {
    pub(crate) fn waits(&self) -> bool {
        self.wait || self.wait_for.is_some()
    }

    /// The body that asks the gateway for it; what was not told is left to the gateway.
    pub(crate) fn request(&self) -> CommandRequest {
        CommandRequest {
            name: self.name.clone(),
            params: self.merged_params(),
            ttl_ms: self.ttl.map(millis),
            timeout_ms: self.timeout.map(millis),
            not_before: self.not_before,
            priority: self.priority,
            supersede: self.supersede.clone(),
            idempotent: self.idempotent.then_some(true),
            progress_extends: self.progress_extends.then_some(true),
            dry_run: None,
            expect: None,
        }
    }

    fn merged_params(&self) -> Option<Map<String, Value>> {
        let mut params = self.params.clone().unwrap_or_default();
        params.extend(self.pairs.iter().cloned());
        (!params.is_empty()).then_some(params)
    }
}

fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn parse_status(text: &str) -> Result<Status, String> {
    match text {
        "online" => Ok(Status::Online),
        "offline" => Ok(Status::Offline),
        _ => Err("use online or offline".into()),
    }
}

fn parse_throttle(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1_000.0 => Ok(rate),
        Ok(_) | Err(_) => Err("use a number above 0, at most 1000".into()),
    }
}

fn parse_pair(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), parse_value(value))),
        Some(_) | None => Err("write it as key=value".into()),
    }
}

fn parse_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("use a JSON object: {error}"))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "use a number with a unit, such as 500ms, 60s, 5m or 1h30m".into())
}

fn parse_moment(text: &str) -> Result<Timestamp, String> {
    if let Some(later) = text.strip_prefix('+') {
        return Ok(crate::text::now().plus(millis(parse_duration(later)?)));
    }
    let absolute: Option<jiff::Timestamp> = text.parse().ok();
    absolute
        .or_else(|| local_moment(text))
        .map(|moment| Timestamp(moment.as_millisecond()))
        .ok_or_else(|| "use +10m, 2030-01-31T18:30 or 2030-01-31T18:30:00Z".into())
}

fn local_moment(text: &str) -> Option<jiff::Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn order(arguments: &[&str]) -> Result<Order, clap::Error> {
        let line = ["sluice", "send", "pump-1", "set"].iter().chain(arguments);
        let Action::Send(order) = Args::try_parse_from(line)?.action else {
            panic!("the line says send")
        };
        Ok(*order)
    }

    #[test]
    fn the_arguments_are_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn values_are_json_where_they_read_as_json() {
        let pairs = ["a=21.5", "b=true", "c=null", r#"d={"a":1}"#, "e=-5", r#"f="5""#];
        let texts = ["g=on", "h=007", "i=1 2", "j=", "k=x=y"];
        let order = order(&[&pairs[..], &texts[..]].concat()).unwrap();
        let expected = json!({
            "a": 21.5, "b": true, "c": null, "d": {"a": 1}, "e": -5, "f": "5",
            "g": "on", "h": "007", "i": "1 2", "j": "", "k": "x=y",
        });
        assert_eq!(order.request().params.map(Value::Object), Some(expected));
    }

    #[test]
    fn pairs_win_over_the_params_object() {
        let order = order(&["a=2", "--params", r#"{"a":1,"b":1}"#]).unwrap();
        let expected = json!({"a": 2, "b": 1});
        assert_eq!(order.request().params.map(Value::Object), Some(expected));
    }

    #[test]
    fn what_was_not_told_is_left_to_the_gateway() {
        let body = serde_json::to_value(order(&[]).unwrap().request()).unwrap();
        assert_eq!(body, json!({"name": "set"}));
    }

    #[test]
    fn every_option_reaches_the_request() {
        let line = "--ttl 0 --timeout 1m30s --priority -2 --supersede s --idempotent \
                    --progress-extends --not-before 2030-01-31T18:30:00Z";
        let order = order(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        let expected = json!({
            "name": "set", "ttl_ms": 0, "timeout_ms": 90_000, "priority": -2, "supersede": "s",
            "idempotent": true, "progress_extends": true, "not_before": 1_896_114_600_000_i64,
        });
        assert_eq!(serde_json::to_value(order.request()).unwrap(), expected);
    }

    #[test]
    fn a_bound_on_waiting_is_a_wish_to_wait() {
        assert!(order(&["--wait-for", "5m"]).unwrap().waits());
        assert!(order(&["--wait"]).unwrap().waits());
        assert!(!order(&[]).unwrap().waits());
    }

    #[test]
    fn a_later_moment_counts_from_now() {
        let before = crate::text::now();
        let moment = order(&["--not-before", "+10m"]).unwrap().request().not_before.unwrap();
        let away = moment.since(before).0;
        assert!((600_000..660_000).contains(&away), "{away}");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            &["novalue"][..],
            &["=1"],
            &["--params", "[1]"],
            &["--ttl", "60"],
            &["--ttl=-5s"],
            &["--not-before", "tomorrow"],
            &["--priority", "1.5"],
        ] {
            assert!(order(bad).is_err(), "{bad:?}");
        }
    }
}
