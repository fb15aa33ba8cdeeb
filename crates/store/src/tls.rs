//! Connections to PostgreSQL, encrypted as the URL asks. `sslmode`, `sslrootcert`, `sslcert` and `sslkey` mean what they
//! mean to PostgreSQL's own programs. Reference: PostgreSQL's manual, "SSL Support" of libpq.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::config::{Host, SslMode};
use retort_model::with_causes;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may leave what it was sent unacknowledged, and a connection without a sign that it is there.
const SILENT: Duration = Duration::from_secs(30);

/// TLS for HTTP clients: verifies servers against the certificate authorities that the system trusts. Where it trusts
/// none, every server is refused.
pub fn client_tls() -> ClientConfig {
    install_tls_provider();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

/// Sets the cryptography of TLS for libraries that build their HTTP client themselves.
pub fn install_tls_provider() {
    // An error means that it is set already.
    let _ = ring::default_provider().install_default();
}

/// Connects to the server at a URL.
///
/// # Errors
/// Why not, in words.
pub(crate) fn connect(url: &str) -> Result<postgres::Client, String> {
    let (url, tls) = TlsOptions::split_off(url)?;
    let mut config: postgres::Config =
        url.parse().map_err(|error: postgres::Error| with_causes(&error))?;
    if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
        // What stays on this machine is never encrypted.
        config.ssl_mode(SslMode::Disable);
    }
    // What the URL does not say: a server that is gone without a word is noticed.
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENT);
    }
    config.keepalives_idle(config.get_keepalives_idle().min(SILENT));
    let connected = if config.get_ssl_mode() == SslMode::Disable {
        config.connect(postgres::NoTls)
    } else {
        config.connect(MakeRustlsConnect::new(tls.config()?))
    };
    connected.map_err(|error| with_causes(&error))
}

/// Cancels the query that a connection to the server at a URL is at. What cannot be cancelled ends by itself.
pub(crate) fn cancel(token: &postgres::CancelToken, url: &str) {
    let Ok((url, tls)) = TlsOptions::split_off(url) else { return };
    let Ok(config) = url.parse::<postgres::Config>() else { return };
    let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let _ = if is_local || config.get_ssl_mode() == SslMode::Disable {
        token.cancel_query(postgres::NoTls)
    } else if let Ok(config) = tls.config() {
        token.cancel_query(MakeRustlsConnect::new(config))
    } else {
        Ok(())
    };
}

/// What a URL asks of the encryption.
#[derive(Debug, Default, PartialEq, Eq)]
struct TlsOptions {
    check: Check,
    /// A file of certificates; the authorities that the system trusts if none.
    roots: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

/// What the server has to prove before anything is told to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Check {
    /// Nothing: an attacker in the middle can read along, but not one who only listens.
    #[default]
    Nothing,
    /// That an authority which is trusted vouches for it.
    Authority,
    /// And that it is the one with this name.
    Name,
}

impl TlsOptions {
    /// Takes them out of a URL; what is left is for the client library, which does not know them.
    fn split_off(url: &str) -> Result<(String, Self), String> {
        let (place, options) = url.split_once('?').unwrap_or((url, ""));
        let mut tls = Self::default();
        let mut left = Vec::new();
        let (mut mode, mut system) = (None, false);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| format!("`{name}` is not UTF-8"))?;
            if name == "sslmode" {
                mode = Some(value.to_string());
            }
            match (name, &*value) {
                ("sslmode", "verify-ca") => tls.check = Check::Authority,
                ("sslmode", "verify-full") => tls.check = Check::Name,
                ("sslrootcert", "system") => system = true,
                ("sslrootcert", _) => tls.roots = Some(value.into()),
                ("sslcert", _) => tls.certificate = Some(value.into()),
                ("sslkey", _) => tls.key = Some(value.into()),
                _ => {
                    left.push(option);
                    continue;
                }
            }
            if name == "sslmode" {
                left.push("sslmode=require");
            }
        }
        if system {
            // As there: what everyone trusts vouches for anyone, so the name is looked at, too.
            match mode.as_deref() {
                None => left.push("sslmode=require"),
                Some("verify-full") => {}
                Some(weaker) => {
                    return Err(format!(
                        "`sslrootcert=system` needs `sslmode=verify-full`, not `{weaker}`"
                    ));
                }
            }
            (tls.check, tls.roots) = (Check::Name, None);
        } else if tls.check == Check::Nothing
            && tls.roots.is_some()
            && left.contains(&"sslmode=require")
        {
            // As there: with authorities at hand they are asked.
            tls.check = Check::Authority;
        }
        let left = if left.is_empty() { String::new() } else { format!("?{}", left.join("&")) };
        Ok((format!("{place}{left}"), tls))
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let (roots, known) = match self.check {
            Check::Nothing => (None, Vec::new()),
            Check::Authority | Check::Name => {
                let known = self.authorities()?;
                let mut roots = RootCertStore::empty();
                let (taken, _) = roots.add_parsable_certificates(known.iter().cloned());
                if taken == 0 {
                    return Err(format!("{} contains no usable certificate", self.place()));
                }
                let roots = Arc::new(roots);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .map_err(|error| error.to_string())?;
                (Some(verifier), known)
            }
        };
        let algorithms = provider.signature_verification_algorithms;
        let verifier = Verifier { roots, known, name: self.check == Check::Name, algorithms };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => config.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("the key `{key}`: {error}"))?;
                config
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|error| format!("the certificate `{certificate}`: {error}"))?
            }
            _ => return Err("`sslcert` and `sslkey` belong together".into()),
        };
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(config)
    }

    /// The certificates of those who may vouch for a server.
    fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        match &self.roots {
            Some(path) => certificates(path),
            None => Ok(rustls_native_certs::load_native_certs().certs),
        }
    }

    fn place(&self) -> String {
        match &self.roots {
            Some(path) => format!("`{path}`"),
            None => "the system's store of certificates".into(),
        }
    }
}

