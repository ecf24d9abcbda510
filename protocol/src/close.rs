//! WebSocket close codes: one table for gateway, simulator, command line and dashboard.

use std::fmt;

/// What a client does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Coming back unchanged is useless (40xx, and RFC 6455's 1009).
    Never,
    /// Come back after a random wait of 0.5 to 20 s (41xx, and a connection that broke).
    BackOff,
    /// Come back at once (42xx).
    AtOnce,
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal,)*) => {
        /// Why the gateway closed a WebSocket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode {
            $($(#[$doc])* $name,)*
        }

        impl CloseCode {
            /// Every code of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number on the wire (RFC 6455, section 7.4).
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The reason text on the wire.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

close_codes! {
    /// A token is needed and none that is valid came in time.
    Unauthenticated = 4001 "unauthenticated",
    /// The user may not do this.
    Forbidden = 4003 "forbidden",
    /// A frame that is no JSON object, or a binary frame.
    Malformed = 4004 "malformed",
    /// Over a limit, such as that of connections.
    OverLimit = 4005 "over a limit",
    /// The gateway is shutting down.
    ShuttingDown = 4100 "shutting down",
    /// More than the outbox's bound stayed queued for too long.
    TooSlow = 4108 "too slow",
    /// No pong came.
    NoPong = 4112 "no pong",
    /// The client sends too many messages.
    TooManyMessages = 4113 "too many messages",
    /// The session went to another node.
    Moved = 4201 "moved to another node",
    /// A message over the size limit.
    MessageTooBig = 1009 "message too big",
}

impl CloseCode {
    /// What a client does after this code.
    #[must_use]
    pub const fn retry(self) -> Retry {
        Retry::after(self.code())
    }
}

impl Retry {
    /// What a client does after a close with `code`; the number's range tells.
    #[must_use]
    pub const fn after(code: u16) -> Self {
        match code {
            4000..=4099 | 1009 => Self::Never,
            4200..=4299 => Self::AtOnce,
            _ => Self::BackOff,
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_the_number_tells_whether_to_come_back() {
        assert_eq!(CloseCode::Malformed.retry(), Retry::Never);
        assert_eq!(CloseCode::MessageTooBig.retry(), Retry::Never);
        assert_eq!(CloseCode::TooSlow.retry(), Retry::BackOff);
        assert_eq!(CloseCode::Moved.retry(), Retry::AtOnce);
        assert_eq!(Retry::after(1006), Retry::BackOff);
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = CloseCode::ALL.iter().map(|code| code.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CloseCode::ALL.len());
    }
}
