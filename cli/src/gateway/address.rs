//! Where a gateway is, and who asks it.

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use rustls::ClientConfig;
use std::{convert::Infallible, fmt, path::Path, str::FromStr, sync::Arc};
use trust::BadAuthority;

/// Where a gateway is: `http://host:port` or `https://host:port`, with a path where it sits behind one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayUrl(Url);

impl FromStr for GatewayUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it like http://127.0.0.1:8080 or https://gateway.example";
        let mut url: Url = text.parse().map_err(|error| format!("{error}: {example}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("only http and https are spoken: {example}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "who asks does not belong into an address: give a token by SLUICE_TOKEN".into()
            );
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl GatewayUrl {
    /// The address of the WebSocket.
    pub(crate) fn websocket(&self) -> String {
        let address = self.below(&["ws"]);
        address.as_str().replacen("http", "ws", 1)
    }

    /// The same place over TLS.
    pub(super) fn over_tls(&self) -> Self {
        self.with_scheme("https")
    }

    /// The same place without TLS.
    pub(super) fn in_plain(&self) -> Self {
        self.with_scheme("http")
    }

    /// The port stays, also where the other scheme has one of its own.
    fn with_scheme(&self, scheme: &str) -> Self {
        let mut url = self.0.clone();
        let port = url.port_or_known_default();
        url.set_scheme(scheme).expect("http and https may be exchanged");
        url.set_port(port).expect("an http URL has a port");
        Self(url)
    }

    /// Whether it is asked over TLS.
    fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn api(&self, path: &[&str]) -> Url {
        self.below(&[&["api", "v1"], path].concat())
    }

    fn below(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(path);
        url
    }
}

/// A token as it was given. It is in no log and no error, so it is looked at only by [`Endpoint::new`].
#[derive(Clone)]
pub(crate) struct Token(String);

impl FromStr for Token {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What was given is no token.
#[derive(Debug, thiserror::Error)]
#[error(
    "what --token or SLUICE_TOKEN has is no token: 'sluice-gateway token create' prints one, without \
     spaces and line breaks"
)]
pub struct BadToken;

/// What keeps a gateway from being asked, and is a mistake in the arguments.
#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    /// The token.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// Who signs certificates.
    #[error("--ca or SLUICE_CA: {0}")]
    Authority(#[from] BadAuthority),
}

/// Where a gateway is, who asks it, and whose word counts that it is that gateway.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: GatewayUrl,
    /// The headers that say who asks.
    pub(crate) headers: HeaderMap,
    /// For `https`.
    pub(crate) tls: Arc<ClientConfig>,
}

impl Endpoint {
    /// A gateway that is asked with `token`, or by somebody on its own machine; over TLS it shows a certificate that
    /// an authority in `ca` signed, or one that the system trusts.
    ///
    /// # Errors
    /// [`BadEndpoint`].
    pub(crate) fn new(
        url: GatewayUrl,
        token: Option<Token>,
        ca: Option<&Path>,
    ) -> Result<Self, BadEndpoint> {
        let mut headers = HeaderMap::new();
        if let Some(Token(token)) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).ok();
            let mut value =
                value.filter(|_| !token.is_empty() && !token.contains(' ')).ok_or(BadToken)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let tls = match ca {
            _ if !url.is_secure() => trust::in_nobody(),
            Some(file) => trust::in_file(file)?,
            None => trust::in_system(),
        };
        Ok(Self { url, headers, tls: tls.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> GatewayUrl {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_built_below_the_gateways_own() {
        for base in ["http://gw:8080", "http://gw:8080/"] {
            assert_eq!(url(base).api(&["devices"]).as_str(), "http://gw:8080/api/v1/devices");
            assert_eq!(url(base).websocket(), "ws://gw:8080/ws");
            assert_eq!(url(base).to_string(), "http://gw:8080");
        }
        assert_eq!(url("http://gw/http/?x#y").websocket(), "ws://gw/http/ws");
        assert_eq!(url("https://gw").api(&["devices"]).as_str(), "https://gw/api/v1/devices");
        assert_eq!(url("https://gw/http").websocket(), "wss://gw/http/ws");
    }

    #[test]
    fn another_scheme_is_spoken_at_the_same_port() {
        assert_eq!(url("http://gw:8080/a").over_tls().to_string(), "https://gw:8080/a");
        assert_eq!(url("https://gw").in_plain().to_string(), "http://gw:443");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_told() {
        for bad in ["", "two words", "line\nbreak"] {
            let token = bad.parse().unwrap();
            let error = Endpoint::new(url("http://gw"), Some(token), None).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        let token = Some("slt_hidden".parse().unwrap());
        let endpoint = Endpoint::new(url("http://gw"), token, None).unwrap();
        assert_eq!(endpoint.headers[AUTHORIZATION], "Bearer slt_hidden");
        assert!(!format!("{endpoint:?}").contains("slt_hidden"));
    }

    #[test]
    fn an_address_has_no_secret() {
        for bad in ["http://ann:secret@gw", "https://:secret@gw", "http://ann@gw"] {
            let refused = bad.parse::<GatewayUrl>().unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for bad in ["ftp://gw", "127.0.0.1:8080", "localhost:8080", "file:///tmp", ""] {
            assert!(bad.parse::<GatewayUrl>().is_err(), "{bad}");
        }
    }
}
