//! Whom Sluice's own TLS clients believe: the authorities of a file, or those that the system trusts. The command
//! line, the simulator and the gateway's webhook ask here, so that they believe the same.
//!
//! What the system trusts is in the file that `SSL_CERT_FILE` names, where that is set.

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};
use std::path::{Path, PathBuf};

/// A file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthority {
    /// It cannot be read, or has no certificate.
    #[error("{} has no certificate in PEM that can be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// A certificate in it is no authority's.
    #[error("{} cannot be used to verify a server: {source}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// Believes the authorities in `file`, and nobody else.
///
/// # Errors
/// [`BadAuthority`], naming the file.
pub fn in_file(file: &Path) -> Result<ClientConfig, BadAuthority> {
    let unreadable = |source| BadAuthority::Unreadable { path: file.into(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let added = roots.add(certificate.map_err(unreadable)?);
        added.map_err(|source| BadAuthority::Unfit { path: file.into(), source })?;
    }
    if roots.is_empty() { Err(unreadable(pem::Error::NoItemsFound)) } else { Ok(client(roots)) }
}

/// Believes whom the system trusts; where that cannot be read, nobody.
#[must_use]
pub fn in_system() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let (_trusted, _unusable) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    client(roots)
}

/// Believes nobody: for who speaks no TLS, in a library that wants to know.
#[must_use]
pub fn in_nobody() -> ClientConfig {
    client(RootCertStore::empty())
}

fn client(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider has the versions of TLS that are safe")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use std::fs;

    #[test]
    fn a_file_of_authorities_is_read_and_anything_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        assert!(matches!(in_file(&file), Err(BadAuthority::Unreadable { .. })), "it is not there");
        for text in ["", "no certificate"] {
            fs::write(&file, text).unwrap();
            let said = in_file(&file).unwrap_err().to_string();
            assert!(said.starts_with(&file.display().to_string()), "{said}");
        }
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        fs::write(&file, authority.pem()).unwrap();
        in_file(&file).unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(&file, broken).unwrap();
        assert!(matches!(in_file(&file), Err(BadAuthority::Unfit { .. })));
    }
}
