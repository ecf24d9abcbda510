//! What a test asks its gateway, as a client would.

use super::TestGateway;
use crate::{Device, Live, soon, until};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

impl TestGateway {
    /// A WebSocket that was welcomed.
    pub async fn live(&self) -> Live {
        Live::connect(self.endpoints.http).await
    }

    /// A device (MQTT 3.1.1) that is ready for commands and for being asked to cancel them.
    pub async fn device(&self, id: &str) -> Device {
        Device::connect(self.endpoints.mqtt, id).await
    }

    /// A request to a path such as `/api/v1/devices`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    /// What a path answers to GET.
    ///
    /// # Panics
    /// When there is no answer, or it is no JSON.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        json(self.request(Method::GET, path)).await
    }

    /// What a path answers to GET, as it is.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get_text(&self, path: &str) -> (StatusCode, String) {
        text(self.request(Method::GET, path)).await
    }

    /// What a path answers to POST.
    ///
    /// # Panics
    /// When there is no answer, or it is no JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        json(self.request(Method::POST, path).json(body)).await
    }

    /// The value of a metric such as `sluice_devices_known`.
    ///
    /// # Panics
    /// When there is none of this name.
    pub async fn metric(&self, name: &str) -> u64 {
        let request = self.request(Method::GET, "/metrics").send();
        let text = soon("metrics", async { request.await?.text().await }).await;
        let text = text.expect("metrics are a text");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no metric {name} in:\n{text}"));
        value.parse().expect("metrics are whole numbers")
    }

    /// Waits until a metric has a value: some are brought up to date once a second.
    pub async fn until_metric(&self, name: &str, value: u64) {
        until(name, async || self.metric(name).await == value).await;
    }
}

async fn text(request: RequestBuilder) -> (StatusCode, String) {
    let response: Response = soon("an answer", request.send()).await.expect("an answer");
    let status = response.status();
    (status, soon("a body", response.text()).await.expect("a body"))
}

async fn json(request: RequestBuilder) -> (StatusCode, Value) {
    let (status, text) = text(request).await;
    let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {status} {text}"));
    (status, body)
}
