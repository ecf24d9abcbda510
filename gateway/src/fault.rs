//! Fault points: places by name at which a test build (feature `faults`) kills itself with SIGKILL, when
//! `SLUICE_FAULT` names them. In any other build they are nothing.

#[cfg(feature = "faults")]
mod active {
    use bridge::command::book::Effect;
    use std::sync::OnceLock;

    /// Kills the process where this is the point that `SLUICE_FAULT` names.
    pub(crate) fn point(name: &str) {
        static WANTED: OnceLock<Option<String>> = OnceLock::new();
        let wanted = WANTED.get_or_init(|| std::env::var("SLUICE_FAULT").ok());
        if wanted.as_deref() != Some(name) {
            return;
        }
        let pid = std::process::id().to_string();
        let _killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
        loop {
            std::thread::park();
        }
    }

    /// The points `{stage}:{state}` of the states that these effects tell of.
    pub(crate) fn effects(stage: &str, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Created(_, details) | Effect::Changed(_, details) = effect {
                point(&format!("{stage}:{}", details.command.state));
            }
        }
    }
}

#[cfg(feature = "faults")]
pub(crate) use active::{effects, point};

/// Nothing.
#[cfg(not(feature = "faults"))]
pub(crate) const fn point(_name: &str) {}

/// Nothing.
#[cfg(not(feature = "faults"))]
pub(crate) const fn effects(_stage: &str, _effects: &[bridge::command::book::Effect]) {}
