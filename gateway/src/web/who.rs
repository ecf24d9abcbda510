//! Who asks, from where, and what is in that user's sight: what the audit log tells of a request, and what
//! is as good as not there for it.

use super::{Web, caller::Caller, problem::Refused, token::unauthenticated};
use crate::auth::User;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{StatusCode, request::Parts},
};
use bridge::{
    audit::{Deed, Party},
    rights::Rights,
};
use protocol::DeviceId;
use std::{net::SocketAddr, sync::Arc};

/// Who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The user's name.
    pub(super) user: Arc<str>,
    /// The network address.
    pub(super) address: Option<Arc<str>>,
    /// What they may see.
    pub(super) rights: Rights,
}

impl Who {
    /// `user`, who asks from `peer`.
    pub(super) fn new(user: &User, peer: Option<SocketAddr>) -> Self {
        let address = peer.map(|peer| peer.to_string().into());
        Self { user: user.name.clone(), address, rights: user.rights.clone() }
    }

    /// Refuses a device that is out of sight as one that is not there.
    pub(super) fn check(&self, device: &DeviceId) -> Result<(), Refused> {
        if self.rights.may_see_device(device) { Ok(()) } else { Err(unknown_device(device)) }
    }

    /// The same for what a device has on its channel `{kind}/{device}`, which may be out of sight though
    /// the device is not.
    pub(super) fn check_of(&self, kind: &str, device: &DeviceId) -> Result<(), Refused> {
        if self.rights.may_see_of(kind, device) {
            return Ok(());
        }
        self.check(device)?;
        Err(self.out_of_sight(&format!("'{kind}/{device}'")))
    }

    /// The same for all that a device has on any of its channels.
    pub(super) fn check_all_of(&self, device: &DeviceId) -> Result<(), Refused> {
        self.check(device)?;
        match self.rights.hidden_of(device) {
            None => Ok(()),
            Some(hidden) => Err(self.out_of_sight(&format!("'{hidden}'"))),
        }
    }

    /// Refuses what would be there for others.
    pub(super) fn out_of_sight(&self, what: &str) -> Refused {
        let detail = format!("{what} is not among what the token of '{}' may see", self.user);
        Refused::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Something they did, for the audit log.
    pub(super) fn deed<'a, D>(
        &'a self,
        action: &'a str,
        device: Option<&'a DeviceId>,
        details: D,
    ) -> Deed<'a, D> {
        let by = Party::User { name: &self.user, address: self.address.as_deref() };
        Deed { by, action, device, details }
    }
}

pub(super) fn unknown_device(id: &DeviceId) -> Refused {
    Refused::not_found("unknown_device", format!("there is no device '{id}'"))
}

impl FromRequestParts<Arc<Web>> for Who {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Web>) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let caller = parts.extensions.get::<Caller>().ok_or_else(unauthenticated);
        std::future::ready(caller.map(|Caller(user)| Self::new(user, peer))).await
    }
}
