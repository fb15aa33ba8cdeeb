//! People, what a provider of identities calls them, and what they are in projects.

use retort_model::{ProjectRole, Scope, Time};

use crate::columns::{column_text, key_text, moment};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::notices::{Which, forget_webhooks};
use crate::person::{PERSON, PERSON_COLUMNS, Person, read_person};
use crate::sessions::{SecretHash, end_sessions};
use crate::statement::Statement;
use crate::store::{Project, next, take_turn};

/// Someone in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// What they are there.
    pub role: ProjectRole,
    /// When they came in.
    pub since: Option<Time>,
    /// Whether their name matches the owners of items there: someone vouched for it.
    pub is_proved: bool,
}

/// What someone is in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The project.
    pub project: Project,
    /// What they are there.
    pub role: ProjectRole,
    /// Whether their name matches the owners of items there: someone vouched for it.
    pub is_proved: bool,
}

/// A sign-in through a provider that waits for the person to say that an account is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingIdentity {
    /// The provider.
    pub issuer: String,
    /// Its name for the person.
    pub subject: String,
    /// The account.
    pub person: Person,
    /// Whether the account's password has to be given.
    pub takes_password: bool,
}

/// What ended with someone's password, or as they signed out everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions and one-time links.
    pub sessions: u64,
    /// API tokens.
    pub tokens: u64,
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
    is_proved: bool,
    now: Time,
) -> Result<i64, Error> {
    let id = next(connection, "person", 1)?;
    let sql = "INSERT INTO person (id, name, folded, password, disabled, created_at, proved)
               VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT (folded) DO NOTHING";
    let values = [
        id.into(),
        Value::Text(&column_text(name)),
        Value::Text(&folded(name)),
        password.into(),
        Value::Int(now.unix_micros()),
        Value::Int(is_proved.into()),
    ];
    match connection.execute(sql, &values)? {
        0 => Err(Error::NameTaken(name.to_owned())),
        _ => Ok(id),
    }
}

impl crate::Store {
    /// Whether anyone was ever added.
    pub fn has_people(&self) -> Result<bool, Error> {
        let sql = "SELECT id FROM person LIMIT 1";
        Ok(self.read(|connection| connection.row(sql, &[], |row| row.int(0)))?.is_some())
    }

    /// Adds someone whose name is theirs, with the hash of their password.
    ///
    /// # Errors
    /// The name is in use, in whatever case; those of the database.
    pub fn add_person(
        &self,
        name: &str,
        password: Option<&str>,
        now: Time,
    ) -> Result<Person, Error> {
        let id = self.write(|connection| insert_person(connection, name, password, true, now))?;
        self.person(id)?.ok_or_else(|| Error::Sql(format!("`{name}` vanished")))
    }

    /// The person of that number.
    pub fn person(&self, id: i64) -> Result<Option<Person>, Error> {
        let sql = format!("SELECT {PERSON} FROM person p WHERE p.id = $1");
        self.read(|connection| connection.row(&sql, &[id.into()], read_person))
    }

    /// The person of that name, in whatever case.
    pub fn person_named(&self, name: &str) -> Result<Option<Person>, Error> {
        let sql = format!("SELECT {PERSON} FROM person p WHERE p.folded = $1");
        self.read(|connection| connection.row(&sql, &[Value::Text(&folded(name))], read_person))
    }

    /// Everyone, by name.
    pub fn people(&self) -> Result<Vec<Person>, Error> {
        let sql = format!("SELECT {PERSON} FROM person p ORDER BY p.folded");
        self.read(|connection| connection.rows(&sql, &[], read_person))
    }

    /// The hash of someone's password.
    pub fn password_of(&self, person: i64) -> Result<Option<String>, Error> {
        let sql = "SELECT password FROM person WHERE id = $1";
        let found = self
            .read(|connection| connection.row(sql, &[person.into()], |row| row.text_or_none(0)))?;
        Ok(found.flatten())
    }

    /// Sets the hash of someone's password, or takes it away. Their sessions and one-time links end but `keep`, and
    /// their tokens.
    pub fn set_password(
        &self,
        person: i64,
        password: Option<&str>,
        keep: Option<&SecretHash>,
    ) -> Result<Ended, Error> {
        self.write(|connection| {
            let sql = "UPDATE person SET password = $1 WHERE id = $2";
            connection.execute(sql, &[password.into(), person.into()])?;
            end_credentials(connection, person, keep)
        })
    }

