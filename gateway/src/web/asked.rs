//! What a request asks for in its query. What is wrong with that names the parameter and its value.

use super::problem::Refused;
use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;
use std::future::ready;

/// The parameters of a query, read as `T`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> impl Future<Output = Result<Self, Refused>> + Send {
        let query = parts.uri.query().unwrap_or_default();
        ready(read(query).map(Self).map_err(Refused::bad_query))
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    let parameters = || form_urlencoded::parse(query.as_bytes());
    let parsed = serde_urlencoded::Deserializer::new(parameters());
    serde_path_to_error::deserialize(parsed).map_err(|error| {
        let (name, why) = (error.path().to_string(), error.inner().to_string());
        match parameters().find(|(known, _)| *known == name) {
            // Where somebody puts a token it is not repeated.
            Some((_, value)) if !why.starts_with("unknown field") => {
                format!("{name} = '{value}': {why}")
            }
            Some(_) | None => why,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only read")]
        limit: Option<usize>,
    }

    #[test]
    fn what_is_wrong_names_the_parameter_and_its_value() {
        let refused = |query| read::<Wanted>(query).unwrap_err();
        assert!(refused("limit=ten").starts_with("limit = 'ten': "));
        assert!(refused("limit=").starts_with("limit = '': "));
        let unknown = refused("token=secret");
        assert!(unknown.starts_with("unknown field `token`"), "{unknown}");
        assert!(!unknown.contains("secret"), "{unknown}");
        assert!(refused("limit=1&limit=2").contains("duplicate field"));
    }
}
