//! How MQTT clients sign in: by a certificate, a device's secret, a JWT or a user's token. Users of HTTP and
//! WebSockets come through the same gate (`by_token`), so that who guesses is held back wherever it tries.

use super::{
    Auth, Brought, Certified, Claim, Denied, DeviceCredential, Devices, Standing, User,
    guard::{Comer, Guard, Held, TooMany, Way},
    guesses::{Guess, Guesses, Tally},
    jwt::{BadJwt, Bearer, JwtKeys},
    principal::{Identity, Principal, Proof},
    slow::{Busy, SlowHashes},
};
use crate::clock;
use protocol::DeviceId;
use std::{sync::Arc, time::Instant};

/// Where all sign in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    auth: Auth,
    /// The configuration wants it, whatever credentials there are.
    required: bool,
    jwt: Option<JwtKeys>,
    guard: Guard,
    guesses: Tally,
    slow: SlowHashes,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It showed nothing.
    Missing,
    /// What it showed is wrong, or revoked.
    Wrong,
    /// What it showed has expired.
    Expired,
    /// Its token is narrowed to devices or channels, which MQTT cannot keep to.
    Narrowed,
    /// Too many are signing in with secrets that are slow to check.
    Busy,
}

impl Gate {
    /// Signs in with the credentials of `auth` and with JWTs.
    #[must_use]
    pub fn new(auth: Auth, required: bool, jwt: Option<JwtKeys>) -> Self {
        let (guard, guesses, slow) = (Guard::default(), Tally::default(), SlowHashes::new());
        Self(Arc::new(Inner { auth, required, jwt, guard, guesses, slow }))
    }

    /// Whether a client must sign in that brought this.
    #[must_use]
    pub fn is_required(&self, brought: &Brought) -> bool {
        match brought {
            Brought::Nothing => self.is_required_by_mqtt(),
            Brought::NothingByHttp | Brought::User(_) => {
                self.is_required_by_mqtt() || self.0.auth.is_required()
            }
            Brought::Certificate(_) => false,
        }
    }

    fn is_required_by_mqtt(&self) -> bool {
        self.0.required || self.0.jwt.is_some() || self.0.auth.devices().is_some()
    }

    /// Who a client is by what it brought; none: that is for its CONNECT to say. A token that a request showed counts
    /// for a CONNECT that says nothing, since a browser shows its cookie whoever the page signs in as.
    ///
    /// # Errors
    /// When that does not count for MQTT.
    pub fn known(
        &self,
        brought: &Brought,
        claim: &Claim<'_>,
    ) -> Result<Option<Principal>, Refusal> {
        self.0.auth.look_at_devices();
        match brought {
            Brought::Nothing | Brought::NothingByHttp => Ok(None),
            Brought::Certificate(Certified { device, ends_at }) => {
                let kind = self.0.auth.devices().and_then(|all| all.get(device)?.kind.clone());
                let proof = Proof::Certificate { ends_at: *ends_at };
                Ok(Some(Principal::of_device(device.clone(), kind, proof)))
            }
            Brought::User(user) if user.is_local() || claim.says_something() => Ok(None),
            Brought::User(user) => by_user(user).map(Some),
        }
    }

    /// Somebody wants to sign in, and has to wait as the answer says.
    ///
    /// # Errors
    /// When too many others at its address wait already.
    pub fn comes(&self, claim: &Claim<'_>) -> Result<Held, TooMany> {
        self.hold(claim.comer(self.named_by(claim).as_deref()))
    }

    /// Holds somebody back who has to wait, and notes that.
    pub(super) fn hold(&self, comer: Comer<'_>) -> Result<Held, TooMany> {
        let held = self.0.guard.comes(comer, Instant::now());
        match &held {
            Ok(held) if held.delay.is_zero() => {}
            Ok(_) => self.0.guesses.note(Guess::Delayed, comer),
            Err(TooMany) => self.0.guesses.note(Guess::Refused, comer),
        }
        held
    }

