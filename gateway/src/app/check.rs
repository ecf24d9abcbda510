//! What a start would refuse though the settings are fine, found without a change: `--check-config`.

use super::{StartError, endpoints::check_is_no_file};
use crate::{
    arrival::Listeners,
    auth::Auth,
    config::Config,
    store::{self, OpenError},
};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::{fs, io, path::Path};

/// All that is found. The database is only looked at and no port is taken, so a gateway that runs is not disturbed.
#[must_use]
pub fn refusals(config: &Config) -> Vec<StartError> {
    let dir = &config.data_dir.0;
    let tls = Listeners::new(config).map_err(StartError::from).err();
    // Then there is no file in it either.
    if let Err(no_directory) = check_is_no_file(dir) {
        return [no_directory].into_iter().chain(tls).collect();
    }
    let credentials = Auth::open(dir).map_err(StartError::from).err();
    let data_dir = usable(dir).and_then(|()| Ok(store::look(dir)?)).err();
    data_dir.into_iter().chain(credentials).chain(tls).collect()
}

/// Whether files can be kept in `dir`, or it can be made.
fn usable(dir: &Path) -> Result<(), StartError> {
    let there = dir.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    let nearest = there.unwrap_or(Path::new("."));
    let open = Access::READ_OK | Access::WRITE_OK;
    may(nearest, open | Access::EXEC_OK)
        .and_then(|()| fs::read_dir(nearest).map(drop))
        .map_err(|source| StartError::DataDir { path: dir.into(), source })?;
    for path in FILES.map(|name| dir.join(name)).into_iter().filter(|file| file.exists()) {
        may(&path, open).map_err(|source| OpenError::Unusable { path, source })?;
    }
    Ok(())
}

/// What a gateway has open as long as it runs.
const FILES: [&str; 3] = ["lock", "sluice.db", "sluice.db-wal"];

fn may(path: &Path, what: Access) -> io::Result<()> {
    Ok(accessat(CWD, path, what, AtFlags::EACCESS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(dir: &Path) -> Vec<String> {
        let mut config = Config::default();
        config.data_dir.0 = dir.to_owned();
        refusals(&config).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_fine_or_can_be_made_is_no_refusal_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        assert_eq!(told(&below), [""; 0]);
        assert!(!below.exists());
        assert_eq!(told(dir.path()), [""; 0]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_database_or_a_newer_one_is_told_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data_dir.0 = dir.path().to_owned();
        let (database, restored) = store::open(config.store_settings()).unwrap();
        assert_eq!(told(dir.path()), [""; 0], "one that runs");
        database.close(restored.last_offset).unwrap();
        assert_eq!(told(dir.path()), [""; 0]);
        let file = dir.path().join("sluice.db");
        let whole = fs::read(&file).unwrap();
        // The place of the version in the first page.
        let newer = [&whole[..60], &99_u32.to_be_bytes(), &whole[64..]].concat();
        let none = b"a note, and no database\n".repeat(100);
        for (bytes, said) in [(newer, "version 99"), (none, "--recover"), (vec![], "0 bytes")] {
            fs::write(&file, &bytes).unwrap();
            let told = told(dir.path());
            assert!(told.len() == 1 && told[0].contains(said), "{told:?}");
            assert_eq!(fs::read(&file).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_and_bad_credentials_are_told_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let told = told(&path);
            let named = format!("'{}' is a file and no directory", file.display());
            assert!(told.len() == 1 && told[0].contains(&named), "{told:?}");
        }
        for name in ["credentials.json", "devices.json"] {
            fs::write(dir.path().join(name), "no JSON").unwrap();
            assert!(told(dir.path()).concat().contains(name), "{name}");
            fs::remove_file(dir.path().join(name)).unwrap();
        }
    }
}
