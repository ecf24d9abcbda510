//! When the writer commits.

use super::super::{
    Batch, Row, Table,
    inbox::{Inbox, Work},
    pending::{Health, Rounds},
};
use crate::rhythm::Cue;
use protocol::Offset;
use std::time::{Duration, Instant};

/// What the writer does about a row just after a commit; so just that the clock cannot get past it here.
fn next_after_a_commit(table: Table) -> Work {
    next_in(&Inbox::new(usize::MAX), table)
}

fn next_in(inbox: &Inbox, table: Table) -> Work {
    let now = Instant::now();
    let (updates, receipts, through) = (Vec::new(), Vec::new(), Offset(0));
    inbox.put(Batch { updates, rows: vec![Row::set(table, "key", "{}")], receipts, through });
    inbox.next(&Rounds {
        committed: Some(now + Duration::from_secs(3_600)),
        health: Health::Well,
        // It looks round rather than wait.
        ticked: now - Duration::from_secs(3_600),
    })
}

#[test]
fn a_command_is_committed_as_soon_as_the_writer_is_free() {
    assert!(matches!(next_after_a_commit(Table::Command), Work::Commit(_)));
}

#[test]
fn what_a_crowd_sends_shares_commits() {
    assert!(matches!(next_after_a_commit(Table::Session), Work::Tick { .. }));
}

#[test]
fn who_waits_for_each_acknowledgement_is_not_made_to_share_commits() {
    let inbox = Inbox::new(usize::MAX);
    (0..10).for_each(|_| inbox.note(Cue::Acknowledgement));
    assert!(matches!(next_in(&inbox, Table::Session), Work::Commit(_)));
    (0..10).for_each(|_| inbox.note(Cue::Own));
    assert!(matches!(next_in(&inbox, Table::Session), Work::Tick { .. }));
}
