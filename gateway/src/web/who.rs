//! Who asks, and from where: what the audit log tells of a request.

use super::Web;
use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use bridge::audit::{Deed, Party};
use protocol::DeviceId;
use serde_json::Value;
use std::{convert::Infallible, net::SocketAddr, sync::Arc};

/// Who asks where nobody needs to sign in.
pub(super) const LOCAL_USER: &str = "local";

/// Who asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The user's name.
    pub(super) user: Arc<str>,
    /// The network address.
    pub(super) address: Option<Arc<str>>,
}

impl Who {
    /// Somebody on the gateway's own machine.
    pub(super) fn local(peer: SocketAddr) -> Self {
        Self { user: LOCAL_USER.into(), address: Some(peer.to_string().into()) }
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
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Web>) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let address = peer.map(|peer| peer.to_string().into());
        std::future::ready(Ok(Self { user: LOCAL_USER.into(), address })).await
    }
}
