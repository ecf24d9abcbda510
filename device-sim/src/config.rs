//! What a fleet is to be, checked once before it exists.

use crate::{Chaos, Kind, Secrets};
use protocol::DeviceId;
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// The telemetry messages a second that a device may send.
pub(crate) const RATE_PER_S: std::ops::RangeInclusive<f64> = 0.01..=1_000.0;
/// The most devices in one process: each has a task, a socket and some 40 KiB.
pub(crate) const DEVICES_MAX: u32 = 50_000;

/// The end of an id at its longest.
const LONGEST: &str = "thermostat-50000";

/// What a fleet is to be; start from [`FleetConfig::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct FleetConfig {
    /// The broker to connect to.
    pub broker: Broker,
    /// The version of MQTT to speak.
    pub mqtt: MqttVersion,
    /// How many devices, 1 to 50,000.
    pub devices: u32,
    /// Telemetry messages a second of each device, 0.01 to 1,000.
    pub rate_per_s: f64,
    /// What the devices are, in turns; not empty, each once.
    pub kinds: Vec<Kind>,
    /// What their ids begin with.
    pub prefix: String,
    /// Decides everything random: the same seed gives the same devices.
    pub seed: u64,
    /// How telemetry is published; states and answers always go at least once.
    pub telemetry_qos: TelemetryQos,
    /// What goes wrong on purpose.
    pub chaos: Chaos,
    /// Who signed the broker's certificate, in PEM; none: whom the system trusts. For brokers with TLS.
    pub ca: Option<PathBuf>,
    /// What the devices sign in with: each with its id as the user name. None: they do not.
    pub secrets: Option<Secrets>,
    /// The time over which the first connects are spread.
    pub start_within: Duration,
}

impl FleetConfig {
    /// Ten devices of all kinds at `broker`, one message a second each, QoS 1, no chaos.
    #[must_use]
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            mqtt: MqttVersion::V3,
            devices: 10,
            rate_per_s: 1.0,
            kinds: Kind::ALL.into(),
            prefix: String::new(),
            seed: 1,
            telemetry_qos: TelemetryQos::AtLeastOnce,
            chaos: Chaos::default(),
            ca: None,
            secrets: None,
            start_within: Duration::from_secs(1),
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first value that is out of its range.
    pub fn check(&self) -> Result<(), BadConfig> {
        if !(1..=DEVICES_MAX).contains(&self.devices) {
            Err(BadConfig::Devices(self.devices))
        } else if !RATE_PER_S.contains(&self.rate_per_s) {
            Err(BadConfig::Rate(self.rate_per_s))
        } else if format!("{}{LONGEST}", self.prefix).parse::<DeviceId>().is_err() {
            Err(BadConfig::Prefix(self.prefix.clone()))
        } else if self.kinds.is_empty() {
            Err(BadConfig::NoKind)
        } else {
            let again = |at: &usize| self.kinds[..*at].contains(&self.kinds[*at]);
            let repeat = (0..self.kinds.len()).find(again);
            repeat.map_or(Ok(()), |at| Err(BadConfig::RepeatedKind(self.kinds[at])))
        }
    }

    /// The time between two readings of a device.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_secs_f64(self.rate_per_s.recip())
    }
}

/// The version of MQTT that the devices speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1.
    V3,
    /// 5.0.
    V5,
}

/// How sure a device makes that its telemetry arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelemetryQos {
    /// QoS 0: gone once it is written; what a broken connection held is lost.
    AtMostOnce,
    /// QoS 1: kept until the PUBACK came.
    AtLeastOnce,
}

/// Where a broker listens: `HOST:PORT`, or `mqtts://HOST:PORT` with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    transport: Transport,
    host: String,
    port: u16,
}

/// What carries MQTT to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS over it.
    Tls,
}

impl Transport {
    /// The port where none is given.
    const fn port(self) -> u16 {
        match self {
            Self::Plain => 1_883,
            Self::Tls => 8_883,
        }
    }
}

impl Broker {
    /// What carries MQTT to it.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// The name or address; an IPv6 address in its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, not 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Plain => "",
            Transport::Tls => "mqtts://",
        };
        write!(f, "{scheme}{}:{}", self.host, self.port)
    }
}

impl FromStr for Broker {
    type Err = BadConfig;

