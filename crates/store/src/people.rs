//! People, what a provider of identities calls them, and what they are in projects.

use retort_model::{ProjectRole, Scope, Time};

use crate::Error;
use crate::dialect::{Connection, Row, Value};
use crate::filter::{column_text, key_text, moment};
use crate::notices::forget_webhooks;
use crate::sessions::{SecretHash, end_sessions};
use crate::store::{Project, next};

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
    /// When they were added.
    pub created_at: Option<Time>,
    /// When they were here last.
    pub seen_at: Option<Time>,
}

/// Someone in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// What they are there.
    pub role: ProjectRole,
    /// When they came in.
    pub since: Option<Time>,
}

/// The columns of a person.
pub(crate) const PERSON: &str = "p.id, p.name, p.password, p.disabled, p.created_at, p.seen_at";

/// How many they are.
pub(crate) const PERSON_COLUMNS: usize = 6;

/// The person in the first columns of a row.
pub(crate) fn read_person(row: &Row<'_>) -> Result<Person, Error> {
    Ok(Person {
        id: row.int(0)?,
        name: row.text(1)?,
        has_password: row.text_or_none(2)?.is_some(),
        is_disabled: row.int(3)? != 0,
        created_at: moment(row.int(4)?),
        seen_at: row.int_or_none(5)?.and_then(moment),
    })
}

/// A name without regard to case, as its column.
fn folded(name: &str) -> String {
    key_text(&name.to_lowercase()).into_owned()
}

fn role_of(text: &str) -> Result<ProjectRole, Error> {
    text.parse().map_err(Error::Damaged)
}

/// Adds someone; their number.
pub(crate) fn insert_person(
    connection: &mut Connection,
    name: &str,
    password: Option<&str>,
    now: Time,
) -> Result<i64, Error> {
    let id = next(connection, "person", 1)?;
    let sql = "INSERT INTO person (id, name, folded, password, disabled, created_at)
               VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (folded) DO NOTHING";
    let values = [
        id.into(),
        Value::Text(&column_text(name)),
        Value::Text(&folded(name)),
        password.into(),
        Value::Int(now.unix_micros()),
    ];
    match connection.execute(sql, &values)? {
        0 => Err(Error::NameTaken(name.to_owned())),
        _ => Ok(id),
    }
}

impl crate::Store {
    /// Whether anyone was ever added.
    ///
    /// # Errors
    /// Those of the database.
    pub fn has_people(&self) -> Result<bool, Error> {
        let sql = "SELECT id FROM person LIMIT 1";
        Ok(self.read(|connection| connection.row(sql, &[], |row| row.int(0)))?.is_some())
    }

    /// Adds someone, with the hash of their password.
    ///
    /// # Errors
    /// The name is in use, in whatever case; those of the database.
    pub fn add_person(
        &self,
        name: &str,
        password: Option<&str>,
        now: Time,
    ) -> Result<Person, Error> {
        let id = self.write(|connection| insert_person(connection, name, password, now))?;
        self.person(id)?.ok_or_else(|| Error::Sql(format!("`{name}` vanished")))
    }

