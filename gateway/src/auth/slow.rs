//! Secrets that are hashed slowly: off the workers that serve everybody, one at a time, and only once while a
//! credential stays as it is.

use super::DeviceCredential;
use protocol::DeviceId;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use subtle::ConstantTimeEq as _;
use tokio::{sync::Semaphore, time::timeout};

/// How many are hashed at the same time: guessing takes no more than this many cores.
const AT_ONCE: usize = 1;

/// How long a sign-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(8);

/// It was not its turn in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Hashes, and remembers what was right under a key of this process alone.
#[derive(Debug)]
pub(super) struct SlowHashes {
    turn: Arc<Semaphore>,
    key: [u8; 32],
    /// As many as there are credentials, at most.
    right: Mutex<HashMap<DeviceId, Right>>,
}

#[derive(Debug)]
struct Right {
    credential: Arc<DeviceCredential>,
    digest: [u8; 32],
}

impl SlowHashes {
    pub(super) fn new() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(AT_ONCE)),
            key: rand::random(),
            right: Mutex::default(),
        }
    }

    /// Whether `secret` is that of `device`.
    pub(super) async fn matches(
        &self,
        device: &DeviceId,
        credential: &Arc<DeviceCredential>,
        secret: &[u8],
    ) -> Result<bool, Busy> {
        let digest: [u8; 32] =
            Sha256::new().chain_update(self.key).chain_update(secret).finalize().into();
        if self.was_right(device, credential, &digest) {
            return Ok(true);
        }
        let turn = timeout(PATIENCE, self.turn.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Busy) };
        let (hashed, secret) = (credential.clone(), secret.to_vec());
        // The turn goes with the work: a client that goes away does not let the next one begin beside it.
        let matching = tokio::task::spawn_blocking(move || {
            let matches = hashed.hash.matches(&secret);
            drop(turn);
            matches
        });
        let matches = matching.await.map_err(|_| Busy)?;
        if matches {
            let right = Right { credential: credential.clone(), digest };
            let mut all = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(device.clone(), right);
        }
        Ok(matches)
    }

    fn was_right(
        &self,
        device: &DeviceId,
        credential: &Arc<DeviceCredential>,
        digest: &[u8; 32],
    ) -> bool {
        let all = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(device).is_some_and(|right| {
            right.credential == *credential && right.digest.ct_eq(digest).into()
        })
    }

    /// Forgets what belongs to no credential any more.
    pub(super) fn sweep(&self, known: impl Fn(&DeviceId) -> bool) {
        let mut all = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|device, _| known(device));
    }
}