/// The certificates of a PEM file.
fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("the certificates `{path}`: {error}"))
}

/// Says whether a server's certificate will do.
#[derive(Debug)]
struct Verifier {
    /// None where nothing is to be proved.
    roots: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates of the authorities; a server may also show one of them as its own.
    known: Vec<CertificateDer<'static>>,
    /// Whether it has to bear the server's name.
    name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        if self.known.iter().any(|known| known == certificate) {
            if self.name {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match roots.verify_server_cert(certificate, others, name, ocsp, now) {
            // The name is looked at when all else is well.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_asks_of_the_encryption_is_taken_out_of_it() {
        let split = |options: &str| {
            let (url, tls) = TlsOptions::split_off(&format!("postgres://a@b/c{options}")).unwrap();
            (url.strip_prefix("postgres://a@b/c").unwrap().to_owned(), tls)
        };
        let tls = |check, roots: Option<&str>| TlsOptions {
            check,
            roots: roots.map(str::to_owned),
            ..TlsOptions::default()
        };
        assert_eq!(split(""), (String::new(), TlsOptions::default()));
        for left in ["?sslmode=disable", "?sslmode=require&connect_timeout=5", "?channel_binding=x"]
        {
            assert_eq!(split(left), (left.to_owned(), TlsOptions::default()));
        }
        assert_eq!(
            split("?a=1&sslmode=verify-full&sslrootcert=%2Fx%20y.pem"),
            ("?a=1&sslmode=require".to_owned(), tls(Check::Name, Some("/x y.pem")))
        );
        assert_eq!(
            split("?sslmode=verify-ca"),
            ("?sslmode=require".to_owned(), tls(Check::Authority, None))
        );
        // With authorities at hand they are asked, but not where it need not be encrypted at all.
        let roots = "sslrootcert=r.pem";
        let (check, none) = (Check::Authority, Check::Nothing);
        let required = "?sslmode=require".to_owned();
        assert_eq!(
            split(&format!("?{roots}&sslmode=require")),
            (required.clone(), tls(check, Some("r.pem")))
        );
        assert_eq!(split(&format!("?{roots}")), (String::new(), tls(none, Some("r.pem"))));
        // Those of the system are asked for the name, too, and for nothing less.
        let system = "sslrootcert=system";
        let named = (required, tls(Check::Name, None));
        for more in ["", "&sslmode=verify-full"] {
            assert_eq!(split(&format!("?{system}{more}")), named);
        }
        for weaker in ["prefer", "require", "verify-ca"] {
            let url = format!("postgres://a/b?sslmode={weaker}&{system}");
            assert!(TlsOptions::split_off(&url).unwrap_err().contains(weaker));
        }
        assert!(TlsOptions::split_off("postgres://a/b?sslrootcert=%ff").is_err());
        let (_, half) = split("?sslcert=c.pem");
        assert!(half.config().unwrap_err().contains("sslkey"));
    }
}
