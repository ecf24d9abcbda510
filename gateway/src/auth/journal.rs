//! What was done with `sluice-gateway token` and the like, on its way to the audit log: the command line leaves
//! notes in `{data_dir}/changes.jsonl`; a running gateway takes them over, at its start those of before too.
//!
//! A note is written before what it tells of is, and is gone only after it is in the audit log: so a crash can
//! leave a note twice, with the same id, but never none.

use super::EditError;
use crate::clock;
use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Only the gateway's own user may read it.
const MODE: u32 = 0o600;

/// Something that was done on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Tells it from others.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The user of the operating system who did it.
    pub user: String,
    /// What, such as `token.created`.
    pub action: String,
    /// To which device.
    pub device: Option<DeviceId>,
    /// More about it, an object.
    pub details: Value,
}

impl Change {
    /// Done now, by who runs this process.
    #[must_use]
    pub fn new(action: &str, device: Option<DeviceId>, details: Value) -> Self {
        let (id, at, user) = (super::secret::random_id(), clock::now(), os_user());
        Self { id, at, user, action: action.into(), device, details }
    }
}

/// Leaves notes of a change of credentials: before it is done, so that nothing is done without.
///
/// # Errors
/// When the file cannot be written: nothing is to be changed then.
pub fn leave(data_dir: &Path, changes: &[Change]) -> Result<(), EditError> {
    let failed = |source| EditError::Write { path: fresh(data_dir), source };
    note(data_dir, changes).map_err(failed)
}

fn note(data_dir: &Path, changes: &[Change]) -> io::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for change in changes {
        lines.push_str(&serde_json::to_string(change)?);
        lines.push('\n');
    }
    let lock = lock_file(data_dir)?;
    lock.lock()?;
    // A write that a full disk cut short is to spoil its own line alone.
    if fs::read(fresh(data_dir)).is_ok_and(|text| text.last().is_some_and(|last| *last != b'\n')) {
        lines.insert(0, '\n');
    }
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(MODE).open(fresh(data_dir))?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// The notes that are to be taken over, and how many lines are none; [`forget`] them once they are. Until then they
/// are the same. Where somebody is writing notes there are none yet: this waits for nobody.
pub(crate) fn take(data_dir: &Path) -> io::Result<(Vec<Change>, usize)> {
    let (fresh, taken) = (fresh(data_dir), taken(data_dir));
    if !taken.exists() {
        if !fresh.exists() {
            return Ok((Vec::new(), 0));
        }
        let lock = lock_file(data_dir)?;
        match lock.try_lock() {
            Ok(()) => fs::rename(&fresh, &taken)?,
            Err(TryLockError::WouldBlock) => return Ok((Vec::new(), 0)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&fs::read(&taken)?).into_owned();
    let changes: Vec<_> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let unreadable = text.lines().count() - changes.len();
    Ok((changes, unreadable))
}

/// Those that [`take`] gave are in the audit log.
pub(crate) fn forget(data_dir: &Path) -> io::Result<()> {
    fs::remove_file(taken(data_dir))
}

/// Locked by who writes or takes notes.
fn lock_file(data_dir: &Path) -> io::Result<File> {
    File::create(data_dir.join("changes.lock"))
}

fn fresh(data_dir: &Path) -> PathBuf {
    data_dir.join("changes.jsonl")
}

fn taken(data_dir: &Path) -> PathBuf {
    data_dir.join("changes.taken.jsonl")
}

/// The name of the user of this process; its number where it has none.
fn os_user() -> String {
    let Ok(process) = fs::metadata("/proc/self") else {
        return std::env::var("USER").unwrap_or_else(|_| "unknown".into());
    };
    let number = process.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    named.unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_note_stays_until_it_is_forgotten_and_new_ones_come_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert_eq!(take(dir).unwrap(), (vec![], 0));
        let changes = ["token.created", "token.revoked"].map(|action| {
            let change = Change::new(action, None, json!({"token": "1"}));
            note(dir, std::slice::from_ref(&change)).unwrap();
            change
        });
        assert_eq!(take(dir).unwrap(), (changes.to_vec(), 0));
        let later = Change::new("device.added", Some("pump".parse().unwrap()), json!({}));
        note(dir, std::slice::from_ref(&later)).unwrap();
        assert_eq!(take(dir).unwrap(), (changes.to_vec(), 0), "until they are forgotten");
        forget(dir).unwrap();
        assert_eq!(take(dir).unwrap(), (vec![later], 0));
        forget(dir).unwrap();
        assert_eq!(take(dir).unwrap(), (vec![], 0));
    }

    #[test]
    fn while_somebody_writes_notes_nothing_is_taken_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let change = Change::new("token.created", None, json!({}));
        note(folder.path(), std::slice::from_ref(&change)).unwrap();
        let writing = lock_file(folder.path()).unwrap();
        writing.lock().unwrap();
        assert_eq!(take(folder.path()).unwrap(), (vec![], 0));
        drop(writing);
        assert_eq!(take(folder.path()).unwrap(), (vec![change], 0));
    }

    #[test]
    fn a_line_that_is_no_note_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let change = Change::new("token.created", None, json!({}));
        for half in ["{half\n", "{half"] {
            fs::write(fresh(folder.path()), half).unwrap();
            note(folder.path(), std::slice::from_ref(&change)).unwrap();
            assert_eq!(take(folder.path()).unwrap(), (vec![change.clone()], 1), "{half:?}");
            forget(folder.path()).unwrap();
        }
    }

    #[test]
    fn the_user_of_this_process_has_a_name() {
        assert!(!os_user().is_empty());
    }
}
