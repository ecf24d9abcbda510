//! Messages as they lie on the disk.
//!
//! A record begins with its version, so that a later gateway reads what an earlier one wrote. The rest is
//! MQTT's own data types; the properties are those of a PUBLISH.

use super::{
    encode,
    properties::{encode as encode_properties, properties, travel},
    reader::Reader,
};
use crate::{
    edge::reason::Reason,
    exchange::{Message, Properties, Share},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use protocol::{Timestamp, TopicName};
use std::sync::Arc;

const VERSION: u8 = 1;

/// With a shared subscription behind the identifiers.
const VERSION_SHARED: u8 = 2;

/// A message with how it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) identifiers: Vec<u32>,
    /// The shared subscription it came by.
    pub(crate) share: Option<Arc<Share>>,
}

/// The bytes of a record.
pub(crate) fn encode_record(
    message: &Message,
    qos: u8,
    retain: bool,
    identifiers: &[u32],
    share: Option<&Share>,
) -> Vec<u8> {
    let mut out = BytesMut::new();
    let flags = message.qos << 4 | u8::from(message.retain) << 3 | qos << 1 | u8::from(retain);
    let version = if share.is_some() { VERSION_SHARED } else { VERSION };
    out.put_slice(&[version, flags]);
    out.put_i64(message.properties.expires_at.map_or(0, |at| at.0));
    encode::variable(&mut out, identifiers.len());
    identifiers.iter().for_each(|identifier| out.put_u32(*identifier));
    if let Some(Share { name, filter }) = share {
        encode::text(&mut out, name);
        encode::text(&mut out, filter.as_str());
    }
    encode::text(&mut out, message.topic.as_str());
    let mut properties = BytesMut::new();
    encode_properties(&mut properties, &message.properties, None, &[], None);
    encode::variable(&mut out, properties.len());
    out.put_slice(&properties);
    out.put_slice(&message.payload);
    out.to_vec()
}

/// Reads a record.
///
/// # Errors
/// It is none, or of a later version.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Record, Reason> {
    let mut reader = Reader::new(bytes);
    let is_shared = match reader.u8()? {
        VERSION => false,
        VERSION_SHARED => true,
        _ => return Err(Reason::MalformedPacket),
    };
    let flags = reader.u8()?;
    let expires_at = i64::from(reader.u32()?) << 32 | i64::from(reader.u32()?);
    let mut identifiers = Vec::new();
    for _ in 0..reader.variable()? {
        identifiers.push(reader.u32()?);
    }
    let share = if is_shared { Some(Arc::new(share(&mut reader)?)) } else { None };
    let topic: TopicName = reader.text()?.parse().map_err(|_| Reason::MalformedPacket)?;
    let mut travelling = Properties {
        expires_at: (expires_at > 0).then_some(Timestamp(expires_at)),
        ..Properties::default()
    };
    for property in properties(&mut reader)? {
        travel(&mut travelling, property).map_err(|_| Reason::MalformedPacket)?;
    }
    let message = Message {
        topic,
        payload: Bytes::copy_from_slice(reader.rest()),
        qos: flags >> 4 & 0x03,
        retain: flags & 0x08 != 0,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: travelling,
    };
    let (qos, retain) = (flags >> 1 & 0x03, flags & 0x01 != 0);
    Ok(Record { message: Arc::new(message), qos, retain, identifiers, share })
}

fn share(reader: &mut Reader<'_>) -> Result<Share, Reason> {
    let name = reader.text()?.into();
    let filter = reader.text()?.parse().map_err(|_| Reason::MalformedPacket)?;
    Ok(Share { name, filter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_gives_the_message_again() {
        let message = Arc::new(Message {
            topic: "a/ü".parse().unwrap(),
            payload: Bytes::from_static(&[0, 0xFF]),
            qos: 2,
            retain: true,
            publisher: None,
            served: None,
            retained_as: 0,
            properties: Properties {
                payload_is_utf8: Some(false),
                expires_at: Some(Timestamp(0x0123_4567_89AB_CDEF)),
                content_type: Some("text".into()),
                response_topic: Some("r/1".into()),
                correlation_data: Some(Bytes::from_static(&[1, 2])),
                user: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
            },
        });
        let share = Share { name: "crew".into(), filter: "a/#".parse().unwrap() };
        for share in [None, Some(Arc::new(share))] {
            let bytes = encode_record(&message, 1, false, &[7, 0xFFF_FFFF], share.as_deref());
            let (message, identifiers) = (message.clone(), vec![7, 0xFFF_FFFF]);
            let record = Record { message, qos: 1, retain: false, identifiers, share };
            assert_eq!(decode_record(&bytes), Ok(record));
            for end in 0..14 {
                assert!(decode_record(&bytes[..end]).is_err(), "{end}");
            }
            assert!(decode_record(&[&[3], &bytes[1..]].concat()).is_err());
        }
    }
}
