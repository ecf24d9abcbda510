//! Settings of alerts: what raises them, and who is told.

use super::{
    Config, Unusable,
    check::{DAY_MS, Range},
};
use axum::http::{Uri, uri::Authority};
use bridge::alerts::{AlertSettings, Condition, Rule, Side};
use protocol::{Millis, Severity};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

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
    fn compile(&self) -> Result<Rule, String> {
        let rule = Rule {
            severity: self.severity,
            code: self.code.clone(),
            message: self.message.clone(),
            kind: self.kind.clone(),
            condition: self.condition()?,
        };
        rule.check().map_err(|error| error.to_string())?;
        match self.for_ms.or(self.offline_ms) {
            Some(lasting) if lasting > LASTING_MAX_MS => {
                Err(format!("{lasting} ms is longer than 366 days, {LASTING_MAX_MS} ms"))
            }
            Some(_) | None => Ok(rule),
        }
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

/// Who is told of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where alerts are posted to; empty: nowhere.
    pub url: String,
    /// What the posts are signed with.
    pub secret: Secret,
    /// Who may sign the receiver's certificate: a file in PEM. None: whom the system trusts.
    pub ca: Option<PathBuf>,
    /// Less bad alerts are not posted.
    pub severity: Severity,
    /// How long an attempt may take.
    pub timeout_ms: u64,
    /// How often a post is tried before it is given up.
    pub attempts: u32,
    /// Posts that may wait; beyond, the oldest is given up.
    pub queue: u32,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret: Secret::default(),
            ca: None,
            severity: Severity::Info,
            timeout_ms: 10_000,
            attempts: 10,
            queue: 1_000,
        }
    }
}

impl Webhook {
    pub(super) fn ranges(&self) -> [Range; 3] {
        [
            ("webhook.timeout_ms", self.timeout_ms, 100..=DAY_MS),
            ("webhook.attempts", self.attempts.into(), 1..=100),
            ("webhook.queue", self.queue.into(), 1..=1_000_000),
        ]
    }

    pub(super) fn mistake(&self) -> Option<Unusable> {
        if self.url.is_empty() {
            return None;
        }
        let unusable = |key: &str, why: String| Some(Unusable { key: key.into(), why });
        let plain = self.url.parse::<Uri>().ok().is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
        if !plain {
            return unusable("webhook.url", format!("'{}' is no http or https URL", self.url));
        }
        if self.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            let why = "it names a user, who is not sent: leave user and password out";
            return unusable("webhook.url", why.into());
        }
        if self.secret.0.is_empty() {
            let why = "is empty: posts are signed with it, so give one to both sides";
            return unusable("webhook.secret", why.into());
        }
        let unreadable = |ca: &PathBuf| trust::in_file(ca).err();
        let error = self.ca.as_ref().and_then(unreadable)?;
        unusable("webhook.ca", error.to_string())
    }

    fn authority(&self) -> Option<Authority> {
        self.url.parse::<Uri>().ok()?.into_parts().authority
    }

    /// Who is posted to, as logs may say it.
    pub(crate) fn receiver(&self) -> String {
        self.authority().map(|authority| authority.to_string()).unwrap_or_default()
    }
}

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(...)" })
    }
}

impl Config {
    /// The rules, compiled.
    ///
    /// # Errors
    /// Each rule that cannot be, by its place.
    pub fn alert_rules(&self) -> Result<AlertSettings, Vec<Unusable>> {
        let (mut rules, mut mistakes) = (Vec::<Rule>::new(), Vec::new());
        for (index, rule) in self.alerts.iter().enumerate() {
            let compiled = rule.compile().and_then(|rule| {
                match rules.iter().find(|other| rule.collides(other)) {
                    Some(other) => Err(format!(
                        "another rule raises '{}' with the same severity for the same devices",
                        other.code
                    )),
                    None => Ok(rule),
                }
            });
            match compiled {
                Ok(rule) => rules.push(rule),
                Err(why) => mistakes.push(Unusable { key: format!("alerts[{index}]"), why }),
            }
        }
        let commands = self.alerting.commands.severity();
        if mistakes.is_empty() { Ok(AlertSettings { rules, commands }) } else { Err(mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(change: impl Fn(&mut AlertRule)) -> Result<Rule, String> {
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
    fn of_the_webhooks_url_logs_say_whose_it_is_and_a_user_in_it_is_told_to_be_of_no_use() {
        let webhook = |url: &str| Webhook {
            url: url.into(),
            secret: Secret("geheim".into()),
            ..Webhook::default()
        };
        let good = webhook("https://hooks.example:8443/services/T0/geheim?key=geheim");
        assert_eq!((good.mistake(), &*good.receiver()), (None, "hooks.example:8443"));
        let why = webhook("https://anna:geheim@hooks.example/").mistake().unwrap().to_string();
        assert!(why.starts_with("webhook.url: ") && !why.contains("geheim"), "{why}");
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
            assert_eq!(refused, Err(SHAPE.into()));
        }
        assert!(rule(|rule| rule.clear = Some(31.0)).unwrap_err().contains("wrong side"));
        assert!(rule(|rule| rule.for_ms = Some(u64::MAX)).unwrap_err().contains("366 days"));
    }

    #[test]
    fn a_webhook_has_a_url_and_a_secret() {
        let mistake = |url: &str, secret: &str| {
            let (url, secret) = (url.into(), Secret(secret.into()));
            Webhook { url, secret, ..Webhook::default() }.mistake().map(|mistake| mistake.key)
        };
        assert_eq!(mistake("", ""), None);
        assert_eq!(mistake("https://ops.example/hook", "s"), None);
        assert_eq!(mistake("https://ops.example/hook", "").as_deref(), Some("webhook.secret"));
        assert_eq!(mistake("ops.example", "s").as_deref(), Some("webhook.url"));
        let (url, secret) = ("https://ops.example/hook".into(), Secret("s".into()));
        let missing =
            Webhook { url, secret, ca: Some("/nowhere.pem".into()), ..Webhook::default() };
        assert_eq!(missing.mistake().map(|mistake| mistake.key).as_deref(), Some("webhook.ca"));
        assert!(!format!("{:?}", Secret("hidden".into())).contains("hidden"));
    }
}
