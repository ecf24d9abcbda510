//! The flags.

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};
use device_sim::{Broker, Chaos, FleetConfig, Kind, MqttVersion, Secrets, TelemetryQos};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Wrong usage, as in BSD's `sysexits`.
const USAGE: u8 = 64;

/// How many devices connect in a second: a broker that is slower has them time out and come back all
/// together, which is slower still.
const CONNECTS_PER_S: u32 = 500;

/// Simulates a fleet of MQTT devices: thermostats, pumps and trackers with physical models.
///
/// They publish telemetry and state, run commands and survive broken connections, by the contract
/// in docs/protocol.md. Ends with SIGINT, SIGTERM or --duration, and prints a summary.
/// RUST_LOG (such as device_sim=info) sets what is logged.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// How many devices, 1 to 50000; of more than 500, 500 connect in a second
    #[arg(long, default_value_t = 10)]
    devices: u32,
    /// Telemetry messages a second of each device, 0.01 to 1000
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// The broker to connect to: HOST:PORT, or mqtts://HOST:PORT with TLS
    #[arg(long, value_name = "BROKER", default_value = "127.0.0.1:1883")]
    mqtt: Broker,
    /// Who signed the broker's certificate, in PEM; without, whom the system trusts: for mqtts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The version of MQTT to speak
    #[arg(long, value_enum, default_value_t = Version::V3)]
    mqtt_version: Version,
    /// What the devices are, in turns: any of thermostat, pump, tracker
    #[arg(
        long,
        value_name = "TYPES",
        value_delimiter = ',',
        default_value = "thermostat,pump,tracker"
    )]
    types: Vec<Kind>,
    /// What their ids begin with; the fleet of 'sluice-gateway --demo' has none, so that both can be there
    #[arg(long, value_name = "TEXT", default_value = "sim-")]
    prefix: String,
    /// The same seed gives the same devices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this long, such as 500ms, 30s, 5m or 1h
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Telemetry with QoS 0, or with QoS 1, kept until it is acknowledged
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// What the devices sign in with, each with its id as the user name: a file of lines 'ID,SECRET'
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// What goes wrong on purpose, as probabilities from 0 to 1: any of
    /// fail=P (a command fails), slow=P (a command starts 2 to 10 s late),
    /// silent=P (a command is swallowed and never answered; these three together at most 1),
    /// drop=P (a connection is cut, per second)
    #[arg(long, value_name = "NAME=P,...")]
    chaos: Option<Chaos>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Version {
    /// MQTT 3.1.1
    #[value(name = "3.1.1")]
    V3,
    /// MQTT 5.0
    #[value(name = "5")]
    V5,
}

impl Args {
    /// The fleet that the flags describe, and how long it runs.
    ///
    /// # Errors
    /// A value out of its range, as a usage error.
    pub(crate) fn into_config(self) -> Result<(FleetConfig, Option<Duration>), clap::Error> {
        let telemetry_qos =
            if self.qos == 0 { TelemetryQos::AtMostOnce } else { TelemetryQos::AtLeastOnce };
        let mqtt = match self.mqtt_version {
            Version::V3 => MqttVersion::V3,
            Version::V5 => MqttVersion::V5,
        };
        let wrong = |error| Self::command().error(ErrorKind::ValueValidation, error);
        let secrets = self.password_file.map(|file| Secrets::read(&file)).transpose();
        let config = FleetConfig {
            secrets: secrets.map_err(|error| wrong(error.to_string()))?,
            ca: self.ca,
            mqtt,
            devices: self.devices,
            rate_per_s: self.rate,
            kinds: self.types,
            prefix: self.prefix,
            seed: self.seed,
            telemetry_qos,
            chaos: self.chaos.unwrap_or_default(),
            start_within: Duration::from_secs(1)
                .max(Duration::from_secs(1) * self.devices / CONNECTS_PER_S),
            ..FleetConfig::new(self.mqtt)
        };
        match config.check() {
            Ok(()) => Ok((config, self.duration)),
            Err(error) => Err(wrong(error.to_string())),
        }
    }
}

/// Prints what is wrong with the flags, or the help that they asked for.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    match error.print() {
        Ok(()) if error.use_stderr() => ExitCode::from(USAGE),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Ends when the time is over; never where none is set.
pub(crate) async fn elapsed(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is not a duration: use a number with ms, s, m or h");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at_checked(at).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &str) -> Result<(FleetConfig, Option<Duration>), clap::Error> {
        let flags = std::iter::once("device-sim").chain(flags.split_whitespace());
        Args::try_parse_from(flags).and_then(Args::into_config)
    }

    #[test]
    fn all_flags_together_describe_a_fleet() {
        let flags = "--devices 200 --rate 2 --mqtt mqtts://localhost:1 --ca ca.pem --mqtt-version 5 --types pump,tracker \
                     --prefix hall- --seed 7 --duration 90s --qos 0 --chaos fail=0.1,drop=0.01";
        let (config, duration) = parse(flags).expect("these flags are right");
        let expected = FleetConfig {
            mqtt: MqttVersion::V5,
            ca: Some("ca.pem".into()),
            devices: 200,
            rate_per_s: 2.0,
            kinds: vec![Kind::Pump, Kind::Tracker],
            prefix: "hall-".into(),
            seed: 7,
            telemetry_qos: TelemetryQos::AtMostOnce,
            chaos: "fail=0.1,drop=0.01".parse().expect("this chaos is right"),
            ..FleetConfig::new("mqtts://localhost:1".parse().expect("this broker is right"))
        };
        assert_eq!((config, duration), (expected, Some(Duration::from_secs(90))));
    }

    #[test]
    fn no_device_has_the_id_of_one_of_the_demo_unless_it_is_asked_for() {
        for (flags, prefix) in [("", "sim-"), ("--prefix=", "")] {
            assert_eq!(parse(flags).expect("these flags are right").0.prefix, prefix);
        }
    }

    #[test]
    fn many_devices_do_not_connect_all_at_once() {
        for (devices, seconds) in [(1, 1), (500, 1), (10_000, 20)] {
            let (config, _) =
                parse(&format!("--devices {devices}")).expect("these flags are right");
            assert_eq!(config.start_within, Duration::from_secs(seconds));
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (flags, hint) in [
            ("--devices 0", "use 1 to 50000"),
            ("--devices many", "--devices"),
            ("--rate 2000", "use 0.01 to 1000"),
            ("--mqtt nowhere", "use HOST:PORT"),
            ("--mqtt-version 4", "3.1.1, 5"),
            ("--types pump,boiler", "use thermostat, pump or tracker"),
            ("--types pump,pump", "name each type once"),
            ("--duration 30", "use a number with ms, s, m or h"),
            ("--duration 30d", "use a number with ms, s, m or h"),
            ("--qos 2", "0..=1"),
            ("--chaos flood=1", "use fail, slow, silent or drop"),
            ("--colour", "--colour"),
        ] {
            let message = parse(flags).expect_err("these flags are wrong").to_string();
            assert!(message.contains(hint), "{flags}: {message}");
        }
    }
}
