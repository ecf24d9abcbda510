//! Small pieces of physics and measurement that the models share.

use rand::{RngExt, rngs::StdRng};
use serde_json::Value;

/// A quantity that wanders about its mean and always comes back: weather, supply pressure.
#[derive(Debug)]
pub(super) struct Drift {
    pub(super) value: f64,
    mean: f64,
    /// How fast it forgets, in seconds.
    memory_s: f64,
    /// How far it typically strays.
    spread: f64,
}

impl Drift {
    pub(super) const fn new(mean: f64, spread: f64, memory_s: f64) -> Self {
        Self { value: mean, mean, memory_s, spread }
    }

    pub(super) fn step(&mut self, dt_s: f64, rng: &mut StdRng) {
        let keep = (-dt_s / self.memory_s).exp();
        let kick = self.spread * (1.0 - keep * keep).sqrt() * noise(rng, 3.0_f64.sqrt());
        self.value = self.mean + (self.value - self.mean) * keep + kick;
    }
}

/// A random number, uniform within `amplitude` of zero.
pub(super) fn noise(rng: &mut StdRng, amplitude: f64) -> f64 {
    amplitude * rng.random_range(-1.0..=1.0)
}

/// `value` moved towards `target` by at most `step`.
pub(super) fn approach(value: f64, target: f64, step: f64) -> f64 {
    value + (target - value).clamp(-step, step)
}

/// A number as a sensor gives it, with this many decimals.
pub(super) fn rounded(value: f64, decimals: i32) -> Value {
    let scale = 10_f64.powi(decimals);
    Value::from((value * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn a_drift_strays_but_stays_about_its_mean() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut drift = Drift::new(8.0, 2.0, 600.0);
        let values: Vec<_> = (0..100_000)
            .map(|_| {
                drift.step(1.0, &mut rng);
                drift.value
            })
            .collect();
        let mean = values.iter().sum::<f64>() / 100_000.0;
        assert!((mean - 8.0).abs() < 1.0, "{mean}");
        assert!(values.iter().any(|value| (value - 8.0).abs() > 1.0));
        assert!(values.iter().all(|value| (value - 8.0).abs() < 16.0));
    }
}
