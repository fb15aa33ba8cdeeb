//! What people are told when their exports end: a feed, and webhooks.

use std::time::Duration;

use retort_model::bounds::{LINK_HOURS, PAGE_ITEMS, WEBHOOKS_PER_PERSON};
use retort_model::{Action, Grant};
use retort_store::{Delivery, DeliveryState, NewWebhook, Notice, Webhook};

use crate::caller::Caller;
use crate::clock::later;
use crate::error::Error;
use crate::schedules::no_schedule;
use crate::secret::chance;
use crate::service::Service;

/// How long one attempt to deliver may take before another server may make it.
const ATTEMPT: Duration = Duration::from_secs(120);

impl Service {
    /// The caller's exports that ended, the oldest first: those behind `after`, or the last ones.
    pub fn notices(
        &self,
        caller: &Caller,
        after: Option<i64>,
        most: usize,
    ) -> Result<Vec<Notice>, Error> {
        caller.needs(Grant::Export)?;
        Ok(self.store.notices(&caller.own(), after, most.min(PAGE_ITEMS))?)
    }

    /// Has the caller's exports told to a URL. The secret, with which notices are signed, is never shown again. With
    /// `link_hours`, each notice of a dataset has a link that downloads it, without any other secret, for so long. With
    /// `schedule`, one of the caller's own, only its runs are told, and the webhook goes with it.
    ///
    /// # Errors
    /// They have too many, or no such schedule; a link works for 1 to 168 hours.
    pub fn add_webhook(
        &self,
        caller: &Caller,
        url: &str,
        link_hours: Option<u64>,
        schedule: Option<i64>,
    ) -> Result<Webhook, Error> {
        // A URL may hold a secret of its own.
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        self.audited(caller, Action::Webhook, shown, || {
            caller.needs(Grant::Manage)?;
            if let Some(hours) = link_hours {
                // Who has the link has the dataset.
                caller.needs(Grant::Export)?;
                if !(1..=LINK_HOURS).contains(&hours) {
                    return Err(Error::Choice(format!(
                        "a link to a dataset works for 1 to {LINK_HOURS} hours, not {hours}"
                    )));
                }
            }
            if schedule.is_some() {
                caller.needs(Grant::Export)?;
            }
            if self.store.webhooks(&caller.own())?.len() >= WEBHOOKS_PER_PERSON {
                return Err(Error::TooMany(format!(
                    "you have {WEBHOOKS_PER_PERSON} webhooks already; remove one first"
                )));
            }
            use base64::Engine;
            let secret = base64::engine::general_purpose::STANDARD.encode(chance::<32>()?);
            let secret = format!("whsec_{secret}");
            let (now, project) = (self.clock.now(), caller.project.id);
            let new = NewWebhook { url, secret: &secret, link_hours, schedule };
            let added = self.store.add_webhook(project, &caller.name, &new, now)?;
            let Some(id) = added else { return Err(no_schedule(schedule.unwrap_or_default())) };
            let (url, created_at) = (url.to_owned(), Some(now));
            Ok(Webhook { id, url, secret, created_at, link_hours, schedule })
        })
    }

    /// The caller's webhooks.
    pub fn webhooks(&self, caller: &Caller) -> Result<Vec<Webhook>, Error> {
        caller.needs(Grant::Manage)?;
        Ok(self.store.webhooks(&caller.own())?)
    }

    /// What became of the last notices to a webhook.
    ///
    /// # Errors
    /// The caller has no such webhook.
    pub fn deliveries(&self, caller: &Caller, webhook: i64) -> Result<Vec<DeliveryState>, Error> {
        if !self.webhooks(caller)?.iter().any(|one| one.id == webhook) {
            return Err(no_webhook(webhook));
        }
        Ok(self.store.deliveries(&caller.own(), webhook)?)
    }

    /// Removes a webhook, with what is on its way to it.
    ///
    /// # Errors
    /// The caller has no such webhook.
    pub fn end_webhook(&self, caller: &Caller, webhook: i64) -> Result<(), Error> {
        self.audited(caller, Action::Webhook, &format!("{webhook}: removed"), || {
            caller.needs(Grant::Manage)?;
            if self.store.end_webhook(&caller.own(), webhook)? {
                return Ok(());
            }
            Err(no_webhook(webhook))
        })
    }

    /// Notices that are due, which nobody else takes meanwhile.
    pub fn claim_deliveries(&self, most: usize) -> Result<Vec<Delivery>, Error> {
        let now = self.clock.now();
        Ok(self.store.claim_deliveries(now, later(now, ATTEMPT), most)?)
    }

    /// Says how an attempt ended: it arrived or is given up, or is to be made again after a while.
    pub fn end_attempt(
        &self,
        delivery: &Delivery,
        answer: Result<u16, &str>,
        again: Option<Duration>,
    ) -> Result<(), Error> {
        let (webhook, notice) = (delivery.webhook, delivery.notice.id);
        let status = answer.ok().map(i64::from);
        match again {
            None => self.store.end_delivery(webhook, notice, status, answer.err())?,
            Some(wait) => {
                let next = later(self.clock.now(), wait);
                self.store.put_off_delivery(webhook, notice, next, status, answer.err())?;
            }
        }
        Ok(())
    }
}

fn no_webhook(id: i64) -> Error {
    Error::NotFound { what: "webhook", name: id.to_string() }
}
