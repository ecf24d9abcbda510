//! What the JSON text of one value is as a number.

/// One value of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// `mantissa / 10^exponent`, exactly.
    Decimal { mantissa: i64, exponent: u8 },
    /// A number that is no short decimal; if it is whole, exactly.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Anything else, as it stands.
    Json(&'a str),
}

/// More digits than these a double does not hold exactly.
const DIGITS_MAX: usize = 15;

impl<'a> Cell<'a> {
    /// Reads valid JSON.
    pub(super) fn of(text: &'a str) -> Self {
        match text.as_bytes() {
            b"true" => Self::Bool(true),
            b"false" => Self::Bool(false),
            [b'-' | b'0'..=b'9', ..] => Self::number(text),
            _ => Self::Json(text),
        }
    }

    fn number(text: &'a str) -> Self {
        decimal(text).unwrap_or_else(|| match text.parse() {
            Ok(number) if !is_whole(text) || format!("{number:.0}") == text => Self::Float(number),
            Ok(_) | Err(_) => Self::Json(text),
        })
    }

    /// The value as a double.
    pub(super) fn float(self) -> Option<f64> {
        match self {
            Self::Decimal { mantissa, exponent } => Some(quotient(mantissa, exponent)),
            Self::Float(number) => Some(number),
            Self::Bool(_) | Self::Json(_) => None,
        }
    }
}

/// Whether a number is written without a fraction and an exponent: it may be an id, of which each digit counts.
fn is_whole(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9'))
}

/// A number of few digits without an exponent; `-0` is none, for integers have no such thing.
fn decimal(text: &str) -> Option<Cell<'static>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.len() > DIGITS_MAX + 1 {
        return None;
    }
    let (mut mantissa, mut exponent, mut count) = (0_i64, None, 0);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + i64::from(byte - b'0');
                count += 1;
                exponent = exponent.map(|exponent: u8| exponent + 1);
            }
            b'.' => exponent = Some(0),
            _ => return None,
        }
    }
    if count > DIGITS_MAX || (negative && mantissa == 0) {
        return None;
    }
    let mantissa = if negative { -mantissa } else { mantissa };
    Some(Cell::Decimal { mantissa, exponent: exponent.unwrap_or(0) })
}

/// `mantissa / 10^exponent`: the double nearest to the decimal text, for both are exact (at most 15
/// digits, and 10^22 is the greatest power of ten that a double holds).
#[expect(clippy::cast_precision_loss, reason = "at most 15 digits")]
pub(super) fn quotient(mantissa: i64, exponent: u8) -> f64 {
    mantissa as f64 / 10_f64.powi(i32::from(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_what_their_text_says() {
        let decimal = |mantissa, exponent| Cell::Decimal { mantissa, exponent };
        for (text, cell) in [
            ("0", decimal(0, 0)),
            ("-12.50", decimal(-1250, 2)),
            ("123456789012345", decimal(123_456_789_012_345, 0)),
            ("1234567890123456", Cell::Float(1_234_567_890_123_456.0)),
            ("-9007199254740992", Cell::Float(-9_007_199_254_740_992.0)),
            ("9007199254740993", Cell::Json("9007199254740993")),
            ("18446744073709551615", Cell::Json("18446744073709551615")),
            ("-0", Cell::Float(-0.0)),
            ("-0.0", Cell::Float(-0.0)),
            ("1e3", Cell::Float(1_000.0)),
            ("true", Cell::Bool(true)),
            ("null", Cell::Json("null")),
            ("\"1\"", Cell::Json("\"1\"")),
        ] {
            assert_eq!(Cell::of(text), cell, "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimals_give_the_very_double_of_their_text(mantissa in -999_999_999_999_999_i64..1_000_000_000_000_000, places in 0_usize..15) {
            let digits = format!("{:0width$}", mantissa.abs(), width = places + 1);
            let (whole, part) = digits.split_at(digits.len() - places);
            let sign = if mantissa < 0 { "-" } else { "" };
            let text = if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") };
            let float = Cell::of(&text).float().expect("a number");
            prop_assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
        }
    }
}
