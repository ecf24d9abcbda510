//! The schemas of the protocol's types, under `#/components/schemas`.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Where both documents keep schemas.
const PLACE: &str = "/components/schemas";

/// The schemas of what the gateway writes and of what it reads, with all that they refer to.
///
/// A type that it reads more generously than it writes it (members may be missing) is there twice, the
/// second time as `{name}Given`.
pub(crate) fn collect(
    dialect: SchemaSettings,
    written: impl FnOnce(&mut SchemaGenerator),
    read: impl FnOnce(&mut SchemaGenerator),
) -> Map<String, Value> {
    let dialect = dialect.with(|settings| settings.definitions_path = PLACE.into());
    let mut generator = dialect.clone().for_serialize().into_generator();
    written(&mut generator);
    let mut all = generator.take_definitions(true);
    let mut generator = dialect.for_deserialize().into_generator();
    read(&mut generator);
    let given = generator.take_definitions(true);
    let differs = |(name, schema): &(&String, &Value)| all.get(*name).is_some_and(|s| s != *schema);
    let twice: Vec<_> = given.iter().filter(differs).map(|(name, _)| name.clone()).collect();
    for (name, mut schema) in given {
        rename(&mut schema, &twice);
        let name = if twice.contains(&name) { given_name(&name) } else { name };
        all.insert(name, schema);
    }
    all
}

fn given_name(name: &str) -> String {
    format!("{name}Given")
}

/// Lets references to the schemas that are there twice mean the second one.
fn rename(schema: &mut Value, twice: &[String]) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(name) = twice.iter().find(|name| *target == path(name))
            {
                *target = path(&given_name(name));
            }
            members.values_mut().for_each(|member| rename(member, twice));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, twice)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn path(name: &str) -> String {
    format!("#{PLACE}/{name}")
}

/// A reference to a schema by its name.
pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": path(name) })
}

/// Gives each message of an enum a schema of its own, such as `WelcomeMessage`, to which the enum's then
/// refers; returns their `type`s, in order.
pub(crate) fn split(schemas: &mut Map<String, Value>, name: &str) -> Vec<String> {
    let variants = schemas[name]["oneOf"].take();
    let Value::Array(variants) = variants else { panic!("{name} is an enum of messages") };
    let kind = |schema: &Value| schema["properties"]["type"]["const"].as_str().map(str::to_owned);
    let kinds: Vec<_> = variants.iter().map(|v| kind(v).expect("messages have a type")).collect();
    let references = kinds.iter().map(|kind| reference(&message_name(kind)));
    schemas[name]["oneOf"] = references.collect();
    for (kind, mut schema) in kinds.iter().zip(variants) {
        unfold(&mut schema, schemas);
        let before = schemas.insert(message_name(kind), schema);
        assert!(before.is_none(), "{kind} is one message only");
    }
    kinds
}

/// Puts the members of the type that a message is made of beside its `type`.
fn unfold(message: &mut Value, schemas: &Map<String, Value>) {
    let parts = message.as_object_mut().expect("a schema is an object");
    let whole = parts.remove("allOf").map(|mut all| all[0].take());
    let target = whole.as_ref().and_then(|whole| whole.get("$ref")).cloned();
    let Some(target) = target.or_else(|| parts.remove("$ref")) else { return };
    let inner = schemas.iter().find(|(name, _)| target == path(name)).expect("it was collected").1;
    for (name, member) in inner["properties"].as_object().expect("it is an object") {
        message["properties"][name] = member.clone();
    }
    let more = inner["required"].as_array().cloned().unwrap_or_default();
    message["required"].as_array_mut().expect("`type` is required").extend(more);
}

/// The name of a message's schema: `WelcomeMessage` for the type `welcome`.
pub(crate) fn message_name(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().expect("a type has a name").to_ascii_uppercase();
    format!("{first}{}Message", letters.as_str())
}
