//! What one client may do: its identity and the access rules. A client that is trusted has none of it, and costs
//! nothing here.

use crate::auth::{Identity, Principal};
use bridge::acl::{Action, Client, Grant, Rules};
use protocol::{CommandId, DeviceId, TopicFilter, topics};
use std::sync::Arc;

/// A command id that no command has, to ask rules with.
const SOME_COMMAND: CommandId = CommandId::from_u128(0);

/// What one client may do that had to sign in.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) principal: Principal,
    client_id: Arc<str>,
    rules: Rules,
}

/// None: the client is trusted and may do all.
pub(super) type MaybeAccess = Option<Arc<Access>>;

impl Access {
    pub(super) fn new(principal: Principal, client_id: Arc<str>, rules: Rules) -> Self {
        Self { principal, client_id, rules }
    }

    pub(super) fn may_publish(&self, topic: &str) -> bool {
        self.rules.allow(&self.client(), Action::Publish, topic)
    }

    /// Whether it may be sent a message on `topic`.
    pub(super) fn may_read(&self, topic: &str) -> bool {
        self.rules.allow(&self.client(), Action::Subscribe, topic)
    }

    pub(super) fn grant(&self, filter: &TopicFilter) -> Grant {
        self.rules.grant(&self.client(), filter.as_str()).0
    }

    /// Whether it may receive the commands of `device`: read them, and answer.
    pub(super) fn may_receive(&self, device: &DeviceId) -> bool {
        let answer = topics::answer(device, SOME_COMMAND);
        let command = topics::command(device, SOME_COMMAND);
        self.may_read(&command) && self.may_publish(&answer)
    }

    /// Whether it is the device whose id its client id is.
    pub(super) fn is_namesake(&self) -> bool {
        match &self.principal.identity {
            Identity::Device { id, .. } => id.as_str() == &*self.client_id,
            Identity::User { .. } => false,
        }
    }

    fn client(&self) -> Client<'_> {
        Client { who: self.principal.identity.who(), client_id: &self.client_id }
    }
}

/// Whether two clients, or their sessions, are those of one user or device.
pub(super) fn is_same(a: &MaybeAccess, b: &MaybeAccess) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.principal.identity.is_same(&b.principal.identity),
        (None, Some(_)) | (Some(_), None) => false,
    }
}
