//! Which rows someone may see.

/// The rows of one project, of one person or of all. Every query that lists takes one, so that isolation is part
/// of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The store's number of the project.
    pub project: i64,
    /// Only what this person held or made; none means everyone's.
    pub owner: Option<String>,
    /// Of the items that this person holds, only those that they imported themselves: their name is not proved yet.
    pub only_imported: bool,
}

impl Scope {
    /// Everything in a project.
    pub fn project(project: i64) -> Self {
        Self { project, owner: None, only_imported: false }
    }

    /// What one person has in a project.
    pub fn person(project: i64, owner: impl Into<String>) -> Self {
        Self { project, owner: Some(owner.into()), only_imported: false }
    }
}
