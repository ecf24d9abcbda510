//! The device that a certificate names, and for how long. Whether the certificate counts is TLS's to say.

use crate::{auth::Certified, config::DeviceName};
use protocol::{DeviceId, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// Whose certificate it is, and when it expires; none: it names no device.
pub(super) fn certified(certificate: &CertificateDer<'_>, kind: DeviceName) -> Option<Certified> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let device = device_of(&certificate, kind)?;
    // The last second that it names is one of its own (RFC 5280, section 4.1.2.5).
    let end_s = certificate.validity().not_after.timestamp().saturating_add(1);
    Some(Certified { device, ends_at: Timestamp(end_s.saturating_mul(1_000)) })
}

/// The first name of the kind that is a device id.
fn device_of(certificate: &X509Certificate<'_>, kind: DeviceName) -> Option<DeviceId> {
    match kind {
        DeviceName::CommonName => {
            let mut names = certificate.subject().iter_common_name();
            names.find_map(|name| name.as_str().ok()?.parse().ok())
        }
        DeviceName::SanDns => alternative(certificate, |name| {
            if let GeneralName::DNSName(dns) = name { Some(dns) } else { None }
        }),
        DeviceName::SanUri => alternative(certificate, |name| {
            if let GeneralName::URI(uri) = name { last_part(uri) } else { None }
        }),
    }
}

fn alternative<'a>(
    certificate: &'a X509Certificate<'a>,
    pick: impl Fn(&GeneralName<'a>) -> Option<&'a str>,
) -> Option<DeviceId> {
    let names = &certificate.subject_alternative_name().ok()??.value.general_names;
    names.iter().find_map(|name| pick(name)?.parse().ok())
}

/// What names the device in `spiffe://example/devices/pump-1` or `urn:device:pump-1`.
fn last_part(uri: &str) -> Option<&str> {
    let by_slash = uri.rsplit_once('/').map(|(_, last)| last);
    by_slash.or_else(|| uri.rsplit_once(':').map(|(_, last)| last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    #[test]
    fn a_device_is_named_by_what_was_chosen_and_by_nothing_else() {
        let mut params = CertificateParams::new(["*.example".into(), "pump-dns".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "pump-cn");
        let uri = "spiffe://example/devices/pump-uri".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let device = |kind| certified(certificate.der(), kind).unwrap().device.to_string();
        assert_eq!(device(DeviceName::CommonName), "pump-cn");
        assert_eq!(device(DeviceName::SanDns), "pump-dns", "a wildcard is no device id");
        assert_eq!(device(DeviceName::SanUri), "pump-uri");
    }

    #[test]
    fn a_name_that_is_no_device_id_names_no_device() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a device");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        for kind in [DeviceName::CommonName, DeviceName::SanDns, DeviceName::SanUri] {
            assert_eq!(certified(certificate.der(), kind), None);
        }
        assert_eq!(certified(&CertificateDer::from(vec![0x30, 0x80]), DeviceName::SanDns), None);
    }

    #[test]
    fn it_ends_with_the_last_second_that_it_names() {
        let mut params = CertificateParams::new(["pump-1".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2035, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let Certified { ends_at, .. } = certified(certificate.der(), DeviceName::SanDns).unwrap();
        assert_eq!(ends_at, Timestamp((2_051_222_400 + 1) * 1_000));
    }

    #[test]
    fn the_last_part_of_a_uri_names_the_device() {
        assert_eq!(last_part("urn:device:pump-1"), Some("pump-1"));
        assert_eq!(last_part("spiffe://example/pump-1"), Some("pump-1"));
        assert_eq!(last_part("pump-1"), None);
    }
}
