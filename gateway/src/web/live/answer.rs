//! What a client asks, and what it is answered.

use super::{
    super::{api, problem::Refused},
    connection::{Connection, End},
};
use crate::{clock, core::Unanswered};
use protocol::{
    ClientMessage, CloseCode, Command, Reply, RequestId, SubscribeOptions, TopicFilter,
};

impl Connection {
    /// Answers one message.
    pub(super) async fn answer(
        &mut self,
        mark: Option<RequestId>,
        message: ClientMessage,
    ) -> Result<(), End> {
        let id = self.id;
        let core = self.web.core.clone();
        let done = match message {
            ClientMessage::Hello { .. } => {
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
                core.ask(move |bridge, _| bridge.hub.unsubscribe(id, mark, channels)).await
            }
            ClientMessage::Replay { channel, from, to } => {
                self.past.expect();
                core.ask(move |bridge, _| bridge.hub.replay(id, mark, channel, (from, to))).await
            }
            ClientMessage::Command { device, request } => {
                let created = api::create_command(&self.web, device, request, None).await;
                self.tell_command(mark, created);
                Ok(())
            }
            ClientMessage::Cancel { command } => {
                let cancelled = api::cancel_command(&self.web, command).await;
                self.tell_command(mark, cancelled);
                Ok(())
            }
        };
        done.map_err(|_stopped| End::Close(CloseCode::ShuttingDown))
    }

    fn tell_command(&self, id: Option<RequestId>, outcome: Result<Command, Refused>) {
        match outcome {
            Ok(command) => {
                self.outlet.say(&Reply::Ok { id, command: Some(Box::new(command)) });
            }
            Err(Refused { code, detail, .. }) => self.refuse(id, code, detail),
        }
    }
}

async fn subscribe(
    connection: &mut Connection,
    mark: Option<RequestId>,
    channels: Vec<TopicFilter>,
    options: SubscribeOptions,
) -> Result<(), Unanswered> {
    let id = connection.id;
    connection
        .web
        .core
        .ask(move |bridge, _| bridge.hub.subscribe(id, mark, channels, &options, |_, _| {}))
        .await
}
