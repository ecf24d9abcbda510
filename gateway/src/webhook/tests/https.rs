//! Posts over https: to whom the certificate says, and to nobody else.

use super::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{fs, io, net::SocketAddr, path::PathBuf};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A listener with TLS; who does not trust its certificate is not let in.
struct Secured {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A receiver whose certificate is for `name`, and the file of that certificate.
async fn secured(
    name: &str,
    refusals: u32,
    folder: &TempDir,
    tasks: &mut JoinSet<()>,
) -> (Receiver, PathBuf) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.into()]).unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/hook", tcp.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (receiver_at(url, Secured { tcp, acceptor }, refusals, tasks), ca)
}

#[tokio::test]
async fn over_https_posts_are_signed_and_tried_again_to_whom_the_ca_file_vouches_for() {
    let folder = TempDir::new().unwrap();
    let (mut tasks, mut kept) = (JoinSet::new(), open(&folder));
    let (mut receiver, ca) = secured("localhost", 1, &folder, &mut tasks).await;
    let trusting = config::Webhook { ca: Some(ca), ..settings(&receiver.url) };
    let (webhook, posting) = kept.webhook(&trusting).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    kept.tell(&webhook, &change(Occasion::Raised, Severity::Critical)).await;
    let (_, body) = next(&mut receiver).await;
    assert_eq!(body["type"], "alert.raised");
    assert_eq!(receiver.attempts.load(Ordering::Relaxed), 2);
    assert_eq!(webhook.counters().attempts_failed.get(), 1);
}

#[tokio::test]
async fn over_https_nothing_is_said_to_whom_nobody_vouches_for_or_who_has_another_name() {
    for (name, trusts) in [("localhost", false), ("another", true)] {
        let folder = TempDir::new().unwrap();
        let (mut tasks, mut kept) = (JoinSet::new(), open(&folder));
        let (receiver, ca) = secured(name, 0, &folder, &mut tasks).await;
        let ca = trusts.then_some(ca);
        let once = config::Webhook { attempts: 1, ca, ..settings(&receiver.url) };
        let (webhook, posting) = kept.webhook(&once).unwrap();
        tasks.spawn(posting.run(CancellationToken::new()));
        kept.tell(&webhook, &change(Occasion::Raised, Severity::Critical)).await;
        let given_up = async {
            while webhook.counters().given_up.get() == 0 {
                tokio::task::yield_now().await;
            }
        };
        time::timeout(DEADLINE, given_up).await.expect("it is given up");
        assert_eq!(receiver.attempts.load(Ordering::Relaxed), 0, "{name}");
    }
}
