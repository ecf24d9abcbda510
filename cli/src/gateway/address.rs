//! Where a gateway is, and who asks it.

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use std::{convert::Infallible, fmt, str::FromStr};

/// Where a gateway is: `http://host:port`, with a path where it sits behind one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayUrl(Url);

impl FromStr for GatewayUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it like http://127.0.0.1:8080";
        let mut url: Url = text.parse().map_err(|error| format!("{error}: {example}"))?;
        if url.scheme() != "http" || !url.has_host() {
            return Err(format!("only plain http is spoken: {example}"));
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
pub(crate) struct BadToken;

/// Where a gateway is, and who asks it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: GatewayUrl,
    /// The headers that say who asks.
    pub(crate) headers: HeaderMap,
}

impl Endpoint {
    /// A gateway that is asked with `token`, or by somebody on its own machine.
    ///
    /// # Errors
    /// [`BadToken`].
    pub(crate) fn new(url: GatewayUrl, token: Option<Token>) -> Result<Self, BadToken> {
        let mut headers = HeaderMap::new();
        if let Some(Token(token)) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).ok();
            let mut value =
                value.filter(|_| !token.is_empty() && !token.contains(' ')).ok_or(BadToken)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { url, headers })
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
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_told() {
        for bad in ["", "two words", "line\nbreak"] {
            let token = bad.parse().unwrap();
            let error = Endpoint::new(url("http://gw"), Some(token)).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        let endpoint = Endpoint::new(url("http://gw"), Some("secret".parse().unwrap())).unwrap();
        assert_eq!(endpoint.headers[AUTHORIZATION], "Bearer secret");
        assert!(!format!("{endpoint:?}").contains("secret"));
    }

    #[test]
    fn other_schemes_are_refused() {
        for bad in ["https://gw", "127.0.0.1:8080", "localhost:8080", "file:///tmp", ""] {
            assert!(bad.parse::<GatewayUrl>().is_err(), "{bad}");
        }
    }
}
