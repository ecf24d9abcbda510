//! The life of one command as a total function: which state follows on what happened.

use protocol::{AnswerStatus, CommandState};

/// Something that happened to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// `not_before` has come.
    Due,
    /// It was written to its receiver's connection.
    Sent,
    /// The receiver's PUBACK came.
    Acknowledged,
    /// The device answered.
    Answered {
        /// What.
        status: AnswerStatus,
        /// The answer is to the newest attempt, not an older one.
        current: bool,
    },
    /// `deliver_by` has passed.
    DeliverByPassed,
    /// `finish_by` has passed.
    FinishByPassed,
    /// Somebody wants it cancelled.
    CancelAsked {
        /// Its receiver has subscribed to the cancel topic, or it may be taken back.
        cancellable: bool,
    },
    /// A newer command takes its place.
    Superseded,
    /// Its batch begins it, and the device has too many open commands.
    NoRoom,
    /// The newest attempt could not be written to its receiver, and never will be.
    NotWritten {
        /// No attempt was written before: it certainly did not run.
        first: bool,
    },
    /// It waited for its receiver's window and is not written any more; no attempt was: it certainly did not run.
    GivenBack {
        /// Its receiver went away before.
        receiver_left: bool,
    },
    /// It was to be taken back, but was written meanwhile, and its receiver cannot be asked to give it up.
    WrittenAfterAll,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It comes to this state.
    To(CommandState),
    /// It ends in this state after it had timed out.
    Late(CommandState),
    /// It goes back to where it was before somebody asked to cancel it.
    Back,
    /// The state stays; the answer's progress counts.
    Progress,
    /// The state stays; what came is kept as a note.
    Note,
    /// Nothing: known already, or not about this state.
    Nothing,
    /// It has ended: 409 `already_final`.
    AlreadyFinal,
    /// The device cannot be asked: 409 `device_cannot_cancel`.
    CannotCancel,
}

/// What follows when `happening` meets a command in `state`.
#[must_use]
pub fn step(state: CommandState, happening: Happening) -> Step {
    use CommandState as State;
    match state {
        State::Scheduled | State::Queued => before_sending(state, happening),
        State::Sent | State::Delivered | State::Started => underway(state, happening),
        State::Cancelling => cancelling(happening),
        State::TimedOut => timed_out(happening),
        State::Succeeded
        | State::Failed
        | State::Rejected
        | State::Cancelled
        | State::Superseded
        | State::Expired => ended(happening),
    }
}

fn before_sending(state: CommandState, happening: Happening) -> Step {
    match happening {
        Happening::Due if state == CommandState::Scheduled => Step::To(CommandState::Queued),
        Happening::Sent if state == CommandState::Queued => Step::To(CommandState::Sent),
        Happening::DeliverByPassed => Step::To(CommandState::Expired),
        Happening::CancelAsked { .. } => Step::To(CommandState::Cancelled),
        Happening::Superseded if state == CommandState::Queued => {
            Step::To(CommandState::Superseded)
        }
        Happening::NoRoom => Step::To(CommandState::Rejected),
        Happening::Answered { .. } => Step::Note,
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::FinishByPassed
        | Happening::Superseded
        | Happening::NotWritten { .. }
        | Happening::GivenBack { .. }
        | Happening::WrittenAfterAll => Step::Nothing,
    }
}

fn underway(state: CommandState, happening: Happening) -> Step {
    match happening {
        Happening::Acknowledged => forward(state, CommandState::Delivered),
        Happening::Answered { status, current } => match (final_state(status), stage(status)) {
            (Some(end), _) => Step::To(end),
            (None, Some(stage)) if current => answered(state, stage),
            (None, _) => Step::Note,
        },
        Happening::FinishByPassed => Step::To(CommandState::TimedOut),
        Happening::CancelAsked { cancellable: true } => Step::To(CommandState::Cancelling),
        Happening::CancelAsked { cancellable: false } => Step::CannotCancel,
        Happening::NotWritten { first } => not_written(first),
        Happening::GivenBack { .. } => Step::To(CommandState::Expired),
        Happening::Due
        | Happening::Sent
        | Happening::DeliverByPassed
        | Happening::Superseded
        | Happening::NoRoom
        | Happening::WrittenAfterAll => Step::Nothing,
    }
}

fn cancelling(happening: Happening) -> Step {
    match happening {
        Happening::Answered { status, current } => match (final_state(status), status) {
            (Some(end), _) => Step::To(end),
            (None, AnswerStatus::NotCancelled) => Step::Back,
            (None, AnswerStatus::Started | AnswerStatus::Progress) if current => Step::Progress,
            (None, _) => Step::Note,
        },
        Happening::FinishByPassed => Step::To(CommandState::TimedOut),
        Happening::NotWritten { first } => not_written(first),
        Happening::GivenBack { .. } => Step::To(CommandState::Cancelled),
        Happening::WrittenAfterAll => Step::Back,
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::DeliverByPassed
        | Happening::CancelAsked { .. }
        | Happening::Superseded
        | Happening::NoRoom => Step::Nothing,
    }
}

