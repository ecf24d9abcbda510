//! `sluice batch`: one command for many devices, and how far it is.

use crate::{
    Exit, Output,
    args::{BatchAction, BatchOrder, RowQuery, Waiting},
    command::{self, colored},
    follow::{Followed, Following},
    gateway::Gateway,
    output::Format,
    pages::Pages,
    text::{bar, clean, seconds},
};
use anyhow::{Context, Result};
use protocol::{Batch, CommandId, CommandState, Update};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::Instant;

/// Without a live line, how far it is is told no more often.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Does what `action` asks.
pub(crate) async fn run(
    gateway: &Gateway,
    action: BatchAction,
    output: &mut Output,
) -> Result<Exit> {
    match action {
        BatchAction::Send(order) => send(gateway, &order, output).await,
        BatchAction::Show { id, waiting } if waiting.is_wanted() => {
            follow(gateway, id, waiting, output).await
        }
        BatchAction::Show { id, .. } => print(&gateway.show_batch(id).await?, output),
        BatchAction::Rows(query) => rows(gateway, &query, output).await,
        BatchAction::Pause { id } => print(&gateway.change_batch(id, "pause").await?, output),
        BatchAction::Resume { id } => print(&gateway.change_batch(id, "resume").await?, output),
        BatchAction::Cancel { id } => print(&gateway.change_batch(id, "cancel").await?, output),
    }
}

/// Where there are none the batch itself is asked for, which may not exist. Who may see only some of its rows may not
/// see it.
async fn rows(gateway: &Gateway, query: &RowQuery, output: &mut Output) -> Result<Exit> {
    let pages = || Pages::new(gateway, "commands", query.pairs());
    let first: Option<Vec<IgnoredAny>> = pages().at_most(1).page().await?;
    if first.is_none_or(|rows| rows.is_empty()) {
        gateway.show_batch(query.batch).await?;
    }
    command::print(pages(), output).await
}

async fn send(gateway: &Gateway, order: &BatchOrder, output: &mut Output) -> Result<Exit> {
    let raw: Box<RawValue> = gateway.batch(&order.request()).await?;
    let batch: Batch = read(&raw)?;
    print(&raw, output)?;
    if !order.waiting.is_wanted() {
        return Ok(Exit::Fine);
    }
    let id = batch.id.parse().context("the gateway's batch has an id that is none")?;
    follow(gateway, id, order.waiting, output).await
}

fn read(raw: &RawValue) -> Result<Batch> {
    serde_json::from_str(raw.get()).context("the gateway's batch cannot be read")
}

fn print(raw: &RawValue, output: &mut Output) -> Result<Exit> {
    match output.format() {
        Format::Json => output.raw(raw)?,
        Format::Text => {
            let batch = read(raw)?;
            output.line(&format!("{}  {}", clean(&batch.id), progress(&batch)))?;
        }
    }
    Ok(Exit::Fine)
}

/// Its state, how many rows have ended, and how many are where.
fn progress(batch: &Batch) -> String {
    let counts = batch.counts.iter().filter(|(_, count)| **count > 0);
    let counts: Vec<_> = counts.map(|(state, n)| format!("{n} {}", colored(*state))).collect();
    let (state, ended, total) = (batch.state, ended(batch), batch.total);
    format!("{state}  {ended} of {total} ended: {}", counts.join(", "))
}

fn ended(batch: &Batch) -> usize {
    batch.counts.iter().filter(|(state, _)| state.is_final()).map(|(_, count)| count).sum()
}

/// Asks once it is listened to, so no change is missed.
async fn follow(
    gateway: &Gateway,
    id: CommandId,
    waiting: Waiting,
    output: &mut Output,
) -> Result<Exit> {
    let goes_on = || format!("batch {id} goes on (look with 'sluice batch show {id}')");
    let mut following =
        Following::start(gateway, format!("batches/{id}")).await.with_context(goes_on)?;
    let mut sent = Sent { gateway, id, begin: Instant::now(), told: None, batch: None };
    sent.catch_up(output).await.with_context(goes_on)?;
    following.until_done(&mut sent, waiting, output).await.with_context(goes_on)?;
    let Some(batch) = sent.batch.as_ref().filter(|_| sent.is_done()) else {
        output.note(&format!("{}; 'sluice batch pause {id}' or 'cancel {id}' stops it", goes_on()));
        return Ok(Exit::StillOpen);
    };
    let succeeded = batch.counts.get(&CommandState::Succeeded).copied().unwrap_or(0);
    if succeeded == batch.total {
        return Ok(Exit::Fine);
    }
    let others = batch.total - succeeded;
    output.note(&format!("{others} did not succeed: 'sluice batch rows {id}' lists them"));
    Ok(Exit::NotSucceeded)
}

/// A batch that is followed.
struct Sent<'a> {
    gateway: &'a Gateway,
    id: CommandId,
    begin: Instant,
    /// When how far it is was printed last.
    told: Option<Instant>,
    /// The newest that is known.
    batch: Option<Batch>,
}

impl Sent<'_> {
    fn saw(&mut self, raw: &RawValue, output: &mut Output) -> Result<()> {
        let batch = read(raw)?;
        let before = self.batch.replace(batch);
        if output.format() == Format::Json {
            return Ok(output.raw(raw)?);
        }
        let Some(batch) = self.batch.as_ref().filter(|batch| before.as_ref() != Some(*batch))
        else {
            return Ok(());
        };
        let recent = self.told.is_some_and(|told| told.elapsed() < LINE_EVERY);
        let moved = before.is_none_or(|before| before.state != batch.state) || self.is_done();
        if moved || !(recent || output.is_seen_live()) {
            let elapsed = seconds(self.begin.elapsed());
            output.line(&format!("{elapsed:>9}  {}", progress(batch)))?;
            self.told = Some(Instant::now());
        }
        Ok(())
    }
}

impl Followed for Sent<'_> {
    fn update(&mut self, update: &Update, output: &mut Output) -> Result<()> {
        self.saw(&update.data, output)
    }

    async fn catch_up(&mut self, output: &mut Output) -> Result<()> {
        let raw: Box<RawValue> = self.gateway.show_batch(self.id).await?;
        self.saw(&raw, output)
    }

    /// What was sent goes on to its end, also where the batch was given up or cancelled.
    fn is_done(&self) -> bool {
        self.batch
            .as_ref()
            .is_some_and(|batch| batch.state.is_final() && ended(batch) == batch.total)
    }

    fn now(&self) -> String {
        let Some(batch) = &self.batch else { return String::new() };
        #[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^52")]
        let share = ended(batch) as f64 / batch.total.max(1) as f64;
        let count = |(state, count): (&CommandState, &usize)| format!("{count} {state}");
        let counts: Vec<_> = batch.counts.iter().map(count).collect();
        let (ended, total, state) = (ended(batch), batch.total, batch.state);
        format!("{}  {ended}/{total}  {state}: {}", bar(share), counts.join(", "))
    }
}
