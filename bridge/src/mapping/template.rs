//! Texts and JSON with places to be filled from a command: `{id}`, `{device}`, `{name}`, `{attempt}`, `{params}`,
//! `{params.member}`. `{{` and `}}` stand for braces.

use protocol::{CommandId, DeviceId};
use serde_json::{Map, Value};

/// The most places of one template.
const PLACES_MAX: usize = 32;

/// What templates are filled from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) id: CommandId,
    pub(super) device: &'a DeviceId,
    pub(super) name: &'a str,
    pub(super) attempt: u32,
    pub(super) params: &'a Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Id,
    Device,
    Name,
    Attempt,
    /// The parameters, or a member of theirs.
    Params(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Place(Place),
}

/// A text with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(Vec<Piece>);

/// A payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payload {
    /// A text; one that is a single place gives a text as it is and all else as JSON.
    Text(Text),
    /// JSON.
    Json(Shape),
}

/// JSON whose texts have places.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Text(Text),
    Value(Value),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// A parameter that a template needs and the command does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) String);

impl Place {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let first = parts.next()?;
        let rest: Vec<String> = parts.map(str::to_owned).collect();
        match (first, rest.is_empty()) {
            ("id", true) => Some(Self::Id),
            ("device", true) => Some(Self::Device),
            ("name", true) => Some(Self::Name),
            ("attempt", true) => Some(Self::Attempt),
            ("params", _) if rest.iter().all(|part| !part.is_empty()) => Some(Self::Params(rest)),
            _ => None,
        }
    }

    fn value(&self, source: &Source<'_>) -> Result<Value, Missing> {
        Ok(match self {
            Self::Id => source.id.to_string().into(),
            Self::Device => source.device.as_str().into(),
            Self::Name => source.name.into(),
            Self::Attempt => source.attempt.into(),
            Self::Params(path) => {
                let found = path.iter().try_fold(source.params, |value, part| value.get(part));
                found.cloned().ok_or_else(|| Missing(format!("params.{}", path.join("."))))?
            }
        })
    }
}

impl Text {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(behind) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.extend(from.chars().next());
                rest = behind;
                continue;
            }
            let place = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, behind)) = place else {
                return Err(format!("'{text}' has a brace alone: write {{{{ or }}}} for one"));
            };
            let place = Place::parse(name).ok_or_else(|| {
                format!(
                    "'{text}' uses {{{name}}}, which is none of {{id}} {{device}} {{name}} {{attempt}} \
                     {{params}} {{params.member}}"
                )
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Place(place));
            rest = behind;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        if pieces.len() > PLACES_MAX {
            return Err(format!("'{text}' has more than {PLACES_MAX} parts"));
        }
        Ok(Self(pieces))
    }

    /// The text; a place whose value is no text is filled with its JSON.
    pub(super) fn fill(&self, source: &Source<'_>) -> Result<String, Missing> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Place(place) => filled.push_str(&words(&place.value(source)?)),
            }
        }
        Ok(filled)
    }

    /// The value of a single place, else the text.
    fn value(&self, source: &Source<'_>) -> Result<Value, Missing> {
        match self.0.as_slice() {
            [Piece::Place(place)] => place.value(source),
            _ => self.fill(source).map(Value::from),
        }
    }

    fn is_place(&self) -> bool {
        matches!(self.0.as_slice(), [Piece::Place(_)])
    }
}

/// A text as it is, all else as JSON.
pub(super) fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Shape {
    /// # Errors
    /// What is wrong with one of its texts.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Text::parse(text)?),
            Value::Array(items) => {
                Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    Ok::<_, String>((name.clone(), Self::parse(value)?))
                };
                Self::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Value(value.clone()),
        })
    }

    /// The JSON. A member of an object that is a single place without a value is left out.
    pub(super) fn fill(&self, source: &Source<'_>) -> Result<Value, Missing> {
        Ok(match self {
            Self::Text(text) => text.value(source)?,
            Self::Value(value) => value.clone(),
            Self::List(items) => {
                items.iter().map(|item| item.fill(source)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Self::Object(members) => {
                let mut object = Map::new();
                for (name, shape) in members {
                    match (shape.fill(source), shape) {
                        (Ok(value), _) => drop(object.insert(name.clone(), value)),
                        (Err(_), Self::Text(text)) if text.is_place() => {}
                        (Err(missing), _) => return Err(missing),
                    }
                }
                object.into()
            }
        })
    }
}

impl Payload {
    /// # Errors
    /// What is wrong with one of its texts.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) => Text::parse(text).map(Self::Text),
            None => Shape::parse(value).map(Self::Json),
        }
    }

    pub(super) fn fill(&self, source: &Source<'_>) -> Result<String, Missing> {
        match self {
            Self::Text(text) => text.fill(source),
            Self::Json(shape) => shape.fill(source).map(|value| value.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(template: &Value, params: &Value) -> Result<String, Missing> {
        let device = "lamp".parse().unwrap();
        let id = CommandId::from_u128(1);
        let source = Source { id, device: &device, name: "set", attempt: 2, params };
        Payload::parse(template).unwrap().fill(&source)
    }

    #[test]
    fn a_text_is_filled_as_it_is_and_json_stays_json() {
        let params = json!({"state": "O\"N", "level": 7, "deep": {"x": [1]}});
        for (template, expected) in [
            (json!("{params.state}"), r#"O"N"#),
            (json!("{name} {params.level} {{}}"), "set 7 {}"),
            (json!("{params.deep}"), r#"{"x":[1]}"#),
            (json!({"a": "{params.level}", "b": "{params.state}!"}), r#"{"a":7,"b":"O\"N!"}"#),
            (
                json!({"id": "{id}", "n": "{attempt}", "left_out": "{params.none}", "k": [true]}),
                r#"{"id":"00000000-0000-0000-0000-000000000001","n":2,"k":[true]}"#,
            ),
        ] {
            let found = filled(&template, &params);
            let same = |text: &str| serde_json::from_str::<Value>(text).ok();
            let found = found.unwrap();
            assert!(found == expected || same(&found) == same(expected), "{template}: {found}");
        }
    }

    #[test]
    fn a_text_without_its_parameter_is_not_filled() {
        let missing = Err(Missing("params.none".into()));
        assert_eq!(filled(&json!("a {params.none}"), &json!({})), missing);
        assert_eq!(filled(&json!({"a": "a {params.none}"}), &json!({})), missing);
        assert_eq!(filled(&json!(["{params.none}"]), &json!({})), missing);
    }

    #[test]
    fn what_cannot_be_filled_is_refused_by_name() {
        for (text, named) in [
            ("{param}", "{param}"),
            ("{params.}", "{params.}"),
            ("{id.x}", "{id.x}"),
            ("a{b", "brace"),
            ("a}b", "brace"),
            (&"{id}".repeat(33), "more than 32"),
        ] {
            let why = Text::parse(text).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }
}
