//! `sluice-gateway device`: makes, lists, revokes and imports credentials of devices, whether a gateway runs or
//! not.

use crate::auth::{
    Devices, EditError, Imported,
    journal::{Change, leave},
    print_secret,
};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use protocol::DeviceId;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
    thread,
};

/// The most bytes of a file that is imported.
const IMPORT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// So many devices of an import are told of in one entry of the audit log: their ids are never too long for one.
const NOTED_TOGETHER: usize = 50;

/// A shorter secret is soon guessed, however slowly guesses are answered.
const SECRET_CHARACTERS_MIN: usize = 8;

/// What the first column of a heading is called.
const HEADED_ID: [&str; 7] =
    ["id", "device", "device_id", "deviceid", "name", "client_id", "clientid"];

/// What the second is called, or ends with.
const HEADED_SECRET: [&str; 5] = ["secret", "password", "passphrase", "key", "token"];

/// What is done with credentials of devices.
#[derive(Clone, Debug, Subcommand)]
pub enum DeviceAction {
    /// Make a secret for a device and print it: it is not shown again. With the first one, MQTT clients must sign in
    Add {
        /// The device: its user name and client id
        id: DeviceId,
        /// The device's type, for access rules
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
    },
    /// List the devices that have a credential, without their secrets
    List,
    /// Revoke a device's credential; a running gateway closes its connection
    Revoke {
        /// The device
        id: DeviceId,
    },
    /// Take over secrets that were made elsewhere: all of a file, or nothing where a line is wrong
    Import {
        /// Lines of id,secret or id,secret,type (CSV without a heading; secrets of 8 characters or more); - reads
        /// standard input
        file: String,
    },
}

impl DeviceAction {
    /// Does it in `data_dir`.
    ///
    /// # Errors
    /// When the credentials cannot be read or written, or what is asked for cannot be done.
    pub fn run(self, data_dir: &Path) -> anyhow::Result<()> {
        let mut out = io::stdout();
        match self {
            Self::Add { id, kind } => add(data_dir, id, kind.as_deref(), &mut out)?,
            Self::List => {
                writeln!(out, "{:>13}  {:<16}  DEVICE", "CREATED_AT", "TYPE")?;
                for (device, credential) in Devices::list(data_dir)?.iter() {
                    let kind = credential.kind.as_deref().unwrap_or("-");
                    writeln!(out, "{:>13}  {kind:<16}  {device}", credential.created_at)?;
                }
            }
            Self::Revoke { id } => {
                let revoke = |devices: &mut Devices| {
                    let gone = devices.revoke(&id);
                    let gone = gone.ok_or_else(|| EditError::DeviceUnknown(id.to_string()))?;
                    let details = json!({"type": gone.kind});
                    leave(data_dir, &[Change::new("credential.revoked", Some(id), details)])
                };
                Devices::edit(data_dir, revoke)?;
            }
            Self::Import { file } => {
                let count = import(data_dir, &read(&file)?)?;
                writeln!(out, "{count} credentials are imported")?;
            }
        }
        Ok(())
    }
}

fn add(
    data_dir: &Path,
    id: DeviceId,
    kind: Option<&str>,
    out: &mut impl io::Write,
) -> Result<(), EditError> {
    Devices::edit(data_dir, |devices| {
        print_secret(&devices.add(id.clone(), kind)?, out)?;
        let details = json!({"type": kind});
        leave(data_dir, &[Change::new("credential.created", Some(id), details)])
    })
}

fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = if file == "-" {
        io::stdin().take(IMPORT_BYTES_MAX + 1).read_to_end(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(IMPORT_BYTES_MAX + 1).read_to_end(&mut text))
    };
    read.with_context(|| format!("cannot read '{file}'"))?;
    if text.len() as u64 > IMPORT_BYTES_MAX {
        bail!("'{file}' has more than {IMPORT_BYTES_MAX} bytes: import it in parts");
    }
    Ok(text)
}

/// A line that can be imported.
struct Line {
    device: DeviceId,
    secret: String,
    kind: Option<String>,
}

