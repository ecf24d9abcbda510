//! Settings of alerts: what raises them.

use super::{Config, Unusable};
use bridge::alerts::{AlertSettings, BadRule, Condition, Rule, Side, is_code};
use protocol::{Millis, Severity};
use serde::{Deserialize, Serialize};

/// What raises alerts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerting {
    /// How bad a command is that failed or timed out.
    pub commands: CommandAlerts,
}

impl Default for Alerting {
    fn default() -> Self {
        Self { commands: CommandAlerts::Warning }
    }
}

/// How bad a command is that failed or timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandAlerts {
    /// It raises no alert.
    Off,
    /// As [`Severity::Info`].
    Info,
    /// As [`Severity::Warning`].
    Warning,
    /// As [`Severity::Critical`].
    Critical,
}

impl CommandAlerts {
    const fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Info => Some(Severity::Info),
            Self::Warning => Some(Severity::Warning),
            Self::Critical => Some(Severity::Critical),
        }
    }
}

/// A rule that raises alerts: `metric` with `above` or `below`, or `offline_ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// The alert's code.
    pub code: String,
    /// How bad it is.
    #[serde(default = "warning")]
    pub severity: Severity,
    /// The alert's message; none: one that says what was seen.
    #[serde(default)]
    pub message: Option<String>,
    /// Only devices of this type; none: all.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The metric that is watched.
    #[serde(default)]
    pub metric: Option<String>,
    /// Greater values are wrong.
    #[serde(default)]
    pub above: Option<f64>,
    /// Smaller values are wrong.
    #[serde(default)]
    pub below: Option<f64>,
    /// The alert is cleared when the metric is back at this value; none: at the limit.
    #[serde(default)]
    pub clear: Option<f64>,
    /// It must be wrong for so long without a break.
    #[serde(default)]
    pub for_ms: Option<u64>,
    /// A device that is offline for longer is wrong.
    #[serde(default)]
    pub offline_ms: Option<u64>,
}

const fn warning() -> Severity {
    Severity::Warning
}

/// The longest time that a rule may say: 366 days.
const LASTING_MAX_MS: u64 = 366 * 86_400_000;

impl AlertRule {
    fn compile(&self) -> Result<Rule, Vec<String>> {
        let code = (!is_code(&self.code)).then(|| BadRule::Code(self.code.clone()).to_string());
        let (condition, of_condition) = match self.condition() {
            Ok(condition) => {
                let mistakes = condition.mistakes().iter().map(ToString::to_string).collect();
                (Some(condition), mistakes)
            }
            Err(shape) => (None, vec![shape]),
        };
        let mistakes = code.into_iter().chain(of_condition).chain(self.too_long());
        let mistakes: Vec<_> = mistakes.collect();
        match condition {
            Some(condition) if mistakes.is_empty() => Ok(Rule {
                severity: self.severity,
                code: self.code.clone(),
                message: self.message.clone(),
                kind: self.kind.clone(),
                condition,
            }),
            Some(_) | None => Err(mistakes),
        }
    }

    fn too_long(&self) -> Option<String> {
        let lasting = self.for_ms.or(self.offline_ms)?;
        let told = || format!("{lasting} ms is longer than 366 days, {LASTING_MAX_MS} ms");
        (lasting > LASTING_MAX_MS).then(told)
    }

    fn condition(&self) -> Result<Condition, String> {
        let threshold = self.above.is_some()
            || self.below.is_some()
            || self.clear.is_some()
            || self.for_ms.is_some();
        let metric = match (&self.metric, self.offline_ms) {
            (None, Some(longer)) if !threshold => {
                return Ok(Condition::Offline { longer_than: Millis(longer) });
            }
            (Some(metric), None) => metric.clone(),
            (None | Some(_), _) => return Err(SHAPE.into()),
        };
        let (side, limit) = match (self.above, self.below) {
            (Some(limit), None) => (Side::Above, limit),
            (None, Some(limit)) => (Side::Below, limit),
            (Some(_), Some(_)) | (None, None) => return Err(SHAPE.into()),
        };
        let clear = self.clear.unwrap_or(limit);
        let lasting = Millis(self.for_ms.unwrap_or(0));
        Ok(Condition::Threshold { metric, side, limit, clear, lasting })
    }
}

/// What a rule is made of.
const SHAPE: &str = "a rule has metric with one of above and below, and if wanted clear and for_ms; \
     or offline_ms alone";

impl Config {
    /// The rules, compiled.
    ///
    /// # Errors
    /// All that is wrong with each rule, by its place.
    pub fn alert_rules(&self) -> Result<AlertSettings, Vec<Unusable>> {
        let (mut rules, mut mistakes) = (Vec::<Rule>::new(), Vec::new());
        for (index, rule) in self.alerts.iter().enumerate() {
            let compiled = rule.compile().and_then(|rule| {
                match rules.iter().find(|other| rule.collides(other)) {
                    Some(other) => Err(vec![format!(
                        "another rule raises '{}' with the same severity for the same devices",
                        other.code
                    )]),
                    None => Ok(rule),
                }
            });
            let unusable = |why| Unusable { key: format!("alerts[{index}]"), why };
            match compiled {
                Ok(rule) => rules.push(rule),
                Err(all) => mistakes.extend(all.into_iter().map(unusable)),
            }
        }
        let commands = self.alerting.commands.severity();
        if mistakes.is_empty() { Ok(AlertSettings { rules, commands }) } else { Err(mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(change: impl Fn(&mut AlertRule)) -> Result<Rule, Vec<String>> {
        let mut rule = AlertRule {
            code: "hot".into(),
            severity: Severity::Warning,
            message: None,
            kind: None,
            metric: Some("temperature".into()),
            above: Some(30.0),
            below: None,
            clear: None,
            for_ms: None,
            offline_ms: None,
        };
        change(&mut rule);
        rule.compile()
    }

    #[test]
    fn a_rule_is_about_one_thing() {
        assert!(rule(|_| ()).is_ok());
        let away = rule(|rule| {
            (rule.metric, rule.above, rule.offline_ms) = (None, None, Some(60_000));
        });
        let longer_than = Millis(60_000);
        assert_eq!(away.unwrap().condition, Condition::Offline { longer_than });
        for refused in [
            rule(|rule| rule.above = None),
            rule(|rule| rule.below = Some(1.0)),
            rule(|rule| rule.metric = None),
            rule(|rule| rule.offline_ms = Some(1)),
        ] {
            assert_eq!(refused, Err(vec![SHAPE.into()]));
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_rule_is_told() {
        let mistakes = rule(|rule| {
            (rule.code, rule.clear, rule.for_ms) = ("".into(), Some(31.0), Some(u64::MAX));
        });
        let mistakes = mistakes.unwrap_err();
        for (mistake, told) in mistakes.iter().zip(["code '' ", "wrong side", "366 days"]) {
            assert!(mistake.contains(told), "{mistakes:?}");
        }
        assert_eq!(mistakes.len(), 3);
        let mistakes = rule(|rule| (rule.code, rule.above) = ("".into(), None)).unwrap_err();
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    }
}
