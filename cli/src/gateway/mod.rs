//! The gateway's HTTP API: calls under `/api/v1`, and what its refusals say.

mod address;
mod error;

pub use address::BadEndpoint;
pub(crate) use address::{Endpoint, GatewayUrl, Token};
pub(crate) use error::{CallError, Refused, Unreachable, root_cause, speaks_tls};

use error::unconfirmed;
use protocol::{
    AlertId, BatchRequest, CommandId, CommandRequest, DeviceId, DeviceState, Page, Problem,
};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header::IF_MATCH};
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, value::RawValue};
use std::time::Duration;

/// How long a gateway may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long it may take for a whole answer.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How often a command is offered whose acceptance nobody confirmed.
const OFFERS_MAX: u32 = 3;

/// The pause between two offers.
const OFFER_PAUSE: Duration = Duration::from_millis(500);

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
        let client = client.tls_backend_preconfigured(ClientConfig::clone(&endpoint.tls));
        let client = client.default_headers(endpoint.headers.clone()).build()?;
        Ok(Self { endpoint, client })
    }

    /// A page of a list: of `devices`, `commands`, `alerts` or `audit`.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        list: &str,
        query: &[(&str, &str)],
    ) -> Result<Page<T>, CallError> {
        self.call(self.client.get(self.api(&[list])).query(query)).await
    }

    /// `POST /devices/{id}/commands`.
    pub(crate) async fn command<T: DeserializeOwned>(
        &self,
        device: &DeviceId,
        request: &CommandRequest,
    ) -> Result<T, CallError> {
        self.offer(&["devices", device.as_str(), "commands"], request).await
    }

    /// `GET /commands/{id}`.
    pub(crate) async fn show<T: DeserializeOwned>(&self, id: CommandId) -> Result<T, CallError> {
        self.get(&["commands", &id.to_string()]).await
    }

    /// `POST /commands/{id}/cancel`.
    pub(crate) async fn cancel<T: DeserializeOwned>(&self, id: CommandId) -> Result<T, CallError> {
        self.post(&["commands", &id.to_string(), "cancel"]).await
    }

    /// `POST /command-batches`.
    pub(crate) async fn batch(&self, request: &BatchRequest) -> Result<Box<RawValue>, CallError> {
        self.offer(&["command-batches"], request).await
    }

    /// `GET /command-batches/{id}`.
    pub(crate) async fn show_batch(&self, id: CommandId) -> Result<Box<RawValue>, CallError> {
        self.get(&["command-batches", &id.to_string()]).await
    }

    /// `POST /command-batches/{id}/{change}`: `pause`, `resume` or `cancel`.
    pub(crate) async fn change_batch(
        &self,
        id: CommandId,
        change: &str,
    ) -> Result<Box<RawValue>, CallError> {
        self.post(&["command-batches", &id.to_string(), change]).await
    }

    /// `POST /alerts/{id}/{change}`: `ack` or `clear`.
    pub(crate) async fn change_alert(
        &self,
        id: AlertId,
        change: &str,
    ) -> Result<Box<RawValue>, CallError> {
        self.post(&["alerts", &id.to_string(), change]).await
    }

    /// `GET /devices/{id}/desired`.
    pub(crate) async fn desired(&self, device: &DeviceId) -> Result<DeviceState, CallError> {
        self.get(&["devices", device.as_str(), "desired"]).await
    }

    /// `PUT /devices/{id}/desired`, if it is at `version` still.
    pub(crate) async fn desire(
        &self,
        device: &DeviceId,
        desired: &Map<String, Value>,
        version: u64,
    ) -> Result<DeviceState, CallError> {
        let put = self.client.put(self.api(&["devices", device.as_str(), "desired"]));
        self.call(put.header(IF_MATCH, format!("\"{version}\"")).json(desired)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, CallError> {
        self.call(self.client.get(self.api(path))).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, CallError> {
        self.call(self.client.post(self.api(path))).await
    }

    /// Offers something that is to be done once. Offered again where no answer came: the `Idempotency-Key`
    /// makes it one all the same.
    async fn offer<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let address = self.api(path);
        let key = format!("{:032x}", rand::random::<u128>());
        let offer = || {
            let post = self.client.post(address.clone());
            self.call(post.header("Idempotency-Key", &key).json(body))
        };
        for _ in 1..OFFERS_MAX {
            match offer().await {
                Err(CallError::NoAnswer { .. }) => tokio::time::sleep(OFFER_PAUSE).await,
                answered => return answered,
            }
        }
        offer().await.map_err(unconfirmed)
    }

    fn api(&self, path: &[&str]) -> Url {
        self.endpoint.url.api(path)
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
        let why = root_cause(error);
        if error.is_connect() || speaks_tls(&why) {
            CallError::Unreachable(Unreachable { url, why })
        } else if error.is_timeout() {
            CallError::NoAnswer { url, why: format!("not within {} s", ANSWER_MAX.as_secs()) }
        } else {
            CallError::NoAnswer { url, why }
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
