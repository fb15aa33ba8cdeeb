//! Public links to conversations: read-only, unguessable, and gone the moment they are revoked.

use std::io::Write;

use retort_engine::hex;
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, Grant, ProjectRole, Time};
use retort_store::{NewShare, Share, Summary};

use crate::attachments::{Attachment, FileArchive, FileInfo};
use crate::browse::{no_conversation, with_next};
use crate::caller::Caller;
use crate::error::Error;
use crate::line::Excerpt;
use crate::memory::take_to_filter;
use crate::secret::{hash, hash_any_password, is_password, new_secret};
use crate::service::Service;
use crate::shared_line::{SharedLine, Shows};

/// A link that is asked for.
#[derive(Clone, Debug, Default)]
pub struct ShareRequest {
    /// The conversation's id.
    pub conversation: String,
    /// Its source, where the id alone is not enough.
    pub source: Option<String>,
    /// When the link ends by itself.
    pub expires_at: Option<Time>,
    /// What opens it, besides the link.
    pub password: Option<String>,
    /// What it shows.
    pub shows: Shows,
}

/// A conversation behind a link, without what the link does not show.
pub struct Shared {
    /// The link.
    pub share: Share,
    /// The conversation, as its list shows it, with the title that the link shows.
    pub summary: Summary,
    line: SharedLine,
    /// What opens the link again in place of its password, until that is gone.
    pub proof: Option<String>,
}

/// What someone shows besides a link that takes a password.
#[derive(Clone, Copy, Debug)]
pub enum Pass<'p> {
    /// Nothing.
    None,
    /// The password.
    Password(&'p str),
    /// What was given for the password before.
    Proof(&'p str),
}

impl Service {
    /// Makes a public link to a conversation that the caller holds, or administers. Its secret is never shown again.
    ///
    /// # Errors
    /// There is no such conversation for the caller, or several; it is deleted.
    pub fn share(&self, caller: &Caller, request: &ShareRequest) -> Result<(Share, String), Error> {
        self.audited(caller, Action::Share, &request.conversation, || {
            caller.needs(Grant::Share)?;
            let summary =
                self.find_one(caller, &request.conversation, request.source.as_deref())?;
            let now = self.clock.now();
            if request.expires_at.is_some_and(|until| until <= now) {
                return Err(Error::Choice("the expiry date is in the past".into()));
            }
            let password = match request.password.as_deref() {
                Some("") => return Err(Error::Choice("the password is empty".into())),
                Some(password) => Some(hash_any_password(password)?),
                None => None,
            };
            let secret = new_secret("")?;
            let new = NewShare {
                conversation: summary.key,
                secret: hash(&secret),
                creator: &caller.name,
                person: caller.person,
                password: password.as_deref(),
                shows: request.shows.number(),
                expires_at: request.expires_at,
            };
            let id = self.store.add_share(&caller.scope(), &new, now)?;
            let id = id.ok_or_else(|| Error::NotFound {
                what: "conversation",
                name: request.conversation.clone(),
            })?;
            let (all, _) =
                self.store.shares(&caller.scope(), Some(summary.key), None, PAGE_ITEMS)?;
            let made = all.into_iter().find(|share| share.id == id);
            Ok((made.ok_or_else(|| no_share(id))?, secret))
        })
    }

    /// A page of the links to conversations that the caller may see, the newest first, and its last link if there are
    /// more.
    pub fn shares(
        &self,
        caller: &Caller,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Share>, Option<i64>), Error> {
        caller.needs(Grant::Share)?;
        let page = self.store.shares(&caller.scope(), None, after, most.min(PAGE_ITEMS))?;
        Ok(with_next(page, |one| one.id))
    }

    /// The links to one conversation, the newest first; none for whose token makes no links.
    pub fn shares_of(&self, caller: &Caller, summary: &Summary) -> Result<Vec<Share>, Error> {
        if !caller.grants.has(Grant::Share) {
            return Ok(Vec::new());
        }
        Ok(self.store.shares(&caller.scope(), Some(summary.key), None, PAGE_ITEMS)?.0)
    }

    /// Ends a link at once.
    ///
    /// # Errors
    /// There is none that the caller may end.
    pub fn unshare(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Share, &format!("{id}: revoked"), || {
            caller.needs(Grant::Share)?;
            self.store.end_share(&caller.scope(), id)?.map(|_| ()).ok_or_else(|| no_share(id))
        })
    }

    /// Opens a link again that closed as its maker lost the role that let them make it. From then on it is the caller's.
    ///
    /// # Errors
    /// The caller is no admin, or there is no such link.
    pub fn keep_share(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Share, &format!("{id}: kept open"), || {
            caller.needs(Grant::Share)?;
            caller.needs_role(ProjectRole::Admin)?;
            if self.store.keep_share(&caller.scope(), id, (&caller.name, caller.person))? {
                return Ok(());
            }
            Err(no_share(id))
        })
    }

    /// What is behind a link; for anyone who has it.
    ///
    /// # Errors
    /// There is no such link any more, which is not told from there never having been one; the password is wrong.
    pub fn shared(&self, link: &str, pass: Pass<'_>) -> Result<Shared, Error> {
        let found = self.store.share_behind(&hash(link), self.clock.now())?;
        let (share, summary, kept) =
            found.ok_or_else(|| Error::NotFound { what: "link", name: "of that name".into() })?;
        let proof = kept.as_deref().map(|kept| hex(&hash(&format!("{link} {kept}"))));
        let is_open = match (pass, &proof) {
            (_, None) => true,
            (Pass::None, _) => return Err(Error::NotSignedIn("the link needs a password")),
            (Pass::Password(password), _) => is_password(password, kept.as_deref()),
            // Both sides are hashes, so that time tells nothing of how far they are alike.
            (Pass::Proof(shown), Some(proof)) => hash(shown) == hash(proof),
        };
        if !is_open {
            return Err(Error::NotSignedIn("wrong password for this link"));
        }
        take_to_filter(summary.size, summary.messages)?;
        let stored = self.store.open_line(&summary)?.ok_or_else(|| no_conversation(&summary.id))?;
        let line = SharedLine::new(summary.clone(), Shows::of(&share), stored)?;
        let summary = Summary { title: line.title()?, ..summary };
        Ok(Shared { share, summary, line, proof })
    }
}

