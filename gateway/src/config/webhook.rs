//! Who is told of alerts: `[webhook]`.

use super::{
    Unusable,
    check::{DAY_MS, Range, unusable},
};
use crate::webhook::Key;
use axum::http::{Uri, uri::Authority};
use protocol::Severity;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};

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
    /// Posts that may wait behind the one that is tried; beyond, the one that waits longest is given up.
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

    /// What is wrong with its other values, where there is a URL: nothing is done with them without one.
    pub(super) fn mistakes(&self) -> Vec<Unusable> {
        if self.url.is_empty() {
            return Vec::new();
        }
        let ca = self.ca.as_ref().and_then(|ca| trust::in_file(ca).err());
        let all = [
            ("webhook.url", self.bad_url()),
            ("webhook.secret", self.bad_secret().map(Into::into)),
            ("webhook.ca", ca.map(|error| error.to_string())),
        ];
        all.into_iter().filter_map(|(key, why)| Some(unusable(key, why?))).collect()
    }

    fn bad_url(&self) -> Option<String> {
        let plain = self.url.parse::<Uri>().ok().is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
        });
        if !plain {
            return Some(format!("'{}' is no http or https URL", without_secrets(&self.url)));
        }
        let names_user = self.authority().is_some_and(|authority| authority.as_str().contains('@'));
        names_user
            .then(|| "it names a user, who is not sent: leave user and password out".to_owned())
    }

    fn bad_secret(&self) -> Option<&'static str> {
        if self.secret.0.is_empty() {
            return Some("is empty: posts are signed with it, so give one to both sides");
        }
        Key::of(&self.secret.0).is_none().then_some(
            "begins with whsec_, and what follows is no Base64: give the secret as the receiver shows it, \
             with = at its end, or a text that begins otherwise",
        )
    }

    fn authority(&self) -> Option<Authority> {
        self.url.parse::<Uri>().ok()?.into_parts().authority
    }

    /// Who is posted to, as logs may say it.
    pub(crate) fn receiver(&self) -> String {
        self.authority().map(|authority| authority.to_string()).unwrap_or_default()
    }
}

/// The scheme and the host of what should be a URL: a user, the path or the query may be secret.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let more = if rest.len() > authority.len() { "/..." } else { "" };
    format!("{scheme}{host}{more}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_webhooks_url_logs_say_whose_it_is_and_a_user_in_it_is_told_to_be_of_no_use() {
        let webhook = |url: &str| Webhook {
            url: url.into(),
            secret: Secret("geheim".into()),
            ..Webhook::default()
        };
        let good = webhook("https://hooks.example:8443/services/T0/geheim?key=geheim");
        assert_eq!((good.mistakes(), &*good.receiver()), (vec![], "hooks.example:8443"));
        let why = webhook("https://anna:geheim@hooks.example/").mistakes().remove(0).to_string();
        assert!(why.starts_with("webhook.url: ") && !why.contains("geheim"), "{why}");
    }

    #[test]
    fn of_a_url_that_is_none_only_scheme_and_host_are_told() {
        for (url, told) in [
            ("htps://anna:geheim@h.example/geheim?token=geheim", "'htps://h.example/...' is no"),
            ("h.example/geheim", "'h.example/...' is no"),
            ("htps://h.example?geheim", "'htps://h.example/...' is no"),
            ("htps://h.example", "'htps://h.example' is no"),
        ] {
            let mistake = Webhook { url: url.into(), ..Webhook::default() }.mistakes().remove(0);
            assert!(mistake.why.starts_with(told), "{mistake}");
        }
    }

    #[test]
    fn a_webhook_has_a_url_and_a_secret_and_each_that_is_wrong_is_told() {
        let mistakes = |url: &str, secret: &str, ca: Option<&str>| {
            let (url, secret) = (url.into(), Secret(secret.into()));
            let webhook = Webhook { url, secret, ca: ca.map(Into::into), ..Webhook::default() };
            webhook.mistakes().into_iter().map(|mistake| mistake.key).collect::<Vec<_>>()
        };
        let (url, nowhere) = ("https://ops.example/hook", Some("/nowhere.pem"));
        assert_eq!(mistakes("", "", nowhere), [""; 0]);
        assert_eq!(mistakes(url, "s", None), [""; 0]);
        assert_eq!(mistakes(url, "whsec_c2VjcmV0", None), [""; 0]);
        for secret in ["", "whsec_", "whsec_!!!not base64", "whsec_c2VjcmU"] {
            assert_eq!(mistakes(url, secret, None), ["webhook.secret"], "{secret}");
        }
        assert_eq!(mistakes(url, "s", nowhere), ["webhook.ca"]);
        let all = ["webhook.url", "webhook.secret", "webhook.ca"];
        assert_eq!(mistakes("ops.example", "", nowhere), all);
        assert!(!format!("{:?}", Secret("hidden".into())).contains("hidden"));
    }
}
