//! Reads the data types of MQTT (5.0, section 1.5) from a packet's body.

use crate::edge::reason::Reason;

/// What is left of a body. Everything it cannot read is [`Reason::MalformedPacket`].
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Reason> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Reason::MalformedPacket)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Reason> {
        let (byte, rest) = self.0.split_first().ok_or(Reason::MalformedPacket)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Reason> {
        Ok(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Reason> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A packet id: never 0.
    pub(super) fn packet_id(&mut self) -> Result<u16, Reason> {
        match self.u16()? {
            0 => Err(Reason::MalformedPacket),
            id => Ok(id),
        }
    }

    /// A variable byte integer: at most four bytes, and no more than it needs `[MQTT-1.5.5-1]`.
    pub(super) fn variable(&mut self) -> Result<usize, Reason> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded { Err(Reason::MalformedPacket) } else { Ok(value) };
            }
        }
        Err(Reason::MalformedPacket)
    }

    /// Bytes with their length before them.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Reason> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    fn utf_8(&mut self) -> Result<&'a str, Reason> {
        std::str::from_utf8(self.binary()?).map_err(|_| Reason::MalformedPacket)
    }

    /// UTF-8 without the null character, which MQTT forbids `[MQTT-1.5.4-2]`.
    pub(super) fn any_text(&mut self) -> Result<&'a str, Reason> {
        let text = self.utf_8()?;
        if text.contains('\0') { Err(Reason::MalformedPacket) } else { Ok(text) }
    }

    /// The same without the other control characters, which a receiver may refuse (section 1.5.4): they fool who reads
    /// them in a log or a terminal.
    pub(super) fn text(&mut self) -> Result<&'a str, Reason> {
        let text = self.utf_8()?;
        let has_controls = if text.is_ascii() {
            // To the end, whatever is found: several bytes are looked at at once then.
            text.bytes().fold(false, |found, byte| found | byte.is_ascii_control())
        } else {
            text.chars().any(char::is_control)
        };
        if has_controls { Err(Reason::MalformedPacket) } else { Ok(text) }
    }

    /// A topic filter as it came, but not an empty one `[MQTT-4.7.3-1]`.
    pub(super) fn filter(&mut self) -> Result<&'a str, Reason> {
        self.text()
            .and_then(|text| if text.is_empty() { Err(Reason::MalformedPacket) } else { Ok(text) })
    }

    /// The end: bytes left over are malformed.
    pub(super) fn end(self) -> Result<(), Reason> {
        if self.is_empty() { Ok(()) } else { Err(Reason::MalformedPacket) }
    }
}
