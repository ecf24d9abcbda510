//! MQTT 5 reason codes (section 2.4), and what 3.1.1 has in their place.

/// Why something was granted, refused or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    Success = 0x00,
    NoSubscriptionExisted = 0x11,
    MalformedPacket = 0x81,
    ProtocolError = 0x82,
    ImplementationSpecific = 0x83,
    UnsupportedVersion = 0x84,
    ClientIdNotValid = 0x85,
    BadUserNameOrPassword = 0x86,
    NotAuthorized = 0x87,
    ServerBusy = 0x89,
    Banned = 0x8A,
    ShuttingDown = 0x8B,
    BadAuthenticationMethod = 0x8C,
    KeepAliveTimeout = 0x8D,
    TakenOver = 0x8E,
    TopicFilterInvalid = 0x8F,
    TopicNameInvalid = 0x90,
    PacketIdNotFound = 0x92,
    ReceiveMaximumExceeded = 0x93,
    TopicAliasInvalid = 0x94,
    PacketTooLarge = 0x95,
    QuotaExceeded = 0x97,
    AdministrativeAction = 0x98,
    ConnectionRateExceeded = 0x9F,
}

impl Reason {
    /// The byte on the wire.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    /// The CONNACK return code of MQTT 3.1.1; none where it has nothing to say and just closes.
    pub(super) const fn connack_v3(self) -> Option<u8> {
        match self {
            Self::Success => Some(0x00),
            Self::UnsupportedVersion => Some(0x01),
            Self::ClientIdNotValid => Some(0x02),
            Self::QuotaExceeded
            | Self::ShuttingDown
            | Self::ServerBusy
            | Self::ConnectionRateExceeded => Some(0x03),
            Self::BadUserNameOrPassword => Some(0x04),
            Self::Banned | Self::NotAuthorized => Some(0x05),
            Self::NoSubscriptionExisted
            | Self::MalformedPacket
            | Self::ProtocolError
            | Self::ImplementationSpecific
            | Self::BadAuthenticationMethod
            | Self::KeepAliveTimeout
            | Self::TakenOver
            | Self::TopicFilterInvalid
            | Self::TopicNameInvalid
            | Self::PacketIdNotFound
            | Self::ReceiveMaximumExceeded
            | Self::TopicAliasInvalid
            | Self::PacketTooLarge
            | Self::AdministrativeAction => None,
        }
    }

    /// What an MQTT 5 client is told in words, at most 124 bytes; none where there is nothing to explain.
    pub(super) const fn words(self) -> Option<&'static str> {
        let words = match self {
            Self::Success | Self::NoSubscriptionExisted => return None,
            Self::MalformedPacket => "the packet cannot be read",
            Self::ProtocolError => "MQTT does not allow this packet here",
            Self::ImplementationSpecific => "what was published cannot be stored: come back later",
            Self::UnsupportedVersion => "MQTT 3.1.1 and 5 are served",
            Self::ClientIdNotValid => {
                "a client id has at most 256 bytes, no control characters, and is nobody else's"
            }
            Self::BadUserNameOrPassword => "the user name or the password is wrong or has ended",
            Self::NotAuthorized => "this needs a credential that allows it",
            Self::ServerBusy => "too many are signing in: come back later",
            Self::Banned => "this client id came too often and must stay away for a while",
            Self::ShuttingDown => "the gateway is shutting down",
            Self::BadAuthenticationMethod => "no extended authentication is offered",
            Self::KeepAliveTimeout => "nothing came for one and a half times the keep-alive",
            Self::TakenOver => "another connection uses this client id now",
            Self::TopicFilterInvalid => "this is no topic filter, or longer or deeper than allowed",
            Self::TopicNameInvalid => "this topic cannot be published to",
            Self::PacketIdNotFound => "there is no message with this packet id",
            Self::ReceiveMaximumExceeded => "more unacknowledged messages than the receive maximum",
            Self::TopicAliasInvalid => "the topic alias is 0 or beyond the maximum",
            Self::PacketTooLarge => "the packet is larger than allowed",
            Self::QuotaExceeded => "a limit of the gateway is reached",
            Self::AdministrativeAction => "the connection was closed by an operator",
            Self::ConnectionRateExceeded => "too many sign-ins from this address: come back later",
        };
        Some(words)
    }
}

/// With three bytes before them they are properties whose length is one byte, so 127 at most.
#[cfg(test)]
const WORDS_BYTES_MAX: usize = 124;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_enough_for_a_length_of_one_byte() {
        let told = [
            Reason::MalformedPacket,
            Reason::ProtocolError,
            Reason::ImplementationSpecific,
            Reason::UnsupportedVersion,
            Reason::ClientIdNotValid,
            Reason::BadUserNameOrPassword,
            Reason::NotAuthorized,
            Reason::ServerBusy,
            Reason::Banned,
            Reason::ShuttingDown,
            Reason::BadAuthenticationMethod,
            Reason::KeepAliveTimeout,
            Reason::TakenOver,
            Reason::TopicFilterInvalid,
            Reason::TopicNameInvalid,
            Reason::PacketIdNotFound,
            Reason::ReceiveMaximumExceeded,
            Reason::TopicAliasInvalid,
            Reason::PacketTooLarge,
            Reason::QuotaExceeded,
            Reason::AdministrativeAction,
            Reason::ConnectionRateExceeded,
        ];
        for reason in told {
            assert!(reason.words().unwrap().len() <= WORDS_BYTES_MAX, "{reason:?}");
        }
    }
}
