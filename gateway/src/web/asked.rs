//! What a request asks for in its query. What is wrong with that names the parameter and its value.

use super::problem::Refused;
use axum::{extract::FromRequestParts, http::request::Parts};
use protocol::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
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

/// Reads a time, which no answer may tell from before 1970 on.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let time = Timestamp::deserialize(from)?;
    if time < Timestamp::MIN {
        return Err(D::Error::custom(format!("no time is before {}", Timestamp::MIN)));
    }
    Ok(Some(time))
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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Wanted {
        limit: Option<usize>,
        #[serde(default, deserialize_with = "time")]
        from: Option<Timestamp>,
    }

    #[test]
    fn what_is_wrong_names_the_parameter_and_its_value() {
        let refused = |query| read::<Wanted>(query).unwrap_err();
        assert!(refused("limit=ten").starts_with("limit = 'ten': "));
        assert!(refused("limit=").starts_with("limit = '': "));
        assert_eq!(refused("from=-1"), "from = '-1': no time is before 0");
        let unknown = refused("token=secret");
        assert!(unknown.starts_with("unknown field `token`"), "{unknown}");
        assert!(!unknown.contains("secret"), "{unknown}");
        assert!(refused("limit=1&limit=2").contains("duplicate field"));
    }
}
