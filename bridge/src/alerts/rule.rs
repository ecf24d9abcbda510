//! Rules: which metric may not be where for how long, and which devices may not be away for how long.

use super::book::Key;
use protocol::{Alert, DeviceId, Millis, Severity, Timestamp};
use serde_json::{Value, json};

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

    /// What its alerts of a device are told apart by.
    pub(super) fn key(&self, device: &DeviceId) -> Key {
        Key { device: device.clone(), severity: self.severity, code: self.code.clone() }
    }

    pub(super) fn lasting(&self) -> Millis {
        match self.condition {
            Condition::Threshold { lasting, .. } => lasting,
            Condition::Offline { longer_than } => longer_than,
        }
    }

    /// What is wrong, as the data of its alert says it.
    pub(super) fn lasted(&self, since: Timestamp, value: f64) -> Value {
        match &self.condition {
            Condition::Threshold { metric, limit, .. } => {
                json!({"metric": metric, "value": value, "limit": limit, "since": since})
            }
            Condition::Offline { longer_than } => {
                json!({"since": since, "longer_than_ms": longer_than})
            }
        }
    }

    pub(super) fn says(&self, data: &Value) -> String {
        match &self.condition {
            Condition::Threshold { metric, side, limit, .. } => {
                format!("{metric} is {}, {} {limit}", data["value"], side.word())
            }
            Condition::Offline { longer_than } => {
                format!("offline for longer than {} s", longer_than.0 / 1_000)
            }
        }
    }

    /// Whether it raises an alert that is of a rule.
    pub(super) fn raises(&self, alert: &Alert) -> bool {
        (self.severity, &self.code) == (alert.severity, &alert.code)
            && match &self.condition {
                Condition::Threshold { metric, .. } => alert.data["metric"] == **metric,
                Condition::Offline { .. } => alert.data["longer_than_ms"].is_number(),
            }
    }
}

/// Whether an alert has the data that a rule gives ([`Rule::lasted`]). One that a device counted up has the device's:
/// the device clears it.
pub(super) fn is_of_a_rule(alert: &Alert) -> bool {
    let has = |names: &[&str]| {
        let data = alert.data.as_object();
        data.is_some_and(|data| {
            data.len() == names.len() && names.iter().all(|name| data.contains_key(*name))
        })
    };
    has(&["metric", "value", "limit", "since"]) || has(&["since", "longer_than_ms"])
}

impl Condition {
    /// What is wrong with the values, also against each other.
    #[must_use]
    pub fn mistakes(&self) -> Vec<BadRule> {
        let Self::Threshold { metric, side, limit, clear, .. } = self else { return Vec::new() };
        let no_metric = metric.is_empty().then_some(BadRule::NoMetric);
        let not_finite = [*limit, *clear].into_iter().find(|value| !value.is_finite());
        let of_values = match not_finite {
            Some(value) => Some(BadRule::NotFinite(value)),
            None if side.is_beyond(*clear, *limit) => {
                Some(BadRule::Clear { clear: *clear, limit: *limit })
            }
            None => None,
        };
        no_metric.into_iter().chain(of_values).collect()
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

    const fn word(self) -> &'static str {
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
