//! What a client asks, and what it is answered.

use super::{
    super::{
        Web, api, caller,
        history::{self, Budget},
        problem::Refused,
        who::Who,
    },
    closing::End,
    connection::Connection,
};
use crate::{
    clock,
    core::{Outlet, Stopped},
};
use bridge::{
    bridge::Bridge,
    data::Fields,
    hub::{Prelude, Sink as _},
};
use protocol::{
    ClientMessage, CloseCode, CommandDetails, CommandId, CommandRequest, DeviceId, History,
    HistoryRequest, Offset, Reply, RequestId, Role, SubscribeOptions, TopicFilter,
};
use std::sync::Arc;
use tokio::time::Instant;

impl Connection {
    /// Answers one message.
    pub(super) async fn answer(
        &mut self,
        mark: Option<RequestId>,
        message: ClientMessage,
    ) -> Result<(), End> {
        if let ClientMessage::Subscribe { channels, .. } = &message
            && let Some(why) = filter_over_limit(&self.web, channels)
        {
            self.refuse(mark, "bad_filter", why);
            return Ok(());
        }
        let id = self.id;
        let core = self.web.core.clone();
        let done = match message {
            ClientMessage::Hello { token } => {
                self.renew(token.as_deref()).await?;
                self.outlet.say(&Reply::Ok { id: mark, command: None });
                Ok(())
            }
            ClientMessage::Ping {} => {
                self.outlet.say(&Reply::Pong { id: mark, server_time: clock::now() });
                Ok(())
            }
            ClientMessage::Subscribe { channels, options } => {
                self.past.expect();
                subscribe(self, mark, channels, options).await
            }
            ClientMessage::Unsubscribe { channels } => {
                work(self, move |bridge| bridge.hub.unsubscribe(id, mark, channels)).await
            }
            ClientMessage::Replay { channel, from, to } => {
                self.past.expect();
                core.ask(move |bridge, _| bridge.hub.replay(id, mark, channel, (from, to))).await
            }
            ClientMessage::Command { device, request } => {
                let created = self.command(mark.clone(), device, request).await;
                self.tell_refusal(mark, created);
                Ok(())
            }
            ClientMessage::Cancel { command } => {
                let cancelled = self.cancel(mark.clone(), command).await;
                self.tell_refusal(mark, cancelled);
                Ok(())
            }
        };
        done.map_err(|Stopped| End::Close(CloseCode::ShuttingDown))
    }

    async fn command(
        &mut self,
        mark: Option<RequestId>,
        device: DeviceId,
        request: CommandRequest,
    ) -> Result<CommandDetails, Refused> {
        let (who, tell) = (self.operator()?, self.tells(mark));
        api::create_command(&self.web, who, device, request, None, tell).await
    }

    async fn cancel(
        &mut self,
        mark: Option<RequestId>,
        command: CommandId,
    ) -> Result<CommandDetails, Refused> {
        let (who, tell) = (self.operator()?, self.tells(mark));
        api::cancel_command(&self.web, who, command, tell).await
    }

    /// Who is here, as one who may command.
    fn operator(&self) -> Result<Who, Refused> {
        if self.user.role < Role::Operator {
            return Err(caller::forbidden(&self.user, Role::Operator));
        }
        Ok(self.who())
    }

    /// Answers with a command as soon as it is stored: who asked knows its id before its first update comes.
    fn tells(&self, id: Option<RequestId>) -> impl FnOnce(&CommandDetails) + Send + 'static {
        let outlet = self.outlet.clone();
        move |command| outlet.say(&Reply::Ok { id, command: Some(Box::new(command.clone())) })
    }

    fn tell_refusal(&self, id: Option<RequestId>, outcome: Result<CommandDetails, Refused>) {
        if let Err(Refused { code, detail, .. }) = outcome {
            self.refuse(id, code, detail);
        }
    }
}

