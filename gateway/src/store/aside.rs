//! Rows that check and that nobody understands: `--recover` writes them into a file of their own before they go.

use super::{
    OpenError, StoredRow,
    file::{FILE, create, sync_directory, with_end},
    open::unusable,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use protocol::Timestamp;
use serde_json::json;
use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes `rows` into a new file in `dir` with the time `now` in its name; it is on the disk when this returns. Each is a
/// line of JSON: `{"table","key","body"}`, or `"base64"` for a body that is no UTF-8.
///
/// # Errors
/// [`OpenError::Unusable`] with the file.
pub fn set_aside(dir: &Path, now: Timestamp, rows: &[StoredRow]) -> Result<PathBuf, OpenError> {
    let path = with_end(&dir.join(FILE), &format!(".unreadable-{now}"));
    write(&path, rows).map_err(unusable(&path))?;
    Ok(path)
}

fn write(path: &Path, rows: &[StoredRow]) -> io::Result<()> {
    create(path)?;
    let mut file = OpenOptions::new().append(true).open(path)?;
    let lines: Vec<_> = rows.iter().map(|row| format!("{}\n", line(row))).collect();
    file.write_all(lines.concat().as_bytes())?;
    file.sync_all()?;
    sync_directory(path)
}

fn line(StoredRow { table, key, body }: &StoredRow) -> serde_json::Value {
    let table = table.name();
    match std::str::from_utf8(body) {
        Ok(body) => json!({"table": table, "key": key, "body": body}),
        Err(_) => json!({"table": table, "key": key, "base64": STANDARD.encode(body)}),
    }
}