    /// The person of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub fn person(&self, id: i64) -> Result<Option<Person>, Error> {
        let sql = format!("SELECT {PERSON} FROM person p WHERE p.id = $1");
        self.read(|connection| connection.row(&sql, &[id.into()], read_person))
    }

    /// The person of that name, in whatever case.
    ///
    /// # Errors
    /// Those of the database.
    pub fn person_named(&self, name: &str) -> Result<Option<Person>, Error> {
        let sql = format!("SELECT {PERSON} FROM person p WHERE p.folded = $1");
        self.read(|connection| connection.row(&sql, &[Value::Text(&folded(name))], read_person))
    }

    /// Everyone, by name.
    ///
    /// # Errors
    /// Those of the database.
    pub fn people(&self) -> Result<Vec<Person>, Error> {
        let sql = format!("SELECT {PERSON} FROM person p ORDER BY p.folded");
        self.read(|connection| connection.rows(&sql, &[], read_person))
    }

    /// The hash of someone's password.
    ///
    /// # Errors
    /// Those of the database.
    pub fn password_of(&self, person: i64) -> Result<Option<String>, Error> {
        let sql = "SELECT password FROM person WHERE id = $1";
        let found = self
            .read(|connection| connection.row(sql, &[person.into()], |row| row.text_or_none(0)))?;
        Ok(found.flatten())
    }

    /// Sets the hash of someone's password, or takes it away. Ends their sessions and links but `keep`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn set_password(
        &self,
        person: i64,
        password: Option<&str>,
        keep: Option<&SecretHash>,
    ) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "UPDATE person SET password = $1 WHERE id = $2";
            connection.execute(sql, &[password.into(), person.into()])?;
            end_sessions(connection, person, keep).map(|_| ())
        })
    }

    /// Keeps someone out, or no longer. Their sessions and links end.
    ///
    /// # Errors
    /// Those of the database.
    pub fn set_disabled(&self, person: i64, is_disabled: bool) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "UPDATE person SET disabled = $1 WHERE id = $2 AND disabled <> $1";
            let values = [Value::Int(i64::from(is_disabled)), person.into()];
            if connection.execute(sql, &values)? > 0 || is_disabled {
                // Also on the way back: someone may have signed in at the very moment they were kept out.
                end_sessions(connection, person, None)?;
            }
            Ok(())
        })
    }

    /// Notes that someone was here.
    ///
    /// # Errors
    /// Those of the database.
    pub fn person_seen(&self, id: i64, now: Time) -> Result<(), Error> {
        let sql = "UPDATE person SET seen_at = $1 WHERE id = $2";
        let values = [Value::Int(now.unix_micros()), id.into()];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Whom a provider of identities means by a subject.
    ///
    /// # Errors
    /// Those of the database.
    pub fn person_identified(&self, issuer: &str, subject: &str) -> Result<Option<Person>, Error> {
        let sql = format!(
            "SELECT {PERSON} FROM identity i JOIN person p ON p.id = i.person
             WHERE i.issuer = $1 AND i.subject = $2"
        );
        self.read(|connection| {
            let values = [Value::Text(&key_text(issuer)), Value::Text(&key_text(subject))];
            connection.row(&sql, &values, read_person)
        })
    }

    /// Notes whom a provider of identities means by a subject.
    ///
    /// # Errors
    /// It means someone else already; those of the database.
    pub fn add_identity(&self, issuer: &str, subject: &str, person: i64) -> Result<(), Error> {
        let sql = "INSERT INTO identity (issuer, subject, person) VALUES ($1, $2, $3)
                   ON CONFLICT (issuer, subject) DO UPDATE SET person = identity.person
                   RETURNING person";
        let there = self.write(|connection| {
            let values =
                [Value::Text(&key_text(issuer)), Value::Text(&key_text(subject)), person.into()];
            connection.row(sql, &values, |row| row.int(0))
        })?;
        if there == Some(person) { Ok(()) } else { Err(Error::NameTaken(subject.to_owned())) }
    }

    /// The projects someone is in, by name.
    ///
    /// # Errors
    /// Those of the database.
    pub fn memberships(&self, person: i64) -> Result<Vec<(Project, ProjectRole)>, Error> {
        let sql = "SELECT p.id, p.name, m.role FROM membership m JOIN project p ON p.id = m.project
                   WHERE m.person = $1 ORDER BY p.name";
        self.read(|connection| {
            connection.rows(sql, &[person.into()], |row| {
                let project = Project { id: row.int(0)?, name: row.text(1)? };
                Ok((project, role_of(&row.text(2)?)?))
            })
        })
    }

    /// What someone is in a project.
    ///
    /// # Errors
    /// Those of the database.
    pub fn role(&self, project: i64, person: i64) -> Result<Option<ProjectRole>, Error> {
        self.read(|connection| role(connection, project, person))
    }

    /// Who is in a project, by name.
    ///
    /// # Errors
    /// Those of the database.
    pub fn members(&self, project: i64) -> Result<Vec<Member>, Error> {
        let sql = format!(
            "SELECT {PERSON}, m.role, m.since FROM membership m JOIN person p ON p.id = m.person
             WHERE m.project = $1 ORDER BY p.folded"
        );
        self.read(|connection| {
            connection.rows(&sql, &[project.into()], |row| {
                Ok(Member {
                    person: read_person(row)?,
                    role: role_of(&row.text(PERSON_COLUMNS)?)?,
                    since: moment(row.int(PERSON_COLUMNS + 1)?),
                })
            })
        })
    }

    /// Makes someone what they are to be in a project; none takes them out, with their tokens and webhooks there.
    /// Whether that changed anything.
    ///
    /// # Errors
    /// No owner would be left who may sign in; those of the database.
    pub fn set_role(
        &self,
        project: i64,
        person: i64,
        role: Option<ProjectRole>,
        now: Time,
    ) -> Result<bool, Error> {
        self.write(|connection| {
            // One at a time: two owners could each count on the other to stay.
            next(connection, "membership", 0)?;
            let before = self::role(connection, project, person)?;
            if before == role {
                return Ok(false);
            }
            if before == Some(ProjectRole::Owner) {
                refuse_last_owner(connection, project, person)?;
            }
            match role {
                Some(role) => {
                    let sql =
                        "INSERT INTO membership (project, person, role, since) VALUES ($1, $2, $3, $4)
                         ON CONFLICT (project, person) DO UPDATE SET role = excluded.role";
                    let since = Value::Int(now.unix_micros());
                    let values = [project.into(), person.into(), role.as_str().into(), since];
                    connection.execute(sql, &values)?;
                }
                None => leave(connection, project, person)?,
            }
            Ok(true)
        })
    }

    /// The project of that number.
    ///
    /// # Errors
    /// Those of the database.
    pub fn project_numbered(&self, id: i64) -> Result<Option<Project>, Error> {
        let sql = "SELECT id, name FROM project WHERE id = $1";
        self.read(|connection| {
            connection
                .row(sql, &[id.into()], |row| Ok(Project { id: row.int(0)?, name: row.text(1)? }))
        })
    }

    /// Gives a project another name.
    ///
    /// # Errors
    /// The name is in use; those of the database.
    pub fn rename_project(&self, project: i64, name: &str) -> Result<(), Error> {
        self.write(|connection| {
            // Nobody makes or renames another one meanwhile.
            next(connection, "project", 0)?;
            let values = [Value::Text(name), project.into()];
            let sql = "SELECT id FROM project WHERE name = $1 AND id <> $2";
            if connection.row(sql, &values, |row| row.int(0))?.is_some() {
                return Err(Error::NameTaken(name.to_owned()));
            }
            let sql = "UPDATE project SET name = $1 WHERE id = $2";
            connection.execute(sql, &values).map(|_| ())
        })
    }
}

