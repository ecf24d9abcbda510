//! A file of credentials that a running gateway follows.

use super::file::{self, BadFile, Stamp};
use serde::de::DeserializeOwned;
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The file's newest content that could be read.
#[derive(Debug)]
pub(super) struct Watched<T> {
    path: PathBuf,
    state: RwLock<State<T>>,
    /// Held while it is read again: an older content never takes a newer one's place.
    reading: Mutex<()>,
    version: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    /// None: the file was never there.
    kept: Option<Arc<T>>,
    stamp: Stamp,
}

impl<T: DeserializeOwned> Watched<T> {
    /// Reads the file, if it is there.
    pub(super) fn open(path: PathBuf) -> Result<Self, BadFile> {
        let stamp = Stamp::of(&path);
        let kept = file::read(&path)?.map(Arc::new);
        let (state, version) = (RwLock::new(State { kept, stamp }), AtomicU64::new(0));
        Ok(Self { path, state, reading: Mutex::default(), version })
    }

    /// What it says; none: it was never there.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }

    /// Reads it again where it changed. What cannot be read, or is gone, changes nothing: nobody is let in by
    /// a mishap.
    pub(super) fn look(&self) {
        if self.changed().is_none() {
            return;
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stamp) = self.changed() else { return };
        let path = self.path.display();
        let kept = match file::read(&self.path) {
            Ok(Some(kept)) => {
                tracing::info!(%path, "the credentials changed");
                Some(Arc::new(kept))
            }
            Ok(None) => {
                tracing::warn!(%path, "the credentials are gone: the last ones count until a restart");
                self.get()
            }
            Err(error) => {
                tracing::error!(%error, "the credentials cannot be read: the last ones count");
                self.get()
            }
        };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State { kept, stamp };
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Which version of the file is there, if it is another than the one that was read.
    fn changed(&self) -> Option<Stamp> {
        let stamp = Stamp::of(&self.path);
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner).stamp;
        (stamp != known).then_some(stamp)
    }

    /// Goes up with each change.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