/// What is wrong with a filter that is longer or deeper than any channel: `topics/` and a topic.
pub(in crate::web) fn filter_over_limit(web: &Web, filters: &[TopicFilter]) -> Option<String> {
    const BEFORE_TOPIC: &str = "topics/";
    let (bytes, levels) = (web.limits.topic_bytes as usize, web.limits.topic_levels as usize);
    let over = |filter: &&TopicFilter| {
        filter.as_str().len() > bytes + BEFORE_TOPIC.len()
            || protocol::levels(filter.as_str()).count() > levels + 1
    };
    let filter = filters.iter().find(over)?;
    Some(format!(
        "channel filter '{filter}' is over a limit: topics have at most {bytes} bytes and {levels} levels \
         (limits.topic_bytes, limits.topic_levels)"
    ))
}

/// The most channels whose history one subscription may ask for.
const HISTORY_CHANNELS_MAX: usize = 1_000;

/// The most points of all of them.
const HISTORY_POINTS_MAX: usize = 200_000;

/// Has the core do what may take it long where there are many channels; the client rests for it.
async fn work<R: Send + 'static>(
    connection: &mut Connection,
    question: impl FnOnce(&mut Bridge<Outlet>) -> R + Send + 'static,
) -> Result<R, Stopped> {
    let timed = move |bridge: &mut Bridge<Outlet>, _| {
        let began = Instant::now();
        (question(bridge), began.elapsed())
    };
    let (answer, worked) = connection.web.core.ask(timed).await?;
    connection.rest(worked);
    Ok(answer)
}

async fn subscribe(
    connection: &mut Connection,
    mark: Option<RequestId>,
    channels: Vec<TopicFilter>,
    options: SubscribeOptions,
) -> Result<(), Stopped> {
    let (past, through) = match histories(connection, &channels, &options).await {
        Ok(found) => found,
        Err(Refused { code, detail, .. }) => {
            connection.refuse(mark, code, detail);
            return Ok(());
        }
    };
    let (id, resumes) = (connection.id, options.since.is_some());
    let subscribe = move |bridge: &mut Bridge<Outlet>| {
        bridge.hub.subscribe(id, mark, channels, &options, |hub, sink| {
            let names: Vec<_> = past.iter().map(|history| history.channel.clone()).collect();
            for history in past {
                sink.reply(&Reply::History(history));
            }
            if resumes {
                // What came since is part of what was missed.
                return Prelude::Whole;
            }
            // What came since the store was read. Where the store fails, memory may not reach back to what it has.
            hub.send_newer((id, sink), &names, through, &options)
        });
    };
    work(connection, subscribe).await
}

/// The histories that a subscription asks for, and the offset that they go up to.
async fn histories(
    connection: &mut Connection,
    channels: &[TopicFilter],
    options: &SubscribeOptions,
) -> Result<(Vec<History>, Offset), Refused> {
    let Some(request) = options.history else { return Ok((Vec::new(), Offset(0))) };
    let (web, id) = (Arc::clone(&connection.web), connection.id);
    let filters = channels.to_vec();
    let most = HISTORY_CHANNELS_MAX + 1;
    let find = move |bridge: &mut Bridge<Outlet>| bridge.hub.telemetry(id, &filters, most);
    let names = work(connection, find).await?;
    let (HistoryRequest::Last { last: points } | HistoryRequest::Since { points, .. }) = request;
    if names.len() >= most || names.len() * points as usize > HISTORY_POINTS_MAX {
        let detail = format!(
            "the history of {} channels with {points} points each is too much: at most \
             {HISTORY_CHANNELS_MAX} channels and {HISTORY_POINTS_MAX} points in all",
            names.len()
        );
        return Err(history::too_much(detail));
    }
    let fields = options.fields.as_ref();
    let fields = fields.map(|names| Fields::new(names.iter().map(String::as_str)));
    // What was published before is to be found, though it may still wait to be stored.
    let _failing_is_told_elsewhere = web.store.settled().await;
    let (mut found, mut through, mut budget) = (Vec::new(), Offset(u64::MAX), Budget::default());
    for name in names {
        let (history, up_to) =
            history::wanted(&web, name, request, fields.as_ref(), &mut budget).await?;
        through = through.min(up_to);
        found.push(history);
    }
    Ok((found, through))
}
