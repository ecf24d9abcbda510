//! A room with a heater: it warms while the heater is on and leaks to the outside.

use super::{
    Alarm, Begun, Course, Machine, Standing, Values, params,
    physics::{Drift, noise, rounded},
};
use protocol::{AnswerError, Severity};
use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

/// The room loses its warmth with this time constant: a hut, so that a demo has something to see.
const LEAK_S: f64 = 900.0;
/// How far the heater, always on, would bring the room above the outside, in kelvin.
const HEATER_K: f64 = 45.0;
/// The heater goes on this far below the target and off this far above it, in kelvin.
const HYSTERESIS_K: f64 = 0.3;
/// What may be asked for, in °C.
const TARGETS: std::ops::RangeInclusive<f64> = 5.0..=35.0;
/// Too cold that far below the target, and well again from there on, in kelvin.
const COLD_K: (f64, f64) = (3.0, 1.0);
/// What it can be asked; the core does `reboot`.
const COMMANDS: &[&str] = &["set_target", "reboot"];

/// A room with a heater.
#[derive(Debug)]
pub(crate) struct Thermostat {
    room: f64,
    outside: Drift,
    target: f64,
    heating: bool,
    /// The air's water, as the pressure of its vapour in hectopascal.
    vapour: Drift,
}

impl Thermostat {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        Self {
            room: rng.random_range(17.0..22.0),
            outside: Drift::new(rng.random_range(2.0..12.0), 2.0, 1_800.0),
            target: f64::from(rng.random_range(38..=44)) / 2.0,
            heating: false,
            vapour: Drift::new(rng.random_range(9.0..12.0), 0.8, 600.0),
        }
    }

    /// Relative humidity in percent: the same water in warmer air is drier (Magnus' formula).
    fn humidity(&self) -> f64 {
        let saturated = 6.112 * (17.62 * self.room / (243.12 + self.room)).exp();
        (100.0 * self.vapour.value / saturated).clamp(0.0, 100.0)
    }
}

impl Machine for Thermostat {
    fn step(&mut self, dt_s: f64, rng: &mut StdRng) {
        self.outside.step(dt_s, rng);
        self.vapour.step(dt_s, rng);
        if self.room < self.target - HYSTERESIS_K {
            self.heating = true;
        } else if self.room > self.target + HYSTERESIS_K {
            self.heating = false;
        }
        let heater = if self.heating { HEATER_K } else { 0.0 };
        let settles_at = self.outside.value + heater;
        self.room += (settles_at - self.room) * (1.0 - (-dt_s / LEAK_S).exp());
    }

    fn metrics(&self, rng: &mut StdRng) -> Values {
        Values::from_iter([
            ("temperature".into(), rounded(self.room + noise(rng, 0.02), 2)),
            ("target".into(), rounded(self.target, 1)),
            ("heating".into(), self.heating.into()),
            ("humidity".into(), rounded(self.humidity() + noise(rng, 0.2), 1)),
            ("outside".into(), rounded(self.outside.value + noise(rng, 0.05), 1)),
        ])
    }

    fn settings(&self) -> Values {
        Values::from_iter([("target".into(), rounded(self.target, 1))])
    }

    fn begin(&mut self, name: &str, params: &Value) -> Result<Begun, AnswerError> {
        match name {
            "set_target" => {
                self.target = params::number(params, "temperature", TARGETS)?;
                Ok(Begun::Done(json!({ "target": self.target })))
            }
            _ => Err(params::refuse_unknown(name, COMMANDS)),
        }
    }

    fn adopt(&mut self, desired: &Values) {
        self.target = params::desired(desired, "target", TARGETS).unwrap_or(self.target);
    }

    fn alarms(&self, standing: Standing<'_>) -> Vec<Alarm> {
        let (raise, clear) = COLD_K;
        let cold = standing.is_below("too_cold", self.room - self.target, -raise, -clear);
        let message = format!("{:.1} °C, and {:.1} °C are wanted", self.room, self.target);
        let alarm = Alarm { severity: Severity::Warning, code: "too_cold", message };
        cold.then_some(alarm).into_iter().collect()
    }

    fn course(&self) -> Course {
        Course::Done(json!({ "target": self.target }))
    }

    fn halt(&mut self) {}

    fn restart(&mut self) {
        self.heating = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn room(target: f64) -> (Thermostat, StdRng) {
        let mut rng = StdRng::seed_from_u64(7);
        let mut thermostat = Thermostat::new(&mut rng);
        thermostat.room = 18.0;
        thermostat.target = target;
        (thermostat, rng)
    }

    #[test]
    fn the_temperature_rises_while_heating_and_falls_while_not() {
        for (target, heating) in [(30.0, true), (5.0, false)] {
            let (mut thermostat, mut rng) = room(target);
            for _ in 0..60 {
                let before = thermostat.room;
                thermostat.step(1.0, &mut rng);
                assert_eq!(thermostat.heating, heating);
                assert_eq!(thermostat.room > before, heating);
            }
        }
    }

    #[test]
    fn the_room_comes_to_its_target_and_stays_with_the_heater_going_on_and_off() {
        let (mut thermostat, mut rng) = room(22.0);
        (0..3_600).for_each(|_| thermostat.step(1.0, &mut rng));
        let mut switches = 0;
        for _ in 0..3_600 {
            let before = thermostat.heating;
            thermostat.step(1.0, &mut rng);
            switches += u32::from(before != thermostat.heating);
            assert!((thermostat.room - 22.0).abs() < 0.5, "{}", thermostat.room);
        }
        assert!(switches >= 10, "{switches}");
    }

    #[test]
    fn warmer_air_with_the_same_water_is_drier() {
        let (mut thermostat, _) = room(22.0);
        let cold = thermostat.humidity();
        thermostat.room += 5.0;
        assert!(thermostat.humidity() < cold - 5.0);
    }

    #[test]
    fn a_cold_room_is_told_until_it_is_nearly_warm() {
        let (mut thermostat, mut rng) = room(22.0);
        let cold =
            |thermostat: &Thermostat, standing| !thermostat.alarms(Standing(standing)).is_empty();
        assert!(cold(&thermostat, &[]));
        (0..60).for_each(|_| thermostat.step(1.0, &mut rng));
        assert!(cold(&thermostat, &["too_cold"]), "{}", thermostat.room);
        (0..120).for_each(|_| thermostat.step(1.0, &mut rng));
        assert!(!cold(&thermostat, &["too_cold"]), "{}", thermostat.room);
    }

    #[test]
    fn a_desired_target_is_taken_over_if_it_can_be() {
        let (mut thermostat, _) = room(22.0);
        for (desired, target) in [(json!(19.0), 19.0), (json!(90), 19.0), (json!("warm"), 19.0)] {
            thermostat.adopt(&Values::from_iter([("target".into(), desired)]));
            assert_eq!(thermostat.target, target);
        }
    }

    #[test]
    fn a_target_out_of_range_changes_nothing() {
        let (mut thermostat, _) = room(22.0);
        assert!(thermostat.begin("set_target", &json!({"temperature": 90})).is_err());
        assert_eq!(thermostat.target, 22.0);
        let begun = thermostat.begin("set_target", &json!({"temperature": 19.5}));
        assert_eq!(begun, Ok(Begun::Done(json!({"target": 19.5}))));
        assert_eq!(thermostat.settings()["target"], json!(19.5));
    }
}
