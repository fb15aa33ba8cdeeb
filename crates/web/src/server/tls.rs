//! TLS, with a certificate and a key from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use retort_service::io_reason;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server shows of itself.
#[derive(Clone)]
pub struct Tls(pub(super) TlsAcceptor);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or cannot be read.
    #[error("cannot read the {what} `{}`: {reason}", path.display())]
    Read {
        /// The certificate or the key.
        what: &'static str,
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file has something else in it.
    #[error("`{}` contains no {what}: it must be PEM, and a key without a password", path.display())]
    Missing {
        /// The certificate or the key.
        what: &'static str,
        /// Its file.
        path: PathBuf,
    },
    /// They do not go together, or are of a kind that is not known.
    #[error(
        "the certificate `{}` cannot be used with the key `{}`: {reason}",
        certificate.display(), key.display()
    )]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Tls {
    /// Reads a certificate, followed by those up to its root, and its key. Both are PEM.
    ///
    /// # Errors
    /// A file cannot be read or holds something else; the two do not go together.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let (what, path) = ("certificate", certificate);
        let chain = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| of_pem(what, path, &error))?;
        if chain.is_empty() {
            return Err(TlsError::Missing { what, path: path.to_owned() });
        }
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| of_pem("key", key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|error| TlsError::Unfit {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self::with(config))
    }

    fn with(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(TlsAcceptor::from(Arc::new(config)))
    }
}

fn of_pem(what: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::NoItemsFound => TlsError::Missing { what, path },
        pem::Error::Io(error) => TlsError::Read { what, path, reason: io_reason(error) },
        error => TlsError::Read { what, path, reason: error.to_string() },
    }
}
