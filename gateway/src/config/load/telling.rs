//! What is told of a mistake: never a secret, and no line of the file, in which there may be one.

use serde_json::Value as Json;

/// Keys whose values are not told: a secret, and a URL in which there may be one.
const SECRET: [&str; 2] = ["webhook.secret", "webhook.url"];

/// Where a text stops being TOML, and why.
pub(super) fn syntax(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message().trim_end().replace('\n', ", "))
}

/// Whether the value of a key is not told: it is secret, or has what is.
pub(super) fn is_secret(key: &str) -> bool {
    SECRET.iter().any(|secret| {
        secret.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// An entry of a list, without what the name of a secret key says: it may be one that is in the wrong place.
pub(super) fn entry(item: &Json) -> Json {
    let mut told = item.clone();
    let names = SECRET.iter().filter_map(|key| key.rsplit('.').next());
    for name in names {
        if let Some(value) = told.get_mut(name) {
            *value = "...".into();
        }
    }
    told
}

/// What a value is, in words.
pub(super) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "nothing",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text in quotes",
        Json::Array(_) => "a list",
        Json::Object(_) => "a section",
    }
}