fn timed_out(happening: Happening) -> Step {
    match happening {
        Happening::Answered { status, .. } => match final_state(status) {
            Some(end) => Step::Late(end),
            None => Step::Note,
        },
        Happening::CancelAsked { .. } => Step::AlreadyFinal,
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::DeliverByPassed
        | Happening::FinishByPassed
        | Happening::Superseded
        | Happening::NoRoom
        | Happening::NotWritten { .. }
        | Happening::GivenBack { .. }
        | Happening::WrittenAfterAll => Step::Nothing,
    }
}

fn ended(happening: Happening) -> Step {
    match happening {
        Happening::Answered { .. } => Step::Note,
        Happening::CancelAsked { .. } => Step::AlreadyFinal,
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::DeliverByPassed
        | Happening::FinishByPassed
        | Happening::Superseded
        | Happening::NoRoom
        | Happening::NotWritten { .. }
        | Happening::GivenBack { .. }
        | Happening::WrittenAfterAll => Step::Nothing,
    }
}

/// What was never written did not run; after an earlier attempt nobody knows.
fn not_written(first: bool) -> Step {
    if first { Step::To(CommandState::Failed) } else { Step::Note }
}

/// The end that an answer tells of, if it does.
fn final_state(status: AnswerStatus) -> Option<CommandState> {
    match status {
        AnswerStatus::Succeeded => Some(CommandState::Succeeded),
        AnswerStatus::Failed => Some(CommandState::Failed),
        AnswerStatus::Rejected => Some(CommandState::Rejected),
        AnswerStatus::Cancelled => Some(CommandState::Cancelled),
        AnswerStatus::Received
        | AnswerStatus::Started
        | AnswerStatus::Progress
        | AnswerStatus::NotCancelled => None,
    }
}

/// The stage on the way to its end that an answer tells of, if it does.
pub(super) fn stage(status: AnswerStatus) -> Option<CommandState> {
    match status {
        AnswerStatus::Received => Some(CommandState::Delivered),
        AnswerStatus::Started | AnswerStatus::Progress => Some(CommandState::Started),
        AnswerStatus::Succeeded
        | AnswerStatus::Failed
        | AnswerStatus::Rejected
        | AnswerStatus::Cancelled
        | AnswerStatus::NotCancelled => None,
    }
}

/// A device that has started and says so again tells of its progress.
fn answered(state: CommandState, stage: CommandState) -> Step {
    match (state, stage) {
        (CommandState::Started, CommandState::Started) => Step::Progress,
        _ => forward(state, stage),
    }
}

