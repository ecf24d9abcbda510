//! `sluice command`: lists commands, explains one, cancels one.

mod explain;
mod words;

pub(crate) use words::{color_number, colored, stage, summary};

use crate::{
    Exit, Output,
    args::{CommandAction, CommandQuery},
    gateway::Gateway,
    output::Format,
    pages::Pages,
    table,
    text::{ago, clean, compact, now},
};
use anyhow::Result;
use comfy_table::{Cell, Color};
use protocol::{Command, CommandDetails, CommandId, Timestamp};
use serde_json::value::RawValue;

/// Does what `action` asks.
pub(crate) async fn run(
    gateway: &Gateway,
    action: CommandAction,
    output: &mut Output,
) -> Result<Exit> {
    match action {
        CommandAction::List(query) => list(gateway, &query, output).await,
        CommandAction::Explain { id } => explain(gateway, id, output).await,
        CommandAction::Cancel { id } => cancel(gateway, id, output).await,
    }
}

async fn list(gateway: &Gateway, query: &CommandQuery, output: &mut Output) -> Result<Exit> {
    let rows = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let pages = Pages::new(gateway, "commands", query.pairs()).at_most(rows);
    print(pages, output).await
}

/// Prints the commands of `pages`.
pub(crate) async fn print(pages: Pages<'_>, output: &mut Output) -> Result<Exit> {
    match output.format() {
        Format::Json => pages.print_json(output).await?,
        Format::Text => print_table(&pages.all().await?, output)?,
    }
    Ok(Exit::Fine)
}

fn print_table(commands: &[Command], output: &mut Output) -> Result<()> {
    if commands.is_empty() {
        output.note("no commands");
        return Ok(());
    }
    let now = now();
    let rows = commands.iter().map(|command| row(now, command));
    Ok(table::print(["ID", "DEVICE", "COMMAND", "CREATED", "STATE"], rows, output)?)
}

fn row(now: Timestamp, command: &Command) -> [Cell; 5] {
    let params = command.params.as_object().filter(|params| !params.is_empty());
    let params = params.map(|_| format!(" {}", compact(&command.params))).unwrap_or_default();
    [
        Cell::new(command.id),
        Cell::new(&command.device),
        Cell::new(clean(&command.name) + &params),
        Cell::new(ago(now, command.created_at)),
        Cell::new(words::plain_stage(command)).fg(Color::AnsiValue(color_number(command.state))),
    ]
}

async fn explain(gateway: &Gateway, id: CommandId, output: &mut Output) -> Result<Exit> {
    match output.format() {
        Format::Json => output.raw(&gateway.show::<Box<RawValue>>(id).await?)?,
        Format::Text => {
            let details: CommandDetails = gateway.show(id).await?;
            output.text(&explain::story(now(), &details))?;
        }
    }
    Ok(Exit::Fine)
}

async fn cancel(gateway: &Gateway, id: CommandId, output: &mut Output) -> Result<Exit> {
    match output.format() {
        Format::Json => output.raw(&gateway.cancel::<Box<RawValue>>(id).await?)?,
        Format::Text => output.line(&summary(&gateway.cancel(id).await?))?,
    }
    Ok(Exit::Fine)
}
