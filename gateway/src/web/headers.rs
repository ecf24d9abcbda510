//! What every answer tells browsers, whoever made it: to take it for what it says it is, to keep no copy, to run
//! nothing of it, to show it in no frame and give it to no page of another site; and, over HTTPS, to come by nothing
//! else any more. The dashboard's files say more of their own (`assets`), which counts then.

use super::Web;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// No cache may keep a copy.
pub(super) const NO_COPY: HeaderValue = HeaderValue::from_static("no-store");

const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, NO_COPY),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // Who may read an answer by CORS (http.allowed_origins) is not asked this.
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// For how long a browser that came by HTTPS comes by nothing else: two years, in seconds (RFC 6797).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Adds them to an answer.
pub(super) fn add(web: &Web, headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    if web.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
