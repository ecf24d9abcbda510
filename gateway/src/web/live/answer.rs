//! What a client asks: what is answered at once, and what the core or the store are asked for it (`asked`).

use super::{
    super::{Web, caller, problem::Refused, who::Who},
    asked::{Answered, Asker, subscribe},
    closing::End,
    connection::Connection,
};
use crate::{clock, core::Stopped};
use protocol::{ClientMessage, Reply, RequestId, Role, TopicFilter};
use std::sync::Arc;

impl Connection {
    /// Answers one message, or begins to.
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
        let asker = self.asker();
        match message {
            ClientMessage::Hello { token } => {
                self.renew(token.as_deref()).await?;
                self.outlet.say(&Reply::Ok { id: mark, command: None });
            }
            ClientMessage::Ping {} => {
                self.outlet.say(&Reply::Pong { id: mark, server_time: clock::now() });
            }
            ClientMessage::Subscribe { channels, options } => {
                self.wait_for(subscribe(asker, mark, channels, options));
            }
            ClientMessage::Unsubscribe { channels } => {
                self.wait_for(asker.unsubscribe(mark, channels));
            }
            ClientMessage::Replay { channel, from, to } => {
                self.wait_for(asker.replay(mark, channel, (from, to)));
            }
            ClientMessage::Command { device, request } => {
                self.wait_for(asker.command(mark, self.operator(), device, request));
            }
            ClientMessage::Cancel { command } => {
                self.wait_for(asker.cancel(mark, self.operator(), command));
            }
        }
        Ok(())
    }

    /// Has an answer come while the connection goes on.
    fn wait_for(
        &mut self,
        answer: impl Future<Output = Result<Answered, Stopped>> + Send + 'static,
    ) {
        self.answering = Some(Box::pin(answer));
    }

    fn asker(&self) -> Asker {
        Asker { web: Arc::clone(&self.web), id: self.id, outlet: self.outlet.clone() }
    }

    pub(super) fn refuse(&self, id: Option<RequestId>, code: &str, message: String) {
        self.asker().refuse(id, code, message);
    }

    /// Who is here, as one who may command.
    fn operator(&self) -> Result<Who, Refused> {
        if self.user.role < Role::Operator {
            return Err(caller::forbidden(&self.user, Role::Operator));
        }
        Ok(self.who())
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
