//! TLS 1.2 and 1.3 of one listener: what its files say, and the way to read them again.

use super::identity::certified;
use crate::{auth::Certified, config::DeviceName};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem, pem::PemObject as _},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

/// Where the settings of TLS come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The certificate, with those between it and its root: PEM.
    pub cert: PathBuf,
    /// Its key: PEM.
    pub key: PathBuf,
    /// The protocols that clients may name (ALPN); none: whatever they name.
    pub protocols: Vec<Vec<u8>>,
    /// What clients show.
    pub clients: Option<Clients>,
}

/// What clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Who may sign their certificates: PEM.
    pub ca: PathBuf,
    /// Whether one may come without.
    pub required: bool,
    /// Which name of a certificate is the device id.
    pub device: DeviceName,
}

/// A file of TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read, or has no such thing.
    #[error("{} has no {what} in PEM that can be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// What they say does not fit together.
    #[error("{} cannot be used with {}: {why}", .cert.display(), .key.display())]
    Unfit {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's.
        key: PathBuf,
        /// What is wrong.
        why: Error,
    },
    /// The authority's certificate is none.
    #[error("{} cannot be used to verify clients: {why}", .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The settings of TLS that are in force.
#[derive(Debug)]
pub struct Tls {
    sources: Sources,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn open(sources: Sources) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(read(&sources)?));
        Ok(Self { sources, current })
    }

    /// For the next handshake.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. Connections that stand go on as they are.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let new = Arc::new(read(&self.sources)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// The files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let Sources { cert, key, clients, .. } = &self.sources;
        let authority = clients.as_ref().map(|clients| clients.ca.as_path());
        [cert.as_path(), key.as_path()].into_iter().chain(authority)
    }

    /// What the peer's certificate says.
    pub(super) fn certified(&self, connection: &ServerConnection) -> Option<Certified> {
        let certificate = connection.peer_certificates()?.first()?;
        certified(certificate, self.sources.clients.as_ref()?.device)
    }
}

fn read(sources: &Sources) -> Result<ServerConfig, TlsError> {
    let Sources { cert, key, protocols, clients } = sources;
    let chain = certificates(cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Unreadable {
        path: key.clone(),
        what: "private key",
        source,
    })?;
    let provider = Arc::new(ring::default_provider());
    let unfit = |why| TlsError::Unfit { cert: cert.clone(), key: key.clone(), why };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(verifier(clients, provider)?),
    };
    let mut config = builder.with_single_cert(chain, private).map_err(unfit)?;
    config.alpn_protocols.clone_from(protocols);
    if clients.is_some() {
        // A session that goes on would not look at the certificate again, which may have expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable =
        |source| TlsError::Unreadable { path: path.into(), what: "certificate", source };
    let chain = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if chain.is_empty() { Err(unreadable(pem::Error::NoItemsFound)) } else { Ok(chain) }
}

fn verifier(
    clients: &Clients,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |why: String| TlsError::Authority { path: clients.ca.clone(), why };
    let mut roots = RootCertStore::empty();
    for root in certificates(&clients.ca)? {
        roots.add(root).map_err(|error| unusable(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    let signed = builder.build().map_err(|error| unusable(error.to_string()))?;
    Ok(Arc::new(OfDevices { signed, name: clients.device }))
}

/// Takes certificates that count and name a device.
#[derive(Debug)]
struct OfDevices {
    signed: Arc<dyn ClientCertVerifier>,
    name: DeviceName,
}

impl ClientCertVerifier for OfDevices {
    fn client_auth_mandatory(&self) -> bool {
        self.signed.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signed.verify_client_cert(end_entity, intermediates, now)?;
        match certified(end_entity, self.name) {
            Some(_) => Ok(verified),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
