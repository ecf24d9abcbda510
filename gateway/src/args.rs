//! The command line of `sluice-gateway`.

use crate::config::{Config, Mistakes, Sources, load, read};
use crate::{acl::AclAction, devices::DeviceAction, tokens::TokenAction};
use clap::{Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf};

/// Bridges MQTT devices and browsers: an MQTT broker, a WebSocket server and a dashboard in one.
///
/// Settings come from the defaults, then the file, then SLUICE_ variables (SLUICE_MQTT__LISTEN sets
/// mqtt.listen), then these flags.
#[derive(Debug, Parser)]
#[command(name = "sluice-gateway", version)]
pub struct Args {
    /// Read settings from this TOML file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Add a small simulated fleet
    #[arg(long)]
    pub demo: bool,
    /// Where the database is damaged, set it aside and go on with what can be salvaged
    #[arg(long)]
    pub recover: bool,
    /// Only check the settings, and what they name: credentials, certificates, data_dir; then exit
    #[arg(long)]
    pub check_config: bool,
    /// Where MQTT listens (mqtt.listen)
    #[arg(long, value_name = "ADDRESS")]
    mqtt_listen: Option<OsString>,
    /// Where HTTP listens (http.listen)
    #[arg(long, value_name = "ADDRESS")]
    http_listen: Option<OsString>,
    /// Where files are kept (data_dir)
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What to do instead of serving
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Manage the tokens that HTTP and WebSocket need
    #[command(subcommand)]
    Token(TokenAction),
    /// Manage the credentials that devices sign in with over MQTT
    #[command(subcommand)]
    Device(DeviceAction),
    /// Ask the access rules of MQTT
    #[command(subcommand)]
    Acl(AclAction),
}

impl Args {
    /// The settings of all sources, fit to serve with.
    ///
    /// # Errors
    /// All [`Mistakes`] together.
    pub fn settings(&self) -> Result<Config, Mistakes> {
        let (config, mut mistakes) = read(&self.sources());
        mistakes.extend(config.exposed().iter().map(ToString::to_string));
        if self.demo && config.mqtt_signs_in() {
            let why = "its fleet has no credentials, and MQTT clients must sign in here: give another --data-dir";
            mistakes.push(format!("--demo: {why}"));
        }
        Mistakes::unless_none((config, mistakes))
    }

    /// The settings of all sources, though it may be that one cannot serve with them.
    ///
    /// # Errors
    /// All [`Mistakes`] together.
    pub fn read(&self) -> Result<Config, Mistakes> {
        load(&self.sources())
    }

    fn sources(&self) -> Sources {
        let dir = self.data_dir.clone().map(PathBuf::into_os_string);
        let flags = [
            ("mqtt.listen", self.mqtt_listen.clone()),
            ("http.listen", self.http_listen.clone()),
            ("data_dir", dir),
        ];
        let flags = flags.into_iter().filter_map(|(key, value)| Some((key, value?)));
        // A name that is not UTF-8 is none of ours, or an unknown key.
        let variables = std::env::vars_os();
        let environment = variables.map(|(name, text)| (name.to_string_lossy().into_owned(), text));
        Sources {
            file: self.config.clone(),
            environment: environment.collect(),
            flags: flags.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_told_as_one_from_a_file_with_an_example() {
        let flags = ["--http-listen=localhost:8081", "--mqtt-listen=1883", "--data-dir=/tmp"];
        let args = Args::try_parse_from(["sluice-gateway"].iter().chain(&flags)).unwrap();
        let Mistakes(mut told) = args.read().unwrap_err();
        // The environment of the test may have some too.
        told.retain(|told| told.contains("from the command line"));
        assert_eq!(told.len(), 2, "{told:?}");
        for (key, told) in ["mqtt.listen = ", "http.listen = "].iter().zip(&told) {
            assert!(told.starts_with(key) && told.contains("such as 127.0.0.1"), "{told}");
        }
    }
}
