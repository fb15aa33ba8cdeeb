//! Secrets that are given out: made of chance, kept as their hash.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use retort_model::bounds::{PASSWORD_BYTES, PASSWORD_CHARACTERS};
use retort_store::SecretHash;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Bytes of chance.
pub(crate) fn chance<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::System { what: "random bytes", reason: error.to_string() })?;
    Ok(bytes)
}

/// A secret of 256 bits behind a prefix that says what it is for.
pub(crate) fn new_secret(prefix: &str) -> Result<String, Error> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(chance::<32>()?)))
}

/// As the store keeps it: no need to be slow, as nobody guesses 256 bits.
pub(crate) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// A password as it is kept: Argon2id with 19 MiB and two passes.
pub(crate) fn hash_password(password: &str) -> Result<String, Error> {
    if password.chars().count() < PASSWORD_CHARACTERS || password.len() > PASSWORD_BYTES {
        return Err(Error::Choice(format!(
            "a password has {PASSWORD_CHARACTERS} characters or more, and at most {PASSWORD_BYTES} bytes"
        )));
    }
    hash_any_password(password)
}

/// As [`hash_password`], of any length: for what opens no account.
pub(crate) fn hash_any_password(password: &str) -> Result<String, Error> {
    let fail = |error: argon2::password_hash::Error| Error::Choice(error.to_string());
    let salt = SaltString::encode_b64(&chance::<16>()?).map_err(fail)?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt).map_err(fail)?.to_string())
}

/// Whether it is the password. Without one to compare with, as much work is done and the answer is no, so that
/// nobody learns from the time which accounts there are.
pub(crate) fn is_password(password: &str, kept: Option<&str>) -> bool {
    if password.len() > PASSWORD_BYTES {
        return false;
    }
    let against = kept.unwrap_or(NOBODYS);
    let matches = PasswordHash::new(against)
        .is_ok_and(|kept| Argon2::default().verify_password(password.as_bytes(), &kept).is_ok());
    matches && kept.is_some()
}

/// A password's hash that opens nothing.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_what_it_closed_and_nothing_else() {
        let kept = hash_password("correct horse battery").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(is_password("correct horse battery", Some(&kept)));
        assert!(!is_password("correct horse batterz", Some(&kept)));
        assert!(!is_password("correct horse battery", None));
        assert!(PasswordHash::new(NOBODYS).is_ok());
        assert!(hash_password("short").is_err());
    }

    #[test]
    fn no_two_secrets_are_alike() {
        let (one, other) = (new_secret("rt_").unwrap(), new_secret("rt_").unwrap());
        assert!(one.starts_with("rt_") && one.len() == 46 && one != other);
    }
}
