//! How times and values read. What devices sent is cleaned: no byte of theirs steers a terminal.

use jiff::{Zoned, tz::TimeZone};
use protocol::Timestamp;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// `text` with control characters written out.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean
}

/// A value on one line: an object as `key=value key=value` in the order of its keys.
pub(crate) fn compact(value: &Value) -> String {
    let Some(object) = value.as_object().filter(|object| !object.is_empty()) else {
        return scalar(value);
    };
    let mut pairs: Vec<_> = object.iter().map(|(key, value)| pair(key, value)).collect();
    pairs.sort_unstable();
    pairs.join(" ")
}

fn pair(key: &str, value: &Value) -> String {
    format!("{}={}", clean(key), scalar(value))
}

/// A text without its quotes where it cannot be taken for anything else, the rest as JSON.
fn scalar(value: &Value) -> String {
    let bare = |text: &&str| {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '=';
        !text.is_empty()
            && text.chars().all(is_plain)
            && serde_json::from_str::<Value>(text).is_err()
    };
    match value.as_str().filter(bare) {
        Some(text) => text.into(),
        None => clean(&value.to_string()),
    }
}

/// How long before `now` something was, in its largest unit.
pub(crate) fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.since(at).0 / 1_000;
    match seconds {
        0 => "now".into(),
        1..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        86_400.. => format!("{}d ago", seconds / 86_400),
    }
}

/// How far something is, as a bar; `share` is in `0.0..=1.0`.
pub(crate) fn bar(share: f64) -> String {
    const WIDTH: u8 = 20;
    let filled = |step: &u8| share * f64::from(WIDTH) >= f64::from(*step);
    let steps = (1..=WIDTH).map(|step| if filled(&step) { '#' } else { '-' });
    format!("[{}]", steps.collect::<String>())
}

/// A duration in seconds with one decimal.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The local time of day, after the date where that is not today's.
///
/// A time that no calendar has (devices send their own) stays a number.
pub(crate) fn local(now: Timestamp, at: Timestamp) -> String {
    let (Some(today), Some(moment)) = (zoned(now), zoned(at)) else { return at.to_string() };
    if moment.date() == today.date() {
        moment.strftime("%H:%M:%S%.3f").to_string()
    } else {
        moment.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
    }
}

fn zoned(at: Timestamp) -> Option<Zoned> {
    let moment = jiff::Timestamp::from_millisecond(at.0).ok()?;
    Some(moment.to_zoned(TimeZone::system()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_compactly_and_cannot_be_mistaken() {
        let value = json!({
            "b": "on", "a": 21.5, "c": "two words", "d": "5", "e": {"x": [1, null]}, "f": "", "g": "x=y",
        });
        let expected = r#"a=21.5 b=on c="two words" d="5" e={"x":[1,null]} f="" g="x=y""#;
        assert_eq!(compact(&value), expected);
        assert_eq!(compact(&json!([1, 2])), "[1,2]");
        assert_eq!(compact(&json!({})), "{}");
    }

    #[test]
    fn nothing_a_device_sends_steers_the_terminal() {
        let hostile = json!({"a\u{1b}[2J": "\u{9b}31m\u{7f}\r\n"});
        let shown = compact(&hostile);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }

    #[test]
    fn a_bar_fills_up() {
        for (share, bar_) in [
            (0.0, "[--------------------]"),
            (0.49, "[#########-----------]"),
            (1.0, "[####################]"),
            (7.0, "[####################]"),
        ] {
            assert_eq!(bar(share), bar_);
        }
    }

    #[test]
    fn ages_take_their_largest_unit() {
        let ages = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 86_400_000, 999_999_999];
        let shown = ages.map(|age| ago(Timestamp(age), Timestamp(0)));
        let expected =
            ["now", "now", "1s ago", "59s ago", "1m ago", "59m ago", "1h ago", "1d ago", "11d ago"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_time_ahead_of_our_clock_is_now() {
        assert_eq!(ago(Timestamp(0), Timestamp(5_000)), "now");
    }

    #[test]
    fn the_date_is_shown_where_it_is_not_today() {
        let day = 86_400_000;
        assert_eq!(local(Timestamp(3 * day), Timestamp(3 * day)).len(), "00:00:00.000".len());
        let other = local(Timestamp(9 * day), Timestamp(3 * day));
        assert_eq!(other.len(), "1970-01-04 00:00:00.000".len());
    }

    #[test]
    fn a_time_outside_every_calendar_stays_a_number() {
        assert_eq!(local(Timestamp(0), Timestamp(i64::MAX)), i64::MAX.to_string());
    }
}
