//! Tokens, with which programs act for someone, and invitations into projects.

use retort_model::{Grant, Grants, ProjectRole, Time};

use crate::columns::{column_text, moment};
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::people::insert_person;
use crate::person::{PERSON, PERSON_COLUMNS, Person, read_person};
use crate::sessions::SecretHash;
use crate::statement::Statement;
use crate::store::next;

/// What lets a program act for someone in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The store's number of it.
    pub id: i64,
    /// The project.
    pub project: i64,
    /// Whose it is.
    pub person: i64,
    /// Their name.
    pub person_name: String,
    /// What they call it.
    pub name: String,
    /// What it lets its bearer do.
    pub grants: Grants,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it ends; none is never.
    pub expires_at: Option<Time>,
    /// When it was used last.
    pub seen_at: Option<Time>,
}

/// A token to be added.
#[derive(Clone, Debug)]
pub struct NewToken<'n> {
    /// The project.
    pub project: i64,
    /// Whose it is.
    pub person: i64,
    /// What they call it.
    pub name: &'n str,
    /// Its secret, hashed.
    pub secret: SecretHash,
    /// What it lets its bearer do.
    pub grants: Grants,
    /// When it ends; none is never.
    pub expires_at: Option<Time>,
}

/// A link into a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The store's number of it.
    pub id: i64,
    /// The project.
    pub project: i64,
    /// What it makes someone there.
    pub role: ProjectRole,
    /// Whom it is for; none means anyone who has it.
    pub name: Option<String>,
    /// Who made it.
    pub creator: String,
    /// When it was made.
    pub created_at: Option<Time>,
    /// When it ends.
    pub expires_at: Option<Time>,
}

/// An invitation to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewInvitation<'n> {
    /// The project.
    pub project: i64,
    /// What it makes someone there.
    pub role: ProjectRole,
    /// Whom it is for; none means anyone who has it.
    pub name: Option<&'n str>,
    /// Its secret, hashed.
    pub secret: SecretHash,
    /// The name of who makes it.
    pub creator: &'n str,
    /// Their number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// When it ends.
    pub expires_at: Time,
}

const TOKEN: &str = "t.id, t.project, t.name, t.grants, t.created_at, t.expires_at, t.seen_at FROM token t \
     JOIN person p ON p.id = t.person";

const INVITATION: &str = "id, project, role, name, creator, created_at, expires_at";

/// Whether an invitation's maker may still give its role: it never gives more than they have when it is taken.
const STANDS: &str = "(person IS NULL OR EXISTS (
    SELECT 1 FROM membership m JOIN person p ON p.id = m.person
    WHERE m.project = invitation.project AND m.person = invitation.person AND p.disabled = 0
        AND (m.role = 'owner' OR (m.role = 'admin' AND invitation.role <> 'owner'))))";

/// The token behind a person's columns.
fn read_token(row: &Row<'_>) -> Result<(Token, Person), Error> {
    let person = read_person(row)?;
    let column = |number| PERSON_COLUMNS + number;
    let token = Token {
        id: row.int(column(0))?,
        project: row.int(column(1))?,
        person: person.id,
        person_name: person.name.clone(),
        name: row.text(column(2))?,
        grants: read_grants(&row.text(column(3))?)?,
        created_at: moment(row.int(column(4))?),
        expires_at: row.int_or_none(column(5))?.and_then(moment),
        seen_at: row.int_or_none(column(6))?.and_then(moment),
    };
    Ok((token, person))
}

fn read_invitation(row: &Row<'_>) -> Result<Invitation, Error> {
    Ok(Invitation {
        id: row.int(0)?,
        project: row.int(1)?,
        role: row.text(2)?.parse().map_err(Error::Damaged)?,
        name: row.text_or_none(3)?,
        creator: row.text(4)?,
        created_at: moment(row.int(5)?),
        expires_at: moment(row.int(6)?),
    })
}

/// Grants as their column: their names, with spaces between.
fn write_grants(grants: Grants) -> String {
    grants.iter().map(Grant::as_str).collect::<Vec<_>>().join(" ")
}

fn read_grants(column: &str) -> Result<Grants, Error> {
    column.split_whitespace().map(|name| name.parse().map_err(Error::Damaged)).collect()
}

