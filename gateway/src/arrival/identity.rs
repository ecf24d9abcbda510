//! The device that a certificate names. Whether the certificate counts is TLS's to say.

use crate::config::DeviceName;
use protocol::DeviceId;
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// The first name of the kind that is a device id.
pub(super) fn device_of(certificate: &CertificateDer<'_>, kind: DeviceName) -> Option<DeviceId> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    match kind {
        DeviceName::CommonName => {
            let mut names = certificate.subject().iter_common_name();
            names.find_map(|name| name.as_str().ok()?.parse().ok())
        }
        DeviceName::SanDns => alternative(&certificate, |name| {
            if let GeneralName::DNSName(dns) = name { Some(dns) } else { None }
        }),
        DeviceName::SanUri => alternative(&certificate, |name| {
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
        let device = |kind| device_of(certificate.der(), kind).unwrap().to_string();
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
            assert_eq!(device_of(certificate.der(), kind), None);
        }
        assert_eq!(device_of(&CertificateDer::from(vec![0x30, 0x80]), DeviceName::SanDns), None);
    }

    #[test]
    fn the_last_part_of_a_uri_names_the_device() {
        assert_eq!(last_part("urn:device:pump-1"), Some("pump-1"));
        assert_eq!(last_part("spiffe://example/pump-1"), Some("pump-1"));
        assert_eq!(last_part("pump-1"), None);
    }
}
