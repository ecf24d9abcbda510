//! TLS, client certificates and the PROXY protocol: settings, and what of them cannot be.

use super::{
    Config, Unusable,
    check::{DAY_MS, Range},
};
use crate::arrival::{Clients, Sources, Tls as Opened};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, path::PathBuf};

/// The certificate of the listeners with TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, with those between it and its root: a file in PEM.
    pub cert: Option<PathBuf>,
    /// Its key: a file in PEM.
    pub key: Option<PathBuf>,
    /// How long a handshake may take.
    pub handshake_timeout_ms: u64,
}

impl Default for Tls {
    fn default() -> Self {
        Self { cert: None, key: None, handshake_timeout_ms: 10_000 }
    }
}

impl Tls {
    pub(super) fn ranges(&self) -> [Range; 1] {
        [("tls.handshake_timeout_ms", self.handshake_timeout_ms, 100..=DAY_MS)]
    }
}

/// The certificates of MQTT clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// Whether clients are asked for one.
    pub ask: Ask,
    /// Who may sign them: a file in PEM.
    pub ca: Option<PathBuf>,
    /// Which of its names is the device id.
    pub device: DeviceName,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Not at all.
    #[default]
    Never,
    /// Who has none may come in without.
    Optional,
    /// Nobody comes in without.
    Required,
}

/// A name in a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceName {
    /// A DNS name among the alternative names of the subject.
    #[default]
    SanDns,
    /// The last part of a URI among them.
    SanUri,
    /// The subject's common name.
    CommonName,
}

/// Load balancers before the listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where they connect from: addresses and networks. Who comes from elsewhere is nobody's proxy.
    pub trusted: Vec<Network>,
    /// How long the header may take to come.
    pub header_timeout_ms: u64,
}

impl Default for Proxy {
    fn default() -> Self {
        Self { trusted: Vec::new(), header_timeout_ms: 5_000 }
    }
}

impl Proxy {
    pub(super) fn ranges(&self) -> [Range; 1] {
        [("proxy.header_timeout_ms", self.header_timeout_ms, 100..=DAY_MS)]
    }
}

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether `ip` is in it.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().ok().map(IpNet::from);
        let network = address.or_else(|| text.parse().ok()).map(Self);
        network.ok_or_else(|| format!("'{text}' is no address or network such as 10.0.0.0/8"))
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

impl Config {
    /// TLS of `mqtt.tls_listen`, where that is set.
    pub(crate) fn mqtt_tls(&self) -> Option<Sources> {
        self.mqtt.tls_listen?;
        let ClientCertificates { ask, ca, device } = &self.mqtt.client_certificates;
        let clients = |required| Some(Clients { ca: ca.clone()?, required, device: *device });
        let clients = match ask {
            Ask::Never => None,
            Ask::Optional => clients(false),
            Ask::Required => clients(true),
        };
        self.sources(Vec::new(), clients)
    }

    /// TLS of `http.listen`, where that is wanted.
    pub(crate) fn http_tls(&self) -> Option<Sources> {
        let wanted = self.http.tls.then(|| vec![b"http/1.1".to_vec()]);
        self.sources(wanted?, None)
    }

    fn sources(&self, protocols: Vec<Vec<u8>>, clients: Option<Clients>) -> Option<Sources> {
        let (cert, key) = (self.tls.cert.clone()?, self.tls.key.clone()?);
        Some(Sources { cert, key, protocols, clients })
    }

    /// What of these settings cannot be.
    pub(super) fn insecure(&self) -> Vec<Unusable> {
        let mistake = |wrong: bool, key: &str, why: &str| {
            wrong.then(|| Unusable { key: key.into(), why: why.into() })
        };
        let (mqtt, http) = (&self.mqtt, &self.http);
        let tls = mqtt.tls_listen.is_some() || http.tls;
        let whole = self.tls.cert.is_some() && self.tls.key.is_some();
        let asks = mqtt.client_certificates.ask != Ask::Never;
        let proxied = mqtt.proxy_protocol || http.proxy_protocol;
        let mistakes = [
            mistake(
                tls && !whole,
                "tls.cert",
                "mqtt.tls_listen and http.tls need a certificate: name its file and that of its key, \
                 tls.cert and tls.key",
            ),
            mistake(
                asks && mqtt.client_certificates.ca.is_none(),
                "mqtt.client_certificates.ca",
                "name the file of who may sign the certificates of clients, or set \
                 mqtt.client_certificates.ask = \"never\"",
            ),
            mistake(
                asks && mqtt.tls_listen.is_none(),
                "mqtt.client_certificates.ask",
                "clients show certificates over TLS only: set mqtt.tls_listen",
            ),
            mistake(
                proxied && self.proxy.trusted.is_empty(),
                "proxy.trusted",
                "name the addresses of the load balancers whose PROXY headers count",
            ),
        ];
        let mut mistakes: Vec<_> = mistakes.into_iter().flatten().collect();
        if mistakes.is_empty() {
            mistakes.extend(self.unreadable());
        }
        mistakes
    }

    /// The files of TLS, where they cannot be used.
    fn unreadable(&self) -> Option<Unusable> {
        let opened = self.mqtt_tls().into_iter().chain(self.http_tls()).map(Opened::open);
        let error = opened.filter_map(Result::err).next()?;
        Some(Unusable { key: "tls".into(), why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        config.mistakes().into_iter().map(|mistake| mistake.key).collect()
    }

    #[test]
    fn what_tls_needs_is_named() {
        let listen = Some("127.0.0.1:8883".parse().unwrap());
        assert_eq!(mistakes(|config| config.mqtt.tls_listen = listen), ["tls.cert"]);
        assert_eq!(mistakes(|config| config.http.tls = true), ["tls.cert"]);
        assert_eq!(
            mistakes(|config| config.mqtt.client_certificates.ask = Ask::Required),
            ["mqtt.client_certificates.ca", "mqtt.client_certificates.ask"]
        );
        assert_eq!(mistakes(|config| config.mqtt.proxy_protocol = true), ["proxy.trusted"]);
        let missing = |config: &mut Config| {
            config.http.tls = true;
            config.tls.cert = Some("/nowhere/cert.pem".into());
            config.tls.key = Some("/nowhere/key.pem".into());
        };
        assert_eq!(mistakes(missing), ["tls"]);
    }

    #[test]
    fn a_network_has_its_addresses_however_they_are_written() {
        let network = |text: &str| Network::try_from(text.to_owned());
        let ten = network("10.0.0.0/8").unwrap();
        assert!(ten.has("10.1.2.3".parse().unwrap()) && !ten.has("11.0.0.1".parse().unwrap()));
        assert!(ten.has("::ffff:10.1.2.3".parse().unwrap()), "of a socket for both families");
        assert!(network("::1").unwrap().has("::1".parse().unwrap()));
        assert!(network("10.0.0.0/33").is_err() && network("balancer").is_err());
    }
}
