//! Cuts whole packets out of what the socket gave.

/// One packet: its first byte and what follows its length.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// Type and flags.
    pub(crate) head: u8,
    /// The remaining bytes.
    pub(crate) body: &'a [u8],
    /// How long all of it is.
    pub(crate) bytes: usize,
}

/// No packet can be cut; the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Its length is no variable byte integer.
    Malformed,
    /// It is larger than allowed, as soon as its length says so.
    TooLarge,
}

/// The whole packet that `buffer` begins with; none: more bytes are needed. `packet_bytes_max` counts all of
/// it.
pub(crate) fn first_frame(
    buffer: &[u8],
    packet_bytes_max: usize,
) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((header_bytes, body_bytes)) = lengths(buffer)? else { return Ok(None) };
    let bytes = header_bytes + body_bytes;
    if bytes > packet_bytes_max {
        return Err(FrameError::TooLarge);
    }
    let body = buffer.get(header_bytes..bytes);
    Ok(body.map(|body| Frame { head: buffer[0], body, bytes }))
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
        let frame = first_frame(bytes, packet_bytes_max)?;
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
    fn a_large_packet_is_refused_before_its_body_comes() {
        assert_eq!(check(&[0x30, 8], 9), Err(FrameError::TooLarge));
        assert_eq!(check(&[0x30, 7], 9), Ok(None));
        assert_eq!(check(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 9), Err(FrameError::TooLarge));
    }

    #[test]
    fn a_length_of_five_bytes_is_malformed() {
        assert_eq!(check(&[0x30, 0x80, 0x80, 0x80, 0x80, 1], 9), Err(FrameError::Malformed));
    }
}
