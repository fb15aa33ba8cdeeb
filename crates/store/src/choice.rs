//! What someone has chosen for their next export, and what of it a filter shows.

use std::collections::BTreeSet;

use retort_model::{ConversationFilter, Scope};

use crate::columns::key_text;
use crate::dialect::Value;
use crate::error::Error;
use crate::filter::{SearchBy, push_among, push_conversations, search_by};
use crate::statement::Statement;

impl crate::Store {
    /// What a person has chosen in a project, as the service wrote it.
    pub fn choice(&self, project: i64, person: &str) -> Result<Option<String>, Error> {
        let person = key_text(person);
        self.read(|connection| {
            let sql = "SELECT choice FROM choice WHERE project = $1 AND person = $2";
            connection.row(sql, &[project.into(), Value::Text(&person)], |row| row.text(0))
        })
    }

    /// Keeps what a person has chosen in a project.
    pub fn set_choice(&self, project: i64, person: &str, choice: &str) -> Result<(), Error> {
        let person = key_text(person);
        self.write(|connection| {
            let sql = "INSERT INTO choice (project, person, choice) VALUES ($1, $2, $3)
                       ON CONFLICT (project, person) DO UPDATE SET choice = excluded.choice";
            let values = [project.into(), Value::Text(&person), choice.into()];
            connection.execute(sql, &values).map(|_| ())
        })
    }

    /// Which of some conversations, by the store's numbers, scope and selection mean.
    pub fn among(
        &self,
        scope: &Scope,
        selection: &ConversationFilter,
        keys: &[i64],
    ) -> Result<BTreeSet<i64>, Error> {
        if keys.is_empty() {
            return Ok(BTreeSet::new());
        }
        self.look(|connection| {
            let mut statement = Statement::new("SELECT c.key");
            // A few rows are looked at one by one, whatever the filter.
            let dialect = connection.dialect();
            push_conversations(&mut statement, dialect, scope, selection, SearchBy::Rows);
            push_among(&mut statement, "c.key", keys.iter().copied());
            let found = connection.rows(&statement.sql, &statement.values(), |row| row.int(0))?;
            Ok(found.into_iter().collect())
        })
    }

    /// How many conversations both selections mean.
    pub fn count_both(
        &self,
        scope: &Scope,
        one: &ConversationFilter,
        other: &ConversationFilter,
    ) -> Result<u64, Error> {
        self.look(|connection| {
            let dialect = connection.dialect();
            let mut statement = Statement::new("SELECT COUNT(*)");
            push_conversations(&mut statement, dialect, scope, one, SearchBy::Rows);
            statement.push(" AND c.key IN (SELECT c.key");
            push_conversations(&mut statement, dialect, scope, other, search_by(dialect, other));
            statement.push(")");
            let found = connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
            Ok(found.unwrap_or(0).unsigned_abs())
        })
    }
}