    /// Ends everything that lets someone in without their password: sessions, one-time links and tokens.
    pub fn end_credentials(&self, person: i64) -> Result<Ended, Error> {
        self.write(|connection| end_credentials(connection, person, None))
    }

    /// Keeps someone out, or no longer. Their sessions, one-time links, tokens, webhooks and invitations end, and their
    /// public links close.
    pub fn set_disabled(&self, person: i64, is_disabled: bool) -> Result<(), Error> {
        self.write(|connection| {
            // No export of theirs ends between this and the look at it.
            next(connection, "membership", 0)?;
            let sql = "UPDATE person SET disabled = $1 WHERE id = $2 AND disabled <> $1";
            let values = [Value::Int(i64::from(is_disabled)), person.into()];
            if connection.execute(sql, &values)? > 0 || is_disabled {
                // Also on the way back: someone may have signed in at the very moment they were kept out.
                end_credentials(connection, person, None)?;
            }
            if is_disabled {
                end_webhooks(connection, person, None)?;
                end_what_role_gave(connection, None, person, None)?;
            }
            Ok(())
        })
    }

    /// Notes that someone came by a one-time link or a provider, who thereby vouches for their name. The first time,
    /// whatever the account had before may be another's: its password, sessions, tokens, webhooks and invitations end,
    /// and what other providers call the person. Says whether there was any of that.
    pub fn confirm_person(
        &self,
        person: i64,
        identity: Option<(&str, &str)>,
    ) -> Result<bool, Error> {
        self.write(|connection| {
            let sql = "UPDATE person SET proved = 1, confirmed = 1 WHERE id = $1 AND confirmed = 0";
            if connection.execute(sql, &[person.into()])? == 0 {
                return Ok(false);
            }
            take_over(connection, person, identity)
        })
    }

