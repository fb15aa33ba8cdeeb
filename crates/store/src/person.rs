//! A person as the store has them.

use retort_model::Time;

use crate::columns::moment;
use crate::dialect::Row;
use crate::error::Error;

/// Someone who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The store's number of them.
    pub id: i64,
    /// Their name, as the owners of conversations are called.
    pub name: String,
    /// Whether they have a password.
    pub has_password: bool,
    /// Whether they are kept out.
    pub is_disabled: bool,
    /// Whether the operator or a provider of identities vouched for their name.
    pub is_proved: bool,
    /// Whether they came by a one-time link or a provider, so that nobody else's password or session is left.
    pub is_confirmed: bool,
    /// When they were added.
    pub created_at: Option<Time>,
    /// When they were here last.
    pub seen_at: Option<Time>,
}

/// The columns of a person.
pub(crate) const PERSON: &str =
    "p.id, p.name, p.password, p.disabled, p.created_at, p.seen_at, p.proved, p.confirmed";

/// How many they are.
pub(crate) const PERSON_COLUMNS: usize = 8;

/// The person in the first columns of a row.
pub(crate) fn read_person(row: &Row<'_>) -> Result<Person, Error> {
    Ok(Person {
        id: row.int(0)?,
        name: row.text(1)?,
        has_password: row.text_or_none(2)?.is_some(),
        is_disabled: row.int(3)? != 0,
        created_at: moment(row.int(4)?),
        seen_at: row.int_or_none(5)?.and_then(moment),
        is_proved: row.int(6)? != 0,
        is_confirmed: row.int(7)? != 0,
    })
}
