//! Which devices, commands, alerts and channels are wanted.

use super::values::{
    parse_alert_state, parse_command_state, parse_severity, parse_status, parse_throttle,
};
use protocol::{
    AlertState, CommandId, CommandState, DeviceId, Mode, Severity, Status, SubscribeOptions,
    TopicFilter,
};

/// The names and values of a query, of those that were asked for.
type Pairs = Vec<(&'static str, String)>;

fn given<const N: usize>(pairs: [(&'static str, Option<String>); N]) -> Pairs {
    pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
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

impl DeviceQuery {
    pub(crate) fn pairs(&self) -> Pairs {
        given([
            ("q", self.text.clone()),
            ("type", self.kind.clone()),
            ("tag", self.tag.clone()),
            ("status", self.status.map(|status| status.name().into())),
        ])
    }
}

/// Which commands.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CommandQuery {
    /// Only commands for this device
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only commands in this state
    #[arg(long, value_parser = parse_command_state)]
    state: Option<CommandState>,
    /// Only commands of this name
    #[arg(long)]
    name: Option<String>,
    /// Only the rows of this batch
    #[arg(long, value_name = "ID")]
    batch: Option<CommandId>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

impl CommandQuery {
    pub(crate) fn pairs(&self) -> Pairs {
        given([
            ("device", self.device.as_ref().map(ToString::to_string)),
            ("state", self.state.map(|state| state.name().into())),
            ("name", self.name.clone()),
            ("batch", self.batch.map(|batch| batch.to_string())),
        ])
    }
}

/// Which rows of a batch.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RowQuery {
    /// The batch's id
    pub(crate) batch: CommandId,
    /// Only rows in this state
    #[arg(long, value_parser = parse_command_state)]
    state: Option<CommandState>,
}

impl RowQuery {
    pub(crate) fn pairs(&self) -> Pairs {
        given([
            ("batch", Some(self.batch.to_string())),
            ("state", self.state.map(|state| state.name().into())),
        ])
    }
}

/// Which alerts.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AlertQuery {
    /// Only alerts in this state [default: all but cleared]
    #[arg(long, value_name = "active|acknowledged|cleared", value_parser = parse_alert_state)]
    pub(crate) state: Option<AlertState>,
    /// Those that are cleared, too
    #[arg(long, conflicts_with = "state")]
    pub(crate) all: bool,
    /// Only alerts of this severity
    #[arg(long, value_name = "info|warning|critical", value_parser = parse_severity)]
    pub(crate) severity: Option<Severity>,
    /// Only alerts of this device
    #[arg(long)]
    pub(crate) device: Option<DeviceId>,
    /// Go on with each change as it comes
    #[arg(long)]
    pub(crate) watch: bool,
}

impl AlertQuery {
    pub(crate) fn pairs(&self) -> Pairs {
        given([
            ("state", self.state.map(|state| state.name().into())),
            ("severity", self.severity.map(|severity| severity.name().into())),
            ("device", self.device.as_ref().map(ToString::to_string)),
        ])
    }
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
