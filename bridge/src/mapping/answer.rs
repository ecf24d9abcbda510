//! How an answer of a mapped device reads, and which command it is to.

use super::{
    settings::{AnswerSettings, PresenceSettings},
    template::{Shape, Source, words},
};
use crate::route::Template;
use protocol::{Answer, AnswerError, AnswerStatus, Command, CommandId, Operator, Status};
use serde_json::Value;

/// The most conditions of one answer.
const CONDITIONS_MAX: usize = 32;

/// Something that an answer must say.
#[derive(Clone, Debug)]
struct Condition {
    at: String,
    wanted: Wanted,
}

#[derive(Clone, Debug)]
enum Wanted {
    Anything,
    Like(Shape),
}

/// A compiled answer.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) topic: Template,
    settings: AnswerSettings,
    when: Vec<Condition>,
}

/// A compiled presence.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    pub(super) topic: Template,
    settings: PresenceSettings,
}

impl Reading {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(settings: &AnswerSettings) -> Result<Self, String> {
        let topic: Template = settings.topic.parse().map_err(|error| format!("topic: {error}"))?;
        if settings.command.is_none() && !topic.names().any(|name| name == "device") {
            return Err(format!(
                "topic '{}' has no {{device}}, and there is no 'command' that says where the command's id \
                 stands",
                settings.topic
            ));
        }
        let pointers = [&settings.command, &settings.result, &settings.progress];
        let pointers = pointers.into_iter().chain([&settings.code, &settings.message]).flatten();
        pointers.chain(settings.when.keys()).try_for_each(|pointer| check_pointer(pointer))?;
        if settings.when.len() > CONDITIONS_MAX {
            return Err(format!("'when' has more than {CONDITIONS_MAX} conditions"));
        }
        if settings.command.is_none() && settings.when.is_empty() {
            return Err(
                "it has neither 'command' nor 'when': any message would be an answer".into()
            );
        }
        let condition = |(at, wanted): (&String, &Value)| {
            let wanted = match wanted.as_str() {
                Some("*") => Wanted::Anything,
                _ => Wanted::Like(Shape::parse(wanted)?),
            };
            Ok::<_, String>(Condition { at: at.clone(), wanted })
        };
        let when = settings.when.iter().map(condition).collect::<Result<_, _>>()?;
        Ok(Self { topic, settings: settings.clone(), when })
    }

    /// Whether it says itself which command it is to, and where.
    pub(super) fn is_correlated(&self) -> bool {
        self.settings.command.is_some()
    }

    /// The command that it says it is to.
    pub(super) fn command(&self, payload: &Value) -> Option<CommandId> {
        payload.pointer(self.settings.command.as_deref()?)?.as_str()?.parse().ok()
    }

    /// What it says to `command`; none: nothing, it does not fit. A condition about a parameter that the
    /// command does not have does not count, but without a command's id one must.
    pub(super) fn read(&self, command: &Command, payload: &Value) -> Option<Answer> {
        let names = &self.settings.commands;
        if !names.is_empty() && !names.contains(&command.name) {
            return None;
        }
        let source = Source {
            id: command.id,
            device: &command.device,
            name: &command.name,
            attempt: command.attempt,
            params: &command.params,
        };
        let mut counted = self.is_correlated();
        for condition in &self.when {
            if let Some(holds) = condition.holds(payload, &source) {
                counted = true;
                if !holds {
                    return None;
                }
            }
        }
        counted.then(|| self.answer(payload))
    }

    fn answer(&self, payload: &Value) -> Answer {
        let AnswerSettings { status, result, progress, code, message, .. } = &self.settings;
        let at = |pointer: &Option<String>| payload.pointer(pointer.as_deref()?).cloned();
        let progress = at(progress).and_then(|value| value.as_f64());
        let error = match status {
            AnswerStatus::Failed | AnswerStatus::Rejected => Some(AnswerError {
                code: at(code).map_or_else(|| status.name().into(), |value| words(&value)),
                message: at(message).map_or_else(String::new, |value| words(&value)),
            }),
            AnswerStatus::Received
            | AnswerStatus::Started
            | AnswerStatus::Progress
            | AnswerStatus::Succeeded
            | AnswerStatus::Cancelled
            | AnswerStatus::NotCancelled => None,
        };
        Answer {
            status: *status,
            attempt: None,
            progress: progress.filter(|done| (0.0..=100.0).contains(done)),
            result: at(result),
            error,
        }
    }
}

impl Condition {
    /// Whether it holds; none: it is about a parameter that the command does not have.
    fn holds(&self, payload: &Value, source: &Source<'_>) -> Option<bool> {
        // A pointer may name the command: `/{name}`.
        let at = self.at.replace("{name}", &source.name.replace('~', "~0").replace('/', "~1"));
        let found = payload.pointer(&at);
        match &self.wanted {
            Wanted::Anything => Some(found.is_some_and(|value| !value.is_null())),
            Wanted::Like(shape) => {
                let wanted = shape.fill(source).ok()?;
                Some(found.is_some_and(|found| alike(found, &wanted)))
            }
        }
    }
}

impl Presence {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(settings: &PresenceSettings) -> Result<Self, String> {
        let topic: Template = settings.topic.parse().map_err(|error| format!("topic: {error}"))?;
        if !topic.names().any(|name| name == "device") {
            return Err(format!("topic '{}' has no {{device}}", settings.topic));
        }
        check_pointer(&settings.at)?;
        if alike(&settings.online, &settings.offline) {
            return Err(format!("online and offline are both {}", settings.online));
        }
        Ok(Self { topic, settings: settings.clone() })
    }

    /// What a payload says; none: neither that it is there nor that it is gone.
    pub(super) fn read(&self, payload: &Value) -> Option<Status> {
        let found = payload.pointer(&self.settings.at)?;
        if alike(found, &self.settings.online) {
            Some(Status::Online)
        } else if alike(found, &self.settings.offline) {
            Some(Status::Offline)
        } else {
            None
        }
    }
}

/// Numbers by value, and a number or boolean like its text.
fn alike(found: &Value, wanted: &Value) -> bool {
    Operator::Equal.holds(found, wanted)
        || (found.is_string() != wanted.is_string() && words(found) == words(wanted))
}

fn check_pointer(pointer: &str) -> Result<(), String> {
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok(())
    } else {
        Err(format!("'{pointer}' is no JSON Pointer: it begins with /, or is empty for all of it"))
    }
}
