//! A vehicle that drives its round: it speeds up, brakes before corners and parks to charge.

use super::{
    Alarm, Begun, Course, Machine, Standing, Values, params, percent_of_way,
    physics::{approach, noise, rounded},
};
use protocol::{AnswerError, Severity};
use rand::{RngExt, rngs::StdRng};
use serde_json::{Value, json};
use std::time::Duration;

/// Where the rounds are, in degrees.
const HOME: (f64, f64) = (52.52, 13.405);
/// Metres in a degree of latitude.
const METRES_PER_DEGREE: f64 = 111_195.0;
/// How far from home a vehicle can be sent, in metres.
const REACH_M: f64 = 20_000.0;
/// On a straight, in m/s.
const CRUISE: f64 = 14.0;
/// Round a corner, in m/s.
const CORNER: f64 = 4.0;
/// Speeding up and braking, in m/s².
const ACCELERATION: f64 = 1.5;
/// Battery used a second while driving, and gained a second while charging, in percent.
const DRAIN_PER_S: f64 = 0.02;
const CHARGE_PER_S: f64 = 0.2;
/// Parks to charge below the first, drives on above the second, in percent.
const BATTERY_LOW: f64 = 15.0;
const BATTERY_GOOD: f64 = 80.0;
/// What is told as low, and as enough again, in percent.
const BATTERY_TOLD: (f64, f64) = (25.0, 50.0);
/// The time between two readings that can be asked for, in seconds.
const INTERVALS_S: std::ops::RangeInclusive<f64> = 0.1..=3_600.0;
/// What it can be asked; the core does `reboot`.
const COMMANDS: &[&str] = &["locate", "set_interval", "go_to", "reboot"];

/// A point on the plane round home, in metres east and north of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    east: f64,
    north: f64,
}

impl Point {
    fn from_degrees(lat: f64, lon: f64) -> Self {
        let north = (lat - HOME.0) * METRES_PER_DEGREE;
        let east = (lon - HOME.1) * METRES_PER_DEGREE * HOME.0.to_radians().cos();
        Self { east, north }
    }

    fn degrees(self) -> (f64, f64) {
        let lat = HOME.0 + self.north / METRES_PER_DEGREE;
        let lon = HOME.1 + self.east / (METRES_PER_DEGREE * HOME.0.to_radians().cos());
        (lat, lon)
    }

    fn distance(self, other: Self) -> f64 {
        (self.east - other.east).hypot(self.north - other.north)
    }

    /// Clockwise from north, 0 to 360 degrees.
    fn bearing(self, to: Self) -> f64 {
        (to.east - self.east).atan2(to.north - self.north).to_degrees().rem_euclid(360.0)
    }

    fn towards(self, to: Self, metres: f64) -> Self {
        let part = (metres / self.distance(to).max(f64::EPSILON)).min(1.0);
        Self {
            east: self.east + (to.east - self.east) * part,
            north: self.north + (to.north - self.north) * part,
        }
    }
}

/// A vehicle on its round.
#[derive(Debug)]
pub(crate) struct Tracker {
    at: Point,
    speed: f64,
    heading: f64,
    route: Vec<Point>,
    /// The corner it drives to next.
    next: usize,
    /// Where it was sent, and how far that was.
    errand: Option<(Point, f64)>,
    battery: f64,
    charging: bool,
    interval: Option<Duration>,
}

