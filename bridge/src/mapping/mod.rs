//! Devices that know only their own topics: where their commands go, what is sent, and how their answers read.
//!
//! A mapping is data, in the configuration ([`MappingSettings`]), for the devices of one type. The edge asks
//! [`Mappings::resolve`] once for each topic, and tells which clients subscribed to something that may be a mapped
//! device's command topic ([`Mappings::may_receive`]); [`crate::bridge::Bridge`] does the rest.

mod answer;
mod receivers;
mod settings;
mod template;

pub(crate) use receivers::{Listener, Listeners, Reach};
pub use settings::{AnswerSettings, CommandSettings, MappingSettings, PresenceSettings, Settles};

use crate::route::Template;
use answer::{Presence, Reading};
use protocol::{
    Answer, Command, CommandId, CommandRequest, Delivery, DeviceId, Status, TopicFilter, TopicName,
    levels,
};
use receivers::reach;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use template::{Missing, Payload, Source, Text};

/// The most answers of one mapping, and commands.
const PARTS_MAX: usize = 256;

/// All mappings.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    all: Vec<Mapping>,
    /// The longest payload, in bytes.
    payload_bytes_max: usize,
}

/// One mapping, compiled.
#[derive(Clone, Debug)]
struct Mapping {
    settings: MappingSettings,
    way: Way,
    commands: BTreeMap<String, Way>,
    answers: Vec<Reading>,
    presence: Option<Presence>,
}

/// How a command goes to its device.
#[derive(Clone, Debug)]
struct Way {
    topic: Text,
    topic_levels: usize,
    payload: Payload,
    settles: Settles,
}

/// What a topic means to the mappings; never empty.
#[derive(Debug)]
pub struct Spoken {
    /// The device that the topic names.
    pub(crate) device: Option<DeviceId>,
    /// Of each mapping that reads the topic: its place, and those of its answers.
    readers: Vec<Reader>,
}

#[derive(Debug)]
struct Reader {
    mapping: usize,
    answers: Vec<usize>,
    presence: bool,
}

/// What a message says of whether its device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is there: it says so, or says something else.
    Here,
    /// It is gone.
    Gone,
    /// Nothing: it came where only presence comes, and is neither of the two.
    Neither,
}

/// What is sent to a mapped device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Where.
    pub topic: TopicName,
    /// What.
    pub payload: String,
}

/// The mapping of a device's type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped<'a> {
    mapping: &'a Mapping,
    place: usize,
    payload_bytes_max: usize,
}

