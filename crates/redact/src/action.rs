//! What happens to what is found, and the key of pseudonyms.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use retort_model::named;
use sha2::{Digest, Sha256};

/// What happens to what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// The name of its kind takes its place.
    #[default]
    Mask,
    /// A pseudonym takes its place: the same for the same text in the whole dataset.
    Pseudonym,
    /// Nothing is written of the item.
    LeaveOut,
}

named!(Action, "redaction action", Mask = "mask", Pseudonym = "pseudonym", LeaveOut = "leave-out");

impl Action {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Mask => "replace it with the name of its kind, such as `[EMAIL]`",
            Self::Pseudonym => {
                "replace it with a pseudonym, such as `[EMAIL_kfdaobnmhcpjegli]`, which is the same wherever the same text occurs in the dataset"
            }
            Self::LeaveOut => "leave the whole conversation, run or document out",
        }
    }
}

/// The key of pseudonyms. Anyone who has it can test guesses of the original text.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Fewest bytes of a key that a person gives.
const KEY_BYTES: usize = 16;

/// Letters of a pseudonym: 64 bits, so that among a hundred million no two are likely to be the same.
const LETTERS: usize = 16;

impl Key {
    /// The key of 32 bytes of chance.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key that is in a file, without the end of its line.
    ///
    /// # Errors
    /// It is too short.
    pub fn of_file(bytes: &[u8]) -> Result<Self, String> {
        let bytes = bytes.trim_ascii_end();
        if bytes.len() < KEY_BYTES {
            return Err(format!(
                "a redaction key needs at least {KEY_BYTES} bytes; this one has {}. `openssl rand -hex 32` makes one",
                bytes.len()
            ));
        }
        Ok(Self(Sha256::digest(bytes).into()))
    }

    /// As [`Self::to_hex`] wrote it.
    ///
    /// # Errors
    /// Not a key.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * place..2 * place + 2);
            let read = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            *byte = read.ok_or("the stored redaction key is damaged")?;
        }
        Ok(Self(bytes))
    }

    /// Its bytes in hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// The pseudonym of a text: letters alone, so that nothing takes it for a number.
    pub(crate) fn pseudonym(&self, text: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(text.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let letter = |half: u8| char::from(b'a' + half);
        bytes
            .iter()
            .take(LETTERS / 2)
            .flat_map(|byte| [letter(byte >> 4), letter(byte & 15)])
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The SHA-256 of a text.
pub(crate) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