    /// Takes an account over for whom a provider vouches: whatever it had before ends, as by [`Self::confirm_person`].
    pub fn take_over(&self, person: i64, identity: (&str, &str)) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "UPDATE person SET proved = 1, confirmed = 1 WHERE id = $1";
            connection.execute(sql, &[person.into()])?;
            take_over(connection, person, Some(identity)).map(|_| ())
        })
    }

    /// Notes that the person has the account as it is: they set a password of their own, where its name is proved, or
    /// with `proves` also showed that the name is theirs.
    pub fn keep_account(&self, person: i64, proves: bool) -> Result<(), Error> {
        let sql = "UPDATE person SET confirmed = 1, proved = 1 WHERE id = $1 AND (proved = 1 OR CAST($2 AS BIGINT) = 1)";
        let values = [person.into(), Value::Int(proves.into())];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Notes that an admin vouches for someone's name in a project.
    pub fn prove_name(&self, project: i64, person: i64) -> Result<(), Error> {
        let sql = "UPDATE membership SET proved = 1 WHERE project = $1 AND person = $2";
        self.write(|connection| {
            connection.execute(sql, &[project.into(), person.into()])?;
            // Counts that were remembered for this person may be others now.
            take_turn(connection)
        })
    }

    /// Whether a name is used in any project, by an item that it owns or something that it made.
    pub fn is_name_in_use(&self, name: &str) -> Result<bool, Error> {
        for project in self.projects()? {
            for (table, column) in [
                ("conversation", "owner"),
                ("run", "owner"),
                ("document", "owner"),
                ("job", "creator"),
                ("dataset", "creator"),
                ("share", "creator"),
                ("notice", "creator"),
            ] {
                let mut statement =
                    Statement::new(format!("SELECT project FROM {table} WHERE project = "));
                statement.int(project.id).push(&format!(" AND {column} = "));
                statement.key(name).push(" LIMIT 1");
                let found = self.read(|connection| {
                    connection.row(&statement.sql, &statement.values(), |row| row.int(0))
                })?;
                if found.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Keeps a sign-in through a provider until the person says that the account is theirs.
    pub fn add_pending_identity(
        &self,
        secret: &SecretHash,
        (issuer, subject): (&str, &str),
        (person, takes_password): (i64, bool),
        now: Time,
        expires_at: Time,
    ) -> Result<(), Error> {
        self.write(|connection| {
            let now = [Value::Int(now.unix_micros())];
            connection.execute("DELETE FROM pending_identity WHERE expires_at <= $1", &now)?;
            let sql = "INSERT INTO pending_identity (secret, issuer, subject, person, takes_password, expires_at)
                       VALUES ($1, $2, $3, $4, $5, $6)";
            let (issuer, subject) = (key_text(issuer), key_text(subject));
            let values = [
                Value::Bytes(secret),
                Value::Text(&issuer),
                Value::Text(&subject),
                person.into(),
                Value::Int(takes_password.into()),
                Value::Int(expires_at.unix_micros()),
            ];
            connection.execute(sql, &values).map(|_| ())
        })
    }

    /// The sign-in through a provider that waits under that secret.
    pub fn pending_identity(
        &self,
        secret: &SecretHash,
        now: Time,
    ) -> Result<Option<PendingIdentity>, Error> {
        let sql = format!(
            "SELECT {PERSON}, i.issuer, i.subject, i.takes_password FROM pending_identity i JOIN person p ON p.id = i.person
             WHERE i.secret = $1 AND i.expires_at > $2 AND p.disabled = 0"
        );
        let values = [Value::Bytes(secret), Value::Int(now.unix_micros())];
        self.read(|connection| {
            connection.row(&sql, &values, |row| {
                Ok(PendingIdentity {
                    issuer: row.text(PERSON_COLUMNS)?,
                    subject: row.text(PERSON_COLUMNS + 1)?,
                    person: read_person(row)?,
                    takes_password: row.int(PERSON_COLUMNS + 2)? != 0,
                })
            })
        })
    }

    /// Takes that sign-in away; whether it was there.
    pub fn end_pending_identity(&self, secret: &SecretHash) -> Result<bool, Error> {
        let sql = "DELETE FROM pending_identity WHERE secret = $1";
        Ok(self.write(|connection| connection.execute(sql, &[Value::Bytes(secret)]))? > 0)
    }

    /// Notes that someone was here.
    pub fn person_seen(&self, id: i64, now: Time) -> Result<(), Error> {
        let sql = "UPDATE person SET seen_at = $1 WHERE id = $2";
        let values = [Value::Int(now.unix_micros()), id.into()];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Whom a provider of identities means by a subject.
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
    pub fn memberships(&self, person: i64) -> Result<Vec<Membership>, Error> {
        let sql = "SELECT p.id, p.name, m.role, m.proved + q.proved
                   FROM membership m JOIN project p ON p.id = m.project JOIN person q ON q.id = m.person
                   WHERE m.person = $1 ORDER BY p.name";
        self.read(|connection| {
            connection.rows(sql, &[person.into()], |row| {
                let project = Project { id: row.int(0)?, name: row.text(1)? };
                let role = role_of(&row.text(2)?)?;
                Ok(Membership { project, role, is_proved: row.int(3)? != 0 })
            })
        })
    }

    /// What someone is in a project.
    pub fn role(&self, project: i64, person: i64) -> Result<Option<ProjectRole>, Error> {
        self.read(|connection| role(connection, project, person))
    }

    /// Who is in a project, by name.
    pub fn members(&self, project: i64) -> Result<Vec<Member>, Error> {
        let sql = format!(
            "SELECT {PERSON}, m.role, m.since, m.proved FROM membership m JOIN person p ON p.id = m.person
             WHERE m.project = $1 ORDER BY p.folded"
        );
        self.read(|connection| {
            connection.rows(&sql, &[project.into()], |row| {
                let person = read_person(row)?;
                Ok(Member {
                    role: role_of(&row.text(PERSON_COLUMNS)?)?,
                    since: moment(row.int(PERSON_COLUMNS + 1)?),
                    is_proved: person.is_proved || row.int(PERSON_COLUMNS + 2)? != 0,
                    person,
                })
            })
        })
    }

    /// Makes someone what they are to be in a project; none takes them out, with their tokens and webhooks there. What
    /// a role let them make and a lesser one does not ends: invitations go, and public links close. Whether that
    /// changed anything.
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
            if role < before {
                end_what_role_gave(connection, Some(project), person, role)?;
            }
            Ok(true)
        })
    }

    /// The project of that number.
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
pub(crate) fn refuse_last_owner(
    connection: &mut Connection,
    project: i64,
    person: i64,
) -> Result<(), Error> {
    let sql = "SELECT m.person FROM membership m JOIN person p ON p.id = m.person
               WHERE m.project = $1 AND m.role = 'owner' AND p.disabled = 0";
    let able = connection.rows(sql, &[project.into()], |row| row.int(0))?;
    if able == [person] { Err(Error::LastOwner) } else { Ok(()) }
}

/// Takes someone out of a project, with what acts there in their name.
fn leave(connection: &mut Connection, project: i64, person: i64) -> Result<(), Error> {
    let both = [project.into(), person.into()];
    connection.execute("DELETE FROM token WHERE project = $1 AND person = $2", &both)?;
    end_webhooks(connection, person, Some(project))?;
    let sql = "DELETE FROM membership WHERE project = $1 AND person = $2";
    connection.execute(sql, &both).map(|_| ())
}

/// Takes someone's webhooks away, in one project or in all.
pub(crate) fn end_webhooks(
    connection: &mut Connection,
    person: i64,
    project: Option<i64>,
) -> Result<(), Error> {
    let sql = "SELECT name FROM person WHERE id = $1";
    let Some(name) = connection.row(sql, &[person.into()], |row| row.text(0))? else {
        return Ok(());
    };
    let projects = match project {
        Some(project) => vec![project],
        None => {
            let sql = "SELECT DISTINCT project FROM webhook WHERE creator = $1";
            connection.rows(sql, &[Value::Text(&name)], |row| row.int(0))?
        }
    };
    for project in projects {
        forget_webhooks(connection, &Scope::person(project, &*name), Which::All)?;
    }
    Ok(())
}

/// Ends what someone could make by a role that they have no longer, in one project or in all: invitations to more
/// than `left`, the role that they still have, lets them give, and public links to what they may no longer see.
pub(crate) fn end_what_role_gave(
    connection: &mut Connection,
    project: Option<i64>,
    person: i64,
    left: Option<ProjectRole>,
) -> Result<(), Error> {
    let mut ended = Statement::new("DELETE FROM invitation WHERE person = ");
    ended.int(person);
    let mut closed = Statement::new("UPDATE share SET closed = 1 WHERE closed = 0 AND person = ");
    closed.int(person);
    for statement in [&mut ended, &mut closed] {
        if let Some(project) = project {
            statement.push(" AND project = ").int(project);
        }
    }
    match left {
        None => {}
        Some(ProjectRole::Member) => {
            closed.push(
                " AND NOT EXISTS (SELECT 1 FROM conversation c JOIN person p ON p.name = c.holder
                      WHERE c.key = share.conversation AND p.id = share.person)",
            );
        }
        Some(ProjectRole::Admin | ProjectRole::Owner) => {
            ended.push(" AND role = 'owner'");
            closed.push(" AND 1 = 0");
        }
    }
    connection.execute(&ended.sql, &ended.values())?;
    connection.execute(&closed.sql, &closed.values()).map(|_| ())
}

/// Ends someone's sessions and one-time links but `keep`, and their tokens.
pub(crate) fn end_credentials(
    connection: &mut Connection,
    person: i64,
    keep: Option<&SecretHash>,
) -> Result<Ended, Error> {
    let sessions = end_sessions(connection, person, keep)?;
    let one = [person.into()];
    connection.execute("DELETE FROM pending_identity WHERE person = $1", &one)?;
    let tokens = connection.execute("DELETE FROM token WHERE person = $1", &one)?;
    Ok(Ended { sessions, tokens })
}

/// Ends what an account had before its person first signed in: the person who created it may have kept a way in. Returns
/// whether there was anything.
fn take_over(
    connection: &mut Connection,
    person: i64,
    identity: Option<(&str, &str)>,
) -> Result<bool, Error> {
    let one = [person.into()];
    let ended = end_credentials(connection, person, None)?;
    let sql = "UPDATE person SET password = NULL WHERE id = $1 AND password IS NOT NULL";
    let password = connection.execute(sql, &one)?;
    let (issuer, subject) = identity.unwrap_or_default();
    let sql = "DELETE FROM identity WHERE person = $1 AND NOT (issuer = $2 AND subject = $3)";
    let (issuer, subject) = (key_text(issuer), key_text(subject));
    let values = [person.into(), Value::Text(&issuer), Value::Text(&subject)];
    let identities = connection.execute(sql, &values)?;
    end_webhooks(connection, person, None)?;
    let invitations = connection.execute("DELETE FROM invitation WHERE person = $1", &one)?;
    Ok(ended != Ended::default() || password + identities + invitations > 0)
}
