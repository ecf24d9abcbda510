//! A centrifugal pump behind a valve: pressure and flow follow from its speed and the opening.

use super::{
    Alarm, Begun, Course, Machine, Standing, Values, params, percent_of_way,
    physics::{Drift, approach, noise, rounded},
};
use protocol::{AnswerError, Severity};
use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};

/// The speed that the pump's curve is given for, in 1/min.
const RATED_RPM: f64 = 2_900.0;
/// Pressure against a closed valve at the rated speed, in bar.
const SHUT_OFF_BAR: f64 = 6.0;
/// Pressure lost inside the pump, in bar per (l/min)².
const INNER_LOSS: f64 = 4.0e-5;
/// Pressure lost in the pipe behind a fully open valve, in bar per (l/min)².
const PIPE_LOSS: f64 = 6.0e-5;
/// Power at the rated speed without flow (friction), in watt.
const IDLE_W: f64 = 350.0;
/// The part of the shaft's power that reaches the water.
const EFFICIENCY: f64 = 0.72;
/// How fast the valve moves, in percent of its way a second.
const VALVE_PER_S: f64 = 10.0;
/// How fast the speed changes, in 1/min a second.
const RPM_PER_S: f64 = 400.0;
/// What can be asked of the valve, in percent, and of the speed, in 1/min.
const VALVES: std::ops::RangeInclusive<f64> = 0.0..=100.0;
const SPEEDS: std::ops::RangeInclusive<f64> = 0.0..=3_000.0;
/// From this speed on water is to flow, in 1/min.
const TURNS_RPM: f64 = 500.0;
/// Too little water, and enough again, in l/min.
const FLOW: (f64, f64) = (20.0, 40.0);
/// Too little pressure on the suction side, and enough again, in bar.
const SUCTION_BAR: (f64, f64) = (0.93, 0.98);
/// What it can be asked; the core does `reboot`.
const COMMANDS: &[&str] = &["set_valve", "set_speed", "reboot"];

/// A centrifugal pump behind a valve.
#[derive(Debug)]
pub(crate) struct Pump {
    valve: f64,
    valve_target: f64,
    rpm: f64,
    rpm_target: f64,
    /// Pressure on the suction side, in bar.
    supply: Drift,
    work: Work,
}

/// What a command set in motion last.
#[derive(Clone, Copy, Debug)]
enum Work {
    Valve { from: f64 },
    Speed { from: f64 },
}

impl Pump {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        let valve = f64::from(rng.random_range(6_u8..=10)) * 10.0;
        let rpm = f64::from(rng.random_range(20_u32..=29)) * 100.0;
        Self {
            valve,
            valve_target: valve,
            rpm,
            rpm_target: rpm,
            supply: Drift::new(1.0, 0.05, 60.0),
            work: Work::Valve { from: valve },
        }
    }

    /// Flow in l/min: where the pump's curve meets that of pipe and valve.
    fn flow(&self) -> f64 {
        let opening = self.valve / 100.0;
        if opening <= 0.0 {
            return 0.0;
        }
        let speed = self.rpm / RATED_RPM;
        speed * (SHUT_OFF_BAR / (INNER_LOSS + PIPE_LOSS / opening.powi(2))).sqrt()
    }

    /// What the pump adds to the supply, in bar.
    fn gain(&self) -> f64 {
        SHUT_OFF_BAR * (self.rpm / RATED_RPM).powi(2) - INNER_LOSS * self.flow().powi(2)
    }

    /// Power in watt: what the water gets (1 bar · 1 l/min = 5/3 W), and friction.
    fn power(&self) -> f64 {
        let water = self.gain() * self.flow() * 5.0 / 3.0;
        water / EFFICIENCY + IDLE_W * (self.rpm / RATED_RPM).powi(3)
    }

    fn result(&self) -> Value {
        match self.work {
            Work::Valve { .. } => json!({ "valve": self.valve }),
            Work::Speed { .. } => json!({ "rpm": self.rpm }),
        }
    }
}

impl Machine for Pump {
    fn step(&mut self, dt_s: f64, rng: &mut StdRng) {
        self.supply.step(dt_s, rng);
        self.valve = approach(self.valve, self.valve_target, VALVE_PER_S * dt_s);
        self.rpm = approach(self.rpm, self.rpm_target, RPM_PER_S * dt_s);
    }

    fn metrics(&self, rng: &mut StdRng) -> Values {
        let pressure = self.supply.value + self.gain() + noise(rng, 0.01);
        let flow = self.flow() * (1.0 + noise(rng, 0.005));
        let power = self.power() * (1.0 + noise(rng, 0.005));
        Values::from_iter([
            ("pressure".into(), rounded(pressure, 2)),
            ("flow".into(), rounded(flow, 1)),
            ("valve".into(), rounded(self.valve, 1)),
            ("rpm".into(), rounded(self.rpm, 0)),
            ("power".into(), rounded(power, 0)),
        ])
    }

    fn settings(&self) -> Values {
        Values::from_iter([
            ("valve".into(), rounded(self.valve_target, 1)),
            ("rpm".into(), rounded(self.rpm_target, 0)),
        ])
    }

    fn begin(&mut self, name: &str, params: &Value) -> Result<Begun, AnswerError> {
        match name {
            "set_valve" => {
                self.valve_target = params::number(params, "percent", VALVES)?;
                self.work = Work::Valve { from: self.valve };
            }
            "set_speed" => {
                self.rpm_target = params::number(params, "rpm", SPEEDS)?;
                self.work = Work::Speed { from: self.rpm };
            }
            _ => return Err(params::refuse_unknown(name, COMMANDS)),
        }
        match self.course() {
            Course::Percent(_) => Ok(Begun::Working),
            Course::Done(result) => Ok(Begun::Done(result)),
        }
    }

