//! Members that are objects, read as such: serde alone would take an array for a struct, its items for the members in
//! their order.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// Reads an object.
pub(crate) fn only<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_map(Members(PhantomData))
}

/// Reads an object, or `null` as none.
pub(crate) fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(from)?.map(|Object(value)| value))
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Object<T>(#[serde(deserialize_with = "only")] T);

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Answer, BatchRequest, CommandRequest, SubscribeOptions};
    use serde::de::DeserializeOwned;

    fn refused<T: DeserializeOwned>(json: &str) -> String {
        let read = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json));
        read.map(|_: T| ()).expect_err(json).to_string()
    }

    #[test]
    fn an_array_is_no_object() {
        for (member, why) in [
            ("command", refused::<BatchRequest>(r#"{"type":"pump","command":["open"]}"#)),
            ("expect", refused::<CommandRequest>(r#"{"name":"go","expect":["m",null,"==",1]}"#)),
            ("since", refused::<SubscribeOptions>(r#"{"since":["e",5]}"#)),
            ("error", refused::<Answer>(r#"{"status":"failed","error":["stuck","the rotor"]}"#)),
        ] {
            let expected = format!("{member}: invalid type: sequence, expected an object");
            assert!(why.starts_with(&expected), "{why}");
        }
    }

    #[test]
    fn what_is_wrong_within_one_is_named_and_null_is_none() {
        let why = refused::<CommandRequest>(r#"{"name":"go","expect":{"metric":"m","op":"="}}"#);
        assert!(why.starts_with("expect.op: unknown variant `=`"), "{why}");
        let none: CommandRequest = serde_json::from_str(r#"{"name":"go","expect":null}"#).unwrap();
        assert_eq!(none.expect, None);
    }
}