impl Tracker {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        let centre = Point { east: noise(rng, 4_000.0), north: noise(rng, 4_000.0) };
        let corners = rng.random_range(5..=9);
        let route: Vec<_> = (0..corners).map(|n| corner(centre, n, corners, rng)).collect();
        let at = route.first().copied().unwrap_or(centre);
        let heading = at.bearing(route.get(1).copied().unwrap_or(centre));
        Self {
            at,
            speed: 0.0,
            heading,
            route,
            next: 1,
            errand: None,
            battery: rng.random_range(40.0..100.0),
            charging: false,
            interval: None,
        }
    }

    fn destination(&self) -> Point {
        let corner = self.route.get(self.next).copied().unwrap_or(self.at);
        self.errand.map_or(corner, |(place, _)| place)
    }

    /// The highest speed from which it can still brake in time.
    fn speed_wanted(&self) -> f64 {
        if self.charging {
            return 0.0;
        }
        let left = self.at.distance(self.destination());
        (CORNER * CORNER + 2.0 * ACCELERATION * left).sqrt().min(CRUISE)
    }

    fn drive(&mut self, metres: f64) {
        let destination = self.destination();
        if metres < self.at.distance(destination) {
            self.heading = self.at.bearing(destination);
            self.at = self.at.towards(destination, metres);
            return;
        }
        self.at = destination;
        match self.errand.take() {
            Some(_) => {}
            None => self.next = (self.next + 1) % self.route.len(),
        }
    }

    fn use_battery(&mut self, dt_s: f64) {
        let change = if self.charging { CHARGE_PER_S } else { -DRAIN_PER_S };
        self.battery = (self.battery + change * dt_s).clamp(0.0, 100.0);
        if self.battery <= BATTERY_LOW {
            self.charging = true;
        } else if self.battery >= BATTERY_GOOD {
            self.charging = false;
        }
    }

    fn position(&self) -> Value {
        let (lat, lon) = self.at.degrees();
        json!({ "lat": rounded(lat, 6), "lon": rounded(lon, 6) })
    }

    fn go_to(&mut self, params: &Value) -> Result<Begun, AnswerError> {
        let lat = params::number(params, "lat", -90.0..=90.0)?;
        let lon = params::number(params, "lon", -180.0..=180.0)?;
        let place = Point::from_degrees(lat, lon);
        if place.distance(Point { east: 0.0, north: 0.0 }) > REACH_M {
            return Err(AnswerError {
                code: "out_of_reach".into(),
                message: format!("the place must be within {REACH_M} m of {HOME:?}"),
            });
        }
        let way = self.at.distance(place);
        if self.battery - way / CRUISE * DRAIN_PER_S < BATTERY_LOW {
            return Err(AnswerError {
                code: "battery_low".into(),
                message: format!("{:.0} % do not last for {way:.0} m: let it charge", self.battery),
            });
        }
        self.charging = false;
        self.errand = Some((place, way));
        Ok(Begun::Working)
    }
}

/// Corner `n` of a round about `centre`, some hundred metres out.
fn corner(centre: Point, n: u32, corners: u32, rng: &mut StdRng) -> Point {
    let angle = std::f64::consts::TAU * f64::from(n) / f64::from(corners);
    let radius = rng.random_range(300.0..900.0);
    Point { east: centre.east + radius * angle.sin(), north: centre.north + radius * angle.cos() }
}

impl Machine for Tracker {
    fn step(&mut self, dt_s: f64, _rng: &mut StdRng) {
        self.use_battery(dt_s);
        self.speed = approach(self.speed, self.speed_wanted(), ACCELERATION * dt_s);
        self.drive(self.speed * dt_s);
    }

    fn metrics(&self, rng: &mut StdRng) -> Values {
        let seen =
            Point { east: self.at.east + noise(rng, 1.5), north: self.at.north + noise(rng, 1.5) };
        let (lat, lon) = seen.degrees();
        Values::from_iter([
            ("lat".into(), rounded(lat, 6)),
            ("lon".into(), rounded(lon, 6)),
            ("speed".into(), rounded(self.speed, 1)),
            ("heading".into(), rounded(self.heading, 0)),
            ("battery".into(), rounded(self.battery, 1)),
            ("charging".into(), self.charging.into()),
        ])
    }

    fn settings(&self) -> Values {
        let interval = self.interval.iter();
        interval.map(|interval| ("interval_s".into(), interval.as_secs_f64().into())).collect()
    }

    fn begin(&mut self, name: &str, params: &Value) -> Result<Begun, AnswerError> {
        match name {
            "locate" => Ok(Begun::Done(self.position())),
            "set_interval" => {
                let seconds = params::number(params, "seconds", INTERVALS_S)?;
                self.interval = Some(Duration::from_secs_f64(seconds));
                Ok(Begun::Done(json!({ "interval_s": seconds })))
            }
            "go_to" => self.go_to(params),
            _ => Err(params::refuse_unknown(name, COMMANDS)),
        }
    }

    fn adopt(&mut self, desired: &Values) {
        if let Some(seconds) = params::desired(desired, "interval_s", INTERVALS_S) {
            self.interval = Some(Duration::from_secs_f64(seconds));
        }
    }

    fn alarms(&self, standing: Standing<'_>) -> Vec<Alarm> {
        let (raise, clear) = BATTERY_TOLD;
        let low = standing.is_below("battery_low", self.battery, raise, clear);
        let message = format!("{:.0} % are left", self.battery);
        let alarm = Alarm { severity: Severity::Info, code: "battery_low", message };
        low.then_some(alarm).into_iter().collect()
    }

