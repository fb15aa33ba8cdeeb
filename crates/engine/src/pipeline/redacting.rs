//! Redaction: secrets and personal data are replaced in each item before it is shaped, and in all that is reported of it.
//!
//! An item is chosen, split and compared with others as it was read. So the choice depends on no key, and items that only
//! become alike by masks are no duplicates. Its canonical line is redacted and read back just before it is shaped. Names
//! of inputs, ids and messages that go beside the rows pass [`Redactor::name`].

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};

use retort_formats::package::List;
use retort_model::{Item, LeftOut, Reason, canonical};
use retort_redact::{Found, Redactor};

use super::done::{BatchDone, Located};
use super::item::{ReadItem, Standing};
use super::stage::{Stage, Warn};
use super::totals::ListedHit;
use crate::recogniser::LOOK;

/// Does `work`. Once it is stopped, no thread of it waits for the program of a rule any longer.
pub(super) fn waiting_unless<T>(
    stopped: &AtomicBool,
    redactor: Option<&Redactor>,
    work: impl FnOnce() -> T,
) -> T {
    let Some(redactor) = redactor.filter(|redactor| redactor.programs().next().is_some()) else {
        return work();
    };
    std::thread::scope(|scope| {
        let (working, worked) = channel::<()>();
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = worked.recv_timeout(LOOK) {
                if stopped.load(Ordering::Relaxed) {
                    return redactor.stop();
                }
            }
        });
        let made = work();
        drop(working);
        made
    })
}

/// The stage that leaves out the items in which a rule found something that is to leave them out.
pub(super) struct LeavingOut<'p>(&'p Redactor);

impl<'p> LeavingOut<'p> {
    /// The stage, if any rule leaves items out.
    pub(super) fn of(redactor: Option<&'p Redactor>) -> Option<Self> {
        redactor.filter(|redactor| redactor.leaves_out()).map(Self)
    }
}

impl Stage for LeavingOut<'_> {
    fn examine(&self, items: &mut [ReadItem<'_>], _warn: &mut Warn<'_>) {
        for one in items.iter_mut().filter(|one| one.standing == Standing::Open) {
            let mut found = Found::default();
            redacted_line(self.0, &one.item, &mut found);
            if let Some(rule) = found.leaves_out() {
                let rule = self.0.name_of(rule);
                let detail = format!("the redaction rule `{rule}` matched it");
                one.standing = Standing::LeftOut(LeftOut::new(Reason::Redacted, detail));
            }
        }
    }

    fn chooses(&self) -> bool {
        false
    }
}

/// The line of an item without what is found in it; none if nothing is.
fn redacted_line(redactor: &Redactor, item: &Item<'_>, found: &mut Found) -> Option<String> {
    let mut line = Vec::with_capacity(4096);
    canonical::write_item(item, &mut line);
    redactor.line(&String::from_utf8_lossy(&line), found)
}

/// What takes the place of an item.
pub(super) enum Redacted {
    /// Nothing was found in it.
    Unchanged,
    /// Its canonical line, redacted.
    Line(String),
}

impl Redacted {
    /// Redacts an item, and counts and lists what was found.
    pub(super) fn of(
        redactor: &Redactor,
        (item, at): (&Item<'_>, Located<'_>),
        hits_listed: usize,
        done: &mut BatchDone,
    ) -> Self {
        let mut found = Found::listing(hits_listed.saturating_sub(done.hits.len()));
        let Some(line) = redacted_line(redactor, item, &mut found) else { return Self::Unchanged };
        for (rule, hits) in found.counts() {
            let rule = redactor.name_of(rule);
            done.account.redact_one(rule, hits);
            done.list(at, (List::Redacted, rule.to_owned()), |line| line.count = hits);
        }
        let (kind, id) = (item.kind(), item.id().decoded());
        done.hits.extend(found.hits.into_iter().map(|hit| ListedHit {
            kind,
            id: redactor.name(&id).into_owned(),
            place: hit.place,
            rule: redactor.name_of(hit.rule).to_owned(),
            context: hit.context,
        }));
        Self::Line(line)
    }

    /// The item to be shaped.
    ///
    /// # Errors
    /// A value was replaced that the item has to have, such as a number by a text: nothing is written of it then.
    pub(super) fn item<'i>(&'i self, item: &'i Item<'i>) -> Result<Cow<'i, Item<'i>>, LeftOut> {
        match self {
            Self::Unchanged => Ok(Cow::Borrowed(item)),
            Self::Line(line) => {
                let read = canonical::read_item(item.kind(), line);
                let failed = |error: canonical::CanonicalError| {
                    LeftOut::new(Reason::NotRedacted, error.to_string())
                };
                read.map(Cow::Owned).map_err(failed)
            }
        }
    }
}

impl BatchDone {
    /// Redacts all that is reported of the items of a batch beside their rows.
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        let name = |text: &str| redactor.name(text).into_owned();
        let renew = |text: &mut String| {
            if let Cow::Owned(renewed) = redactor.name(text) {
                *text = renewed;
            }
        };
        self.account.rename(&name);
        self.refused.rename(&name);
        for reject in &mut self.rejects {
            reject.id.iter_mut().for_each(|(_, id)| renew(id));
            reject.part.iter_mut().for_each(renew);
            renew(&mut reject.detail);
            renew(&mut reject.input);
        }
        for finding in &mut self.findings {
            renew(&mut finding.id);
            finding.part.iter_mut().for_each(renew);
            finding.detail.iter_mut().for_each(renew);
            renew(&mut finding.input);
        }
    }
}
