//! Who may talk to the gateway over HTTP at all: requests that name it as it is named (`Host`, against
//! DNS rebinding), and pages of its own or an allowed origin (`Origin`).

use super::{Web, problem::Refused};
use crate::config::Http;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, net::SocketAddr};

/// The names and origins that are the gateway's own.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    address: SocketAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// The headers of answers that the contract gives a meaning: without this a page of another origin reads none.
const EXPOSED: HeaderValue = HeaderValue::from_static("etag, link, preference-applied");

/// What the guard says of a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Not from a page of another site.
    Own,
    /// From a page of an allowed origin, which may read the answer.
    Allowed(HeaderValue),
    /// `Host` is not a name of the gateway.
    BadHost(String),
    /// There are so many `Host`: none, or several, of which proxies and servers may each take another.
    NotOneHost(usize),
    /// `Origin` is another site's.
    BadOrigin(String),
    /// There are so many `Origin`, of which one may be another site's.
    SeveralOrigins(usize),
}

impl Guard {
    pub(super) fn new(config: &Http, address: SocketAddr) -> Self {
        let lower = |list: &[String]| list.iter().map(|item| item.to_lowercase()).collect();
        Self {
            address,
            hosts: lower(&config.allowed_hosts),
            origins: lower(&config.allowed_origins),
        }
    }

    fn judge(&self, target: Option<&Authority>, headers: &HeaderMap) -> Verdict {
        let hosts: Vec<_> = headers.get_all(header::HOST).iter().collect();
        let [host] = hosts.as_slice() else { return Verdict::NotOneHost(hosts.len()) };
        let host = target.map_or(host.as_bytes(), |authority| authority.as_str().as_bytes());
        let host = String::from_utf8_lossy(host).to_lowercase();
        if !name_of(&host).is_some_and(|name| self.is_own_name(name)) {
            return Verdict::BadHost(host);
        }
        let origins: Vec<_> = headers.get_all(header::ORIGIN).iter().collect();
        match origins.as_slice() {
            [] => Verdict::Own,
            [origin] => self.judge_origin(&host, origin),
            several => Verdict::SeveralOrigins(several.len()),
        }
    }

    fn judge_origin(&self, host: &str, value: &HeaderValue) -> Verdict {
        let origin = String::from_utf8_lossy(value.as_bytes()).to_lowercase();
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        if authority == Some(host) {
            Verdict::Own
        } else if self.origins.contains(&origin) {
            Verdict::Allowed(value.clone())
        } else {
            Verdict::BadOrigin(origin)
        }
    }

    fn is_own_name(&self, name: &str) -> bool {
        let listens_on_loopback =
            self.address.ip().is_loopback() || self.address.ip().is_unspecified();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let by_address = name.parse::<IpAddr>().is_ok_and(|ip| {
            ip == self.address.ip()
                || self.address.ip().is_unspecified()
                || (listens_on_loopback && ip.is_loopback())
        });
        by_address
            || (listens_on_loopback && (name == "localhost" || name.ends_with(".localhost")))
            || self.hosts.iter().any(|host| host == name)
    }
}

/// The name in `name` or `name:port` (RFC 9110, section 7.2); none where it is neither.
fn name_of(host: &str) -> Option<&str> {
    let name_bytes = if host.starts_with('[') {
        host.find(']')? + 1
    } else {
        host.find(':').unwrap_or(host.len())
    };
    let (name, rest) = host.split_at_checked(name_bytes)?;
    let port = rest.is_empty() || rest.strip_prefix(':')?.parse::<u16>().is_ok();
    port.then_some(name)
}