/// Stages are skipped but never taken back.
pub(super) fn forward(state: CommandState, to: CommandState) -> Step {
    let rank = |state| {
        [CommandState::Sent, CommandState::Delivered, CommandState::Started]
            .iter()
            .position(|known| *known == state)
    };
    if rank(state) < rank(to) { Step::To(to) } else { Step::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CommandState as S;

    fn answered(status: AnswerStatus) -> Happening {
        Happening::Answered { status, current: true }
    }

    /// Everything that can happen, with a letter for the table below.
    fn happenings() -> Vec<(&'static str, Happening)> {
        use AnswerStatus as A;
        vec![
            ("due", Happening::Due),
            ("sent", Happening::Sent),
            ("puback", Happening::Acknowledged),
            ("received", answered(A::Received)),
            ("started", answered(A::Started)),
            ("progress", answered(A::Progress)),
            ("succeeded", answered(A::Succeeded)),
            ("failed", answered(A::Failed)),
            ("rejected", answered(A::Rejected)),
            ("cancelled", answered(A::Cancelled)),
            ("not_cancelled", answered(A::NotCancelled)),
            ("old progress", Happening::Answered { status: A::Progress, current: false }),
            ("old received", Happening::Answered { status: A::Received, current: false }),
            ("old started", Happening::Answered { status: A::Started, current: false }),
            ("old succeeded", Happening::Answered { status: A::Succeeded, current: false }),
            ("deliver_by", Happening::DeliverByPassed),
            ("finish_by", Happening::FinishByPassed),
            ("cancel", Happening::CancelAsked { cancellable: true }),
            ("cancel deaf", Happening::CancelAsked { cancellable: false }),
            ("superseded", Happening::Superseded),
            ("no room", Happening::NoRoom),
            ("not written", Happening::NotWritten { first: true }),
            ("not written again", Happening::NotWritten { first: false }),
            ("given back", Happening::GivenBack { receiver_left: false }),
            ("given back by who left", Happening::GivenBack { receiver_left: true }),
            ("written after all", Happening::WrittenAfterAll),
        ]
    }

    /// Each row: a state, and for each happening what follows; what is not named gives nothing.
    fn table() -> Vec<(S, Vec<(&'static str, Step)>)> {
        let ends = [
            ("succeeded", Step::To(S::Succeeded)),
            ("failed", Step::To(S::Failed)),
            ("rejected", Step::To(S::Rejected)),
            ("cancelled", Step::To(S::Cancelled)),
            ("old succeeded", Step::To(S::Succeeded)),
            ("finish_by", Step::To(S::TimedOut)),
            ("not written", Step::To(S::Failed)),
            ("not written again", Step::Note),
        ];
        let given_back = |to| [("given back", to), ("given back by who left", to)];
        let answers = [
            "received",
            "started",
            "progress",
            "succeeded",
            "failed",
            "rejected",
            "cancelled",
            "not_cancelled",
            "old progress",
            "old received",
            "old started",
            "old succeeded",
        ];
        let noted: Vec<_> = answers.into_iter().map(|answer| (answer, Step::Note)).collect();
        let cancels = [("cancel", Step::To(S::Cancelling)), ("cancel deaf", Step::CannotCancel)];
        let old = [
            ("not_cancelled", Step::Note),
            ("old progress", Step::Note),
            ("old received", Step::Note),
            ("old started", Step::Note),
        ];
        let waiting = [
            ("deliver_by", Step::To(S::Expired)),
            ("cancel", Step::To(S::Cancelled)),
            ("cancel deaf", Step::To(S::Cancelled)),
            ("no room", Step::To(S::Rejected)),
        ];
        let done = [("cancel", Step::AlreadyFinal), ("cancel deaf", Step::AlreadyFinal)];
        let expired = given_back(Step::To(S::Expired));
        let underway =
            |own: &[(&'static str, Step)]| [own, &ends, &cancels, &old, &expired].concat();
        let mut rows = vec![
            (S::Scheduled, [&[("due", Step::To(S::Queued))], &waiting[..], &noted].concat()),
            (
                S::Queued,
                [
                    &[("sent", Step::To(S::Sent)), ("superseded", Step::To(S::Superseded))],
                    &waiting[..],
                    &noted,
                ]
                .concat(),
            ),
            (
                S::Sent,
                underway(&[
                    ("puback", Step::To(S::Delivered)),
                    ("received", Step::To(S::Delivered)),
                    ("started", Step::To(S::Started)),
                    ("progress", Step::To(S::Started)),
                ]),
            ),
            (
                S::Delivered,
                underway(&[("started", Step::To(S::Started)), ("progress", Step::To(S::Started))]),
            ),
            (S::Started, underway(&[("started", Step::Progress), ("progress", Step::Progress)])),
            (
                S::Cancelling,
                [
                    &ends[..],
                    &given_back(Step::To(S::Cancelled)),
                    &[
                        ("written after all", Step::Back),
                        ("received", Step::Note),
                        ("started", Step::Progress),
                        ("progress", Step::Progress),
                        ("not_cancelled", Step::Back),
                        ("old progress", Step::Note),
                        ("old received", Step::Note),
                        ("old started", Step::Note),
                    ],
                ]
                .concat(),
            ),
            (
                S::TimedOut,
                [
                    &done[..],
                    &[
                        ("succeeded", Step::Late(S::Succeeded)),
                        ("failed", Step::Late(S::Failed)),
                        ("rejected", Step::Late(S::Rejected)),
                        ("cancelled", Step::Late(S::Cancelled)),
                        ("old succeeded", Step::Late(S::Succeeded)),
                        ("received", Step::Note),
                        ("started", Step::Note),
                        ("progress", Step::Note),
                    ],
                    &old,
                ]
                .concat(),
            ),
        ];
        for end in [S::Succeeded, S::Failed, S::Rejected, S::Cancelled, S::Superseded, S::Expired] {
            rows.push((end, [&done[..], &noted].concat()));
        }
        rows
    }

    #[test]
    fn every_transition_is_the_one_in_the_table() {
        let table = table();
        assert_eq!(table.len(), S::ALL.len());
        for (state, row) in table {
            for (name, happening) in happenings() {
                let expected =
                    row.iter().find(|(known, _)| *known == name).map_or(Step::Nothing, |row| row.1);
                assert_eq!(step(state, happening), expected, "{state} when {name}");
            }
        }
    }

    #[test]
    fn final_states_stay_but_for_a_late_answer() {
        for state in S::ALL.into_iter().filter(|state| state.is_final()) {
            for (name, happening) in happenings() {
                match step(state, happening) {
                    Step::Late(end) => assert!(state == S::TimedOut && end.is_final(), "{name}"),
                    Step::To(to) => panic!("{state} went to {to} when {name}"),
                    Step::Back
                    | Step::Progress
                    | Step::Note
                    | Step::Nothing
                    | Step::AlreadyFinal
                    | Step::CannotCancel => {}
                }
            }
        }
    }
}
