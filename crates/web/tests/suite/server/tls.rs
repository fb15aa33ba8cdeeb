//! TLS, with a certificate that the `openssl` command makes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use retort_web::bounds::Bounds;
use retort_web::server::Tls;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::harness::{SHORT, Server, ask, rest, within};

/// A certificate for `localhost` and its key. None without the command.
fn certificate(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if made.is_ok_and(|made| made.status.success()) {
        return Some((certificate, key));
    }
    eprintln!("passed over: there is no `openssl` that makes a certificate");
    None
}

#[tokio::test]
async fn tls_serves_and_cuts_off_who_does_not_shake_hands() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(folder.path()) else { return };
    let tls = Tls::from_files(&certificate, &key).unwrap();
    let server = Server::start(Bounds { handshake: SHORT, ..Bounds::default() }, Some(tls)).await;
    assert_eq!(server.exchange("").await, "");
    assert!(!server.exchange("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.contains("HTTP"));

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    let mut stream = connector.connect(name, server.connect().await).await.unwrap();
    ask(&mut stream).await;
    ask(&mut stream).await;
    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut stream).await, "");
    within(server.task).await.unwrap();
}

#[test]
fn certificates_and_keys_that_do_not_serve_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = certificate(folder.path()) else { return };
    let other = tempfile::tempdir().unwrap();
    let Some((_, other_key)) = self::certificate(other.path()) else { return };
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let missing = folder.path().join("missing.pem");
    let empty = file("empty.pem", "");
    let cut = file("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let nonsense =
        file("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let table = [
        (&missing, &key, "cannot read the certificate `"),
        (&empty, &key, "empty.pem` contains no certificate"),
        (&key, &key, "key.pem` contains no certificate"),
        (&cut, &key, "cannot read the certificate `"),
        (&nonsense, &key, "cannot be used with the key `"),
        (&certificate, &missing, "cannot read the key `"),
        (&certificate, &certificate, "certificate.pem` contains no key"),
        (&certificate, &other_key, "cannot be used with the key `"),
    ];
    for (certificate, key, words) in table {
        let error = Tls::from_files(certificate, key).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
