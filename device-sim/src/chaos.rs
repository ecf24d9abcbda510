//! What goes wrong on purpose, and how often.

use rand::{RngExt, rngs::StdRng};
use std::{fmt, str::FromStr, time::Duration};

/// How long a slow command waits before it starts, in milliseconds.
pub(crate) const SLOW_MS: std::ops::RangeInclusive<u64> = 2_000..=10_000;

/// How likely things go wrong; nothing does by default.
///
/// As text, any of `fail=P,slow=P,silent=P,drop=P` with `P` from 0 to 1:
///
/// - `fail`: a command ends `failed` (code `fault`) instead of running;
/// - `slow`: a command starts 2 to 10 s late;
/// - `silent`: a command is swallowed: it does not run and nothing ever answers it;
/// - `drop`: a connection is cut without DISCONNECT, per second.
///
/// A command has at most one of the first three, so together they are at most 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chaos {
    fail: f64,
    slow: f64,
    silent: f64,
    drop: f64,
}

/// What chaos does to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    Spared,
    /// It fails.
    Fails,
    /// It starts late.
    Slow,
    /// It is swallowed.
    Silent,
}

impl Chaos {
    /// Draws the fate of one command.
    pub(crate) fn fate(&self, rng: &mut StdRng) -> Fate {
        let drawn: f64 = rng.random();
        if drawn < self.silent {
            Fate::Silent
        } else if drawn < self.silent + self.fail {
            Fate::Fails
        } else if drawn < self.silent + self.fail + self.slow {
            Fate::Slow
        } else {
            Fate::Spared
        }
    }

    /// Draws whether a connection is cut within `elapsed`.
    pub(crate) fn cuts(&self, elapsed: Duration, rng: &mut StdRng) -> bool {
        let survives = (1.0 - self.drop).powf(elapsed.as_secs_f64());
        self.drop > 0.0 && rng.random::<f64>() >= survives
    }

    fn member(&mut self, name: &str) -> Option<&mut f64> {
        match name {
            "fail" => Some(&mut self.fail),
            "slow" => Some(&mut self.slow),
            "silent" => Some(&mut self.silent),
            "drop" => Some(&mut self.drop),
            _ => None,
        }
    }
}

/// Chaos that is not written as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadChaos {
    /// Not `NAME=P`.
    Shape(String),
    /// A name that means nothing.
    Name(String),
    /// Not a probability.
    Probability(String),
    /// `fail`, `slow` and `silent` add up to more than 1.
    Sum,
}

impl fmt::Display for BadChaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(text) => write!(f, "'{text}' is not NAME=P, such as fail=0.1"),
            Self::Name(name) => {
                write!(f, "'{name}' is not a kind of chaos: use fail, slow, silent or drop")
            }
            Self::Probability(text) => {
                write!(f, "'{text}' is not a probability: use a number from 0 to 1")
            }
            Self::Sum => f.write_str("fail, slow and silent together must not be more than 1"),
        }
    }
}

impl std::error::Error for BadChaos {}

impl FromStr for Chaos {
    type Err = BadChaos;

    fn from_str(text: &str) -> Result<Self, BadChaos> {
        let mut chaos = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(|| BadChaos::Shape(part.into()))?;
            let member = chaos.member(name).ok_or_else(|| BadChaos::Name(name.into()))?;
            *member = probability(value)?;
        }
        if chaos.fail + chaos.slow + chaos.silent > 1.0 {
            return Err(BadChaos::Sum);
        }
        Ok(chaos)
    }
}

fn probability(text: &str) -> Result<f64, BadChaos> {
    let bad = || BadChaos::Probability(text.into());
    let value: f64 = text.parse().map_err(|_| bad())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn chaos(text: &str) -> Chaos {
        text.parse().expect("the chaos of a test is valid")
    }

    #[test]
    fn mistakes_are_named() {
        for (text, error) in [
            ("fail", BadChaos::Shape("fail".into())),
            ("", BadChaos::Shape(String::new())),
            ("flood=1", BadChaos::Name("flood".into())),
            ("fail=1.5", BadChaos::Probability("1.5".into())),
            ("fail=NaN", BadChaos::Probability("NaN".into())),
            ("fail=-0.1", BadChaos::Probability("-0.1".into())),
            ("fail=0.6,slow=0.5", BadChaos::Sum),
        ] {
            assert_eq!(text.parse::<Chaos>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_certain_fate_always_comes() {
        let mut rng = StdRng::seed_from_u64(1);
        for (text, fate) in
            [("fail=1", Fate::Fails), ("slow=1", Fate::Slow), ("silent=1", Fate::Silent)]
        {
            assert!((0..100).all(|_| chaos(text).fate(&mut rng) == fate), "{text}");
        }
        assert!((0..100).all(|_| Chaos::default().fate(&mut rng) == Fate::Spared));
    }

    #[test]
    fn fates_come_about_as_often_as_asked() {
        let mut rng = StdRng::seed_from_u64(2);
        let chaos = chaos("fail=0.1,slow=0.2,silent=0.3");
        let fates: Vec<_> = (0..10_000).map(|_| chaos.fate(&mut rng)).collect();
        for (fate, expected) in [(Fate::Fails, 1_000), (Fate::Slow, 2_000), (Fate::Silent, 3_000)] {
            let count = fates.iter().filter(|drawn| **drawn == fate).count();
            assert!(count.abs_diff(expected) < 200, "{fate:?}: {count}");
        }
    }

    #[test]
    fn cuts_are_per_second_whatever_the_step() {
        let mut rng = StdRng::seed_from_u64(3);
        let chaos = chaos("drop=0.5");
        let step = Duration::from_millis(100);
        let whole = (0..1_000).filter(|_| (0..10).any(|_| chaos.cuts(step, &mut rng))).count();
        assert!(whole.abs_diff(500) < 60, "{whole}");
        assert!(!(0..1_000).any(|_| Chaos::default().cuts(step, &mut rng)));
    }
}
