//! Who may use the gateway over MQTT: `[auth]` and `[[acl]]`.

use super::{Config, Unusable};
use crate::auth::{self, BadKey, JwtKeys, KeySource};
use bridge::acl::{Action, Effect, Origin, Pattern, Rule, Rules, Whom};
use protocol::{DevicePattern, Role};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How MQTT clients sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// MQTT clients must sign in, though there be no credentials yet.
    pub required: bool,
    /// JSON Web Tokens as passwords of devices.
    pub jwt: Jwt,
}

/// JSON Web Tokens as passwords of devices; no file: there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// A PEM public key, or the bytes of a secret for HS256.
    pub key_file: Option<PathBuf>,
    /// A JSON Web Key Set.
    pub jwks_file: Option<PathBuf>,
    /// What `aud` must be or have; empty: anything.
    pub audience: String,
    /// The claim that is the device's id.
    pub device_claim: String,
}

impl Default for Jwt {
    fn default() -> Self {
        let (audience, device_claim) = (String::new(), "sub".into());
        Self { key_file: None, jwks_file: None, audience, device_claim }
    }
}

/// An access rule: the first that concerns a client and matches a topic decides, before the built-in ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclRule {
    /// What it does.
    pub effect: AclEffect,
    /// Only for the user with this name.
    #[serde(default)]
    pub user: Option<String>,
    /// Only for users with exactly this role.
    #[serde(default)]
    pub role: Option<Role>,
    /// Only for devices with such an id; `*` stands for any characters.
    #[serde(default)]
    pub device: Option<DevicePattern>,
    /// Only for devices whose credential has this type.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// What it is about.
    #[serde(default)]
    pub action: AclAction,
    /// A filter of topics; `%u` is the user name (the id of a device), `%c` the client id.
    pub topic: String,
}

/// What an access rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AclEffect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// What an access rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AclAction {
    /// Publishing, wills too.
    Publish,
    /// Subscribing, and being sent messages.
    Subscribe,
    /// Both.
    #[default]
    Any,
}

impl AclRule {
    fn compiled(&self, place: usize) -> Result<Rule, Vec<Unusable>> {
        let unusable =
            |name: &str, why: String| Unusable { key: format!("acl[{place}].{name}"), why };
        let by_user = self.user.is_some() || self.role.is_some();
        let by_device = self.device.is_some() || self.kind.is_some();
        let of_both = (by_user && by_device).then(|| {
            let why = "a rule for users (user, role) is none for devices (device, type): make two";
            unusable("device", why.into())
        });
        let topic = self.topic.parse();
        let topic = topic.map_err(|error| unusable("topic", format!("'{}': {error}", self.topic)));
        match (of_both, topic) {
            (None, Ok(topic)) => Ok(self.rule(place, topic)),
            (of_both, topic) => Err(of_both.into_iter().chain(topic.err()).collect()),
        }
    }

    fn rule(&self, place: usize, topic: Pattern) -> Rule {
        Rule {
            origin: Origin::Configured(place),
            effect: match self.effect {
                AclEffect::Allow => Effect::Allow,
                AclEffect::Deny => Effect::Deny,
            },
            whom: Whom {
                user: self.user.clone(),
                role: self.role,
                device: self.device.clone(),
                kind: self.kind.clone(),
            },
            action: match self.action {
                AclAction::Publish => Some(Action::Publish),
                AclAction::Subscribe => Some(Action::Subscribe),
                AclAction::Any => None,
            },
            topic,
        }
    }
}

impl Config {
    /// Who may publish and subscribe what.
    ///
    /// # Panics
    /// Where [`Self::mistakes`] has something to say of `acl`.
    #[must_use]
    pub fn access_rules(&self) -> Rules {
        self.acl_rules().expect("checked with the other settings")
    }

    pub(super) fn acl_rules(&self) -> Result<Rules, Vec<Unusable>> {
        let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
        for (place, rule) in self.acl.iter().enumerate() {
            match rule.compiled(place) {
                Ok(rule) => rules.push(rule),
                Err(all) => mistakes.extend(all),
            }
        }
        if mistakes.is_empty() { Ok(Rules::new(rules)) } else { Err(mistakes) }
    }

    /// The keys that JWTs are checked with; none: there are no JWTs.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn jwt_keys(&self) -> Result<Option<JwtKeys>, Unusable> {
        let Jwt { key_file, jwks_file, audience, device_claim } = &self.auth.jwt;
        let (key, source) = match (key_file, jwks_file) {
            (None, None) => return Ok(None),
            (Some(path), None) => ("auth.jwt.key_file", KeySource::KeyFile(path.clone())),
            (None, Some(path)) => ("auth.jwt.jwks_file", KeySource::Jwks(path.clone())),
            (Some(_), Some(_)) => {
                let why = "give auth.jwt.key_file or auth.jwt.jwks_file, not both".into();
                return Err(Unusable { key: "auth.jwt".into(), why });
            }
        };
        let keys = JwtKeys::read(source, audience, device_claim);
        keys.map(Some).map_err(|BadKey(why)| Unusable { key: key.into(), why })
    }

    /// Whether there is something that clients can sign in with over MQTT.
    pub(super) fn mqtt_has_credentials(&self) -> bool {
        let Jwt { key_file, jwks_file, .. } = &self.auth.jwt;
        auth::has_devices(&self.data_dir.0) || key_file.is_some() || jwks_file.is_some()
    }

    /// Whether clients must sign in over MQTT when the gateway starts.
    #[must_use]
    pub fn mqtt_signs_in(&self) -> bool {
        self.mqtt_has_credentials() || self.mqtt_sign_in_required()
    }

    /// Whether a client has to sign in over MQTT whatever credentials there are: what listens for other machines
    /// serves nobody else.
    #[must_use]
    pub fn mqtt_sign_in_required(&self) -> bool {
        let listens = [Some(self.mqtt.listen), self.mqtt.tls_listen];
        self.auth.required || listens.iter().flatten().any(|listen| !listen.ip().is_loopback())
    }
}
