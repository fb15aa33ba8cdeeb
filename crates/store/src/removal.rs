//! People and projects that are deleted: what they have, and taking it away.

use retort_model::{ItemKind, ProjectRole, Scope};

use crate::columns::{PURGED, key_text};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::items::{held_by, table};
use crate::notices::{Which, forget_webhooks};
use crate::people::{end_credentials, end_webhooks, end_what_role_gave, refuse_last_owner};
use crate::statement::Statement;
use crate::store::{next, take_turn};
use crate::traces;

/// What a person or a project has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Projects that the person is in, or people who are in the project.
    pub memberships: u64,
    /// API tokens.
    pub tokens: u64,
    /// Webhooks.
    pub webhooks: u64,
    /// Invitations that can be accepted.
    pub invitations: u64,
    /// Public links.
    pub shares: u64,
    /// Jobs that wait or run.
    pub open_jobs: u64,
    /// Datasets.
    pub datasets: u64,
    /// Conversations: a person's are those that they own, and those without an owner that they imported.
    pub conversations: u64,
    /// Runs, likewise.
    pub runs: u64,
    /// Documents: a person's are those that they own or imported.
    pub documents: u64,
    /// Conversations and runs of others that the person imported.
    pub imported: u64,
}

/// Counts rows of a table.
fn count(connection: &mut Connection, mut statement: Statement) -> Result<u64, Error> {
    statement.sql.insert_str(0, "SELECT COUNT(*) FROM ");
    let found = connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
    Ok(found.unwrap_or(0).unsigned_abs())
}

impl crate::Store {
    /// What a person has, in all projects.
    pub fn belongings_of_person(&self, person: i64, name: &str) -> Result<Belongings, Error> {
        self.read(|connection| {
            let mut of = |what: &str| {
                let mut statement = Statement::new(format!("{what} = "));
                statement.int(person);
                count(connection, statement)
            };
            let mut belongings = Belongings {
                memberships: of("membership WHERE person")?,
                tokens: of("token WHERE person")?,
                invitations: of("invitation WHERE person")?,
                shares: of("share WHERE closed = 0 AND person")?,
                open_jobs: of("job WHERE state IN ('queued', 'running') AND person")?,
                ..Belongings::default()
            };
            let projects = connection.rows("SELECT id FROM project", &[], |row| row.int(0))?;
            for project in projects {
                let mut named = |table: &str, column: &str, more: &str| {
                    let mut statement = Statement::new(format!("{table} WHERE project = "));
                    statement.int(project).push(&format!(" AND {column} = ")).key(name).push(more);
                    count(connection, statement)
                };
                let of_others = " AND status <> 3 AND holder <> importer";
                let not_owned = " AND status <> 3 AND (owner IS NULL OR owner <> importer)";
                belongings.webhooks += named("webhook", "creator", "")?;
                belongings.datasets += named("dataset", "creator", "")?;
                belongings.conversations += named("conversation", "holder", " AND status < 3")?;
                belongings.runs += named("run", "holder", " AND status <> 3")?;
                belongings.documents += named("document", "owner", " AND status <> 3")?;
                belongings.documents += named("document", "importer", not_owned)?;
                belongings.imported += named("conversation", "importer", of_others)?;
                belongings.imported += named("run", "importer", of_others)?;
            }
            Ok(belongings)
        })
    }

    /// How many conversations, runs and documents a person holds in a project: those that they own, and those without an
    /// owner that they imported.
    pub fn held(&self, project: i64, name: &str) -> Result<[u64; 3], Error> {
        self.read(|connection| {
            let mut of = |kind| {
                let mut statement = Statement::new(format!("{} WHERE project = ", table(kind)));
                statement.int(project).push(&format!(" AND {} = ", held_by(kind))).key(name);
                statement.push(" AND status <> ").int(PURGED);
                count(connection, statement)
            };
            Ok([of(ItemKind::Conversation)?, of(ItemKind::Run)?, of(ItemKind::Document)?])
        })
    }

    /// What is in a project.
    pub fn belongings_of_project(&self, project: i64) -> Result<Belongings, Error> {
        self.read(|connection| {
            let mut of = |what: &str| {
                let mut statement = Statement::new(format!("{what} AND project = "));
                statement.int(project);
                count(connection, statement)
            };
            Ok(Belongings {
                memberships: of("membership WHERE 1 = 1")?,
                tokens: of("token WHERE 1 = 1")?,
                webhooks: of("webhook WHERE 1 = 1")?,
                invitations: of("invitation WHERE 1 = 1")?,
                shares: of("share WHERE closed = 0")?,
                open_jobs: of("job WHERE state IN ('queued', 'running')")?,
                datasets: of("dataset WHERE 1 = 1")?,
                conversations: of("conversation WHERE status < 3")?,
                runs: of("run WHERE status <> 3")?,
                documents: of("document WHERE status <> 3")?,
                imported: 0,
            })
        })
    }

