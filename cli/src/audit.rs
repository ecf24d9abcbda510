//! `sluice audit verify`: whether the audit log is one chain, from its newest entry to its first.

use crate::{Exit, Output, gateway::Gateway, output::Format, pages::Pages};
use anyhow::{Context as _, Result, bail};
use protocol::AuditEntry;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use sha2::{Digest as _, Sha256};

/// What an entry says of its place.
#[derive(Debug, Deserialize)]
struct Place {
    number: u64,
    device: Option<String>,
    previous: String,
    hash: String,
    action: String,
    details: Box<RawValue>,
}

/// The last entry that went with a beginning that the log let go (`audit.pruned`).
#[derive(Debug, Deserialize)]
struct Pruned {
    through: u64,
    hash: String,
}

/// Goes through the whole log, the newest entries first.
pub(crate) async fn verify(gateway: &Gateway, output: &mut Output) -> Result<Exit> {
    let mut chain = Chain::default();
    let mut pages = Pages::new(gateway, "audit", vec![("limit", "1000".into())]);
    while let Some(entries) = pages.page::<Box<RawValue>>().await? {
        for entry in &entries {
            chain.add(entry.get())?;
        }
    }
    if !chain.is_in_sight {
        output.error(NOT_IN_SIGHT);
        return Ok(Exit::NotInSight);
    }
    chain.check_whole()?;
    let Chain { entries, head, last, .. } = chain;
    let (head, first) = (head.unwrap_or_default(), last.map_or(0, |place| place.number));
    match output.format() {
        Format::Json => {
            let said = json!({"entries": entries, "first": first, "head": head}).to_string();
            output.raw(&RawValue::from_string(said)?)?;
        }
        Format::Text => output.line(&format!(
            "{entries} entries, from number {first} on, are one chain; its head is {head}"
        ))?,
    }
    Ok(Exit::Fine)
}

/// A narrowed token sees entries about its devices only.
const NOT_IN_SIGHT: &str = "this token does not see the whole audit log, so nothing can be said of it: verify it with \
                            a token that is narrowed neither to devices nor to channels";

/// What was verified, from the newest entry on.
#[derive(Debug, Default)]
struct Chain {
    entries: u64,
    /// The hash of the newest entry.
    head: Option<String>,
    /// The oldest entry so far.
    last: Option<Place>,
    /// What the newest `audit.pruned` says.
    pruned: Option<Pruned>,
    /// Whether an entry about no device was among them: each start of the gateway is one, and who does not see the whole
    /// log sees none.
    is_in_sight: bool,
    /// The newest place where an entry does not follow the one before: the numbers of both.
    broken: Option<(u64, u64)>,
}

impl Chain {
    /// Takes the entry before those that were taken, as the gateway wrote it.
    ///
    /// # Errors
    /// What is wrong, with the entry's number.
    fn add(&mut self, entry: &str) -> Result<()> {
        let place: Place = serde_json::from_str(entry).context("an entry of the audit log")?;
        let number = place.number;
        let Some((covered, _)) = AuditEntry::split(entry) else {
            bail!("entry {number} of the audit log does not end with its hash");
        };
        if digest(&covered) != place.hash {
            bail!(
                "entry {number} of the audit log was changed: its hash is not that of its content"
            );
        }
        if let Some(last) = &self.last
            && (last.number != number + 1 || last.previous != place.hash)
        {
            self.broken.get_or_insert((last.number, number));
        }
        self.is_in_sight |= place.device.is_none();
        if place.action == AuditEntry::PRUNED && self.pruned.is_none() {
            self.pruned = Some(serde_json::from_str(place.details.get())?);
        }
        self.head.get_or_insert_with(|| place.hash.clone());
        self.entries += 1;
        self.last = Some(place);
        Ok(())
    }

