//! The dashboard's files, embedded in the binary.

use super::elements::is_known;
use axum::{
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "../dashboard/dist"]
struct Dist;

/// Files below this folder have a hash of their content in their name.
const IMMUTABLE: &str = "assets/";

/// What the page may do: speak to its own gateway, and nothing else.
const POLICY: [(HeaderName, &str); 1] = [(
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)];

/// Serves a file of the dashboard; `/` is its page.
pub(super) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    std::future::ready(match Dist::get(path) {
        Some(file) => answer(path, file, &headers),
        None => super::unknown_path(uri.path()).into_response(),
    })
    .await
}

fn answer(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash = file.metadata.sha256_hash();
    let tag = format!("\"{}\"", HEXLOWER.encode(&hash[..16]));
    let keep = if path.starts_with(IMMUTABLE) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let fresh = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, keep.into())];
    if is_known(headers, &tag) {
        // A browser takes what this says for what it has kept.
        return (StatusCode::NOT_MODIFIED, POLICY, fresh).into_response();
    }
    let kind = [(header::CONTENT_TYPE, file.metadata.mimetype().to_owned())];
    (POLICY, fresh, kind, file.data).into_response()
}
