//! Numbers with a meaning: a sequence is not an offset, a time is not a duration.

use crate::whole;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! wire_number {
    ($(#[$doc:meta])* $name:ident($inner:ty) from $min:literal like $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "number"))]
        #[cfg_attr(
            feature = "schema",
            derive(schemars::JsonSchema),
            schemars(extend("minimum" = $min, "examples" = [$example]))
        )]
        pub struct $name(#[serde(deserialize_with = "whole::only")] pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

wire_number!(
    /// A point in time: milliseconds since the Unix epoch, UTC.
    Timestamp(i64) from 0 like 1_767_225_600_000_i64
);
wire_number!(
    /// A duration in milliseconds.
    Millis(u64) from 0 like 30_000
);
wire_number!(
    /// The number of an update within its channel: 1, 2, 3 … without a hole.
    Seq(u64) from 1 like 1
);
wire_number!(
    /// The number of an update within the gateway: the order of all updates.
    Offset(u64) from 0 like 41_807
);

impl Timestamp {
    /// The first time that may be told.
    pub const MIN: Self = Self(0);

    /// The last time that may be told: the end of ECMAScript's time range.
    pub const MAX: Self = Self(8_640_000_000_000_000);

    /// Whether it may be told.
    #[must_use]
    pub fn is_in_range(self) -> bool {
        (Self::MIN..=Self::MAX).contains(&self)
    }

    /// This time moved later by `duration`, saturating at the end of time.
    #[must_use]
    pub fn plus(self, duration: Millis) -> Self {
        Self(self.0.saturating_add_unsigned(duration.0))
    }

    /// How long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}