/// Answers a request, by `within` where it is let in.
pub(super) async fn check<Answer: Future<Output = Response>>(
    web: &Web,
    request: Request,
    within: impl FnOnce(Request) -> Answer,
) -> Response {
    let verdict = web.guard.judge(request.uri().authority(), request.headers());
    match verdict {
        Verdict::Own => within(request).await,
        Verdict::Allowed(origin) => {
            let mut response = match *request.method() {
                Method::OPTIONS => preflight(),
                _ => within(request).await,
            };
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            response
        }
        Verdict::BadHost(host) => {
            web.stats.web.refused_hosts.increment();
            let detail = format!(
                "Host '{host}' is not a name of this gateway: add it to http.allowed_hosts"
            );
            Refused::new(StatusCode::FORBIDDEN, "bad_host", detail).into_response()
        }
        Verdict::NotOneHost(hosts) => {
            web.stats.web.refused_hosts.increment();
            let detail =
                format!("a request has one Host (RFC 9112, section 3.2), this one has {hosts}");
            Refused::new(StatusCode::BAD_REQUEST, "bad_host", detail).into_response()
        }
        Verdict::BadOrigin(origin) => {
            web.stats.web.refused_origins.increment();
            let detail =
                format!("pages of '{origin}' may not use this gateway: see http.allowed_origins");
            Refused::new(StatusCode::FORBIDDEN, "bad_origin", detail).into_response()
        }
        Verdict::SeveralOrigins(origins) => {
            web.stats.web.refused_origins.increment();
            let detail = format!("a request has one Origin at most, this one has {origins}");
            Refused::new(StatusCode::BAD_REQUEST, "bad_origin", detail).into_response()
        }
    }
}

/// The answer to a browser that asks before it sends (CORS, Fetch standard, section 3.2).
fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, idempotency-key, if-match, last-event-id, prefer",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(listen: &str, host: Option<&str>, origin: Option<&str>) -> Verdict {
        let config = Http {
            allowed_hosts: vec!["Gateway.example".into()],
            allowed_origins: vec!["https://dashboard.example".into()],
            ..Http::default()
        };
        let guard = Guard::new(&config, listen.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        guard.judge(None, &headers)
    }

    #[test]
    fn a_host_must_be_a_name_of_the_gateways_own() {
        let loopback = "127.0.0.1:8080";
        for own in
            ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "gateway.example"]
        {
            assert_eq!(judge(loopback, Some(own), None), Verdict::Own, "{own}");
        }
        for other in [
            "evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:1.evil.example",
            "x@127.0.0.1",
            "127.0.0.1:99999",
            "localhost:",
            "192.0.2.1",
            "",
            "a b",
        ] {
            let verdict = judge(loopback, Some(other), None);
            assert_eq!(verdict, Verdict::BadHost(other.into()));
        }
        assert_eq!(
            judge("192.0.2.1:80", Some("localhost"), None),
            Verdict::BadHost("localhost".into())
        );
        assert_eq!(judge("0.0.0.0:80", Some("192.0.2.9"), None), Verdict::Own);
    }

    #[test]
    fn a_request_has_one_host_and_one_origin_at_most() {
        let guard = Guard::new(&Http::default(), "127.0.0.1:8080".parse().unwrap());
        let target = Authority::from_static("localhost:8080");
        let mut headers = HeaderMap::new();
        let own = HeaderValue::from_static("localhost:8080");
        assert_eq!(guard.judge(None, &headers), Verdict::NotOneHost(0));
        assert_eq!(guard.judge(Some(&target), &headers), Verdict::NotOneHost(0));
        headers.append(header::HOST, own.clone());
        assert_eq!(guard.judge(Some(&target), &headers), Verdict::Own);
        headers.append(header::HOST, own.clone());
        assert_eq!(guard.judge(None, &headers), Verdict::NotOneHost(2));
        headers.insert(header::HOST, own);
        headers.append(header::ORIGIN, HeaderValue::from_static("http://localhost:8080"));
        assert_eq!(guard.judge(None, &headers), Verdict::Own);
        headers.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert_eq!(guard.judge(None, &headers), Verdict::SeveralOrigins(2));
    }

    #[test]
    fn a_page_must_be_of_the_gateways_own_or_an_allowed_origin() {
        let origin = |origin| judge("127.0.0.1:8080", Some("localhost:8080"), Some(origin));
        assert_eq!(origin("http://localhost:8080"), Verdict::Own);
        assert_eq!(
            origin("https://dashboard.example"),
            Verdict::Allowed(HeaderValue::from_static("https://dashboard.example"))
        );
        for other in ["http://localhost:3000", "http://evil.example", "null", "localhost:8080"] {
            assert_eq!(origin(other), Verdict::BadOrigin(other.into()));
        }
    }
}
