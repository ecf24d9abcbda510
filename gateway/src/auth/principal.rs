//! Who an MQTT client is: what signing in has found out.

use super::{DeviceCredential, User, jwt::KeyPrint};
use bridge::acl::Who;
use protocol::{DeviceId, Role, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who a client is, as access rules see it. It is kept with the client's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A device.
    Device {
        /// Its id.
        id: DeviceId,
        /// The type that its credential gives it.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        kind: Option<Arc<str>>,
    },
    /// A user.
    User {
        /// The name.
        name: Arc<str>,
        /// What the user may do.
        role: Role,
    },
}

impl Identity {
    /// As access rules see it.
    #[must_use]
    pub fn who(&self) -> Who<'_> {
        match self {
            Self::Device { id, kind } => Who::Device(id, kind.as_deref()),
            Self::User { name, role } => Who::User(name, *role),
        }
    }

    /// Whether `other` is the same device or user, whatever it may do by now.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Device { id, .. }, Self::Device { id: other, .. }) => id == other,
            (Self::User { name, .. }, Self::User { name: other, .. }) => name == other,
            (Self::Device { .. }, Self::User { .. }) | (Self::User { .. }, Self::Device { .. }) => {
                false
            }
        }
    }
}

/// Who signed in, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub identity: Identity,
    pub(super) proof: Proof,
}

/// What let a client in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Certificate {
        ends_at: Timestamp,
    },
    /// None: it is the session of a client that is away.
    Session,
    Secret(Arc<DeviceCredential>),
    Token(User),
    Jwt {
        ends_at: Timestamp,
        /// What it was signed with.
        key: KeyPrint,
    },
}

impl Principal {
    /// When the client has to sign in again.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        match &self.proof {
            Proof::Session | Proof::Secret(_) => None,
            Proof::Token(user) => user.expires_at,
            Proof::Certificate { ends_at } | Proof::Jwt { ends_at, .. } => Some(*ends_at),
        }
    }

    /// Whose session an earlier process kept.
    #[must_use]
    pub fn of_session(identity: Identity) -> Self {
        Self { identity, proof: Proof::Session }
    }

    pub(super) fn of_user(user: &User) -> Self {
        let identity = Identity::User { name: user.name.clone(), role: user.role };
        Self { identity, proof: Proof::Token(user.clone()) }
    }

    pub(super) fn of_device(id: DeviceId, kind: Option<Arc<str>>, proof: Proof) -> Self {
        Self { identity: Identity::Device { id, kind }, proof }
    }
}
