//! Retention: blocks that are too old, or too much, go; a few at a time, and the file shrinks.
//!
//! A block goes whole, when the newest update in it is too old by its timestamp. So that this is soon after the oldest is,
//! a block of a channel that loses its updates with time has only what came within a [`Rule::span`], and the log, which
//! folding empties, none from before the shortest age.

use super::{
    Rule, Settings,
    commit::write_channel,
    live::{Channel, Live, is_within},
    record::ChannelId,
    schema,
    writer::{LogRow, Writer},
};
use protocol::{Millis, Seq, Timestamp};
use rusqlite::{Connection, Row};
use std::collections::BTreeMap;

/// How often retention looks through the blocks.
const EVERY: Millis = Millis(60_000);

/// It looks at so many at once, so that a commit does not wait long.
const BLOCKS_AT_ONCE: u64 = 512;

/// A round of retention: it goes through the blocks from the oldest on.
#[derive(Debug)]
pub(super) struct Round {
    now: Timestamp,
    /// The bytes that each rule's channels have too many.
    excess: Vec<u64>,
    /// The last block it looked at.
    behind: (Timestamp, ChannelId, Seq),
}

/// What retention needs to know of a block.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u64,
    channel: ChannelId,
    newest: Timestamp,
    last: Seq,
    bytes: u64,
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            channel: ChannelId(row.get(1)?),
            newest: Timestamp(row.get(2)?),
            last: Seq(row.get(3)?),
            bytes: row.get(4)?,
        })
    }
}

impl Writer {
    /// Begins a round when it is time, or goes a step further in it.
    ///
    /// # Errors
    /// SQLite's; nothing is changed then.
    pub(super) fn let_go(&mut self) -> rusqlite::Result<()> {
        if self.settings.retention.is_empty() {
            return Ok(());
        }
        let now = (self.settings.clock)();
        // Also when the clock was put back: the next is not to wait until it is there again.
        let due = |began: Timestamp| now < began || began.plus(EVERY) <= now;
        if self.round.is_none() && self.round_began.is_none_or(due) {
            self.round_began = Some(now);
            let round = Round::begin(&self.connection, &self.live(), &self.settings, now)?;
            self.round = Some(round);
        }
        if let Some(mut round) = self.round.take() {
            let more = self.step(&mut round)?;
            if more == More::Yes {
                self.round = Some(round);
            }
        }
        shrink(&self.connection)
    }

    fn step(&mut self, round: &mut Round) -> rusqlite::Result<More> {
        let looked = round.look(&self.connection)?;
        let mut going: BTreeMap<ChannelId, (Channel, Vec<u64>)> = BTreeMap::new();
        let mut more = if looked.is_empty() { More::No } else { More::Yes };
        {
            let live = self.live();
            for block in looked {
                round.behind = (block.newest, block.channel, block.last);
                if round.is_past(&self.settings, block.newest) {
                    more = More::No;
                    break;
                }
                if !round.goes(&self.settings, &live, &block) {
                    continue;
                }
                let Some(channel) = live.get(block.channel) else { continue };
                let (channel, ids) =
                    going.entry(block.channel).or_insert_with(|| (channel.clone(), Vec::new()));
                channel.pruned = channel.pruned.max(block.last);
                channel.blocks -= 1;
                ids.push(block.id);
            }
        }
        schema::immediately(&mut self.connection, |connection| {
            for (id, (channel, blocks)) in &going {
                write_channel(connection, *id, channel)?;
                let mut delete = connection.prepare_cached("DELETE FROM block WHERE id = ?1")?;
                blocks.iter().try_for_each(|block| delete.execute([block]).map(drop))?;
            }
            Ok(())
        })?;
        let mut live = self.live();
        for (id, (channel, _)) in going {
            if let Some(known) = live.get_mut(id) {
                (known.pruned, known.blocks) = (channel.pruned, channel.blocks);
            }
        }
        Ok(more)
    }
}

/// Whether a round has more to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

