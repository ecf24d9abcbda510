//! Who asks, and from where: what the audit log tells of a request.

use super::{
    Web,
    caller::{Caller, unauthenticated},
    problem::Refused,
};
use crate::auth::User;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use bridge::audit::{Deed, Party};
use protocol::DeviceId;
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc};

/// Who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The user's name.
    pub(super) user: Arc<str>,
    /// The network address.
    pub(super) address: Option<Arc<str>>,
}

impl Who {
    /// `user`, who asks from `peer`.
    pub(super) fn new(user: &User, peer: Option<SocketAddr>) -> Self {
        Self { user: user.name.clone(), address: peer.map(|peer| peer.to_string().into()) }
    }

    /// Something they did, for the audit log.
    pub(super) fn deed<'a>(
        &'a self,
        action: &'a str,
        device: Option<&'a DeviceId>,
        details: Value,
    ) -> Deed<'a> {
        let by = Party::User { name: &self.user, address: self.address.as_deref() };
        Deed { by, action, device, details }
    }
}

impl FromRequestParts<Arc<Web>> for Who {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Web>) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let caller = parts.extensions.get::<Caller>().ok_or_else(unauthenticated);
        std::future::ready(caller.map(|Caller(user)| Self::new(user, peer))).await
    }
}
