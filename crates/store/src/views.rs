//! Filters of conversations that people keep under a name.

use retort_model::Time;

use crate::columns::{column_text, key_text};
use crate::dialect::{Row, Value};
use crate::error::Error;
use crate::store::next;

/// A filter under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    /// The store's number of it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub creator: String,
    /// What it shows.
    pub shown: ShownView,
    /// Whether it is for everyone in the project.
    pub is_shared: bool,
}

/// What a view shows, as the service wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownView {
    /// The filter.
    pub filter: String,
    /// The order, if one was chosen.
    pub sort: Option<String>,
    /// The columns, if they were chosen.
    pub columns: Option<String>,
}

fn read_view(row: &Row<'_>) -> Result<SavedView, Error> {
    Ok(SavedView {
        id: row.int(0)?,
        name: row.text(1)?,
        creator: row.text(2)?,
        shown: ShownView {
            filter: row.text(3)?,
            sort: row.text_or_none(5)?,
            columns: row.text_or_none(6)?,
        },
        is_shared: row.int(4)? != 0,
    })
}

impl crate::Store {
    /// A person's views in a project, and those that others share, by name.
    pub fn views(&self, project: i64, person: &str) -> Result<Vec<SavedView>, Error> {
        let person = key_text(person);
        self.read(|connection| {
            let sql = "SELECT id, name, creator, filter, is_shared, sort, columns FROM saved_view
                       WHERE project = $1 AND (creator = $2 OR is_shared = 1) ORDER BY name, id";
            connection.rows(sql, &[project.into(), Value::Text(&person)], read_view)
        })
    }

    /// Keeps a filter under a name, in the place of the person's filter of that name; returns its number.
    pub fn save_view(
        &self,
        (project, person): (i64, &str),
        name: &str,
        shown: &ShownView,
        is_shared: bool,
        now: Time,
    ) -> Result<i64, Error> {
        let (person, name) = (key_text(person), column_text(name));
        self.write(|connection| {
            let id = next(connection, "saved_view", 1)?;
            let sql =
                "INSERT INTO saved_view (id, project, creator, name, filter, is_shared, created_at, sort, columns)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                       ON CONFLICT (project, creator, name)
                       DO UPDATE SET filter = excluded.filter, is_shared = excluded.is_shared, sort = excluded.sort,
                           columns = excluded.columns";
            let values = [
                id.into(),
                project.into(),
                Value::Text(&person),
                Value::Text(&name),
                Value::Text(&shown.filter),
                Value::Int(i64::from(is_shared)),
                Value::Int(now.unix_micros()),
                shown.sort.as_ref().into(),
                shown.columns.as_ref().into(),
            ];
            connection.execute(sql, &values)?;
            let sql = "SELECT id FROM saved_view WHERE project = $1 AND creator = $2 AND name = $3";
            let values = [project.into(), Value::Text(&person), Value::Text(&name)];
            Ok(connection.row(sql, &values, |row| row.int(0))?.unwrap_or(id))
        })
    }

    /// Removes a view; whether there was one.
    pub fn remove_view(&self, project: i64, id: i64) -> Result<bool, Error> {
        self.write(|connection| {
            let sql = "DELETE FROM saved_view WHERE project = $1 AND id = $2";
            Ok(connection.execute(sql, &[project.into(), id.into()])? > 0)
        })
    }
}