/// Imports all lines, or none.
fn import(data_dir: &Path, text: &[u8]) -> anyhow::Result<usize> {
    let known = Devices::list(data_dir)?;
    let (lines, mistakes) = parse(text, &known);
    if !mistakes.is_empty() {
        bail!("nothing is imported:\n  {}", mistakes.join("\n  "));
    }
    let imported = hash(lines);
    let count = imported.len();
    let ids: Vec<_> = imported.iter().map(|imported| imported.device.clone()).collect();
    Devices::edit(data_dir, |devices| {
        imported.into_iter().try_for_each(|imported| devices.import(imported))?;
        leave(data_dir, &told(&ids))
    })?;
    Ok(count)
}

/// What the audit log tells of an import: each device, and of how many it was.
fn told(imported: &[DeviceId]) -> Vec<Change> {
    let together = |devices: &[DeviceId]| {
        let details = json!({"count": imported.len(), "devices": devices});
        Change::new("credential.imported", None, details)
    };
    imported.chunks(NOTED_TOGETHER).map(together).collect()
}

fn parse(text: &[u8], known: &Devices) -> (Vec<Line>, Vec<String>) {
    let (mut lines, mut mistakes, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).flexible(true).from_reader(text);
    for record in reader.records() {
        let read = record.map_err(|error| error.to_string());
        let number = reader_line(&read);
        match read.and_then(|record| line(&record)) {
            Ok(line) if known.get(&line.device).is_some() => {
                mistakes.push(format!(
                    "line {number}: '{}' has a credential: revoke it first",
                    line.device
                ));
            }
            Ok(line) if !seen.insert(line.device.clone()) => {
                mistakes.push(format!("line {number}: '{}' is there twice", line.device));
            }
            Ok(line) => lines.push(line),
            Err(why) => mistakes.push(format!("line {number}: {why}")),
        }
    }
    if lines.is_empty() && mistakes.is_empty() {
        mistakes.push("there is no line: id,secret or id,secret,type".into());
    }
    (lines, mistakes)
}

fn reader_line(record: &Result<csv::StringRecord, String>) -> String {
    let position = record.as_ref().ok().and_then(|record| record.position());
    position.map_or_else(|| "?".into(), |position| position.line().to_string())
}

/// The secret itself is never in what is said.
fn line(record: &csv::StringRecord) -> Result<Line, String> {
    let fields: Vec<&str> = record.iter().map(str::trim).collect();
    let (id, secret, kind) = match fields[..] {
        [id, secret] => (id, secret, None),
        [id, secret, kind] => (id, secret, Some(kind).filter(|kind| !kind.is_empty())),
        _ => return Err(format!("{} fields, not id,secret or id,secret,type", fields.len())),
    };
    // It would be a device that anybody can sign in as.
    let is_first = record.position().is_some_and(|position| position.record() == 0);
    if is_first && is_headed(id, secret) {
        return Err(format!(
            "the line of '{id}' is a heading, as it looks, and none is taken: leave it out, or put it behind another \
             where it is a device"
        ));
    }
    let device = id.parse().map_err(|error: protocol::BadId| error.to_string())?;
    if secret.starts_with("slt_") {
        return Err(format!("the secret of '{id}' begins with slt_, as only tokens of users do"));
    }
    let characters = secret.chars().count();
    if characters < SECRET_CHARACTERS_MIN {
        return Err(format!(
            "the secret of '{id}' has {characters} characters: give one of {SECRET_CHARACTERS_MIN} or more, or leave the \
             line out and make one with 'sluice-gateway device add {id}'"
        ));
    }
    Ok(Line { device, secret: secret.into(), kind: kind.map(Into::into) })
}

/// Whether the first line of a file looks like the names of its columns.
fn is_headed(id: &str, secret: &str) -> bool {
    let secret = secret.to_ascii_lowercase();
    HEADED_ID.iter().any(|name| id.eq_ignore_ascii_case(name))
        || HEADED_SECRET.iter().any(|name| secret.ends_with(name))
}

