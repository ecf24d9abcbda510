//! A certificate authority for tests, its certificates, and TLS clients that trust it.

use crate::{Live, soon};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
};

/// An authority, with its files in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    V12,
    /// 1.3.
    V13,
}

impl Authority {
    /// A new one, whom nobody else trusts.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Sluice's tests");
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("it signs itself");
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }

    /// The file of its own certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The certificate of a server on this machine.
    #[must_use]
    pub fn server(&self) -> Identity {
        self.server_in("server")
    }

    /// A new one for the same server, in files of its own.
    #[must_use]
    pub fn renewed_server(&self) -> Identity {
        self.server_in("renewed")
    }

    fn server_in(&self, name: &str) -> Identity {
        self.identity(name, |params| {
            let loopback = SanType::IpAddress([127, 0, 0, 1].into());
            let localhost = SanType::DnsName("localhost".try_into().expect("a name"));
            params.subject_alt_names = vec![loopback, localhost];
        })
    }

    /// The certificate of a device: its id is a DNS name among the alternative names.
    #[must_use]
    pub fn device(&self, id: &str) -> Identity {
        self.identity(id, |params| params.subject_alt_names = vec![dns(id)])
    }

    /// The same, expired years ago.
    #[must_use]
    pub fn expired_device(&self, id: &str) -> Identity {
        self.identity(&format!("{id}-expired"), |params| {
            params.subject_alt_names = vec![dns(id)];
            (params.not_before, params.not_after) =
                (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        })
    }

    /// A certificate with this common name, and no other.
    #[must_use]
    pub fn common_name(&self, name: &str) -> Identity {
        self.identity(name, |params| params.distinguished_name.push(DnType::CommonName, name))
    }

    fn identity(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let own = key();
        let certificate = params.signed_by(&own, &self.issuer).expect("it signs");
        let file = |end: &str| self.folder.path().join(format!("{name}.{end}.pem"));
        let identity = Identity { cert: file("cert"), key: file("key") };
        fs::write(&identity.cert, certificate.pem()).expect("a file");
        fs::write(&identity.key, own.serialize_pem()).expect("a file");
        identity
    }

    /// A connection with TLS, after its handshake.
    ///
    /// # Errors
    /// When the other side refuses. One of TLS 1.3 says so only when something is read.
    ///
    /// # Panics
    /// When nothing happens.
    pub async fn connect(
        &self,
        address: SocketAddr,
        version: TlsVersion,
        identity: Option<&Identity>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = self.client(version, identity);
        let socket = soon("a connection", TcpStream::connect(address)).await?;
        handshake(config, socket).await
    }

    /// TLS over a socket that was used before.
    ///
    /// # Errors
    /// When the other side refuses.
    ///
    /// # Panics
    /// When nothing happens.
    pub async fn over(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        handshake(self.client(TlsVersion::V13, None), socket).await
    }

    /// A WebSocket over TLS that was welcomed.
    ///
    /// # Panics
    /// When the gateway does not accept it.
    pub async fn live(&self, address: SocketAddr) -> Live {
        let stream = self.connect(address, TlsVersion::V13, None).await;
        Live::over(stream.expect("a TLS handshake"), address).await
    }

    fn client(&self, version: TlsVersion, identity: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate");
        let version: &SupportedProtocolVersion = match version {
            TlsVersion::V12 => &TLS12,
            TlsVersion::V13 => &TLS13,
        };
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(&[version])
            .expect("ring has both versions")
            .with_root_certificates(roots);
        match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert, key }) => {
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                builder.with_client_auth_cert(chain(cert), key).expect("they belong together")
            }
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// Puts another certificate and its key in the place of this one's files.
    ///
    /// # Panics
    /// When they cannot be copied.
    pub fn replace_by(&self, other: &Self) {
        fs::copy(&other.cert, &self.cert).expect("a file");
        fs::copy(&other.key, &self.key).expect("a file");
    }

    /// The certificate as a handshake shows it.
    #[must_use]
    pub fn shown(&self) -> CertificateDer<'static> {
        chain(&self.cert).remove(0)
    }
}

async fn handshake(config: ClientConfig, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::IpAddress(socket.peer_addr()?.ip().into());
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
    soon("a TLS handshake", connecting).await
}

fn chain(path: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(path).expect("a file");
    certificates.collect::<Result<_, _>>().expect("certificates")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("randomness")
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}