impl Mappings {
    /// Compiles mappings; payloads of commands are at most so long.
    ///
    /// # Errors
    /// What is wrong with each, by its place.
    pub fn new(
        settings: &[MappingSettings],
        payload_bytes_max: usize,
    ) -> Result<Self, Vec<(usize, String)>> {
        let (mut all, mut mistakes) = (Vec::<Mapping>::new(), Vec::new());
        for (place, settings) in settings.iter().enumerate() {
            if all.iter().any(|known| known.settings.r#type == settings.r#type) {
                mistakes.push((place, format!("type '{}' has two mappings", settings.r#type)));
                continue;
            }
            match Mapping::new(settings) {
                Ok(mapping) => all.push(mapping),
                Err(why) => mistakes.push((place, why)),
            }
        }
        if mistakes.is_empty() { Ok(Self { all, payload_bytes_max }) } else { Err(mistakes) }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What messages on `topic` mean; none: nothing to any mapping.
    #[must_use]
    pub fn resolve(&self, topic: &str) -> Option<Arc<Spoken>> {
        let (mut device, mut readers) = (None, Vec::new());
        for (place, mapping) in self.all.iter().enumerate() {
            let mut reader = Reader { mapping: place, answers: Vec::new(), presence: false };
            let topics = mapping.answers.iter().map(|reading| &reading.topic);
            for (index, template) in topics.enumerate() {
                if mapping.speaks(template, topic, &mut device) {
                    reader.answers.push(index);
                }
            }
            let presence = mapping.presence.as_ref();
            reader.presence =
                presence.is_some_and(|it| mapping.speaks(&it.topic, topic, &mut device));
            if reader.presence || !reader.answers.is_empty() {
                readers.push(reader);
            }
        }
        (!readers.is_empty()).then(|| Arc::new(Spoken { device, readers }))
    }

    /// Whether who subscribed to `filter` may be meant as a receiver of mapped devices' commands.
    #[must_use]
    pub fn may_receive(&self, filter: &TopicFilter) -> bool {
        self.all.iter().any(|mapping| reach(&mapping.settings.topic, filter) != Reach::Nobody)
    }

    /// Whose commands `filters` select.
    pub(crate) fn reaches(&self, filters: &[TopicFilter]) -> Vec<Reach> {
        let topics = self.all.iter().map(|mapping| mapping.settings.topic.as_str());
        topics.flat_map(|topic| filters.iter().map(move |filter| reach(topic, filter))).collect()
    }

    /// The mapping for devices of type `kind`.
    pub(crate) fn of(&self, kind: Option<&str>) -> Option<Mapped<'_>> {
        let kind = kind.filter(|_| !self.all.is_empty())?;
        let found = self.all.iter().enumerate().find(|(_, it)| it.settings.r#type == kind)?;
        let (place, mapping) = found;
        Some(Mapped { mapping, place, payload_bytes_max: self.payload_bytes_max })
    }

    /// The type that a device without one gets by speaking so.
    pub(crate) fn kind_of(&self, spoken: &Spoken) -> Option<&str> {
        let device = spoken.device.as_ref()?;
        let readers = spoken.readers.iter().map(|reader| &self.all[reader.mapping]);
        let mapping = readers.into_iter().find(|mapping| mapping.is_for(device))?;
        Some(&mapping.settings.r#type)
    }

    /// The command that a message says it answers.
    pub(crate) fn named(&self, spoken: &Spoken, payload: &Value) -> Option<CommandId> {
        let readings = spoken.readers.iter().flat_map(|reader| {
            let mapping = &self.all[reader.mapping];
            reader.answers.iter().map(|index| &mapping.answers[*index])
        });
        readings.into_iter().find_map(|reading| reading.command(payload))
    }
}

impl Mapping {
    fn new(settings: &MappingSettings) -> Result<Self, String> {
        let MappingSettings { r#type: kind, topic, payload, settles, .. } = settings;
        if kind.is_empty() {
            return Err("type is empty: name the devices' type".into());
        }
        if settings.answers.len() > PARTS_MAX || settings.commands.len() > PARTS_MAX {
            return Err(format!("more than {PARTS_MAX} answers or commands"));
        }
        if !levels(topic).any(|level| level == "{device}") {
            return Err(format!("topic '{topic}' has no level {{device}}"));
        }
        let way = Way::new(topic, payload, *settles)?;
        let mut commands = BTreeMap::new();
        for (index, command) in settings.commands.iter().enumerate() {
            let named = |why| format!("commands[{index}]: {why}");
            let topic = command.topic.as_ref().unwrap_or(topic);
            let payload = command.payload.as_ref().unwrap_or(payload);
            let own = Way::new(topic, payload, command.settles.unwrap_or(*settles));
            if commands.insert(command.name.clone(), own.map_err(named)?).is_some() {
                return Err(named(format!("name '{}' stands twice", command.name)));
            }
        }
        let reading = |(index, answer): (usize, &AnswerSettings)| {
            Reading::new(answer).map_err(|why| format!("answers[{index}]: {why}"))
        };
        let answers = settings.answers.iter().enumerate().map(reading).collect::<Result<_, _>>()?;
        let presence = settings.presence.as_ref().map(Presence::new).transpose();
        let presence = presence.map_err(|why| format!("presence: {why}"))?;
        Ok(Self { settings: settings.clone(), way, commands, answers, presence })
    }

    /// Whether `topic` is like `template`; notes the device it names.
    fn speaks(&self, template: &Template, topic: &str, device: &mut Option<DeviceId>) -> bool {
        let Some(captures) = template.captures(topic) else { return false };
        let Some(named) = captures.get("device") else { return true };
        let named = named.parse().ok().filter(|named| self.is_for(named));
        let found = named.is_some();
        if found && device.is_none() {
            *device = named;
        }
        found
    }

    fn is_for(&self, device: &DeviceId) -> bool {
        let patterns = &self.settings.devices;
        patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(device.as_str()))
    }

    fn way(&self, name: &str) -> Option<&Way> {
        let own = self.commands.get(name).or_else(|| self.commands.get("*"));
        own.or_else(|| self.commands.is_empty().then_some(&self.way))
    }
}

impl Way {
    fn new(topic: &str, payload: &Value, settles: Settles) -> Result<Self, String> {
        if topic.starts_with('$') || topic.contains(['+', '#', '\0']) {
            return Err(format!("topic '{topic}' is none that can be published to"));
        }
        let text = Text::parse(topic).map_err(|why| format!("topic: {why}"))?;
        let payload = Payload::parse(payload).map_err(|why| format!("payload: {why}"))?;
        let topic_levels = levels(topic).count();
        Ok(Self { topic: text, topic_levels, payload, settles })
    }
}

impl Mapped<'_> {
    /// Whether a command can be said in the device's way.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(self, device: &DeviceId, request: &CommandRequest) -> Result<(), String> {
        let params = request.params.clone().unwrap_or_default().into();
        let id = CommandId::from_u128(0);
        let source = Source { id, device, name: &request.name, attempt: 1, params: &params };
        self.fill(&source).map(drop)
    }

    /// What is sent for a command.
    ///
    /// # Errors
    /// Why it cannot be said in the device's way.
    pub(crate) fn render(self, device: &DeviceId, delivery: &Delivery) -> Result<Rendered, String> {
        let Delivery { id, name, params, attempt, .. } = delivery;
        self.fill(&Source { id: *id, device, name, attempt: *attempt, params })
    }

    fn fill(self, source: &Source<'_>) -> Result<Rendered, String> {
        let name = source.name;
        let Some(way) = self.mapping.way(name) else {
            let known: Vec<_> = self.mapping.commands.keys().map(String::as_str).collect();
            let kind = &self.mapping.settings.r#type;
            let known = known.join(", ");
            return Err(format!(
                "name: '{name}' is no command of devices of type '{kind}': there are {known}"
            ));
        };
        let needed = |Missing(what)| format!("{what}: the mapping of its device needs it");
        let topic = way.topic.fill(source).map_err(needed)?;
        let as_many = levels(&topic).count() == way.topic_levels;
        let topic = topic.parse().ok().filter(|_| as_many).ok_or_else(|| {
            format!("params: '{topic}' is no topic that the mapping of its device can mean")
        })?;
        let payload = way.payload.fill(source).map_err(needed)?;
        let (bytes, max) = (payload.len(), self.payload_bytes_max);
        if bytes > max {
            return Err(format!(
                "params: what would be sent has {bytes} bytes, more than limits.command_params_bytes, {max}"
            ));
        }
        Ok(Rendered { topic, payload })
    }

    /// What settles a command of this name.
    pub(crate) fn settles(self, name: &str) -> Settles {
        self.mapping.way(name).map_or(self.mapping.settings.settles, |way| way.settles)
    }

    /// Whether a listener receives the device's commands.
    pub(crate) fn is_received_by(self, device: &DeviceId, listener: &Listener) -> bool {
        let settings = &self.mapping.settings;
        if settings.client.as_ref().is_some_and(|client| !client.matches(&listener.client)) {
            return false;
        }
        let named = |level: &str| match level {
            "{device}" => device.as_str().to_owned(),
            level if level.contains('{') => "x".to_owned(),
            level => level.to_owned(),
        };
        let topic: Vec<String> = levels(&settings.topic).map(named).collect();
        let topic = topic.join("/");
        let selects = |filter: &TopicFilter| {
            reach(&settings.topic, filter) != Reach::Nobody && filter.matches(&topic)
        };
        listener.filters.iter().any(selects)
    }

    /// What a message says of whether the device is there.
    pub(crate) fn word(self, spoken: &Spoken, payload: &Value) -> Word {
        let reader = spoken.readers.iter().find(|reader| reader.mapping == self.place);
        let reader = reader.filter(|reader| reader.presence);
        let Some((reader, presence)) = reader.zip(self.mapping.presence.as_ref()) else {
            return Word::Here;
        };
        match presence.read(payload) {
            Some(Status::Online) => Word::Here,
            Some(Status::Offline) => Word::Gone,
            None if reader.answers.is_empty() => Word::Neither,
            None => Word::Here,
        }
    }

    /// What a message says to `command`, which it names itself or which is underway; none: nothing.
    pub(crate) fn answer(
        self,
        spoken: &Spoken,
        payload: &Value,
        command: &Command,
        named: bool,
    ) -> Option<Answer> {
        let reader = spoken.readers.iter().find(|reader| reader.mapping == self.place)?;
        let readings = reader.answers.iter().map(|index| &self.mapping.answers[*index]);
        readings
            .filter(|reading| match reading.command(payload) {
                Some(id) => named && id == command.id,
                None => !named && !reading.is_correlated(),
            })
            .find_map(|reading| reading.read(command, payload))
    }
}

#[cfg(test)]
mod tests;