    fn adopt(&mut self, desired: &Values) {
        if let Some(valve) = params::desired(desired, "valve", VALVES) {
            self.valve_target = valve;
        }
        if let Some(rpm) = params::desired(desired, "rpm", SPEEDS) {
            self.rpm_target = rpm;
        }
    }

    fn alarms(&self, standing: Standing<'_>) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let turns = self.rpm > TURNS_RPM;
        if turns && standing.is_below("no_flow", self.flow(), FLOW.0, FLOW.1) {
            let message = format!("{:.0} 1/min, and {:.0} l/min flow", self.rpm, self.flow());
            alarms.push(Alarm { severity: Severity::Critical, code: "no_flow", message });
        }
        let supply = self.supply.value;
        if standing.is_below("suction_low", supply, SUCTION_BAR.0, SUCTION_BAR.1) {
            let message = format!("{supply:.2} bar on the suction side");
            alarms.push(Alarm { severity: Severity::Warning, code: "suction_low", message });
        }
        alarms
    }

    fn course(&self) -> Course {
        let (from, to, at) = match self.work {
            Work::Valve { from } => (from, self.valve_target, self.valve),
            Work::Speed { from } => (from, self.rpm_target, self.rpm),
        };
        if at == to {
            Course::Done(self.result())
        } else {
            Course::Percent(percent_of_way(from, to, at))
        }
    }

    fn halt(&mut self) {
        match self.work {
            Work::Valve { .. } => self.valve_target = self.valve,
            Work::Speed { .. } => self.rpm_target = self.rpm,
        }
    }

    fn restart(&mut self) {
        self.rpm = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn pump(valve: f64, rpm: f64) -> (Pump, StdRng) {
        let mut rng = StdRng::seed_from_u64(7);
        let pump = Pump { valve, valve_target: valve, rpm, rpm_target: rpm, ..Pump::new(&mut rng) };
        (pump, rng)
    }

    #[test]
    fn the_progress_of_a_valve_never_goes_back_and_ends_where_it_was_sent() {
        for target in [0.0, 95.0] {
            let (mut pump, mut rng) = pump(40.0, 2_900.0);
            assert_eq!(pump.begin("set_valve", &json!({"percent": target})), Ok(Begun::Working));
            let mut last = 0.0;
            while let Course::Percent(percent) = pump.course() {
                assert!((last..100.0).contains(&percent), "{last} then {percent}");
                last = percent;
                pump.step(0.2, &mut rng);
            }
            assert_eq!(pump.course(), Course::Done(json!({"valve": target})));
        }
    }

    #[test]
    fn a_wider_valve_gives_more_flow_and_less_pressure() {
        let (narrow, _) = pump(30.0, 2_900.0);
        let (wide, _) = pump(90.0, 2_900.0);
        assert!(wide.flow() > narrow.flow() && wide.gain() < narrow.gain());
        assert!(wide.power() > narrow.power());
    }

    #[test]
    fn a_closed_valve_has_no_flow_and_a_still_pump_has_nothing() {
        let (closed, _) = pump(0.0, 2_900.0);
        assert_eq!((closed.flow(), closed.gain()), (0.0, SHUT_OFF_BAR));
        let (still, _) = pump(80.0, 0.0);
        assert_eq!((still.flow(), still.gain(), still.power()), (0.0, 0.0, 0.0));
    }

    #[test]
    fn a_pump_that_turns_against_a_closed_valve_tells_it() {
        let codes = |pump: &Pump| -> Vec<_> {
            pump.alarms(Standing(&[])).into_iter().map(|alarm| alarm.code).collect()
        };
        assert_eq!(codes(&pump(0.0, 2_900.0).0), ["no_flow"]);
        assert!(codes(&pump(80.0, 2_900.0).0).is_empty());
        assert!(codes(&pump(0.0, 0.0).0).is_empty(), "it stands still");
    }

    #[test]
    fn what_is_desired_sets_valve_and_speed() {
        let (mut pump, mut rng) = pump(40.0, 2_900.0);
        let desired = json!({"valve": 50, "rpm": 9_000, "colour": "red"});
        pump.adopt(desired.as_object().expect("an object"));
        assert_eq!(pump.settings()["valve"], json!(50.0));
        assert_eq!(pump.settings()["rpm"], json!(2_900.0), "9000 cannot be");
        (0..2).for_each(|_| pump.step(1.0, &mut rng));
        assert_eq!(pump.valve, 50.0);
    }

    #[test]
    fn a_halted_valve_stays_where_it_is() {
        let (mut pump, mut rng) = pump(40.0, 2_900.0);
        pump.begin("set_valve", &json!({"percent": 90})).expect("the valve moves");
        pump.step(1.0, &mut rng);
        pump.halt();
        pump.step(10.0, &mut rng);
        assert_eq!(pump.valve, 50.0);
        assert_eq!(pump.settings()["valve"], json!(50.0));
    }

    #[test]
    fn a_valve_that_is_there_is_done_at_once() {
        let (mut pump, _) = pump(40.0, 2_900.0);
        let begun = pump.begin("set_valve", &json!({"percent": 40}));
        assert_eq!(begun, Ok(Begun::Done(json!({"valve": 40.0}))));
    }

    #[test]
    fn the_speed_ramps_up_again_after_a_reboot() {
        let (mut pump, mut rng) = pump(80.0, 2_000.0);
        pump.restart();
        assert_eq!(pump.flow(), 0.0);
        (0..5).for_each(|_| pump.step(1.0, &mut rng));
        assert_eq!(pump.rpm, 2_000.0);
    }
}
