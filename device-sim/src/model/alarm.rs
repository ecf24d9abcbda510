//! What is wrong with a machine, by itself: each alarm comes at one level and goes at another.

use protocol::Severity;

/// Something that is wrong with a machine now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alarm {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// The codes of the alarms that stood when the machine was last asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a>(pub(crate) &'a [&'static str]);

impl Standing<'_> {
    /// Whether an alarm stands whose value is too low below `raise`, and well again from `clear` on.
    pub(super) fn is_below(self, code: &str, value: f64, raise: f64, clear: f64) -> bool {
        value < if self.0.contains(&code) { clear } else { raise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_comes_at_one_level_and_goes_at_another() {
        let quiet = Standing(&[]);
        assert!(quiet.is_below("low", 0.9, 1.0, 2.0));
        assert!(!quiet.is_below("low", 1.5, 1.0, 2.0));
        let standing = Standing(&["low"]);
        assert!(standing.is_below("low", 1.5, 1.0, 2.0));
        assert!(!standing.is_below("low", 2.0, 1.0, 2.0));
    }
}
