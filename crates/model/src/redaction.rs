//! What secrets and personal data are found in items.

use crate::named;

/// A kind of secret or of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Redaction {
    /// A key of a service, known by its prefix.
    ApiKey,
    /// A signed token, or one behind `Bearer`.
    Token,
    /// A private key in PEM.
    PrivateKey,
    /// An address with a user and a password in it.
    ConnectionString,
    /// A value next to a word such as `password`.
    Password,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A bank account number with a valid checksum.
    Iban,
    /// A payment card number with a valid checksum.
    Card,
    /// A national identity number.
    NationalId,
    /// A public IP address, version 4 or 6.
    IpAddress,
}

named!(
    Redaction,
    "kind of redaction",
    ApiKey = "api-key",
    Token = "token",
    PrivateKey = "private-key",
    ConnectionString = "connection-string",
    Password = "password",
    Email = "email",
    Phone = "phone",
    Iban = "iban",
    Card = "card",
    NationalId = "national-id",
    IpAddress = "ip-address"
);

impl Redaction {
    /// Whether it gives access to something; else it is personal data.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::ApiKey | Self::Token | Self::PrivateKey | Self::ConnectionString | Self::Password
        )
    }
}
