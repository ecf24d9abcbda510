//! Whole numbers however they are written: JSON has one kind of number, JSON Schema takes 30.0 for an integer, and some
//! languages write every number with a point.

use serde::{Deserialize, Deserializer, de};
use std::{any::type_name, fmt, marker::PhantomData};

/// A whole number of a type that fields have.
pub(crate) trait Whole: Sized + TryFrom<i64> + TryFrom<u64> {
    /// Asks for it.
    fn ask<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

macro_rules! whole {
    ($($type:ident by $ask:ident),*) => {$(
        impl Whole for $type {
            fn ask<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.$ask(Visitor(PhantomData))
            }
        }
    )*};
}

whole!(u32 by deserialize_u32, i32 by deserialize_i32, u64 by deserialize_u64, i64 by deserialize_i64);

/// Reads one.
pub(crate) fn only<'de, N: Whole, D: Deserializer<'de>>(from: D) -> Result<N, D::Error> {
    N::ask(from)
}

/// Reads one, or null.
pub(crate) fn or_null<'de, N: Whole, D: Deserializer<'de>>(from: D) -> Result<Option<N>, D::Error> {
    let read = Option::<Only<N>>::deserialize(from)?;
    Ok(read.map(|Only(number)| number))
}

struct Only<N>(N);

impl<'de, N: Whole> Deserialize<'de> for Only<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        only(from).map(Self)
    }
}

struct Visitor<N>(PhantomData<N>);

impl<N: Whole> de::Visitor<'_> for Visitor<N> {
    type Value = N;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<N>())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<N, E> {
        let wrong = || E::invalid_value(de::Unexpected::Signed(number), &self);
        N::try_from(number).map_err(|_| wrong())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<N, E> {
        let wrong = || E::invalid_value(de::Unexpected::Unsigned(number), &self);
        N::try_from(number).map_err(|_| wrong())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<N, E> {
        // Without a fraction it is written without a point, and so is read exactly or not at all.
        match number.to_string().parse() {
            Ok(whole) => self.visit_i64(whole),
            Err(_) => Err(E::invalid_type(de::Unexpected::Float(number), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<N: Whole>(text: &str) -> Result<N, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        only(&mut json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_number_may_have_a_point_and_an_exponent() {
        for text in ["30000", "30000.0", "3e4", "3.0E4"] {
            assert_eq!(read::<u64>(text), Ok(30_000), "{text}");
            assert_eq!(read::<i32>(text), Ok(30_000), "{text}");
        }
        assert_eq!(read::<i64>("-1.0"), Ok(-1));
    }

    #[test]
    fn a_fraction_and_what_is_out_of_range_are_refused_with_the_number() {
        for text in ["1.5", "-1", "-1.0", "4294967296", "4294967296.0", "1e300", "true", "\"1\""] {
            let refused = read::<u32>(text).expect_err(text);
            assert!(refused.contains("expected u32"), "{refused}");
        }
        let refused = read::<u64>("1.5").unwrap_err();
        assert!(refused.contains("floating point `1.5`"), "{refused}");
    }
}
