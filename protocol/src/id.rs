//! Identities, validated once where they enter.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// An id that is not one, with the value as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadId {
    /// Not 1-128 characters of `A-Z a-z 0-9 . _ : -`.
    Device(String),
    /// Not the text form of a UUID.
    Command(String),
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(value) => write!(
                f,
                "'{value}' is not a device id: use 1-128 characters of A-Z a-z 0-9 . _ : -"
            ),
            Self::Command(value) => write!(
                f,
                "'{value}' is no id of a command or batch: a UUID in text, such as \
                 0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c"
            ),
        }
    }
}

impl std::error::Error for BadId {}

/// A device's id: 1-128 characters of `A-Z a-z 0-9 . _ : -`.
// Cheap to clone: the text is shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^[A-Za-z0-9._:-]{1,128}$", "examples" = ["pump-1"]))
)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// The longest id in characters, which are bytes here.
    pub const LENGTH_MAX: usize = 128;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        Arc::<str>::from(text).try_into()
    }
}

impl TryFrom<Arc<str>> for DeviceId {
    type Error = BadId;

    fn try_from(text: Arc<str>) -> Result<Self, BadId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let length_fits = (1..=Self::LENGTH_MAX).contains(&text.len());
        if length_fits && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(BadId::Device((*text).into()))
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.as_str().into()
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command's id: a UUID (version 7, so that ids sort by creation), 36 characters in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend(
        "format" = "uuid",
        "pattern" = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        "examples" = ["0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c"]
    ))
)]
pub struct CommandId(u128);

impl CommandId {
    /// The id with these 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }
}

impl FromStr for CommandId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        parse_uuid(text).map(Self).ok_or_else(|| BadId::Command(text.into()))
    }
}

impl TryFrom<String> for CommandId {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<CommandId> for String {
    fn from(id: CommandId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

/// Where the text form of a UUID has its hyphens (RFC 9562, section 4).
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The bits of a UUID in text; none where it is not one.
pub(crate) fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut bits = 0_u128;
    for (at, character) in text.char_indices() {
        if HYPHENS.contains(&at) {
            if character != '-' {
                return None;
            }
            continue;
        }
        bits = bits << 4 | u128::from(character.to_digit(16)?);
    }
    Some(bits)
}

/// Writes a UUID as text.
pub(crate) fn write_uuid(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [b'-'; 36];
    let mut left = bits;
    // By hand: a command's id is written a dozen times on its way, and the formatter takes ten times as long.
    for at in (0..text.len()).rev().filter(|at| !HYPHENS.contains(at)) {
        text[at] = b"0123456789abcdef"[(left & 0xf) as usize];
        left >>= 4;
    }
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn device_ids_take_exactly_the_documented_characters() {
        for good in ["a", "A-Z_9.x:y", &"x".repeat(128)] {
            assert_eq!(good.parse::<DeviceId>().map(|id| id.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a/b", "ä", "a+", "#", "a\0", &"x".repeat(129)] {
            assert_eq!(bad.parse::<DeviceId>(), Err(BadId::Device(bad.into())));
        }
    }

    #[test]
    fn a_command_id_of_the_wrong_shape_is_refused() {
        for bad in [
            "",
            "0190d9c2",
            "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5",
            "ä190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5",
        ] {
            let refused = bad.parse::<CommandId>().unwrap_err();
            assert_eq!(refused, BadId::Command(bad.into()));
            assert!(refused.to_string().contains("is no id of a command or batch: a UUID"));
        }
    }

    proptest! {
        #[test]
        fn command_ids_survive_text(bits: u128) {
            let text = CommandId::from_u128(bits).to_string();
            prop_assert_eq!(text.len(), 36);
            prop_assert_eq!(text.parse(), Ok(CommandId::from_u128(bits)));
        }

        #[test]
        fn no_text_panics_a_parser(text: String) {
            let _device: Result<DeviceId, _> = text.parse();
            let _command: Result<CommandId, _> = text.parse();
        }
    }
}