    /// Waits until sign-ins were held back that [`Self::take_guesses`] has not given.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub async fn guessed(&self) {
        self.0.guesses.some().await;
    }

    /// The sign-ins that were held back since the last call.
    #[must_use]
    pub fn take_guesses(&self) -> Guesses {
        self.0.guesses.take()
    }

    /// Who the client is by what it says; failures count.
    ///
    /// # Errors
    /// When it is nobody that is known.
    pub async fn sign_in(&self, claim: &Claim<'_>) -> Result<Principal, Refusal> {
        let (signed_in, now) = (self.look_at(claim).await, Instant::now());
        let named = self.named_by(claim);
        let comer = claim.comer(named.as_deref());
        match &signed_in {
            Ok(_) => comer.name.into_iter().for_each(|name| {
                self.0.guard.came_through(Way::Mqtt, comer.address, name, now);
            }),
            Err(Refusal::Wrong) => self.0.guard.failed(comer, now),
            Err(Refusal::Missing | Refusal::Expired | Refusal::Narrowed | Refusal::Busy) => {}
        }
        signed_in
    }

    /// Whom a token or a JWT names that comes without a user's name.
    pub(super) fn named_by(&self, claim: &Claim<'_>) -> Option<String> {
        if claim.user().is_some() {
            return None;
        }
        match claim.token() {
            Some(token) => self.0.auth.named_by(token),
            None => self.jwt(claim).and_then(|(keys, text)| keys.named_by(text)),
        }
    }

    /// What comes as a JWT, where there are keys for some.
    fn jwt<'a>(&self, claim: &Claim<'a>) -> Option<(&JwtKeys, &'a str)> {
        let text = std::str::from_utf8(claim.password?).ok()?;
        self.0.jwt.as_ref().zip(Some(text).filter(|text| JwtKeys::is_one(text)))
    }

    pub(super) async fn look_at(&self, claim: &Claim<'_>) -> Result<Principal, Refusal> {
        let user = claim.user();
        if let Some(token) = claim.token() {
            return self.by_token(user, token);
        }
        if let Some((keys, text)) = self.jwt(claim) {
            return by_jwt(keys, user, text);
        }
        let password = claim.password.ok_or(Refusal::Missing)?;
        self.by_secret(user.ok_or(Refusal::Wrong)?, password).await
    }

    fn by_token(&self, name: Option<&str>, token: &str) -> Result<Principal, Refusal> {
        if !self.0.auth.is_required() {
            return Err(Refusal::Wrong);
        }
        let user = self.0.auth.user_of(token).map_err(|denied| match denied {
            Denied::Unknown => Refusal::Wrong,
            Denied::Expired => Refusal::Expired,
        })?;
        match name {
            Some(name) if name != &*user.name => Err(Refusal::Wrong),
            Some(_) | None => by_user(&user),
        }
    }

    async fn by_secret(&self, user: &str, secret: &[u8]) -> Result<Principal, Refusal> {
        let device: DeviceId = user.parse().map_err(|_| Refusal::Wrong)?;
        let devices = self.0.auth.devices().ok_or(Refusal::Wrong)?;
        let credential = devices.get(&device).ok_or(Refusal::Wrong)?;
        let matches = if credential.hash.is_slow() {
            let matching = self.0.slow.matches(&device, credential, secret);
            matching.await.map_err(|Busy| Refusal::Busy)?
        } else {
            credential.hash.matches(secret)
        };
        if !matches {
            return Err(Refusal::Wrong);
        }
        let proof = Proof::Secret(credential.clone());
        Ok(Principal::of_device(device, credential.kind.clone(), proof))
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.0.guard
    }

    /// Whether a client may stay that signed in as this before; none: it was trusted.
    #[must_use]
    pub fn still(&self, principal: Option<&Principal>) -> bool {
        let Some(principal) = principal else { return !self.is_required_by_mqtt() };
        match &principal.proof {
            Proof::Session => true,
            Proof::Certificate { ends_at } => clock::now() < *ends_at,
            Proof::Jwt { ends_at, key } => {
                let keys = self.0.jwt.as_ref();
                clock::now() < *ends_at && keys.is_some_and(|keys| keys.has(key))
            }
            Proof::Token(user) => self.0.auth.standing(user) == Standing::Good,
            Proof::Secret(credential) => {
                let devices = self.0.auth.devices();
                devices.is_some_and(|all| holds(&all, principal, credential))
            }
        }
    }

    /// Changes whenever [`Self::still`] may have changed for somebody.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.auth.version() + self.0.jwt.as_ref().map_or(0, JwtKeys::version)
    }

    /// Forgets what belongs to revoked credentials.
    pub fn sweep(&self) {
        let devices = self.0.auth.devices();
        self.0.slow.sweep(|device| devices.as_ref().is_some_and(|all| all.get(device).is_some()));
    }
}

/// A user whose token is not narrowed: MQTT would show more than it may.
fn by_user(user: &User) -> Result<Principal, Refusal> {
    if user.rights.is_narrowed() { Err(Refusal::Narrowed) } else { Ok(Principal::of_user(user)) }
}

fn by_jwt(keys: &JwtKeys, user: Option<&str>, text: &str) -> Result<Principal, Refusal> {
    let Bearer { device, kind, ends_at, key } = keys.verify(text).map_err(|bad| match bad {
        BadJwt::Wrong => Refusal::Wrong,
        BadJwt::Expired => Refusal::Expired,
    })?;
    match user {
        Some(user) if user != device.as_str() => Err(Refusal::Wrong),
        Some(_) | None => Ok(Principal::of_device(device, kind, Proof::Jwt { ends_at, key })),
    }
}

/// Whether the device still has the credential that let it in.
fn holds(devices: &Devices, principal: &Principal, credential: &DeviceCredential) -> bool {
    match &principal.identity {
        Identity::Device { id, .. } => devices.get(id).is_some_and(|now| **now == *credential),
        Identity::User { .. } => false,
    }
}
