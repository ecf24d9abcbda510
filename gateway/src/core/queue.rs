//! The queue before the core: one order for all that comes, and room of its own for each of two kinds. So a question
//! sees everything that was in the queue before it, yet does not stand behind every device that waits for room.

use super::Input;
use std::sync::Arc;
use tokio::sync::{
    Semaphore, TryAcquireError,
    mpsc::{self, error::TrySendError},
};

/// How many messages and events of the edge may wait for the core: so few that who asks behind them does not notice.
/// When there is no room, the edge stops reading from that socket, and nothing is lost.
const MESSAGES_MAX: usize = 8_192;

/// How many questions may wait for the core; who asks more waits for room.
const QUESTIONS_MAX: usize = 1_024;

/// Where inputs are put in; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    inputs: mpsc::UnboundedSender<Input>,
    room: Arc<Room>,
}

/// Where the core takes them out.
#[derive(Debug)]
pub struct Inputs {
    inputs: mpsc::UnboundedReceiver<Input>,
    room: Arc<Room>,
}

#[derive(Debug)]
struct Room {
    messages: Semaphore,
    questions: Semaphore,
}

/// What an input needs of the room.
enum Need {
    Messages(usize),
    Question,
}

impl Need {
    fn of(input: &Input) -> Self {
        match input {
            Input::Ingest { inbound, .. } | Input::LastWords(inbound) => {
                Self::Messages(inbound.len().min(MESSAGES_MAX))
            }
            Input::Raw { .. } | Input::Edge { .. } | Input::Gone(_) => Self::Messages(1),
            Input::Ask(_)
            | Input::Change(_)
            | Input::Look(_)
            | Input::AwaitEnd { .. }
            | Input::Kick { .. } => Self::Question,
        }
    }
}

impl Room {
    /// Where `input` needs room, and how much.
    fn needed(&self, input: &Input) -> (&Semaphore, u32) {
        match Need::of(input) {
            Need::Messages(count) => (&self.messages, count as u32),
            Need::Question => (&self.questions, 1),
        }
    }

    /// Gives back what `inputs` took, all at once: to give back takes a lock.
    fn give_back(&self, inputs: &[Input]) {
        let (mut messages, mut questions) = (0, 0);
        for input in inputs {
            match Need::of(input) {
                Need::Messages(count) => messages += count,
                Need::Question => questions += 1,
            }
        }
        self.messages.add_permits(messages);
        self.questions.add_permits(questions);
    }
}

/// An empty queue.
pub(super) fn queue() -> (Queue, Inputs) {
    let (sender, inputs) = mpsc::unbounded_channel();
    let messages = Semaphore::new(MESSAGES_MAX);
    let questions = Semaphore::new(QUESTIONS_MAX);
    let room = Arc::new(Room { messages, questions });
    (Queue { inputs: sender, room: Arc::clone(&room) }, Inputs { inputs, room })
}

impl Queue {
    /// Puts `input` in, waiting for room.
    ///
    /// # Errors
    /// With the input, when nobody takes inputs out any more.
    ///
    /// # Cancel safety
    /// Cancelled before it returns, the input was not put in.
    pub(super) async fn send(&self, input: Input) -> Result<(), mpsc::error::SendError<Input>> {
        let (room, places) = self.room.needed(&input);
        match room.acquire_many(places).await {
            Ok(taken) => taken.forget(),
            Err(_closed) => return Err(mpsc::error::SendError(input)),
        }
        self.inputs.send(input)
    }

    /// Puts `input` in, if there is room at once.
    ///
    /// # Errors
    /// With the input, when there is no room, or nobody takes inputs out any more.
    pub(super) fn try_send(&self, input: Input) -> Result<(), TrySendError<Input>> {
        let (room, places) = self.room.needed(&input);
        match room.try_acquire_many(places) {
            Ok(taken) => taken.forget(),
            Err(TryAcquireError::NoPermits) => return Err(TrySendError::Full(input)),
            Err(TryAcquireError::Closed) => return Err(TrySendError::Closed(input)),
        }
        self.inputs.send(input).map_err(|gone| TrySendError::Closed(gone.0))
    }
}

impl Inputs {
    /// Takes the next inputs, at most `count`, to the end of `taken`; how many. None: there will be no more.
    ///
    /// # Cancel safety
    /// Cancelled, none was taken.
    pub async fn take(&mut self, taken: &mut Vec<Input>, count: usize) -> usize {
        let before = taken.len();
        let new = self.inputs.recv_many(taken, count).await;
        self.room.give_back(&taken[before..]);
        new
    }