    /// Each entry follows the one before; the oldest is the first of all, or follows what `audit.pruned` says was let go.
    ///
    /// # Errors
    /// That one does not, or that entries before the oldest are missing.
    fn check_whole(&self) -> Result<()> {
        if let Some((entry, before)) = self.broken {
            bail!("entry {entry} of the audit log does not follow entry {before}");
        }
        let Some(first) = &self.last else { return Ok(()) };
        let before = match &self.pruned {
            Some(Pruned { through, hash }) => (*through, hash.clone()),
            None => (0, AuditEntry::NO_HASH.into()),
        };
        if (first.number.saturating_sub(1), &first.previous) != (before.0, &before.1) {
            bail!("entries of the audit log are missing before number {}", first.number);
        }
        Ok(())
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries from the newest on, chained, from number `first` on behind `before`.
    fn chained(first: u64, before: &str, actions: &[(&str, &str)]) -> Vec<String> {
        let mut previous = before.to_owned();
        let mut entries = Vec::new();
        for (number, (action, details)) in (first..).zip(actions) {
            let text = format!(
                r#"{{"number":{number},"action":"{action}","details":{details},"previous":"{previous}"}}"#
            );
            previous = digest(&text);
            let open = text.strip_suffix('}').unwrap();
            entries.push(format!(r#"{open},"hash":"{previous}"}}"#));
        }
        entries.reverse();
        entries
    }

    fn verified(entries: &[String]) -> Result<u64> {
        let mut chain = Chain::default();
        entries.iter().try_for_each(|entry| chain.add(entry))?;
        chain.check_whole()?;
        Ok(chain.entries)
    }

    #[test]
    fn a_whole_chain_is_verified() {
        let entries = chained(1, AuditEntry::NO_HASH, &[("a", "{}"), ("b", "{}"), ("c", "{}")]);
        assert_eq!(verified(&entries).unwrap(), 3);
        assert_eq!(verified(&[]).unwrap(), 0);
    }

    #[test]
    fn a_changed_entry_is_named() {
        let mut entries = chained(1, AuditEntry::NO_HASH, &[("a", "{}"), ("b", "{}"), ("c", "{}")]);
        entries[1] = entries[1].replace(r#""b""#, r#""x""#);
        let error = verified(&entries).unwrap_err().to_string();
        assert!(error.contains("entry 2") && error.contains("changed"), "{error}");
    }

    #[test]
    fn entries_about_devices_alone_are_not_the_whole_log() {
        let mut entries = chained(1, AuditEntry::NO_HASH, &[("a", "{}"), ("b", "{}"), ("c", "{}")]);
        let seen = |entries: &[String]| {
            let mut chain = Chain::default();
            entries.iter().try_for_each(|entry| chain.add(entry)).map(|()| chain.is_in_sight)
        };
        assert!(seen(&entries).unwrap());
        for entry in &mut entries {
            let (text, _) = entry.rsplit_once(AuditEntry::BEFORE_HASH).unwrap();
            let text = format!(r#"{text},"device":"pump-1"}}"#);
            let (hash, open) = (digest(&text), text.strip_suffix('}').unwrap());
            *entry = format!(r#"{open},"hash":"{hash}"}}"#);
        }
        assert!(!seen(&entries).unwrap() && !seen(&[]).unwrap());
    }

    #[test]
    fn a_missing_entry_is_named_in_the_middle_and_at_the_beginning() {
        let mut entries = chained(1, AuditEntry::NO_HASH, &[("a", "{}"), ("b", "{}"), ("c", "{}")]);
        let error = verified(&entries[..2]).unwrap_err().to_string();
        assert!(error.contains("missing before number 2"), "{error}");
        entries.remove(1);
        let error = verified(&entries).unwrap_err().to_string();
        assert!(error.contains("entry 3") && error.contains("follow entry 1"), "{error}");
    }

    #[test]
    fn a_log_that_let_a_beginning_go_begins_where_it_says() {
        let hash = "a".repeat(64);
        let pruned = format!(r#"{{"through":6,"hash":"{hash}"}}"#);
        let actions = [("a", "{}"), ("audit.pruned", pruned.as_str())];
        assert_eq!(verified(&chained(7, &hash, &actions)).unwrap(), 2);
        assert!(verified(&chained(7, AuditEntry::NO_HASH, &actions)).is_err());
        assert!(verified(&chained(8, &hash, &actions)).is_err());
    }
}
