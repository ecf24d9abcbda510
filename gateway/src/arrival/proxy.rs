//! The header of the PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): where a connection comes
//! from that a load balancer hands on. Exactly the header is read; what follows is the protocol's own.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How a header of version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1 (section 2.1).
const LINE_BYTES_MAX: usize = 107;

/// What may follow the first 16 bytes of version 2: 216 bytes of addresses, and what load balancers add.
const REST_BYTES_MAX: usize = 2_048;

/// What came is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadHeader {
    #[error("it was closed within the PROXY header: {0}")]
    Cut(#[from] io::Error),
    #[error("what came is no PROXY header")]
    Malformed,
    #[error("the PROXY header is too long")]
    TooLong,
}

/// Reads a header; none: the load balancer speaks for itself (`LOCAL`), or does not say (`UNKNOWN`).
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<SocketAddr>, BadHeader> {
    // No header is shorter.
    let mut head = [0; SIGNATURE.len()];
    stream.read_exact(&mut head).await?;
    if head == SIGNATURE { binary(stream).await } else { line(stream, &head).await }
}

async fn line(
    stream: &mut (impl AsyncRead + Unpin),
    head: &[u8],
) -> Result<Option<SocketAddr>, BadHeader> {
    if !head.starts_with(b"PROXY ") {
        return Err(BadHeader::Malformed);
    }
    let mut line = head.to_vec();
    // Byte for byte, as its end is not known before: once a connection, and never past the header.
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_BYTES_MAX {
            return Err(BadHeader::TooLong);
        }
        line.push(stream.read_u8().await?);
    }
    let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
    told(text.unwrap_or_default()).ok_or(BadHeader::Malformed)
}

/// What a line of version 1 tells; none: it is none.
fn told(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, target) = (words.next()?, words.next()?);
    let (port, target_port) = (words.next()?, words.next()?);
    let ip = |word: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    let number = |word: &str| -> Option<u16> {
        let plain = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse().ok().filter(|_| plain)
    };
    ip(target)?;
    number(target_port)?;
    let address = SocketAddr::new(ip(source)?, number(port)?);
    words.next().is_none().then_some(Some(address))
}

async fn binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, BadHeader> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version_and_command, family, high, low] = head;
    let bytes = usize::from(u16::from_be_bytes([high, low]));
    if bytes > REST_BYTES_MAX {
        return Err(BadHeader::TooLong);
    }
    let mut rest = vec![0; bytes];
    stream.read_exact(&mut rest).await?;
    match version_and_command {
        0x20 => Ok(None),
        0x21 => source(family, &rest),
        _ => Err(BadHeader::Malformed),
    }
}

/// The source in the addresses of version 2 (section 2.2).
fn source(family: u8, rest: &[u8]) -> Result<Option<SocketAddr>, BadHeader> {
    let address = match family {
        // AF_INET with a stream: two addresses, two ports.
        0x11 => {
            let ip = rest.first_chunk::<4>().copied().map(IpAddr::from);
            ip.zip(port_at(rest, 8, 12))
        }
        0x21 => {
            let ip = rest.first_chunk::<16>().copied().map(IpAddr::from);
            ip.zip(port_at(rest, 32, 36))
        }
        // Of no family, or of a Unix socket: no address that we could use.
        0x00 | 0x31 => return Ok(None),
        _ => return Err(BadHeader::Malformed),
    };
    let (ip, port) = address.ok_or(BadHeader::Malformed)?;
    Ok(Some(SocketAddr::new(ip, port)))
}

/// The port at `place` of addresses that are `length` bytes.
fn port_at(rest: &[u8], place: usize, length: usize) -> Option<u16> {
    let addresses = rest.get(..length)?;
    addresses.get(place..)?.first_chunk::<2>().copied().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    /// What is read of `bytes`, and what is left.
    fn read_all(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, BadHeader>, Vec<u8>) {
        let read = read(&mut bytes).now_or_never().expect("a slice never waits");
        (read, bytes.to_vec())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    fn addresses(address: SocketAddr) -> (u8, Vec<u8>) {
        let port = address.port().to_be_bytes();
        match address.ip() {
            IpAddr::V4(ip) => (0x11, [&ip.octets()[..], &[127, 0, 0, 1], &port, &[7, 91]].concat()),
            IpAddr::V6(ip) => (0x21, [&ip.octets()[..], &[0; 16], &port, &[7, 91]].concat()),
        }
    }

    proptest! {
        #[test]
        fn an_address_comes_through_and_what_follows_stays(
            ip in any::<IpAddr>(), port in any::<u16>(), follows in any::<Vec<u8>>(), more in 0..500_usize,
        ) {
            let address = SocketAddr::new(ip, port);
            let (family, mut rest) = addresses(address);
            rest.extend(vec![4; more]);
            let (name, other) = match ip {
                IpAddr::V4(_) => ("TCP4", "127.0.0.1"),
                IpAddr::V6(_) => ("TCP6", "::1"),
            };
            let line = format!("PROXY {name} {ip} {other} {port} 1883\r\n");
            for header in [v2(1, family, &rest), line.into_bytes()] {
                let (read, left) = read_all(&[&header[..], &follows].concat());
                prop_assert_eq!(read.unwrap(), Some(address));
                prop_assert_eq!(&left, &follows);
            }
        }

        #[test]
        fn a_header_cut_or_changed_anywhere_does_not_panic(
            ip in any::<IpAddr>(), place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let (family, rest) = addresses(SocketAddr::new(ip, 1));
            let line = format!("PROXY TCP4 {ip} 127.0.0.1 1 1883\r\n");
            for mut header in [v2(1, family, &rest), line.into_bytes()] {
                let place = place.index(header.len());
                header[place] = byte;
                if cut {
                    header.truncate(place);
                    prop_assert!(read_all(&header).0.is_err());
                } else {
                    let _any = read_all(&header);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _any = read_all(&bytes);
            let _any = read_all(&[&SIGNATURE[..], &bytes].concat());
            let _any = read_all(&[b"PROXY TCP4 ", &bytes[..]].concat());
        }
    }

    #[test]
    fn who_speaks_for_itself_or_does_not_say_keeps_its_own_address() {
        for header in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
            v2(0, 0, b""),
            v2(0, 0x11, &[1; 12]),
            v2(1, 0, b""),
            v2(1, 0x31, &[b'x'; 216]),
        ] {
            let (read, left) = read_all(&[&header[..], b"next"].concat());
            assert_eq!((read.unwrap(), left), (None, b"next".to_vec()), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"\x10\x10\0\x04MQTT\x04\x02\0\0\0\x04abcd".to_vec(),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1\r\n".to_vec(),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2 3\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 +1 2\r\n".to_vec(),
            b"PROXY TCP4 127.0.0.1 127.0.0.1 65536 2\r\n".to_vec(),
            b"PROXY TCP5 127.0.0.1 127.0.0.1 1 2\r\n".to_vec(),
            v2(2, 0x11, &[1; 12]),
            v2(1, 0x11, &[1; 11]),
            v2(1, 0x12, &[1; 12]),
            v2(1, 0x21, &[1; 35]),
        ] {
            assert!(matches!(read_all(&bytes).0, Err(BadHeader::Malformed)), "{bytes:?}");
        }
        let long = [b"PROXY UNKNOWN ", &[b'x'; 200][..], b"\r\n"].concat();
        assert!(matches!(read_all(&long).0, Err(BadHeader::TooLong)));
        assert!(matches!(read_all(&v2(1, 0x11, &[1; 3_000])).0, Err(BadHeader::TooLong)));
    }
}
