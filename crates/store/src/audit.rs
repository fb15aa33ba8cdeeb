//! The audit log: who did what, and who tried to. It is only ever added to.

use retort_model::{Action, Time};

use crate::columns::{column_text, moment};
use crate::dialect::{Row, Value};
use crate::error::Error;
use crate::filter::ceiling;
use crate::page::{page_of, room_of};
use crate::statement::Statement;
use crate::store::next;

/// Something that was done, or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The store's number of it; later ones have larger numbers.
    pub id: i64,
    /// When.
    pub at: Option<Time>,
    /// The project; none if it is of no one project.
    pub project: Option<i64>,
    /// Who.
    pub person: Option<String>,
    /// What.
    pub action: Action,
    /// To what.
    pub object: String,
    /// Whether they were not let.
    pub is_refused: bool,
    /// Where they were.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
}

/// An entry to be added.
#[derive(Clone, Debug)]
pub struct NewAudit<'n> {
    /// The project; none if it is of no one project.
    pub project: Option<i64>,
    /// Who.
    pub person: Option<&'n str>,
    /// What.
    pub action: Action,
    /// To what.
    pub object: &'n str,
    /// Whether they were not let.
    pub is_refused: bool,
    /// Where they were.
    pub address: Option<&'n str>,
    /// The request's id.
    pub request: Option<&'n str>,
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this action.
    pub action: Option<Action>,
    /// Only of this person.
    pub person: Option<String>,
    /// Not before this moment.
    pub from: Option<Time>,
    /// Before this moment.
    pub before: Option<Time>,
    /// Only what was refused.
    pub only_refused: bool,
}

const AUDIT: &str = "id, at, project, person, action, object, refused, address, request";

fn read_entry(row: &Row<'_>) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        id: row.int(0)?,
        at: moment(row.int(1)?),
        project: row.int_or_none(2)?,
        person: row.text_or_none(3)?,
        action: row.text(4)?.parse().map_err(Error::Damaged)?,
        object: row.text(5)?,
        is_refused: row.int(6)? != 0,
        address: row.text_or_none(7)?,
        request: row.text_or_none(8)?,
    })
}

impl crate::Store {
    /// Adds an entry.
    pub fn add_audit(&self, new: &NewAudit<'_>, now: Time) -> Result<(), Error> {
        let [person, address, request] =
            [new.person, new.address, new.request].map(|text| text.map(column_text));
        self.write(|connection| {
            let id = next(connection, "audit", 1)?;
            let sql =
                format!("INSERT INTO audit ({AUDIT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
            let values = [
                id.into(),
                Value::Int(now.unix_micros()),
                new.project.into(),
                person.as_deref().into(),
                new.action.as_str().into(),
                Value::Text(&column_text(new.object)),
                Value::Int(i64::from(new.is_refused)),
                address.as_deref().into(),
                request.as_deref().into(),
            ];
            connection.execute(&sql, &values).map(|_| ())
        })
    }

    /// Entries of a project and of no one project, the newest first: the first behind `after`, or of all. Of those of
    /// no one project, `only_members` leaves out what tells of people who are not in this one.
    pub fn audit(
        &self,
        project: i64,
        only_members: bool,
        filter: &AuditFilter,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<AuditEntry>, bool), Error> {
        // Each half goes along the index and ends early; one condition for both would look at all there are.
        let mut statement = Statement::new("SELECT * FROM (");
        let wanted = most.saturating_add(1);
        push_entries(&mut statement, &Whose::Project(project), filter, after, wanted);
        statement.push(" UNION ALL ");
        let others = if only_members { Whose::Members(project) } else { Whose::Anyone };
        push_entries(&mut statement, &others, filter, after, wanted);
        statement.push(") entries ORDER BY id DESC").at_most(wanted);
        let room = |entry: &AuditEntry| {
            let texts = [&entry.person, &entry.address, &entry.request];
            room_of(texts.into_iter().flatten().chain([&entry.object]))
        };
        self.read(|connection| page_of(connection, &statement, most, read_entry, room))
    }
}

/// Whose entries.
enum Whose {
    /// Those of a project.
    Project(i64),
    /// Those of no one project that tell of its members, or of nobody.
    Members(i64),
    /// All of no one project.
    Anyone,
}

/// Appends a `SELECT` of entries.
fn push_entries(
    statement: &mut Statement,
    whose: &Whose,
    filter: &AuditFilter,
    after: Option<i64>,
    most: usize,
) {
    statement.push(&format!("SELECT * FROM (SELECT {AUDIT} FROM audit WHERE project "));
    match whose {
        Whose::Project(project) => statement.push("= ").int(*project),
        Whose::Anyone => statement.push("IS NULL"),
        Whose::Members(project) => statement
            .push("IS NULL AND action <> ")
            .text(Action::Person.as_str())
            .push(
                " AND (audit.person IS NULL OR EXISTS (SELECT 1 FROM membership m
                  JOIN person p ON p.id = m.person WHERE p.name = audit.person AND m.project = ",
            )
            .int(*project)
            .push("))"),
    };
    if let Some(action) = filter.action {
        statement.push(" AND action = ").text(action.as_str());
    }
    if let Some(person) = &filter.person {
        statement.push(" AND person = ").text(person);
    }
    if let Some(from) = filter.from {
        statement.push(" AND at >= ").int(ceiling(from));
    }
    if let Some(before) = filter.before {
        statement.push(" AND at < ").int(ceiling(before));
    }
    if filter.only_refused {
        statement.push(" AND refused = 1");
    }
    if let Some(after) = after {
        statement.push(" AND id < ").int(after);
    }
    statement.push(" ORDER BY project DESC, id DESC").at_most(most).push(") half");
}
