//! Physical models: what a device measures follows from what it does.
//!
//! Pure: no clock, no IO, no randomness of its own. The device core advances a [`Machine`] by small
//! steps, hands it commands and reads its metrics.

mod alarm;
mod params;
mod physics;
mod pump;
mod thermostat;
mod tracker;

pub(crate) use alarm::{Alarm, Standing};
pub(crate) use pump::Pump;
pub(crate) use thermostat::Thermostat;
pub(crate) use tracker::Tracker;

use protocol::AnswerError;
use rand::rngs::StdRng;
use serde_json::{Map, Value};
use std::time::Duration;

/// Named values: a reading's data, or a state.
pub(crate) type Values = Map<String, Value>;

/// What a command set in motion.
#[derive(Debug, PartialEq)]
pub(crate) enum Begun {
    /// It is done already; with its result.
    Done(Value),
    /// It takes a while; [`Machine::course`] tells how far it is.
    Working,
}

/// How far the work in hand is.
#[derive(Debug, PartialEq)]
pub(crate) enum Course {
    /// On its way, 0 to 100.
    Percent(f64),
    /// Done, with its result.
    Done(Value),
}

/// A device's body. One piece of work is in hand at a time; the core sees to that.
pub(crate) trait Machine: Send {
    /// Lets `dt_s` seconds pass; at most about a second at a time, for accuracy.
    fn step(&mut self, dt_s: f64, rng: &mut StdRng);

    /// What the sensors say now, with their noise.
    fn metrics(&self, rng: &mut StdRng) -> Values;

    /// What the device is set to: its reported state.
    fn settings(&self) -> Values;

    /// Takes up a command.
    ///
    /// # Errors
    /// Why it is refused: an unknown name or bad parameters; nothing has changed then.
    fn begin(&mut self, name: &str, params: &Value) -> Result<Begun, AnswerError>;

    /// Takes over what of this it is about, as far as it can be: what it is wanted to be.
    fn adopt(&mut self, desired: &Values);

    /// What is wrong with it now; `standing` is what was when it was last asked.
    fn alarms(&self, standing: Standing<'_>) -> Vec<Alarm>;

    /// How far the work is that [`Begun::Working`] announced.
    fn course(&self) -> Course;

    /// Gives up the work in hand; things stay where they are.
    fn halt(&mut self);

    /// Comes back from a reboot: settings stay, motion starts from rest.
    fn restart(&mut self);

    /// The time between two readings, where a command changed it.
    fn interval(&self) -> Option<Duration> {
        None
    }
}

/// How far something has come on the way `from` -> `to`, 0 to 100.
fn percent_of_way(from: f64, to: f64, at: f64) -> f64 {
    if from == to { 100.0 } else { (100.0 * (at - from) / (to - from)).clamp(0.0, 100.0) }
}