fn no_share(id: i64) -> Error {
    Error::NotFound { what: "share", name: id.to_string() }
}

impl Shared {
    /// Bytes of the canonical line that is shown, and the files in it.
    ///
    /// # Errors
    /// It is damaged.
    pub fn measure(&self) -> Result<(u64, Vec<FileInfo>), Error> {
        let mut files = Vec::new();
        let bytes = self.line.measure(&mut |file| {
            files.push(FileInfo::from(file));
            Ok(true)
        })?;
        Ok((bytes, files))
    }

    /// Writes the canonical line that is shown.
    ///
    /// # Errors
    /// It is damaged; the output fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        self.line.write(out)
    }

    /// As much as a page shows, from a message of the branch that ends with the round `leaf`, and how many secrets and
    /// pieces of personal data are masked in it.
    ///
    /// # Errors
    /// It is damaged.
    pub fn excerpt(&self, leaf: Option<usize>, from: usize) -> Result<(Excerpt, u64), Error> {
        self.line.excerpt(leaf, from)
    }

    /// The files in it, each with its number of bytes.
    ///
    /// # Errors
    /// It is damaged.
    pub fn files(&self) -> Result<Vec<FileInfo>, Error> {
        let mut files = Vec::new();
        self.line.each_file(&mut |file| {
            files.push(FileInfo::from(file));
            Ok(true)
        })?;
        Ok(files)
    }

    /// One of the files, by its index.
    ///
    /// # Errors
    /// It is damaged.
    pub fn file(&self, number: usize) -> Result<Option<Attachment>, Error> {
        let (mut at, mut found) = (0, None);
        self.line.each_file(&mut |file| {
            found = (at == number).then_some(file);
            at += 1;
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// All files as one archive; none if there is no file.
    ///
    /// # Errors
    /// It is damaged.
    pub fn archive(&self) -> Result<Option<FileArchive>, Error> {
        let mut files = Vec::new();
        self.line.each_file(&mut |file| {
            files.push(file);
            Ok(true)
        })?;
        Ok(FileArchive::of(files))
    }
}