impl crate::Store {
    /// Adds a token; its number.
    pub fn add_token(&self, new: &NewToken<'_>, now: Time) -> Result<i64, Error> {
        self.write(|connection| {
            let id = next(connection, "token", 1)?;
            let sql = "INSERT INTO token (id, project, person, name, secret, grants, created_at, expires_at)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            let values = [
                id.into(),
                new.project.into(),
                new.person.into(),
                Value::Text(&column_text(new.name)),
                Value::Bytes(&new.secret),
                Value::Text(&write_grants(new.grants)),
                Value::Int(now.unix_micros()),
                new.expires_at.map(Time::unix_micros).into(),
            ];
            connection.execute(sql, &values)?;
            Ok(id)
        })
    }

    /// The tokens of a project, of one person or of all, the newest first.
    pub fn tokens(&self, project: i64, person: Option<i64>) -> Result<Vec<Token>, Error> {
        let mut statement = Statement::new(format!("SELECT {PERSON}, {TOKEN} WHERE t.project = "));
        statement.int(project);
        if let Some(person) = person {
            statement.push(" AND t.person = ").int(person);
        }
        statement.push(" ORDER BY t.id DESC");
        self.read(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| Ok(read_token(row)?.0))
        })
    }

    /// The token with that secret, also if it has ended, and whose it is.
    pub fn token(&self, secret: &SecretHash) -> Result<Option<(Token, Person)>, Error> {
        let sql = format!("SELECT {PERSON}, {TOKEN} WHERE t.secret = $1");
        self.read(|connection| connection.row(&sql, &[Value::Bytes(secret)], read_token))
    }

    /// Takes a token of a project away, of one person or of anyone; whether there was one.
    pub fn end_token(&self, project: i64, person: Option<i64>, id: i64) -> Result<bool, Error> {
        let mut statement = Statement::new("DELETE FROM token WHERE project = ");
        statement.int(project).push(" AND id = ").int(id);
        if let Some(person) = person {
            statement.push(" AND person = ").int(person);
        }
        let ended =
            self.write(|connection| connection.execute(&statement.sql, &statement.values()))?;
        Ok(ended > 0)
    }

    /// Notes that a token was used, if nobody else is writing: who only reads waits for no writer.
    pub fn token_seen(&self, id: i64, now: Time) -> Result<(), Error> {
        let sql = "UPDATE token SET seen_at = $1 WHERE id = $2";
        let values = [Value::Int(now.unix_micros()), id.into()];
        self.write_if_free(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Adds an invitation; its number.
    pub fn add_invitation(&self, new: &NewInvitation<'_>, now: Time) -> Result<i64, Error> {
        self.write(|connection| {
            let id = next(connection, "invitation", 1)?;
            let sql = "INSERT INTO invitation (id, project, role, name, secret, creator, person, created_at, expires_at)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            let name = new.name.map(column_text);
            let values = [
                id.into(),
                new.project.into(),
                new.role.as_str().into(),
                name.as_deref().into(),
                Value::Bytes(&new.secret),
                Value::Text(&column_text(new.creator)),
                new.person.into(),
                Value::Int(now.unix_micros()),
                Value::Int(new.expires_at.unix_micros()),
            ];
            connection.execute(sql, &values)?;
            Ok(id)
        })
    }

    /// The invitations into a project that have not ended, the newest first.
    pub fn invitations(&self, project: i64, now: Time) -> Result<Vec<Invitation>, Error> {
        let sql = format!(
            "SELECT {INVITATION} FROM invitation WHERE project = $1 AND expires_at > $2 AND {STANDS}
             ORDER BY id DESC"
        );
        let values = [project.into(), Value::Int(now.unix_micros())];
        self.read(|connection| connection.rows(&sql, &values, read_invitation))
    }

    /// The invitation with that secret, if it has not ended.
    pub fn invitation(&self, secret: &SecretHash, now: Time) -> Result<Option<Invitation>, Error> {
        let sql = format!(
            "SELECT {INVITATION} FROM invitation WHERE secret = $1 AND expires_at > $2 AND {STANDS}"
        );
        let values = [Value::Bytes(secret), Value::Int(now.unix_micros())];
        self.read(|connection| connection.row(&sql, &values, read_invitation))
    }

    /// The invitation with that secret, which then is gone.
    pub fn take_invitation(
        &self,
        secret: &SecretHash,
        now: Time,
    ) -> Result<Option<Invitation>, Error> {
        self.write(|connection| delete_invitation(connection, secret, now))
    }

    /// Takes the invitation with that secret for someone new, who is added with the hash of their password: both or
    /// neither. None if there is no such invitation.
    ///
    /// # Errors
    /// The name is in use, in whatever case; those of the database.
    pub fn add_invited(
        &self,
        secret: &SecretHash,
        name: &str,
        password: &str,
        now: Time,
    ) -> Result<Option<(Invitation, Person)>, Error> {
        let added = self.write(|connection| match delete_invitation(connection, secret, now)? {
            Some(invitation) => {
                let id = insert_person(connection, name, Some(password), false, now)?;
                Ok(Some((invitation, id)))
            }
            None => Ok(None),
        })?;
        let Some((invitation, id)) = added else { return Ok(None) };
        let person = self.person(id)?;
        let person = person.ok_or_else(|| Error::Sql(format!("`{name}` vanished")))?;
        Ok(Some((invitation, person)))
    }

    /// Takes an invitation into a project away; whether there was one.
    pub fn end_invitation(&self, project: i64, id: i64) -> Result<bool, Error> {
        let sql = "DELETE FROM invitation WHERE project = $1 AND id = $2";
        let ended =
            self.write(|connection| connection.execute(sql, &[project.into(), id.into()]))?;
        Ok(ended > 0)
    }
}

fn delete_invitation(
    connection: &mut Connection,
    secret: &SecretHash,
    now: Time,
) -> Result<Option<Invitation>, Error> {
    let sql = format!(
        "DELETE FROM invitation WHERE secret = $1 AND expires_at > $2 AND {STANDS} RETURNING {INVITATION}"
    );
    let values = [Value::Bytes(secret), Value::Int(now.unix_micros())];
    connection.row(&sql, &values, read_invitation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_as_they_were_written() {
        let some: Grants = [Grant::Share, Grant::Read].into_iter().collect();
        assert_eq!(write_grants(some), "read share");
        for grants in [Grants::default(), some, Grants::ALL] {
            assert_eq!(read_grants(&write_grants(grants)).unwrap(), grants);
        }
        assert!(matches!(read_grants("read fly"), Err(Error::Damaged(_))));
    }
}
