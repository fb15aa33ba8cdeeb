//! A statement of SQL that grows, with its values.

use retort_model::Scope;

use crate::columns::{array_of, column_text, key_text};
use crate::dialect::{Dialect, Value};

/// A value that a statement holds.
pub(crate) enum Held {
    Int(i64),
    Text(String),
}

/// A growing statement with its values.
#[derive(Default)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    values: Vec<Held>,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    /// Appends SQL.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// The number of the next parameter.
    pub(crate) fn next(&self) -> usize {
        self.values.len() + 1
    }

    /// Holds a value for a parameter that the SQL names itself.
    pub(crate) fn hold(&mut self, value: Held) -> &mut Self {
        self.values.push(value);
        self
    }

    /// Appends a parameter with its value.
    pub(crate) fn bind(&mut self, value: Held) -> &mut Self {
        let number = self.next();
        self.sql.push_str(&format!("${number}"));
        self.hold(value)
    }

    pub(crate) fn int(&mut self, number: i64) -> &mut Self {
        self.bind(Held::Int(number))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bind(Held::Text(column_text(text).into_owned()))
    }

    /// Appends a parameter with an id or a name of a person.
    pub(crate) fn key(&mut self, text: &str) -> &mut Self {
        self.bind(Held::Text(key_text(text).into_owned()))
    }

    /// Appends what `append` appends for each of these, with `between` between two of them.
    pub(crate) fn each<T>(
        &mut self,
        between: &str,
        all: impl IntoIterator<Item = T>,
        append: impl for<'s> Fn(&'s mut Self, T) -> &'s mut Self,
    ) -> &mut Self {
        for (index, one) in all.into_iter().enumerate() {
            if index > 0 {
                self.push(between);
            }
            append(self, one);
        }
        self
    }

    /// Appends `WHERE …` for the jobs or datasets in a scope: those that its person made.
    pub(crate) fn made_in(&mut self, scope: &Scope) -> &mut Self {
        self.push(" WHERE project = ").int(scope.project);
        if let Some(owner) = &scope.owner {
            self.push(" AND creator = ").text(owner);
        }
        self
    }

    /// Appends `WHERE …` for the items (`c`) in a scope: those that its person holds.
    pub(crate) fn held_in(&mut self, scope: &Scope) -> &mut Self {
        self.push(" WHERE c.project = ").int(scope.project);
        self.held_by(scope)
    }

    /// Appends ` AND …` for the items (`c`) that the person of a scope holds, if it is a person's.
    pub(crate) fn held_by(&mut self, scope: &Scope) -> &mut Self {
        if let Some(owner) = &scope.owner {
            self.push(" AND c.holder = ").key(owner);
            if scope.only_imported {
                self.push(" AND c.importer = ").key(owner);
            }
        }
        self
    }

    /// Appends `LIMIT …`.
    pub(crate) fn at_most(&mut self, most: usize) -> &mut Self {
        self.push(" LIMIT ").int(i64::try_from(most).unwrap_or(i64::MAX))
    }

    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.values
            .iter()
            .map(|held| match held {
                Held::Int(number) => Value::Int(*number),
                Held::Text(text) => Value::Text(text),
            })
            .collect()
    }
}

/// `$first, $…` for `count` values.
pub(crate) fn push_parameters(sql: &mut String, first: usize, count: usize) {
    for number in first..first + count {
        if number > first {
            sql.push_str(", ");
        }
        sql.push('$');
        sql.push_str(&number.to_string());
    }
}

/// `INSERT INTO table (columns) VALUES (…), (…)`.
pub(crate) fn insert(table: &str, columns: &[&str], rows: usize) -> String {
    let mut sql = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        push_parameters(&mut sql, 1 + row * columns.len(), columns.len());
        sql.push(')');
    }
    sql
}

/// Appends that a column is one of these texts, if there are any.
pub(crate) fn push_array(
    statement: &mut Statement,
    dialect: Dialect,
    column: &str,
    texts: Vec<String>,
) {
    if !texts.is_empty() {
        let among = dialect.is_among(column, statement.next());
        statement.push(" AND ").push(&among);
        statement.hold(Held::Text(array_of(texts)));
    }
}