    /// The next input, for who stands in for the core; none: there will be no more.
    ///
    /// # Cancel safety
    /// As [`Self::take`].
    pub async fn next(&mut self) -> Option<Input> {
        let mut taken = Vec::new();
        self.take(&mut taken, 1).await;
        taken.pop()
    }

    /// How many inputs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inputs.len()
    }

    /// Whether the edge has to wait for room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room.messages.available_permits() == 0
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        self.room.messages.close();
        self.room.questions.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rhythm::Cue;
    use bridge::{data::Data, event::ConnectionId, ingest::Inbound};
    use futures_util::{future::join_all, poll};

    fn message() -> Input {
        Input::Gone(ConnectionId(1))
    }

    fn question() -> Input {
        Input::Ask(Box::new(|_, _| {}))
    }

    fn batch(messages: usize) -> Input {
        let update = Inbound::Update {
            channel: "telemetry/d".parse().unwrap(),
            device: None,
            timestamp: None,
            data: Data::of(&1),
        };
        Input::Ingest {
            connection: ConnectionId(1),
            cue: Cue::Own,
            inbound: vec![update; messages],
            receipt: None,
            gathering: None,
        }
    }

    fn full() -> (Queue, Inputs) {
        let (queue, inputs) = queue();
        while queue.try_send(message()).is_ok() {}
        assert!(inputs.is_full());
        (queue, inputs)
    }

    #[tokio::test]
    async fn a_question_comes_behind_what_waits_and_before_who_waits_for_room() {
        let (queue, mut inputs) = full();
        let mut waiting = join_all((0..10).map(|_| Box::pin(queue.send(message()))));
        assert!(poll!(&mut waiting).is_pending());
        queue.try_send(question()).expect("devices take no room from it");
        let mut taken = Vec::new();
        inputs.take(&mut taken, MESSAGES_MAX).await;
        waiting.await.into_iter().for_each(|sent| sent.expect("there is room again"));
        inputs.take(&mut taken, MESSAGES_MAX).await;
        let asked = taken.iter().position(|input| matches!(input, Input::Ask(_)));
        assert_eq!((asked, taken.len()), (Some(MESSAGES_MAX), MESSAGES_MAX + 11));
    }

    #[tokio::test]
    async fn questions_have_a_bound_too_and_get_their_room_back() {
        let (queue, mut inputs) = queue();
        while queue.try_send(question()).is_ok() {}
        assert_eq!(inputs.waiting(), QUESTIONS_MAX);
        queue.try_send(message()).expect("questions take no room from devices");
        assert_eq!(inputs.take(&mut Vec::new(), 2).await, 2);
        assert!(queue.try_send(question()).is_ok() && queue.try_send(question()).is_ok());
        assert!(matches!(queue.try_send(question()), Err(TrySendError::Full(_))));
    }

    #[tokio::test]
    async fn a_batch_takes_room_for_each_message_but_never_more_than_there_is() {
        let (queue, mut inputs) = queue();
        queue.try_send(batch(MESSAGES_MAX - 1)).expect("there is room");
        assert!(matches!(queue.try_send(batch(2)), Err(TrySendError::Full(_))));
        queue.try_send(batch(1)).expect("there is room for one");
        assert!(inputs.is_full());
        let mut greatest = Box::pin(queue.send(batch(MESSAGES_MAX * 2)));
        assert!(poll!(&mut greatest).is_pending());
        assert_eq!(inputs.take(&mut Vec::new(), 2).await, 2);
        greatest.await.expect("it takes all the room");
        assert!(inputs.is_full());
        assert_eq!(inputs.take(&mut Vec::new(), 1).await, 1);
        queue.try_send(batch(MESSAGES_MAX)).expect("all of it was given back");
    }

    #[tokio::test]
    async fn who_waits_for_room_learns_that_the_core_has_ended() {
        let (queue, inputs) = full();
        let mut waiting = Box::pin(queue.send(message()));
        assert!(poll!(&mut waiting).is_pending());
        drop(inputs);
        waiting.await.expect_err("nobody takes it");
        assert!(matches!(queue.try_send(question()), Err(TrySendError::Closed(_))));
    }
}
