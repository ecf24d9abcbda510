//! The configuration as the bridge and the core take it.

use super::{Endpoints, Start};
use crate::config::{self, Config, Limits};
use bridge::{
    alerts::AlertLimits, bridge::Settings, command::book::CommandLimits, hub::HubLimits,
    mapping::Mappings, types::DeviceTypes,
};
use protocol::Millis;
use std::sync::Arc;

/// What the bridge needs to know.
pub(super) fn of_bridge(
    config: &Config,
    endpoints: &Endpoints,
    start: Start,
    mappings: Arc<Mappings>,
) -> Settings {
    let limits = &config.limits;
    Settings {
        node: endpoints.http.to_string(),
        silent_after: Millis(config.presence.silent_after_ms),
        devices_max: limits.devices as usize,
        hub: of_hub(limits),
        commands: of_commands(limits),
        alert_limits: of_alerts(limits),
        alerts: config.alert_rules().expect("checked with the other settings"),
        desired_bytes_max: limits.desired_bytes as usize,
        types: device_types(config, start),
        mappings,
    }
}

fn of_hub(limits: &Limits) -> HubLimits {
    HubLimits {
        channels: limits.channels as usize,
        subscriptions: limits.websocket_subscriptions as usize,
        account_subscriptions: limits.token_subscriptions as usize,
        ring_bytes: limits.ring_bytes as usize,
    }
}

fn of_commands(limits: &Limits) -> CommandLimits {
    CommandLimits {
        open_per_device: limits.commands_per_device as usize,
        ended_kept: limits.commands_kept as usize,
        params_bytes: limits.command_params_bytes as usize,
        result_bytes: limits.command_result_bytes as usize,
        batch_devices: limits.batch_devices as usize,
        batches_open: limits.batches_open as usize,
        batches_kept: limits.batches_kept as usize,
    }
}

fn of_alerts(limits: &Limits) -> AlertLimits {
    AlertLimits {
        open: limits.alerts_open as usize,
        open_per_device: limits.alerts_per_device as usize,
        cleared_kept: limits.alerts_kept as usize,
    }
}

/// The types of `types.dir`; where none is given, with `--demo` those of its fleet.
fn device_types(config: &Config, start: Start) -> DeviceTypes {
    match &config.types.dir {
        None if start.demo => config::demo_types(),
        _ => config.device_types().expect("checked with the other settings"),
    }
}
