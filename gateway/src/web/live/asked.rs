//! What the core and the store are asked for a client, and what it is told of that. It is done beside the
//! connection, which goes on sending: a store that hangs holds up the answer, and nothing else.

use super::super::{
    Web, api,
    history::{self, Budget},
    problem::Refused,
    who::Who,
};
use crate::core::{Outlet, Stopped};
use bridge::{
    bridge::Bridge,
    data::Fields,
    hub::{Prelude, Sink as _, SubscriberId},
};
use protocol::{
    CommandDetails, CommandId, CommandRequest, DeviceId, History, HistoryRequest, Offset, Reply,
    RequestId, Seq, SubscribeOptions, TopicFilter, TopicName,
};
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The most channels whose history one subscription may ask for.
const HISTORY_CHANNELS_MAX: usize = 1_000;

/// The most points of all of them.
const HISTORY_POINTS_MAX: usize = 200_000;

/// An answer that is under way.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Answered, Stopped>> + Send>>;

/// Waits for the answer that is under way; for ever if there is none.
///
/// # Cancel safety
/// Safe: the answer goes on with the next call.
pub(super) async fn answer_of(answering: &mut Option<Answering>) -> Result<Answered, Stopped> {
    match answering {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

/// What is left to do for the connection when an answer was given.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// How long the core worked for it, where that may be long: the client rests for it.
    pub(super) worked: Duration,
    /// Whether something of the past was asked for, which is to follow.
    pub(super) past_follows: bool,
}

/// A client, for whom something is asked.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) web: Arc<Web>,
    pub(super) id: SubscriberId,
    pub(super) outlet: Outlet,
}

impl Asker {
    pub(super) async fn unsubscribe(
        self,
        mark: Option<RequestId>,
        channels: Vec<TopicFilter>,
    ) -> Result<Answered, Stopped> {
        let id = self.id;
        let unsubscribe =
            move |bridge: &mut Bridge<Outlet>| bridge.hub.unsubscribe(id, mark, channels);
        let ((), worked) = self.work(unsubscribe).await?;
        Ok(Answered { worked, past_follows: false })
    }

    pub(super) async fn replay(
        self,
        mark: Option<RequestId>,
        channel: TopicName,
        range: (Seq, Seq),
    ) -> Result<Answered, Stopped> {
        let id = self.id;
        self.web.core.ask(move |bridge, _| bridge.hub.replay(id, mark, channel, range)).await?;
        Ok(Answered { past_follows: true, ..Answered::default() })
    }

    pub(super) async fn command(
        self,
        mark: Option<RequestId>,
        who: Result<Who, Refused>,
        device: DeviceId,
        request: CommandRequest,
    ) -> Result<Answered, Stopped> {
        let tell = self.tells(mark.clone());
        let created = match who {
            Ok(who) => api::create_command(&self.web, who, device, request, None, tell).await,
            Err(refused) => Err(refused),
        };
        Ok(self.tell_refusal(mark, created))
    }

    pub(super) async fn cancel(
        self,
        mark: Option<RequestId>,
        who: Result<Who, Refused>,
        command: CommandId,
    ) -> Result<Answered, Stopped> {
        let tell = self.tells(mark.clone());
        let cancelled = match who {
            Ok(who) => api::cancel_command(&self.web, who, command, tell).await,
            Err(refused) => Err(refused),
        };
        Ok(self.tell_refusal(mark, cancelled))
    }

    /// Answers with a command as soon as it is stored: who asked knows its id before its first update comes.
    fn tells(&self, id: Option<RequestId>) -> impl FnOnce(&CommandDetails) + Send + 'static {
        let outlet = self.outlet.clone();
        move |command| outlet.say(&Reply::Ok { id, command: Some(Box::new(command.clone())) })
    }

    fn tell_refusal(
        &self,
        id: Option<RequestId>,
        outcome: Result<CommandDetails, Refused>,
    ) -> Answered {
        if let Err(Refused { code, detail, .. }) = outcome {
            self.refuse(id, code, detail);
        }
        Answered::default()
    }

    pub(super) fn refuse(&self, id: Option<RequestId>, code: &str, message: String) {
        self.web.stats.web.refused_messages.increment();
        self.outlet.say(&Reply::Error { id, code: code.into(), message });
    }

    /// Has the core do what may take it long where there are many channels; tells how long that took.
    async fn work<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Bridge<Outlet>) -> R + Send + 'static,
    ) -> Result<(R, Duration), Stopped> {
        let timed = move |bridge: &mut Bridge<Outlet>, _| {
            let began = Instant::now();
            (question(bridge), began.elapsed())
        };
        self.web.core.ask(timed).await
    }
}

pub(super) async fn subscribe(
    asker: Asker,
    mark: Option<RequestId>,
    channels: Vec<TopicFilter>,
    options: SubscribeOptions,
) -> Result<Answered, Stopped> {
    let mut worked = Duration::ZERO;
    let (past, through) = match histories(&asker, &channels, &options, &mut worked).await {
        Ok(found) => found,
        Err(Refused { code, detail, .. }) => {
            asker.refuse(mark, code, detail);
            return Ok(Answered { worked, past_follows: false });
        }
    };
    let (id, resumes) = (asker.id, options.since.is_some());
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
    let ((), subscribing) = asker.work(subscribe).await?;
    Ok(Answered { worked: worked + subscribing, past_follows: true })
}

/// The histories that a subscription asks for, and the offset that they go up to; adds how long the core `worked`.
async fn histories(
    asker: &Asker,
    channels: &[TopicFilter],
    options: &SubscribeOptions,
    worked: &mut Duration,
) -> Result<(Vec<History>, Offset), Refused> {
    let Some(request) = options.history else { return Ok((Vec::new(), Offset(0))) };
    let (web, id) = (&asker.web, asker.id);
    let filters = channels.to_vec();
    let most = HISTORY_CHANNELS_MAX + 1;
    let find = move |bridge: &mut Bridge<Outlet>| bridge.hub.telemetry(id, &filters, most);
    let (names, finding) = asker.work(find).await?;
    *worked += finding;
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
            history::wanted(web, name, request, fields.as_ref(), &mut budget).await?;
        through = through.min(up_to);
        found.push(history);
    }
    Ok((found, through))
}
