//! Who a client is that sent a CONNECT, and what it may do: asked of the gate, counted, held back where it guesses.

use super::{access::Access, access::MaybeAccess, reason::Reason, shared::Shared, wire::Connect};
use crate::auth::{Brought, Claim, Held, Principal, Refusal, TooMany};
use std::{net::SocketAddr, sync::Arc};

/// Who the client is; none: it is trusted.
pub(super) async fn sign_in(
    shared: &Shared,
    connect: &Connect,
    address: SocketAddr,
    brought: &Brought,
) -> Result<Option<Principal>, Reason> {
    let refused = |refusal| refused(shared, connect, address, refusal);
    let claim = Claim {
        address: address.ip(),
        user: connect.user.as_deref(),
        password: connect.password.as_ref().map(|password| &*password.0),
    };
    if let Some(known) = shared.gate.known(brought, &claim).map_err(refused)? {
        return Ok(Some(known));
    }
    if !shared.gate.is_required(brought) {
        return Ok(None);
    }
    if connect.password.is_none() {
        return Err(refused(Refusal::Missing));
    }
    let welcome = shared.gate.takes_welcome(&claim);
    let _held = if welcome { None } else { Some(hold(shared, &claim).await?) };
    shared.gate.sign_in(&claim).await.map(Some).map_err(refused)
}

/// Holds back who has to wait, and gives that it is under way.
async fn hold(shared: &Shared, claim: &Claim<'_>) -> Result<Held, Reason> {
    let held = shared.gate.comes(claim).map_err(|TooMany| {
        shared.counters.refused_guessing.increment();
        Reason::ConnectionRateExceeded
    })?;
    if !held.delay.is_zero() {
        shared.counters.sign_ins_delayed.increment();
        tokio::time::sleep(held.delay).await;
    }
    Ok(held)
}

/// What `principal` may do as `client_id`; its will must be among that.
pub(super) fn access(
    shared: &Shared,
    principal: Option<Principal>,
    client_id: &Arc<str>,
    will: Option<&str>,
) -> Result<MaybeAccess, Reason> {
    let Some(principal) = principal else { return Ok(None) };
    let access = Access::new(principal, client_id.clone(), shared.rules.clone());
    // That of a Mosquitto's bridge is there, whoever it is. It is published for nobody, trusted or not.
    let will = will.filter(|topic| !topic.starts_with("$SYS/"));
    if will.is_some_and(|topic| !access.may_publish(topic)) {
        shared.counters.refused_will.increment();
        return Err(Reason::NotAuthorized);
    }
    Ok(Some(Arc::new(access)))
}

fn refused(shared: &Shared, connect: &Connect, address: SocketAddr, refusal: Refusal) -> Reason {
    let counters = &shared.counters;
    let (counter, reason) = match refusal {
        Refusal::Missing => (&counters.refused_unauthenticated, Reason::NotAuthorized),
        Refusal::Wrong => (&counters.refused_credentials, Reason::BadUserNameOrPassword),
        Refusal::Expired => (&counters.refused_expired, Reason::BadUserNameOrPassword),
        Refusal::Narrowed => (&counters.refused_narrowed, Reason::NotAuthorized),
        Refusal::Busy => (&counters.refused_busy, Reason::ServerBusy),
    };
    counter.increment();
    if shared.complaints.due(&address.ip().to_string(), std::time::Instant::now()) {
        let (client, user) = (&connect.client_id, connect.user.as_deref());
        tracing::warn!(%address, client, user, ?refusal, "an MQTT client is not let in");
    }
    reason
}
