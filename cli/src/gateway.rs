//! The gateway's HTTP API: its address, calls under `/api/v1`, and what its refusals say.

use crate::text::clean;
use protocol::{CommandId, CommandRequest, DeviceId, Page, Problem};
use reqwest::{
    Client, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde::de::DeserializeOwned;
use std::{convert::Infallible, error::Error, fmt, str::FromStr, time::Duration};

/// How long a gateway may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long it may take for a whole answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How often a command is offered whose acceptance nobody confirmed.
const OFFERS_MAX: u32 = 3;

/// The pause between two offers.
const OFFER_PAUSE: Duration = Duration::from_millis(500);

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

    fn api(&self, path: &[&str]) -> Url {
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

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nothing was asked: no connection.
    #[error("{0}")]
    Unreachable(Unreachable),
    /// Asked, and no whole answer came: it may have been done.
    #[error("the gateway at {url} did not answer: {why}")]
    NoAnswer { url: GatewayUrl, why: String },
    /// The gateway said no.
    #[error("{0}")]
    Refused(Refused),
    /// The answer is none of the contract's.
    #[error("{url} does not answer like a Sluice gateway ({why}): check --url")]
    Strange { url: GatewayUrl, why: String },
}

/// No connection to a gateway.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot reach a gateway at {url} ({why}): start one with 'sluice-gateway', or name \
     another with --url or SLUICE_URL"
)]
pub(crate) struct Unreachable {
    pub(crate) url: GatewayUrl,
    pub(crate) why: String,
}

/// A refusal in the gateway's own words.
#[derive(Debug, thiserror::Error)]
#[error("{} ({})", clean(.detail), clean(.code))]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) detail: String,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, detail: problem.detail }
    }
}

/// The HTTP side of a gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub(crate) endpoint: Endpoint,
    client: Client,
}

impl Gateway {
    /// Asks nothing yet. Proxies are left out, as the WebSocket takes none either.
    pub(crate) fn new(endpoint: Endpoint) -> reqwest::Result<Self> {
        let client = Client::builder().connect_timeout(CONNECT_MAX).timeout(ANSWER_MAX).no_proxy();
        let client = client.default_headers(endpoint.headers.clone()).build()?;
        Ok(Self { endpoint, client })
    }

    /// `GET /devices`: one page.
    pub(crate) async fn devices<T: DeserializeOwned>(
        &self,
        query: &[(&str, &str)],
    ) -> Result<Page<T>, CallError> {
        self.call(self.client.get(self.endpoint.url.api(&["devices"])).query(query)).await
    }

    /// `POST /devices/{id}/commands`.
    ///
    /// Offered again where no answer came: the `Idempotency-Key` makes it one command all the same.
    pub(crate) async fn command<T: DeserializeOwned>(
        &self,
        device: &DeviceId,
        request: &CommandRequest,
    ) -> Result<T, CallError> {
        let address = self.endpoint.url.api(&["devices", device.as_str(), "commands"]);
        let key = format!("{:032x}", rand::random::<u128>());
        let offer = || {
            let post = self.client.post(address.clone());
            self.call(post.header("Idempotency-Key", &key).json(request))
        };
        for _ in 1..OFFERS_MAX {
            match offer().await {
                Err(CallError::NoAnswer { .. }) => tokio::time::sleep(OFFER_PAUSE).await,
                answered => return answered,
            }
        }
        offer().await.map_err(unconfirmed)
    }

    /// `GET /commands/{id}`.
    pub(crate) async fn show<T: DeserializeOwned>(&self, id: CommandId) -> Result<T, CallError> {
        let address = self.endpoint.url.api(&["commands", &id.to_string()]);
        self.call(self.client.get(address)).await
    }

    /// `POST /commands/{id}/cancel`.
    pub(crate) async fn cancel<T: DeserializeOwned>(&self, id: CommandId) -> Result<T, CallError> {
        let address = self.endpoint.url.api(&["commands", &id.to_string(), "cancel"]);
        self.call(self.client.post(address)).await
    }

    /// `GET /audit`: the page at `cursor`, or the newest.
    pub(crate) async fn audit<T: DeserializeOwned>(
        &self,
        cursor: Option<&str>,
    ) -> Result<Page<T>, CallError> {
        let query = cursor.map(|cursor| ("cursor", cursor));
        let query = query.into_iter().chain([("limit", "1000")]);
        let address = self.endpoint.url.api(&["audit"]);
        self.call(self.client.get(address).query(&query.collect::<Vec<_>>())).await
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CallError> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| self.strange(error.to_string()))
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, CallError> {
        let body = response.bytes().await.map_err(|error| self.failed(&error))?;
        Ok(body.into())
    }

    fn failed(&self, error: &reqwest::Error) -> CallError {
        let url = self.endpoint.url.clone();
        if error.is_connect() {
            CallError::Unreachable(Unreachable { url, why: root_cause(error) })
        } else if error.is_timeout() {
            CallError::NoAnswer { url, why: format!("not within {} s", ANSWER_MAX.as_secs()) }
        } else {
            CallError::NoAnswer { url, why: root_cause(error) }
        }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> CallError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => CallError::Refused(problem.into()),
            Err(_) => self.strange(format!("it answered {status}")),
        }
    }

    fn strange(&self, why: String) -> CallError {
        CallError::Strange { url: self.endpoint.url.clone(), why }
    }
}

/// No answer to a command is no refusal.
fn unconfirmed(error: CallError) -> CallError {
    match error {
        CallError::NoAnswer { url, why } => {
            let why = format!("{why}; the command may have been accepted all the same");
            CallError::NoAnswer { url, why }
        }
        CallError::Unreachable(_) | CallError::Refused(_) | CallError::Strange { .. } => error,
    }
}

/// The innermost cause: it says what happened, the layers around it only where.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
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
