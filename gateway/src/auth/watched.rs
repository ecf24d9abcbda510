//! A file of credentials that a running gateway follows.

use super::file::{self, BadFile, Stamp};
use serde::de::DeserializeOwned;
use std::{
    io,
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
    /// Reads the file, if it is there; where it was once, it must be. `maker` is the command that writes a new one.
    pub(super) fn open(path: PathBuf, maker: &str) -> Result<Self, BadFile> {
        let stamp = Stamp::of(&path);
        let kept = file::read(&path)?.map(Arc::new);
        if kept.is_none() && file::was_there(&path) {
            let why = format!(
                "the file was there and is gone; put it back from a backup, or make new ones with '{maker}', which \
                 writes a new file"
            );
            return Err(BadFile { path, why });
        }
        let (state, version) = (RwLock::new(State { kept, stamp }), AtomicU64::new(0));
        Ok(Self { path, state, reading: Mutex::default(), version })
    }

    /// Remembers for later starts that it is there, if it is.
    pub(super) fn remember(&self) -> io::Result<()> {
        self.get().map_or(Ok(()), |_there| file::remember(&self.path))
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
                if let Err(error) = file::remember(&self.path) {
                    tracing::error!(%error, %path, "the next start will not know of the credentials");
                }
                Some(Arc::new(kept))
            }
            Ok(None) => {
                tracing::warn!(%path, "the credentials are gone: the last ones count, and no start will do without them");
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

#[cfg(test)]
mod tests {
    use crate::auth::{Auth, Devices, Grant, Tokens};

    #[test]
    fn once_there_were_credentials_nothing_opens_without_them() {
        let folder = tempfile::tempdir().unwrap();
        let add = || Tokens::edit(folder.path(), |tokens| tokens.add("anna", Grant::default()));
        let gone = |name: &str| std::fs::remove_file(folder.path().join(name)).unwrap();
        let running = Auth::open(folder.path()).unwrap();
        running.remember().unwrap();
        add().unwrap();
        gone("credentials.json");
        assert!(Auth::open(folder.path()).is_ok(), "no gateway knew them");
        add().unwrap();
        running.look();
        gone("credentials.json");
        let refused = Auth::open(folder.path()).unwrap_err().to_string();
        for part in ["credentials.json", "backup", "sluice-gateway token create"] {
            assert!(refused.contains(part), "{part} is not in {refused}");
        }
        add().unwrap();
        let add_device = |devices: &mut Devices| devices.add("d1".parse().unwrap(), None);
        Devices::edit(folder.path(), add_device).unwrap();
        Auth::open(folder.path()).unwrap().remember().unwrap();
        gone("devices.json");
        let refused = Auth::open(folder.path()).unwrap_err().to_string();
        for part in ["devices.json", "sluice-gateway device add"] {
            assert!(refused.contains(part), "{part} is not in {refused}");
        }
    }
}
