//! Telling what of a machine's alarms is new, and what is over.

use crate::model::Alarm;
use protocol::{DeviceEvent, Severity};

/// The alarms that were told and are not over.
#[derive(Debug, Default)]
pub(super) struct Told {
    standing: Vec<(&'static str, Severity)>,
}

impl Told {
    pub(super) fn codes(&self) -> Vec<&'static str> {
        self.standing.iter().map(|(code, _)| *code).collect()
    }

    /// The events to send, now that these alarms stand.
    pub(super) fn compare(&mut self, now: Vec<Alarm>) -> Vec<DeviceEvent> {
        let stands = |code: &str| now.iter().any(|alarm| alarm.code == code);
        let over = self.standing.extract_if(.., |(code, _)| !stands(code));
        let over = over.map(|(code, severity)| event(code, severity, String::new(), true));
        let mut events: Vec<_> = over.collect();
        for alarm in now {
            if self.standing.iter().all(|(code, _)| *code != alarm.code) {
                self.standing.push((alarm.code, alarm.severity));
                events.push(event(alarm.code, alarm.severity, alarm.message, false));
            }
        }
        events
    }
}

fn event(code: &str, severity: Severity, message: String, clear: bool) -> DeviceEvent {
    DeviceEvent { severity, code: code.into(), message, data: None, clear }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_when_it_comes_and_when_it_goes() {
        let alarm = |code| Alarm { severity: Severity::Warning, code, message: "m".into() };
        let mut told = Told::default();
        let said = |events: Vec<DeviceEvent>| -> Vec<_> {
            events.into_iter().map(|event| (event.code, event.clear)).collect()
        };
        assert_eq!(said(told.compare(vec![alarm("a")])), [("a".to_owned(), false)]);
        assert_eq!(said(told.compare(vec![alarm("a")])), []);
        let both = said(told.compare(vec![alarm("b")]));
        assert_eq!(both, [("a".to_owned(), true), ("b".to_owned(), false)]);
        assert_eq!(told.codes(), ["b"]);
    }
}
