//! Who may use the gateway: users by tokens, kept as hashes in `{data_dir}/credentials.json`, and devices by
//! secrets, kept as hashes in `{data_dir}/devices.json`.
//!
//! `sluice-gateway token` and `sluice-gateway device` write a file whole (`file`); a running gateway looks at it
//! whenever somebody signs in by what is in it, and at both twice a second for those who are here ([`Auth::watch`]).
//! Before the first exists everybody on the machine is trusted over HTTP, before the second (unless the configuration
//! wants more) over MQTT; from then on nobody is, and no gateway starts without the file.
//! [`Gate`] is where all sign in, and who guesses is held back.

mod brought;
mod by_token;
mod claim;
mod devices;
mod file;
pub(crate) mod fuzzing;
mod gate;
mod guard;
mod guesses;
pub mod journal;
mod jwt;
mod principal;
mod recent;
mod secret;
mod slow;
mod tokens;
mod watched;
mod welcome;

pub use brought::{Brought, Certified};
pub use by_token::Showing;
pub use claim::Claim;
pub use devices::{DeviceCredential, Devices, Imported};
pub use file::{BadFile, EditError};
pub use gate::{Gate, Refusal};
pub use guard::{Held, TooMany};
pub use guesses::Guesses;
pub use jwt::{BadKey, JwtKeys, KeySource};
pub use principal::{Identity, Principal};
pub(crate) use secret::print as print_secret;
pub use tokens::{Grant, Token, Tokens};

use crate::clock;
use bridge::rights::{Member, Rights};
use protocol::{Role, Session, Timestamp};
use std::{io, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use watched::Watched;

/// Who commands where nobody needs to sign in.
const LOCAL_USER: &str = "local";

/// How often the files are looked at, whoever comes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Who somebody is, and what that user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's name.
    pub name: Arc<str>,
    /// What the user may do.
    pub role: Role,
    /// What the user may see.
    pub rights: Rights,
    /// By its id; none: everybody local is trusted.
    token: Option<Arc<str>>,
    expires_at: Option<Timestamp>,
}

impl User {
    fn local() -> Self {
        let (name, rights) = (LOCAL_USER.into(), Rights::everything());
        Self { name, role: Role::Admin, rights, token: None, expires_at: None }
    }

    fn of(id: &str, token: &Token) -> Self {
        Self {
            name: token.user.as_str().into(),
            role: token.role,
            rights: token.rights(),
            token: Some(id.into()),
            expires_at: token.expires_at,
        }
    }

    /// The token that was shown, by its id.
    pub(crate) fn token(&self) -> Option<&Arc<str>> {
        self.token.as_ref()
    }

    /// As a subscriber.
    pub(crate) fn member(&self) -> Member {
        Member { rights: self.rights.clone(), account: self.token.clone() }
    }

    /// Whether this is anybody on the machine, while all are trusted.
    pub(crate) fn is_local(&self) -> bool {
        self.token.is_none()
    }

    /// As `/api/v1/session` tells it.
    #[must_use]
    pub fn session(&self) -> Session {
        Session {
            user: self.name.as_ref().into(),
            role: self.role,
            expires_at: self.expires_at,
            narrowed: self.rights.is_narrowed(),
        }
    }
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is nobody's: wrong, or revoked.
    Unknown,
    /// It has expired.
    Expired,
}

/// Whether a user may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As before.
    Good,
    /// The token is revoked or expired, or one is needed now.
    Ended,
    /// The token allows something else than it did.
    Changed,
}

/// The credentials of a running gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Auth(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tokens: Watched<Tokens>,
    devices: Watched<Devices>,
    /// Told when the tokens have changed.
    changes: watch::Sender<()>,
}

impl Auth {
    /// Reads the credentials in `data_dir`, if there are any.
    ///
    /// # Errors
    /// When a file is there and cannot be read, or was there once: nobody is to be let in by mistake.
    pub fn open(data_dir: &Path) -> Result<Self, BadFile> {
        let tokens = Watched::open(tokens::path(data_dir), "sluice-gateway token create")?;
        let devices = Watched::open(devices::path(data_dir), "sluice-gateway device add")?;
        Ok(Self(Arc::new(Inner { tokens, devices, changes: watch::Sender::new(()) })))
    }

    /// Remembers for later starts which credentials there are.
    ///
    /// # Errors
    /// When that cannot be noted in the data directory.
    pub fn remember(&self) -> io::Result<()> {
        self.0.tokens.remember()?;
        self.0.devices.remember()
    }

