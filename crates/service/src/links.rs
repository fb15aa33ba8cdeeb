//! Links in notices to webhooks: anyone who has one can download the dataset, until it expires. The link is signed with the secret
//! of the webhook, so nothing is kept of it, and it ends with the webhook.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use retort_model::{Action, Scope, Time};
use retort_store::{Dataset, Delivery, NewAudit};
use sha2::Sha256;

use crate::caller::Origin;
use crate::clock::later;
use crate::download::Download;
use crate::error::Error;
use crate::service::Service;

/// A link that downloads a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadLink {
    /// What the address ends with: `WEBHOOK-DATASET-EXPIRES-SIGNATURE`.
    pub link: String,
    /// Until when it works.
    pub expires_at: Time,
}

/// What a signature is of.
struct Signed {
    webhook: i64,
    dataset: i64,
    /// Seconds since 1970.
    expires: i64,
}

impl Signed {
    /// Reads a link: what it is of, and its signature.
    fn read(link: &str) -> Option<(Self, Vec<u8>)> {
        let mut parts = link.splitn(4, '-');
        let mut number = || parts.next()?.parse().ok();
        let signed = Self { webhook: number()?, dataset: number()?, expires: number()? };
        let signature = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        Some((signed, signature))
    }

    fn text(&self) -> String {
        format!("{}-{}-{}", self.webhook, self.dataset, self.expires)
    }

    /// Made for links alone: the same secret signs notices.
    fn mac(&self, secret: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(format!("retort-download:{}", self.text()).as_bytes());
        Some(mac)
    }
}

impl Service {
    /// A link to the dataset of a notice that is on its way; none if its webhook has no links, or there is no dataset.
    pub fn download_link(&self, delivery: &Delivery) -> Option<DownloadLink> {
        let (hours, dataset) = (delivery.link_hours?, delivery.notice.dataset?);
        let until = later(self.clock.now(), Duration::from_secs(hours.saturating_mul(3600)));
        let expires = until.unix_micros().div_euclid(1_000_000);
        let signed = Signed { webhook: delivery.webhook, dataset, expires };
        let signature = signed.mac(&delivery.secret)?.finalize().into_bytes();
        let link = format!("{}-{}", signed.text(), URL_SAFE_NO_PAD.encode(signature));
        let expires_at = Time::from_unix_micros(expires.saturating_mul(1_000_000))?;
        Some(DownloadLink { link, expires_at })
    }

    /// The archive of the dataset that a link leads to.
    ///
    /// # Errors
    /// It was not made here, has expired, or its webhook or dataset is gone: all of this is one error.
    pub fn download_by_link(
        &self,
        link: &str,
        origin: &Origin,
    ) -> Result<(Dataset, Download), Error> {
        let gone = || Error::NotFound { what: "link", name: "that works".into() };
        let (signed, signature) = Signed::read(link).ok_or_else(gone)?;
        let owner = self.store.webhook_owner(signed.webhook)?.ok_or_else(gone)?;
        let mac = signed.mac(&owner.secret).ok_or_else(gone)?;
        mac.verify_slice(&signature).map_err(|_| gone())?;
        if signed.expires.saturating_mul(1_000_000) <= self.clock.now().unix_micros() {
            return Err(gone());
        }
        let scope = Scope::project(owner.project);
        let dataset = self.store.dataset_numbered(&scope, signed.dataset)?;
        let is_theirs = |dataset: &Dataset| dataset.creator == owner.creator;
        let dataset = dataset.filter(is_theirs).ok_or_else(gone)?;
        let archive = self.archive(&dataset)?;
        let entry = NewAudit {
            project: Some(owner.project),
            person: None,
            action: Action::Download,
            object: &format!("{} by a link of webhook {}", dataset.id, signed.webhook),
            is_refused: false,
            address: origin.address.as_deref(),
            request: origin.request.as_deref(),
        };
        self.write_audit(&entry)?;
        Ok((dataset, archive))
    }
}