    /// Deletes a person, with everything that acts in their name. What they made or own stays in its projects under
    /// their name; their public links close.
    ///
    /// # Errors
    /// A project would have no owner who may sign in; those of the database.
    pub fn delete_person(&self, person: i64, name: &str) -> Result<(), Error> {
        self.write(|connection| {
            next(connection, "membership", 0)?;
            let one = [person.into()];
            let sql = "SELECT project FROM membership WHERE person = $1 AND role = 'owner'";
            for project in connection.rows(sql, &one, |row| row.int(0))? {
                refuse_last_owner(connection, project, person)?;
            }
            end_credentials(connection, person, None)?;
            end_webhooks(connection, person, None)?;
            end_what_role_gave(connection, None, person, None)?;
            for table in ["identity", "membership", "answered"] {
                let sql = format!("DELETE FROM {table} WHERE person = $1");
                connection.execute(&sql, &one)?;
            }
            let name = key_text(name);
            for (table, column) in
                [("choice", "person"), ("notice", "creator"), ("saved_view", "creator")]
            {
                let sql = format!("DELETE FROM {table} WHERE {column} = $1");
                connection.execute(&sql, &[Value::Text(&name)])?;
            }
            connection.execute("DELETE FROM person WHERE id = $1", &one).map(|_| ())
        })
    }

    /// Ends whatever acts in a project: everyone's membership but that of `keep`, tokens, invitations, webhooks, public
    /// links and jobs, and pauses its schedules. The caller removes what the project holds.
    pub fn close_project(&self, project: i64, keep: Option<i64>) -> Result<(), Error> {
        self.write(|connection| {
            next(connection, "membership", 0)?;
            let one = [project.into()];
            forget_webhooks(connection, &Scope::project(project), Which::All)?;
            for table in ["token", "invitation", "share", "choice", "saved_view"] {
                let sql = format!("DELETE FROM {table} WHERE project = $1");
                connection.execute(&sql, &one)?;
            }
            let sql = "UPDATE job SET cancel = 1
                       WHERE project = $1 AND state IN ('queued', 'running')";
            connection.execute(sql, &one)?;
            let sql =
                "UPDATE schedule SET state = 'paused', next_at = NULL, revision = revision + 1
                       WHERE project = $1";
            connection.execute(sql, &one)?;
            let sql = "DELETE FROM membership WHERE project = $1 AND person <> $2";
            let keep = Value::Int(keep.unwrap_or(0));
            connection.execute(sql, &[project.into(), keep]).map(|_| ())
        })
    }

    /// Deletes a project that holds no items and no datasets any more. The audit log keeps what was done in it.
    ///
    /// # Errors
    /// Someone brought something in meanwhile; those of the database.
    pub fn delete_project(&self, project: i64) -> Result<(), Error> {
        self.write(|connection| {
            take_turn(connection)?;
            next(connection, "membership", 0)?;
            let one = [project.into()];
            for (table, there) in
                [("conversation", "status < 3"), ("run", "status <> 3"), ("document", "status <> 3")]
            {
                let sql = format!("SELECT key FROM {table} WHERE project = $1 AND {there} LIMIT 1");
                if connection.row(&sql, &one, |row| row.int(0))?.is_some() {
                    return Err(Error::InUse);
                }
            }
            let sql = "SELECT id FROM dataset WHERE project = $1 LIMIT 1";
            if connection.row(sql, &one, |row| row.int(0))?.is_some() {
                return Err(Error::InUse);
            }
            forget_webhooks(connection, &Scope::project(project), Which::All)?;
            traces::forget_all(connection, project)?;
            for (table, through, column) in [
                ("citation", "conversation", "key"),
                ("job_item", "job", "id"),
                ("job_left_out", "job", "id"),
                ("job_shard", "job", "id"),
                ("schedule_run", "job", "id"),
                ("schedule_delivery", "schedule", "id"),
                ("schedule_window", "schedule", "id"),
            ] {
                let sql = format!(
                    "DELETE FROM {table} WHERE {through} IN (SELECT {column} FROM {through} WHERE project = $1)"
                );
                connection.execute(&sql, &one)?;
            }
            for table in ["share", "conversation", "run", "document", "tombstone", "erasure"] {
                let sql = format!("DELETE FROM {table} WHERE project = $1");
                connection.execute(&sql, &one)?;
            }
            for table in ["variant_node", "variant"] {
                let column = if table == "variant" { "key" } else { "variant" };
                let sql = format!(
                    "DELETE FROM {table} WHERE {column} IN (SELECT v.key FROM variant v JOIN flow f ON f.key = v.flow
                         WHERE f.project = $1)"
                );
                connection.execute(&sql, &one)?;
            }
            for table in
                ["flow", "notice", "job", "schedule", "choice", "saved_view", "token", "invitation", "membership", "project"]
            {
                let column = if table == "project" { "id" } else { "project" };
                let sql = format!("DELETE FROM {table} WHERE {column} = $1");
                connection.execute(&sql, &one)?;
            }
            Ok(())
        })
    }

    /// The projects that would have no owner who may sign in without this person.
    pub fn solely_owned(&self, person: i64) -> Result<Vec<String>, Error> {
        let mut sole = Vec::new();
        for one in self.memberships(person)? {
            if one.role != ProjectRole::Owner {
                continue;
            }
            let last = self
                .read(|connection| refuse_last_owner(connection, one.project.id, person))
                .is_err_and(|error| matches!(error, Error::LastOwner));
            if last {
                sole.push(one.project.name);
            }
        }
        Ok(sole)
    }
}