    /// Whether a token is needed.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.look_at_tokens();
        self.tokens().is_some()
    }

    /// Who everybody is while nothing is set up.
    #[must_use]
    pub fn trusted(&self) -> Option<User> {
        (!self.is_required()).then(User::local)
    }

    /// Whose token this is; asked by [`Gate`], which counts who is denied.
    ///
    /// # Errors
    /// When it is nobody's.
    fn user_of(&self, token: &str) -> Result<User, Denied> {
        self.look_at_tokens();
        let Some(tokens) = self.tokens() else { return Ok(User::local()) };
        let (id, known) = tokens.find(token).ok_or(Denied::Unknown)?;
        let user = User::of(id, known);
        if has_passed(user.expires_at) { Err(Denied::Expired) } else { Ok(user) }
    }

    /// Whose a token says it is, whether it is right or not.
    fn named_by(&self, token: &str) -> Option<String> {
        Some(self.tokens()?.named_by(token)?.user.clone())
    }

    /// Whether `user`, who was let in before, may go on.
    #[must_use]
    pub fn standing(&self, user: &User) -> Standing {
        match (self.tokens(), &user.token) {
            (None, None) => Standing::Good,
            (Some(_), None) | (None, Some(_)) => Standing::Ended,
            (Some(tokens), Some(id)) => match tokens.get(id) {
                Some(token) if token.has_expired() => Standing::Ended,
                Some(token) if (token.role, token.rights()) == (user.role, user.rights.clone()) => {
                    Standing::Good
                }
                Some(_) => Standing::Changed,
                None => Standing::Ended,
            },
        }
    }

    /// Hears of changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Follows the file until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => self.look(),
            }
        }
    }

    fn look(&self) {
        self.look_at_tokens();
        self.look_at_devices();
    }

    /// What was changed of the devices' credentials a moment ago counts.
    fn look_at_devices(&self) {
        self.0.devices.look();
    }

    /// What was changed of the tokens a moment ago counts.
    fn look_at_tokens(&self) {
        let known = self.0.tokens.version();
        self.0.tokens.look();
        if self.0.tokens.version() != known {
            self.0.changes.send_replace(());
        }
    }

    fn tokens(&self) -> Option<Arc<Tokens>> {
        self.0.tokens.get()
    }

    /// The credentials of devices; none: there were never any.
    pub(crate) fn devices(&self) -> Option<Arc<Devices>> {
        self.0.devices.get()
    }

    /// Changes whenever a file of credentials has changed.
    pub(crate) fn version(&self) -> u64 {
        self.0.tokens.version() + self.0.devices.version()
    }
}

/// Whether HTTP needs a token where files are kept in `data_dir`.
#[must_use]
pub fn is_set_up(data_dir: &Path) -> bool {
    tokens::path(data_dir).exists()
}

/// Whether devices have credentials where files are kept in `data_dir`.
#[must_use]
pub fn has_devices(data_dir: &Path) -> bool {
    devices::path(data_dir).exists()
}

fn has_passed(end: Option<Timestamp>) -> bool {
    end.is_some_and(|end| end <= clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_credentials_exist_everybody_is_trusted_and_from_then_on_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let auth = Auth::open(folder.path()).unwrap();
        let local = auth.trusted().unwrap();
        assert_eq!(auth.standing(&local), Standing::Good);
        let text =
            Tokens::edit(folder.path(), |tokens| tokens.add("anna", Grant::default())).unwrap();
        assert_eq!(auth.trusted(), None);
        assert_eq!(auth.standing(&local), Standing::Ended, "who was trusted has to sign in");
        let anna = auth.user_of(&text).unwrap();
        assert_eq!((&*anna.name, anna.role), ("anna", Role::Viewer));
    }

    #[test]
    fn a_revoked_an_expired_and_a_wrong_token_let_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let add = |expires_at| {
            let grant = Grant { role: Role::Admin, expires_at, ..Grant::default() };
            Tokens::edit(folder.path(), |tokens| tokens.add("anna", grant)).unwrap()
        };
        let (good, expired) = (add(None), add(Some(Timestamp(1))));
        let auth = Auth::open(folder.path()).unwrap();
        let user = auth.user_of(&good).unwrap();
        assert_eq!(auth.user_of(&expired), Err(Denied::Expired));
        for wrong in ["", "slt_", "slt_a_b", good.trim_start_matches('s'), &format!("{good}x")] {
            assert_eq!(auth.user_of(wrong), Err(Denied::Unknown), "{wrong}");
        }
        Tokens::edit(folder.path(), |tokens| Ok::<_, EditError>(tokens.revoke("anna"))).unwrap();
        assert_eq!(auth.user_of(&good), Err(Denied::Unknown));
        assert_eq!(auth.standing(&user), Standing::Ended);
        assert!(auth.is_required(), "revoking the last lets nobody in");
    }

    #[test]
    fn a_narrowed_token_narrows_its_user_and_one_that_was_changed_does_not_count_on() {
        let folder = tempfile::tempdir().unwrap();
        let devices = vec!["pump-*".parse().unwrap()];
        let grant = Grant { devices: devices.clone(), ..Grant::default() };
        let text = Tokens::edit(folder.path(), |tokens| tokens.add("anna", grant)).unwrap();
        let auth = Auth::open(folder.path()).unwrap();
        let user = auth.user_of(&text).unwrap();
        assert_eq!(user.rights, Rights::new(&devices, &[]));
        assert!(user.session().narrowed);
        assert_eq!(auth.standing(&user), Standing::Good);
        let file = folder.path().join("credentials.json");
        let wider = std::fs::read_to_string(&file).unwrap().replace("pump-*", "*");
        std::fs::write(&file, wider).unwrap();
        auth.look();
        assert_eq!(auth.standing(&user), Standing::Changed);
    }
}