fn role(
    connection: &mut Connection,
    project: i64,
    person: i64,
) -> Result<Option<ProjectRole>, Error> {
    let sql = "SELECT role FROM membership WHERE project = $1 AND person = $2";
    connection
        .row(sql, &[project.into(), person.into()], |row| row.text(0))?
        .as_deref()
        .map(role_of)
        .transpose()
}

/// Refuses to let an owner go who is the last one that may sign in.
fn refuse_last_owner(connection: &mut Connection, project: i64, person: i64) -> Result<(), Error> {
    let sql = "SELECT m.person FROM membership m JOIN person p ON p.id = m.person
               WHERE m.project = $1 AND m.role = 'owner' AND p.disabled = 0";
    let able = connection.rows(sql, &[project.into()], |row| row.int(0))?;
    if able == [person] { Err(Error::LastOwner) } else { Ok(()) }
}

/// Takes someone out of a project, with what acts there in their name.
fn leave(connection: &mut Connection, project: i64, person: i64) -> Result<(), Error> {
    let both = [project.into(), person.into()];
    connection.execute("DELETE FROM token WHERE project = $1 AND person = $2", &both)?;
    let sql = "SELECT name FROM person WHERE id = $1";
    if let Some(name) = connection.row(sql, &[person.into()], |row| row.text(0))? {
        forget_webhooks(connection, &Scope::person(project, name), None)?;
    }
    let sql = "DELETE FROM membership WHERE project = $1 AND person = $2";
    connection.execute(sql, &both).map(|_| ())
}
