//! Who may do what: roles of people in a project, and what a token lets its bearer do.

use crate::named;

/// What someone is in a project. Each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProjectRole {
    /// Sees and exports the conversations that they held themselves.
    Member,
    /// Sees and exports everything in the project, and brings people in.
    Admin,
    /// Also reads the audit log, and makes others owners.
    Owner,
}

named!(ProjectRole, "role", Member = "member", Admin = "admin", Owner = "owner");

/// One thing that a token lets its bearer do, within what its person may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Lists and reads conversations, and what is known of jobs and datasets.
    Read,
    /// Brings in conversations, changes and deletes them.
    Write,
    /// Makes datasets, downloads and deletes them.
    Export,
    /// Makes and revokes public links.
    Share,
    /// Members, invitations, tokens, webhooks and the audit log.
    Manage,
}

named!(
    Grant,
    "token scope",
    Read = "read",
    Write = "write",
    Export = "export",
    Share = "share",
    Manage = "manage"
);

/// A set of grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants(u8);

impl Grants {
    /// Everything: what someone may do who signed in themselves.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether the grant is among them.
    pub fn has(self, grant: Grant) -> bool {
        self.0 & (1 << grant as u8) != 0
    }

    /// In the order of [`Grant`].
    pub fn iter(self) -> impl Iterator<Item = Grant> {
        Grant::ALL.iter().copied().filter(move |&grant| self.has(grant))
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().fold(0, |set, grant| set | 1 << grant as u8))
    }
}

/// What the audit log tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Signed in.
    SignIn,
    /// Signed out, here or everywhere.
    SignOut,
    /// A password was set.
    Password,
    /// A person was added, disabled, enabled or deleted.
    Person,
    /// A project was deleted.
    Project,
    /// Someone came into a project, left it, or has another role.
    Role,
    /// An invitation was made, taken or revoked.
    Invite,
    /// A token was made or revoked.
    Token,
    /// Conversations came in.
    Import,
    /// Conversations were changed.
    Edit,
    /// Conversations were deleted or restored.
    Delete,
    /// Conversations were purged.
    Purge,
    /// An export was asked for, cancelled or tried again.
    Export,
    /// A dataset was downloaded.
    Download,
    /// A dataset was renamed or deleted.
    Dataset,
    /// A public link was made or revoked.
    Share,
    /// A webhook was made or removed.
    Webhook,
    /// A schedule was added, changed, run or deleted.
    Schedule,
    /// The audit log was exported.
    Audit,
}

named!(
    Action,
    "action",
    SignIn = "sign-in",
    SignOut = "sign-out",
    Password = "password",
    Person = "person",
    Project = "project",
    Role = "role",
    Invite = "invite",
    Token = "token",
    Import = "import",
    Edit = "edit",
    Delete = "delete",
    Purge = "purge",
    Export = "export",
    Download = "download",
    Dataset = "dataset",
    Share = "share",
    Webhook = "webhook",
    Schedule = "schedule",
    Audit = "audit"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_grants_holds_what_was_put_in() {
        let some: Grants = [Grant::Read, Grant::Manage].into_iter().collect();
        assert!(some.has(Grant::Read) && some.has(Grant::Manage) && !some.has(Grant::Write));
        assert_eq!(some.iter().collect::<Vec<_>>(), [Grant::Read, Grant::Manage]);
        assert_eq!(Grant::ALL.iter().copied().collect::<Grants>(), Grants::ALL);
        assert_eq!(some.and(Grants::ALL), some);
    }
}
