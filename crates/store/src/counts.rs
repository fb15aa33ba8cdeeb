//! Counts that are asked for again: each page of a list asks how many there are in all, and of a million rows in which
//! a text is sought that takes longer than the page.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dialect::Connection;
use crate::error::Error;
use crate::rehearsal;
use crate::statement::Statement;

/// Counts that are remembered.
const COUNTS: usize = 256;

/// Bytes of a question whose answer is remembered; longer ones name ids, and are answered quickly.
const QUESTION: usize = 4 << 10;

/// The counts since the last change.
#[derive(Default)]
pub(crate) struct Counts(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The number of the last turn that was taken before they were made.
    turn: i64,
    counts: HashMap<String, u64>,
}

impl Counts {
    /// What a statement counts, which was asked before if nobody has changed anything since.
    pub(crate) fn of(
        &self,
        connection: &mut Connection,
        statement: &Statement,
    ) -> Result<u64, Error> {
        let values = statement.values();
        let question = question(statement);
        let counted = |connection: &mut Connection| -> Result<u64, Error> {
            let count = connection.row(&statement.sql, &values, |row| row.int(0))?;
            Ok(count.unwrap_or(0).unsigned_abs())
        };
        // Counts in a rehearsal are not kept, because its changes are undone.
        if question.len() > QUESTION || rehearsal::is_under_way() {
            return counted(connection);
        }
        // Found out first: a change in between makes the count one of an earlier turn, which is not asked for again.
        let turn = turn(connection)?;
        if let Some(count) = self.known().counts_of(turn).get(&question) {
            return Ok(*count);
        }
        let count = counted(connection)?;
        self.known().counts_of(turn).insert(question, count);
        Ok(count)
    }

    /// Whether what a statement counts is known.
    pub(crate) fn knows(
        &self,
        connection: &mut Connection,
        statement: &Statement,
    ) -> Result<bool, Error> {
        let turn = turn(connection)?;
        Ok(self.known().counts_of(turn).contains_key(&question(statement)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a statement counts, as it is remembered.
fn question(statement: &Statement) -> String {
    format!("{} {:?}", statement.sql, statement.values())
}

impl Known {
    /// What was counted in this turn.
    fn counts_of(&mut self, turn: i64) -> &mut HashMap<String, u64> {
        if self.turn != turn || self.counts.len() >= COUNTS {
            *self = Self { turn, ..Self::default() };
        }
        &mut self.counts
    }
}

/// The number of the last turn; see [`take_turn`](crate::store::take_turn).
fn turn(connection: &mut Connection) -> Result<i64, Error> {
    let sql = "SELECT value FROM counter WHERE name = 'item'";
    Ok(connection.row(sql, &[], |row| row.int(0))?.unwrap_or(0))
}
