//! Who may do what: roles, patterns that narrow them, and the bodies of `/api/v1/session`.

use crate::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a user may do; each role includes the ones before it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// Reads.
    #[default]
    Viewer,
    /// Also commands, acknowledges, and describes devices.
    Operator,
    /// Also manages credentials.
    Admin,
}

impl Role {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Viewer, Self::Operator, Self::Admin];
        let found = all.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("'{text}' is not a role: use viewer, operator or admin"))
    }
}

/// Device ids with `*` for any number of characters, such as `greenhouse-*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("pattern" = "^[A-Za-z0-9._:*-]{1,128}$", "examples" = ["greenhouse-*"]))
)]
pub struct DevicePattern(String);

impl DevicePattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `device` is one of those that are meant.
    #[must_use]
    pub fn matches(&self, device: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = device.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some((_, behind)) = rest.split_once(part) else { return false };
            rest = behind;
        }
        rest.ends_with(last)
    }
}

impl FromStr for DevicePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let filled = text.replace('*', "x");
        match filled.parse::<DeviceId>() {
            Ok(_) => Ok(Self(text.into())),
            Err(_) => Err(format!(
                "'{text}' is not a pattern of device ids: use 1-128 characters of A-Z a-z 0-9 . _ : - \
                 and * for any of them"
            )),
        }
    }
}

impl TryFrom<String> for DevicePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DevicePattern> for String {
    fn from(pattern: DevicePattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for DevicePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The body of `POST /session`.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignIn {
    /// A token as `sluice-gateway token create` printed it.
    pub token: String,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn")
    }
}

/// Who is signed in, and what that user may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Session {
    /// The user; `local` where everybody local is trusted.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// When the token ends; null where it does not.
    pub expires_at: Option<Timestamp>,
    /// Whether the token is narrowed to devices or channels.
    pub narrowed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, device: &str) -> bool {
        pattern.parse::<DevicePattern>().unwrap().matches(device)
    }

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, device) in [
            ("*", "pump-1"),
            ("pump-*", "pump-1"),
            ("pump-*", "pump-"),
            ("*-1", "pump-1"),
            ("p*p*1", "pump-1"),
            ("pump-1", "pump-1"),
            ("a*a", "aa"),
            ("*mp*", "pump-1"),
        ] {
            assert!(matches(pattern, device), "{pattern} {device}");
        }
        for (pattern, device) in [
            ("pump-1", "pump-12"),
            ("pump-1", "pump-"),
            ("pump-*", "xpump-1"),
            ("*-1", "pump-12"),
            ("a*a", "a"),
            ("a*b*a", "aca"),
        ] {
            assert!(!matches(pattern, device), "{pattern} {device}");
        }
    }

    #[test]
    fn what_cannot_be_in_a_device_id_cannot_be_in_a_pattern() {
        for text in ["", "a/b", "a b", "+", "#", &"x".repeat(129)] {
            assert!(text.parse::<DevicePattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_role_includes_those_before_it() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
