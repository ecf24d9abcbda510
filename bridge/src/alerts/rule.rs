//! Rules: which metric may not be where for how long, and which devices may not be away for how long.

use protocol::{Millis, Severity};

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// How bad it is.
    pub severity: Severity,
    /// The alert's code.
    pub code: String,
    /// The alert's message; none: one that says what was seen.
    pub message: Option<String>,
    /// Only devices of this type; none: all.
    pub kind: Option<String>,
    /// What is wrong.
    pub condition: Condition,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A metric is beyond a limit.
    Threshold {
        /// The metric.
        metric: String,
        /// On which side of the limit it is wrong.
        side: Side,
        /// The limit.
        limit: f64,
        /// The alert is cleared when the metric is back at this value: hysteresis.
        clear: f64,
        /// It must be beyond the limit for so long without a break.
        lasting: Millis,
    },
    /// The device is offline for longer than this.
    Offline {
        /// So long it may.
        longer_than: Millis,
    },
}

/// A side of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Greater values are wrong.
    Above,
    /// Smaller values are wrong.
    Below,
}

/// Why a rule cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadRule {
    /// No code, or one that is too long.
    #[error("code '{0}' is not a text of 1-{CODE_BYTES_MAX} bytes without control characters")]
    Code(String),
    /// A metric without a name.
    #[error("metric is empty: name the metric to watch")]
    NoMetric,
    /// The value that clears is on the wrong side of the limit.
    #[error("clear = {clear} is on the wrong side of the limit {limit}: the alert would flicker")]
    Clear {
        /// The value that clears.
        clear: f64,
        /// The limit.
        limit: f64,
    },
    /// Not a finite number.
    #[error("{0} is no finite number")]
    NotFinite(f64),
}

/// The longest code, in bytes.
pub(super) const CODE_BYTES_MAX: usize = 128;

impl Rule {
    /// Checks the values against each other.
    ///
    /// # Errors
    /// [`BadRule`] with the value.
    pub fn check(&self) -> Result<(), BadRule> {
        if !is_code(&self.code) {
            return Err(BadRule::Code(self.code.clone()));
        }
        let Condition::Threshold { metric, side, limit, clear, .. } = &self.condition else {
            return Ok(());
        };
        if metric.is_empty() {
            return Err(BadRule::NoMetric);
        }
        if let Some(value) = [*limit, *clear].into_iter().find(|value| !value.is_finite()) {
            return Err(BadRule::NotFinite(value));
        }
        if side.is_beyond(*clear, *limit) {
            return Err(BadRule::Clear { clear: *clear, limit: *limit });
        }
        Ok(())
    }

    /// Whether the rule is about devices of this type.
    #[must_use]
    pub fn is_for(&self, kind: Option<&str>) -> bool {
        self.kind.is_none() || self.kind.as_deref() == kind
    }

    /// Whether the two may be about the same alert: it could not be said which one clears it.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        let kinds = self.kind.is_none() || other.kind.is_none() || self.kind == other.kind;
        kinds && (self.severity, &self.code) == (other.severity, &other.code)
    }
}

impl Side {
    /// Whether `value` is on the wrong side of `limit`.
    #[must_use]
    pub fn is_beyond(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::Below => value < limit,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

/// Whether a text can be an alert's code.
#[must_use]
pub fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}
