//! A command to send, to one device or to many.

use super::values::{
    millis, parse_abort_after, parse_device, parse_duration, parse_expect, parse_moment,
    parse_object, parse_pair,
};
use protocol::{AbortAfter, BatchRequest, CommandRequest, DeviceId, Expect, Timestamp};
use serde_json::{Map, Value};
use std::time::Duration;

/// A command for one device.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Order {
    /// The device
    #[arg(value_parser = parse_device)]
    pub(crate) device: DeviceId,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Say what would become of it, and send nothing
    #[arg(long, conflicts_with_all = ["wait", "wait_for"])]
    pub(crate) dry_run: bool,
}

impl Order {
    /// The body that asks the gateway for it.
    pub(crate) fn request(&self) -> CommandRequest {
        CommandRequest { dry_run: self.dry_run.then_some(true), ..self.what.request() }
    }

    /// What is wrong where the command's name was left out.
    pub(super) fn forgotten_name(&self) -> Option<String> {
        self.what.forgotten_name(&format!("send {}", self.device))
    }
}

/// A command for many devices.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BatchOrder {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    whom: Whom,
    /// At most so many under way at a time [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,
    /// Begin at most so many a second
    #[arg(long, value_name = "N", value_parser = super::values::parse_rate)]
    rate: Option<f64>,
    /// Give the rest up once so many have failed, such as 3 or 10%
    #[arg(long, value_name = "N|N%", value_parser = parse_abort_after)]
    abort_after: Option<AbortAfter>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

impl BatchOrder {
    /// The body that asks the gateway for it.
    pub(crate) fn request(&self) -> BatchRequest {
        let Whom { devices, kind, tag } = &self.whom;
        BatchRequest {
            devices: (!devices.is_empty()).then(|| devices.clone()),
            kind: kind.clone(),
            tag: tag.clone(),
            command: self.what.request(),
            concurrency: self.concurrency,
            rate: self.rate,
            abort_after: self.abort_after,
            dry_run: None,
        }
    }

    /// What is wrong where the command's name was left out.
    pub(super) fn forgotten_name(&self) -> Option<String> {
        self.what.forgotten_name("batch send")
    }
}

/// The devices of a batch.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// These devices, such as pump-1,pump-2
    #[arg(long, value_name = "DEVICE,...", value_delimiter = ',')]
    devices: Vec<DeviceId>,
    /// All devices of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// All devices with this tag, or with this value of it
    #[arg(long, value_name = "KEY[:VALUE]")]
    tag: Option<String>,
}

/// Whether to stay until it has ended.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Waiting {
    /// Follow it to its end; fine only if it succeeds
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this, such as 5m; implies --wait. It goes on without us
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) wait_for: Option<Duration>,
}

impl Waiting {
    pub(crate) fn is_wanted(self) -> bool {
        self.wait || self.wait_for.is_some()
    }
}

/// What is to be done.
#[derive(Clone, Debug, clap::Args)]
struct What {
    /// What to do, in the device's own words
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: String,
    /// Parameters; a value is JSON where it reads as JSON (21.5, true, null, {"a":1}), else text
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    pairs: Vec<(String, Value)>,
    /// Parameters as one JSON object; KEY=VALUE adds to them and wins
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    params: Option<Map<String, Value>>,
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
    /// What is to be seen after success, such as 'temperature>=20' or 'state.mode==eco'
    #[arg(long, value_name = "CONDITION", value_parser = parse_expect)]
    expect: Option<Expect>,
    /// How long after success that may take [gateway's default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "expect")]
    within: Option<Duration>,
}

