//! Signed statements: JSON in an envelope with an Ed25519 signature, as in-toto and Sigstore write them.
//!
//! The envelope is a [DSSE](https://github.com/secure-systems-lab/dsse/blob/master/protocol.md): the payload in base64, its
//! type, and a signature of both. Keys are PEM files, as `openssl genpkey -algorithm ed25519` writes them. The id of a key is
//! the SHA-256 of its public half (`openssl pkey -pubout -outform DER | sha256sum`).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::storage::{hex, read_small};

/// The type of a payload that is an in-toto statement.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Bytes of a file with a key.
const KEY_BYTES: u64 = 16 << 10;

/// Bytes of a file with an envelope: an erasure lists the files of all datasets that it changed.
const ENVELOPE_BYTES: u64 = 256 << 20;

/// A key that signs.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// A key that verifies what the other half signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A signed payload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signed {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl SecretKey {
    /// The key of 32 secret bytes.
    pub fn of_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// Reads a key file (PEM).
    ///
    /// # Errors
    /// The file cannot be read, or has no secret Ed25519 key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_key(path)?;
        SigningKey::from_pkcs8_pem(&text).map(Self).map_err(|_| {
            Error::Choice(format!(
                "{} has no secret Ed25519 key; `openssl genpkey -algorithm ed25519 -out key.pem` makes one",
                path.display()
            ))
        })
    }

    /// The half that verifies.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The envelope of a payload, as JSON text with a line break at its end.
    pub fn seal(&self, payload_type: &str, payload: &[u8]) -> String {
        let signature = self.0.sign(&signed_bytes(payload_type, payload));
        let envelope = Envelope {
            payload_type: payload_type.to_owned(),
            payload: STANDARD.encode(payload),
            signatures: vec![Signed {
                keyid: self.public().id(),
                sig: STANDARD.encode(signature.to_bytes()),
            }],
        };
        let mut text = serde_json::to_string_pretty(&envelope).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl PublicKey {
    /// Reads a key file (PEM), with the public half of a key or with both.
    ///
    /// # Errors
    /// The file cannot be read, or has no Ed25519 key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_key(path)?;
        let found = VerifyingKey::from_public_key_pem(&text).ok();
        let found = found.or_else(|| Some(SigningKey::from_pkcs8_pem(&text).ok()?.verifying_key()));
        found
            .map(Self)
            .ok_or_else(|| Error::Choice(format!("{} has no Ed25519 key", path.display())))
    }

    /// The key as the text of a PEM file.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// The SHA-256 of the key.
    pub fn id(&self) -> String {
        let der = self.0.to_public_key_der();
        der.map(|der| hex(&Sha256::digest(der.as_bytes()))).unwrap_or_default()
    }

    /// The type and the payload of an envelope that was signed with the other half of this key.
    ///
    /// # Errors
    /// What is wrong with the envelope or its signature.
    pub fn open(&self, envelope: &str) -> Result<(String, Vec<u8>), String> {
        let envelope: Envelope = serde_json::from_str(envelope)
            .map_err(|error| format!("it is not a signed envelope: {error}"))?;
        let payload = STANDARD.decode(&envelope.payload);
        let payload = payload.map_err(|error| format!("its payload is not base64: {error}"))?;
        let bytes = signed_bytes(&envelope.payload_type, &payload);
        let is_ours = |one: &Signed| {
            let signature = STANDARD.decode(&one.sig).ok()?;
            let signature = Signature::from_slice(&signature).ok()?;
            self.0.verify_strict(&bytes, &signature).ok()
        };
        if envelope.signatures.iter().any(|one| is_ours(one).is_some()) {
            return Ok((envelope.payload_type, payload));
        }
        let keys: Vec<_> =
            envelope.signatures.iter().map(|one| format!("`{}`", one.keyid)).collect();
        Err(match keys.is_empty() {
            true => "it has no signature".into(),
            false => format!(
                "its signature does not match the key {}; it was made with {}",
                self.id(),
                keys.join(", ")
            ),
        })
    }
}

/// What is signed: the type and the payload, each behind its length.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The type and the payload of the envelope in a file, if the other half of the key signed it; else what is wrong.
///
/// # Errors
/// The file cannot be read, or is too large to be an envelope.
pub fn open_envelope(
    path: &Path,
    key: &PublicKey,
) -> Result<Result<(String, Vec<u8>), String>, Error> {
    let bytes = read_small(path, ENVELOPE_BYTES, "signed receipt")?;
    Ok(key.open(&String::from_utf8_lossy(&bytes)))
}

/// The text of a key file. One that is no text has no key that could be read.
fn read_key(path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&read_small(path, KEY_BYTES, "key")?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_as_the_protocol_says() {
        // The example of the protocol.
        let bytes = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn only_what_was_signed_by_the_key_opens() {
        let key = SecretKey::of_bytes(&[7; 32]);
        let envelope = key.seal(IN_TOTO, b"{\"a\":1}");
        let opened = key.public().open(&envelope).unwrap();
        assert_eq!(opened, (IN_TOTO.to_owned(), b"{\"a\":1}".to_vec()));
        let other = SecretKey::of_bytes(&[8; 32]).public();
        assert!(other.open(&envelope).unwrap_err().contains("does not match the key"));
        for (from, to) in [
            (STANDARD.encode("{\"a\":1}"), STANDARD.encode("{\"a\":2}")),
            (IN_TOTO.to_owned(), "text/plain".to_owned()),
        ] {
            let changed = envelope.replace(&from, &to);
            assert!(changed != envelope && key.public().open(&changed).is_err(), "{changed}");
        }
        assert!(key.public().open("{}").unwrap_err().contains("not a signed envelope"));
    }

    #[test]
    fn keys_are_read_from_files_as_openssl_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        // `openssl genpkey`, for the bytes 07…07.
        let der =
            [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &[7; 32]];
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.concat())
        );
        std::fs::write(&path, pem).unwrap();
        let public = SecretKey::read(&path).unwrap().public();
        assert_eq!(public, SecretKey::of_bytes(&[7; 32]).public());
        assert_eq!(PublicKey::read(&path).unwrap(), public);
        std::fs::write(&path, public.to_pem()).unwrap();
        assert_eq!(PublicKey::read(&path).unwrap(), public);
        assert!(SecretKey::read(&path).err().unwrap().to_string().contains("openssl genpkey"));
    }
}
