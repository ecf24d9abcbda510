//! Numbers and texts as bytes: small numbers take few.

use super::Damage;

pub(super) const fn zigzag(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    (signed << 1 ^ signed >> 63).cast_unsigned()
}

pub(super) const fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, Damage> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else { break };
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Damage::new("a number that does not end"))
}

pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Damage> {
    let length = take(bytes)?;
    let split = usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length));
    let (text, rest) = split.ok_or_else(|| Damage::new("a text that is cut off"))?;
    *bytes = rest;
    std::str::from_utf8(text).map_err(|_| Damage::new("a text that is not UTF-8"))
}
