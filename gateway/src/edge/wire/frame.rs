//! Cuts whole packets out of what the socket gave.

use bytes::{Buf, BytesMut};

/// One packet: its first byte and what follows its length.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Type and flags.
    pub(crate) head: u8,
    /// The remaining bytes.
    pub(crate) body: BytesMut,
    /// Its length took more bytes than it needs, which MQTT 5 forbids `[MQTT-1.5.5-1]`.
    pub(crate) padded: bool,
}

/// No packet can be cut; the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// There are no such packets, or its length is no variable byte integer.
    Malformed,
    /// It is larger than allowed, as soon as its length says so.
    TooLarge,
}

/// The next whole packet of `buffer`; none: more bytes are needed. `packet_bytes_max` counts all of it.
pub(crate) fn take_frame(
    buffer: &mut BytesMut,
    packet_bytes_max: usize,
) -> Result<Option<Frame>, FrameError> {
    // Type 0 is nobody's, and needs no length to be refused.
    if buffer.first().is_some_and(|head| head >> 4 == 0) {
        return Err(FrameError::Malformed);
    }
    let Some((header_bytes, body_bytes)) = lengths(buffer)? else { return Ok(None) };
    if header_bytes + body_bytes > packet_bytes_max {
        return Err(FrameError::TooLarge);
    }
    if buffer.len() < header_bytes + body_bytes {
        return Ok(None);
    }
    let head = buffer[0];
    let padded = header_bytes > 2 && buffer[header_bytes - 1] == 0;
    buffer.advance(header_bytes);
    // Mostly it is all there is: to hand that over takes no allocation.
    let all = buffer.len() == body_bytes;
    let body = if all { std::mem::take(buffer) } else { buffer.split_to(body_bytes) };
    Ok(Some(Frame { head, body, padded }))
}

fn lengths(buffer: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut body_bytes = 0;
    for index in 1..=4 {
        let Some(byte) = buffer.get(index) else { return Ok(None) };
        body_bytes |= usize::from(byte & 0x7F) << (7 * (index - 1));
        if byte & 0x80 == 0 {
            return Ok(Some((1 + index, body_bytes)));
        }
    }
    Err(FrameError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], packet_bytes_max: usize) -> Result<Option<(u8, Vec<u8>)>, FrameError> {
        let mut buffer = BytesMut::from(bytes);
        let frame = take_frame(&mut buffer, packet_bytes_max)?;
        Ok(frame.map(|frame| (frame.head, frame.body.to_vec())))
    }

    #[test]
    fn a_packet_is_cut_once_it_is_whole() {
        assert_eq!(check(&[0x30], 9), Ok(None));
        assert_eq!(check(&[0x30, 2, 7], 9), Ok(None));
        assert_eq!(check(&[0x30, 2, 7, 8, 9], 9), Ok(Some((0x30, vec![7, 8]))));
        assert_eq!(check(&[0xC0, 0], 9), Ok(Some((0xC0, vec![]))));
    }

    #[test]
    fn a_packet_of_no_type_is_refused_before_its_length_comes() {
        assert_eq!(check(&[0x0A], 9), Err(FrameError::Malformed));
        assert_eq!(check(&[0x00, 0xC0], 9), Err(FrameError::Malformed));
    }

    #[test]
    fn a_large_packet_is_refused_before_its_body_comes() {
        assert_eq!(check(&[0x30, 8], 9), Err(FrameError::TooLarge));
        assert_eq!(check(&[0x30, 7], 9), Ok(None));
        assert_eq!(check(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 9), Err(FrameError::TooLarge));
    }

    #[test]
    fn a_length_with_bytes_that_say_nothing_is_told() {
        for (bytes, padded) in
            [(&[0xC0, 0][..], false), (&[0xC0, 0x80, 0], true), (&[0x30, 0x81, 0x80, 0, 7], true)]
        {
            let frame = take_frame(&mut BytesMut::from(bytes), 9).unwrap().unwrap();
            assert_eq!(frame.padded, padded, "{bytes:?}");
        }
    }

    #[test]
    fn a_length_of_five_bytes_is_malformed() {
        assert_eq!(check(&[0x30, 0x80, 0x80, 0x80, 0x80, 1], 9), Err(FrameError::Malformed));
    }
}