/// Slow by design, so all cores take part.
fn hash(lines: Vec<Line>) -> Vec<Imported> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let each = lines.len().div_ceil(cores).max(1);
    let hashed =
        |line: &Line| Imported::new(line.device.clone(), &line.secret, line.kind.as_deref());
    thread::scope(|scope| {
        let parts = lines.chunks(each);
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(hashed).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("hashing does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{has_devices, journal};

    fn mistakes(text: &str) -> Vec<String> {
        parse(text.as_bytes(), &Devices::default()).1
    }

    #[test]
    fn an_import_names_each_bad_line_and_no_secret() {
        let text = "d1,geheimes\na/b,geheimes\nd1,geheimes,pump\nd2,\nd3\nd4,slt_geheim\nd5,x,y,z\nd6,geheim\n";
        let said = mistakes(text);
        assert_eq!(said.len(), 7, "{said:?}");
        assert!(said[6].contains("'d6' has 6 characters: give one of 8 or more"), "{said:?}");
        for (number, said) in said.iter().enumerate() {
            assert!(said.starts_with(&format!("line {}: ", number + 2)), "{said}");
            assert!(!said.contains("geheim"), "{said}");
        }
        assert_eq!(mistakes("").len(), 1);
    }

    #[test]
    fn a_heading_is_no_device() {
        let headings = [
            "id,secret,type",
            "Device,Secret",
            "device id, secret",
            "id,password",
            "device,PASSWORD,type",
            "device_id,mqtt_secret",
            "Name,Passphrase",
            "ClientId,credential",
            "serial,api-key",
            "\u{feff}client_id,what it knows",
        ];
        for heading in headings {
            let said = mistakes(&format!("{heading}\nd1,geheimes\n"));
            let [said] = &said[..] else { panic!("{heading}: {said:?}") };
            assert!(said.starts_with("line 1: ") && said.contains("is a heading"), "{said}");
        }
    }

    #[test]
    fn what_looks_like_a_heading_is_a_device_behind_the_first_line() {
        assert_eq!(mistakes("d1,geheimes\nname,an-old-password\n"), Vec::<String>::new());
    }

    fn notes(data_dir: &Path) -> Vec<(String, serde_json::Value)> {
        let (changes, unreadable) = journal::take(data_dir).unwrap();
        assert_eq!(unreadable, 0);
        changes.into_iter().map(|change| (change.action, change.details)).collect()
    }

    #[test]
    fn an_import_of_many_is_noted_device_by_device_in_entries_that_are_not_too_long() {
        let folder = tempfile::tempdir().unwrap();
        let long = |number: usize| format!("{number:0>128}");
        let lines: Vec<_> = (0..NOTED_TOGETHER + 1).map(long).collect();
        // Hashing all of them would take its time, and is not what this is about.
        let ids: Vec<DeviceId> = lines.iter().map(|id| id.parse().unwrap()).collect();
        leave(folder.path(), &told(&ids)).unwrap();
        let notes = notes(folder.path());
        assert_eq!(notes.len(), 2);
        for (action, details) in notes {
            assert_eq!((&*action, &details["count"]), ("credential.imported", &json!(ids.len())));
            assert!(details.to_string().len() < 7 * 1_024, "the audit log takes 8 KiB");
        }
    }

    #[test]
    fn a_secret_that_cannot_be_printed_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut full = fs::File::options().write(true).open("/dev/full").unwrap();
        let id: DeviceId = "d1".parse().unwrap();
        let refused = add(folder.path(), id.clone(), None, &mut full).unwrap_err();
        assert!(refused.to_string().contains("cannot be printed"), "{refused}");
        assert!(!has_devices(folder.path()), "MQTT clients need not sign in");
        assert_eq!(notes(folder.path()), []);
        add(folder.path(), id, None, &mut Vec::new()).unwrap();
        assert!(has_devices(folder.path()));
    }

    #[test]
    fn revoking_what_is_not_there_makes_nobody_sign_in() {
        let folder = tempfile::tempdir().unwrap();
        let revoke = DeviceAction::Revoke { id: "d1".parse().unwrap() };
        let refused = revoke.run(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("'d1'") && !has_devices(folder.path()), "{refused}");
        assert_eq!(notes(folder.path()), []);
    }

    #[test]
    fn an_import_is_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        import(folder.path(), b"d1,secret-one,pump\nd2,secret-two\n").unwrap();
        assert!(import(folder.path(), b"d3,secret-three\nd2,secret-again\n").is_err());
        let devices = Devices::list(folder.path()).unwrap();
        let known: Vec<_> =
            devices.iter().map(|(id, it)| (id.as_str(), it.kind.as_deref())).collect();
        assert_eq!(known, [("d1", Some("pump")), ("d2", None)]);
        let details = json!({"count": 2, "devices": ["d1", "d2"]});
        assert_eq!(notes(folder.path()), [("credential.imported".into(), details)]);
    }
}