    fn course(&self) -> Course {
        match self.errand {
            Some((place, way)) => {
                Course::Percent(percent_of_way(way, 0.0, self.at.distance(place)))
            }
            None => Course::Done(self.position()),
        }
    }

    fn halt(&mut self) {
        self.errand = None;
    }

    fn restart(&mut self) {}

    fn interval(&self) -> Option<Duration> {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn tracker() -> (Tracker, StdRng) {
        let mut rng = StdRng::seed_from_u64(7);
        (Tracker::new(&mut rng), rng)
    }

    #[test]
    fn it_moves_by_its_speed_along_its_heading() {
        let (mut tracker, mut rng) = tracker();
        (0..20).for_each(|_| tracker.step(0.5, &mut rng));
        let before = tracker.at;
        tracker.step(0.5, &mut rng);
        assert!((before.distance(tracker.at) - tracker.speed * 0.5).abs() < 1e-6);
        assert!((before.bearing(tracker.at) - tracker.heading).abs() < 1e-6);
        assert!(tracker.speed > 10.0);
    }

    #[test]
    fn it_visits_every_corner_and_brakes_for_each() {
        let (mut tracker, mut rng) = tracker();
        let mut visited = vec![false; tracker.route.len()];
        for _ in 0..20_000 {
            let next = tracker.next;
            tracker.step(0.1, &mut rng);
            if tracker.next != next {
                visited[next] = true;
                assert!(tracker.speed < CORNER + 1.0, "{}", tracker.speed);
            }
        }
        assert!(visited.iter().all(|corner| *corner));
    }

    #[test]
    fn an_errand_makes_progress_and_ends_at_its_place() {
        let (mut tracker, mut rng) = tracker();
        let place = Point { east: tracker.at.east + 300.0, north: tracker.at.north - 50.0 };
        let (lat, lon) = place.degrees();
        let begun = tracker.begin("go_to", &json!({"lat": lat, "lon": lon}));
        assert_eq!(begun, Ok(Begun::Working));
        let mut last = 0.0;
        while let Course::Percent(percent) = tracker.course() {
            assert!(percent >= last, "{last} then {percent}");
            last = percent;
            tracker.step(0.25, &mut rng);
        }
        assert!(tracker.at.distance(place) < 1e-3 && last > 90.0);
    }

    #[test]
    fn a_place_out_of_reach_is_refused() {
        let (mut tracker, _) = tracker();
        let error = tracker.begin("go_to", &json!({"lat": 0, "lon": 0})).expect_err("too far");
        assert_eq!(error.code, "out_of_reach");
        assert!(tracker.errand.is_none());
    }

    #[test]
    fn who_charges_sets_out_when_there_is_enough_for_the_way() {
        let (mut tracker, mut rng) = tracker();
        let (lat, lon) = Point { east: tracker.at.east + 300.0, north: tracker.at.north }.degrees();
        let place = json!({"lat": lat, "lon": lon});
        tracker.charging = true;
        tracker.battery = BATTERY_LOW;
        let error = tracker.begin("go_to", &place).expect_err("not enough");
        assert_eq!((error.code.as_str(), tracker.charging), ("battery_low", true));
        tracker.battery = BATTERY_LOW + 5.0;
        assert_eq!(tracker.begin("go_to", &place), Ok(Begun::Working));
        (0..4).for_each(|_| tracker.step(0.5, &mut rng));
        assert!(tracker.speed > 0.0 && !tracker.charging);
    }

    #[test]
    fn an_empty_battery_parks_until_it_is_charged() {
        let (mut tracker, mut rng) = tracker();
        tracker.battery = BATTERY_LOW;
        (0..40).for_each(|_| tracker.step(0.5, &mut rng));
        assert!(tracker.charging);
        assert_eq!(tracker.speed, 0.0);
        (0..700).for_each(|_| tracker.step(0.5, &mut rng));
        assert!(!tracker.charging && tracker.speed > 0.0);
    }

    #[test]
    fn degrees_and_metres_are_the_same_place() {
        let (lat, lon) = Point { east: 1_234.0, north: -567.0 }.degrees();
        let point = Point::from_degrees(lat, lon);
        assert!(point.distance(Point { east: 1_234.0, north: -567.0 }) < 1e-6);
    }
}
