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
    SharedSubscriptionsNotSupported = 0x9E,
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
            Self::QuotaExceeded | Self::ShuttingDown => Some(0x03),
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
            | Self::AdministrativeAction
            | Self::SharedSubscriptionsNotSupported => None,
        }
    }
}
