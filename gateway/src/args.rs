//! The command line of `sluice-gateway`.

use crate::config::{Config, Mistakes, Sources, load};
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};

/// Bridges MQTT devices and browsers: an MQTT broker, a WebSocket server and a dashboard in one.
///
/// Settings come from the defaults, then the file, then SLUICE_ variables (SLUICE_MQTT__LISTEN sets
/// mqtt.listen), then these flags.
#[derive(Debug, Parser)]
#[command(name = "sluice-gateway", version)]
pub struct Args {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Add a small simulated fleet
    #[arg(long)]
    pub demo: bool,
    /// Where the database is damaged, set it aside and go on with what can be salvaged
    #[arg(long)]
    pub recover: bool,
    /// Only check the settings, then exit
    #[arg(long)]
    pub check_config: bool,
    /// Where MQTT listens (mqtt.listen)
    #[arg(long, value_name = "ADDRESS")]
    mqtt_listen: Option<SocketAddr>,
    /// Where HTTP listens (http.listen)
    #[arg(long, value_name = "ADDRESS")]
    http_listen: Option<SocketAddr>,
    /// Where files are kept (data_dir)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Args {
    /// The settings of all sources.
    ///
    /// # Errors
    /// All [`Mistakes`] together.
    pub fn settings(&self) -> Result<Config, Mistakes> {
        let address = |address: SocketAddr| address.to_string();
        let dir = self.data_dir.as_ref().map(|dir| dir.display().to_string());
        let flags = [
            ("mqtt.listen", self.mqtt_listen.map(address)),
            ("http.listen", self.http_listen.map(address)),
            ("data_dir", dir),
        ];
        let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value?)));
        load(&Sources {
            file: self.config.clone(),
            environment: std::env::vars().collect(),
            flags: flags.collect(),
        })
    }
}