    fn from_str(text: &str) -> Result<Self, BadConfig> {
        let bad = || BadConfig::Broker(text.into());
        let (transport, place) = match text.split_once("://") {
            None => (None, text),
            Some(("mqtt", place)) => (Some(Transport::Plain), place.trim_end_matches('/')),
            Some(("mqtts", place)) => (Some(Transport::Tls), place.trim_end_matches('/')),
            Some(_) => return Err(bad()),
        };
        // Only after a scheme the port may be left out.
        let (host, port) = match (place.rsplit_once(':'), transport) {
            (Some((host, port)), _) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| bad())?)
            }
            (_, Some(transport)) => (place, transport.port()),
            (_, None) => return Err(bad()),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || port == 0 || host.contains('/') || (host.contains(':') && !bracketed)
        {
            return Err(bad());
        }
        Ok(Self { transport: transport.unwrap_or(Transport::Plain), host: host.into(), port })
    }
}

/// A fleet that cannot be, with the value that makes it so.
#[derive(Clone, Debug, PartialEq)]
pub enum BadConfig {
    /// Not `HOST:PORT`.
    Broker(String),
    /// Too few or too many devices.
    Devices(u32),
    /// Too slow or too fast.
    Rate(f64),
    /// No beginning of ids.
    Prefix(String),
    /// No kind of device at all.
    NoKind,
    /// A kind that is there twice.
    RepeatedKind(Kind),
    /// A device that has no secret to sign in with, where others do.
    NoSecret(DeviceId),
    /// A file of authorities that cannot be used, and why.
    Authority(String),
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(text) => {
                write!(
                    f,
                    "'{text}' is not a broker: use HOST:PORT, such as 127.0.0.1:1883, or mqtts://HOST:PORT"
                )
            }
            Self::Devices(count) => {
                write!(f, "{count} devices are not possible: use 1 to {DEVICES_MAX}")
            }
            Self::Rate(rate) => write!(
                f,
                "{rate} messages a second are not possible: use {} to {}",
                RATE_PER_S.start(),
                RATE_PER_S.end()
            ),
            Self::Prefix(prefix) => {
                write!(
                    f,
                    "'{prefix}' cannot begin ids: use letters, digits, and . _ : -, at most 112 characters"
                )
            }
            Self::NoKind => f.write_str("a fleet needs at least one type of device"),
            Self::NoSecret(id) => {
                write!(f, "there is no secret for '{id}': add a line '{id},SECRET' to the file")
            }
            Self::Authority(why) => write!(f, "--ca: {why}"),
            Self::RepeatedKind(kind) => write!(f, "'{kind}' is there twice: name each type once"),
        }
    }
}

impl std::error::Error for BadConfig {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_a_host_and_a_port() {
        for good in ["127.0.0.1:1883", "broker.local:1", "[::1]:1883"] {
            let broker: Broker = good.parse().expect("a good broker");
            assert_eq!(broker.to_string(), good);
        }
        for (text, transport, shown) in [
            ("mqtt://broker.local", Transport::Plain, "broker.local:1883"),
            ("mqtts://broker.local", Transport::Tls, "mqtts://broker.local:8883"),
            ("mqtts://[::1]/", Transport::Tls, "mqtts://[::1]:8883"),
            ("mqtts://[::1]:1", Transport::Tls, "mqtts://[::1]:1"),
        ] {
            let broker: Broker = text.parse().expect("a good broker");
            assert_eq!((broker.transport(), broker.to_string().as_str()), (transport, shown));
        }
        for bad in ["http://broker:1", "mqtts://", "mqtts://:1", "mqtts://a/b", "broker", "[::1]"] {
            assert_eq!(bad.parse::<Broker>(), Err(BadConfig::Broker(bad.into())));
        }
        for bad in ["", "1883", ":1883", "host:", "host:0", "host:65536", "::1:1883"] {
            assert_eq!(bad.parse::<Broker>(), Err(BadConfig::Broker(bad.into())));
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let good = FleetConfig::new("localhost:1883".parse().expect("a good broker"));
        assert_eq!(good.check(), Ok(()));
        let devices = FleetConfig { devices: 0, ..good.clone() };
        assert_eq!(devices.check(), Err(BadConfig::Devices(0)));
        let rate = FleetConfig { rate_per_s: 0.001, ..good.clone() };
        assert_eq!(rate.check(), Err(BadConfig::Rate(0.001)));
        let not_a_rate = FleetConfig { rate_per_s: f64::NAN, ..good.clone() };
        assert!(not_a_rate.check().is_err());
        for prefix in ["a/", "#", "\u{e4}", &"x".repeat(120)] {
            let named = FleetConfig { prefix: prefix.into(), ..good.clone() };
            assert_eq!(named.check(), Err(BadConfig::Prefix(prefix.into())));
        }
        let kinds = FleetConfig { kinds: vec![], ..good.clone() };
        assert_eq!(kinds.check(), Err(BadConfig::NoKind));
        let repeat = FleetConfig { kinds: vec![Kind::Pump, Kind::Tracker, Kind::Pump], ..good };
        assert_eq!(repeat.check(), Err(BadConfig::RepeatedKind(Kind::Pump)));
    }
}