impl Round {
    fn begin(
        connection: &Connection,
        live: &Live,
        settings: &Settings,
        now: Timestamp,
    ) -> rusqlite::Result<Self> {
        let behind = (Timestamp(i64::MIN), ChannelId(0), Seq(0));
        let excess = vec![0; settings.retention.len()];
        let mut round = Self { now, excess, behind };
        if settings.retention.iter().any(|rule| rule.bytes.is_some()) {
            let sql = "SELECT channel, sum(bytes) FROM block GROUP BY channel";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let channel = live.get(ChannelId(row.get(0)?));
                if let Some(rule) = channel.and_then(|channel| channel.rule)
                    && let Some(bytes) = round.excess.get_mut(rule)
                {
                    *bytes += row.get::<_, u64>(1)?;
                }
            }
        }
        for (excess, rule) in round.excess.iter_mut().zip(&settings.retention) {
            *excess = rule.bytes.map_or(0, |most| excess.saturating_sub(most));
        }
        Ok(round)
    }

    fn look(&self, connection: &Connection) -> rusqlite::Result<Vec<Candidate>> {
        let sql = "SELECT id, channel, max_ts, last_seq, bytes FROM block
            WHERE (max_ts, channel, last_seq) > (?1, ?2, ?3)
            ORDER BY max_ts, channel, last_seq LIMIT ?4";
        let (at, channel, last) = self.behind;
        let mut statement = connection.prepare_cached(sql)?;
        let bounds = (at.0, channel.0, last.0, BLOCKS_AT_ONCE);
        statement.query_map(bounds, Candidate::read)?.collect()
    }

    /// Whether the block goes, by its rule.
    fn goes(&mut self, settings: &Settings, live: &Live, block: &Candidate) -> bool {
        let Some(at) = live.get(block.channel).and_then(|channel| channel.rule) else {
            return false;
        };
        let (Some(rule), Some(excess)) = (settings.retention.get(at), self.excess.get_mut(at))
        else {
            return false;
        };
        let is_expired = rule.expired(self.now).is_some_and(|expired| block.newest < expired);
        let goes = is_expired || *excess > 0;
        if goes {
            *excess = excess.saturating_sub(block.bytes);
        }
        goes
    }

    /// Whether no block as new as this, or newer, can go.
    fn is_past(&self, settings: &Settings, newest: Timestamp) -> bool {
        let expired = settings.retention.iter().filter_map(|rule| rule.expired(self.now));
        let young = expired.max().is_none_or(|expired| newest >= expired);
        young && self.excess.iter().all(|excess| *excess == 0)
    }
}

impl Rule {
    /// What is older than this is too old; none: nothing is.
    pub(super) fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        Some(Timestamp(now.0.saturating_sub_unsigned(self.age_ms()?)))
    }

    /// What is in one block came within so long.
    pub(super) fn span(&self) -> Option<Millis> {
        self.age_ms().map(span_of)
    }

    fn age_ms(&self) -> Option<u64> {
        self.age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Settings {
    /// Which rows of the log are too old to be in it: once the `oldest` is so by the [`Rule::span`], all that are older
    /// than the shortest age; also those that were written when a clock that was put back since said a later time.
    pub(super) fn expires(&self, oldest: Option<&LogRow>) -> impl Fn(&LogRow) -> bool {
        let now = (self.clock)();
        let shortest = self.retention.iter().filter_map(Rule::age_ms).min();
        let due = |age: u64| {
            let kept = Some(Millis(age.saturating_add(span_of(age).0)));
            oldest.is_some_and(|row| !is_within(kept, row.at, now))
        };
        let age = shortest.filter(|age| due(*age)).map(Millis);
        move |row| !is_within(age, row.at, now)
    }
}

/// An eighth of the age, so that a channel with few updates has some ten blocks.
const fn span_of(age_ms: u64) -> Millis {
    Millis(age_ms / 8)
}

/// Gives free pages back when they are more than a quarter of the file; fewer are soon used again.
fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let number =
        |sql: &str| connection.prepare_cached(sql)?.query_one([], |row| row.get::<_, u64>(0));
    let free = number("PRAGMA freelist_count")?;
    if free > FREE_PAGES && free * 4 > number("PRAGMA page_count")? {
        connection.execute_batch("PRAGMA incremental_vacuum(512)")?;
    }
    Ok(())
}

/// A megabyte of free pages is left alone.
const FREE_PAGES: u64 = 256;