impl What {
    /// The body that asks the gateway for it; what was not told is left to the gateway.
    fn request(&self) -> CommandRequest {
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
            expect: self
                .expect
                .clone()
                .map(|expect| Expect { within_ms: self.within.map(millis), ..expect }),
        }
    }

    /// A name may have a `=`, but most often the name was left out, and a parameter stands in its place. Who gives the
    /// parameters as an object means it.
    fn forgotten_name(&self, before: &str) -> Option<String> {
        let Self { name, params, .. } = self;
        (name.contains('=') && params.is_none()).then(|| {
            format!(
                "'{name}' is a parameter, and the command has no name: write 'sluice {before} NAME {name}'; for a \
                 command that is called so give its parameters with --params, none with --params '{{}}'"
            )
        })
    }

    fn merged_params(&self) -> Option<Map<String, Value>> {
        let mut params = self.params.clone().unwrap_or_default();
        params.extend(self.pairs.iter().cloned());
        (!params.is_empty()).then_some(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Action, Args};
    use clap::Parser;
    use serde_json::json;

    fn order(arguments: &[&str]) -> Result<Order, clap::Error> {
        let line = ["sluice", "send", "pump-1", "set"].iter().chain(arguments);
        let Action::Send(order) = Args::try_parse_from(line)?.action else {
            panic!("the line says send")
        };
        Ok(*order)
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
                    --progress-extends --not-before 2030-01-31T18:30:00Z --dry-run \
                    --expect state.mode!=eco --within 2s";
        let order = order(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        let expected = json!({
            "name": "set", "ttl_ms": 0, "timeout_ms": 90_000, "priority": -2, "supersede": "s",
            "idempotent": true, "progress_extends": true, "not_before": 1_896_114_600_000_i64, "dry_run": true,
            "expect": {"state": "mode", "op": "!=", "value": "eco", "within_ms": 2_000},
        });
        assert_eq!(serde_json::to_value(order.request()).unwrap(), expected);
    }

    #[test]
    fn a_bound_on_waiting_is_a_wish_to_wait() {
        assert!(order(&["--wait-for", "5m"]).unwrap().waiting.is_wanted());
        assert!(order(&["--wait"]).unwrap().waiting.is_wanted());
        assert!(!order(&[]).unwrap().waiting.is_wanted());
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
            &["--expect", "rpm"],
            &["--expect", "rpm>fast"],
            &["--within", "2s"],
            &["--dry-run", "--wait"],
        ] {
            assert!(order(bad).is_err(), "{bad:?}");
        }
    }

    fn batch(arguments: &[&str]) -> Result<Value, clap::Error> {
        let line = ["sluice", "batch", "send", "set"].iter().chain(arguments);
        let Action::Batch { action: crate::args::BatchAction::Send(order) } =
            Args::try_parse_from(line)?.action
        else {
            panic!("the line says batch send")
        };
        Ok(serde_json::to_value(order.request()).unwrap())
    }

    #[test]
    fn a_batch_names_its_devices_in_one_way() {
        let by_name = batch(&["a=1", "--devices", "p-1,p-2", "--devices", "p-3"]).unwrap();
        let command = json!({"name": "set", "params": {"a": 1}});
        assert_eq!(by_name, json!({"devices": ["p-1", "p-2", "p-3"], "command": command}));
        let paced = "--type pump --concurrency 5 --rate 0.5 --abort-after 10%";
        let expected = json!({
            "type": "pump", "command": {"name": "set"}, "concurrency": 5, "rate": 0.5,
            "abort_after": {"percent": 10.0},
        });
        assert_eq!(batch(&paced.split(' ').collect::<Vec<_>>()).unwrap(), expected);
        let tagged = batch(&["--tag", "site:north", "--abort-after", "3"]).unwrap();
        assert_eq!(tagged["abort_after"], json!({"failures": 3}));
        for bad in [
            &[][..],
            &["--type", "pump", "--tag", "site"],
            &["--devices", "a/b"],
            &["--type", "pump", "--rate", "0"],
            &["--type", "pump", "--concurrency", "0"],
            &["--type", "pump", "--abort-after", "0%"],
            &["--type", "pump", "--abort-after", "101%"],
            &["--type", "pump", "--abort-after", "0"],
        ] {
            assert!(batch(bad).is_err(), "{bad:?}");
        }
    }
}
