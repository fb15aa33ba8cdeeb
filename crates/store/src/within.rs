//! Which of the items that match a filter an export takes: all, or those in a window.

use retort_model::ItemKind;

use crate::dialect::Connection;
use crate::error::Error;
use crate::items::table;
use crate::statement::Statement;

/// Which of the matching items are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// All of them.
    All,
    /// Those that are new or changed since the change with this number.
    ChangedAfter(i64),
    /// Those of a period, and older ones that were imported after the change `came_after`.
    Period { from: i64, before: i64, came_after: i64 },
}

/// The column with the time that decides which period an item belongs to, and which items are the newest.
pub(crate) fn moment_of(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Conversation | ItemKind::Document => "c.created_at",
        ItemKind::Run => "c.started_at",
    }
}

impl Statement {
    /// Appends ` AND …` for the items (`c`) that are taken.
    pub(crate) fn within(&mut self, within: Within, kind: ItemKind) -> &mut Self {
        let moment = moment_of(kind);
        match within {
            Within::All => self,
            Within::ChangedAfter(change) => self
                .push(" AND (c.key > ")
                .int(change)
                .push(" OR c.changed > ")
                .int(change)
                .push(")"),
            Within::Period { from, before, came_after } => {
                self.push(&format!(" AND ({moment} >= ")).int(from);
                self.push(" OR c.key > ").int(came_after);
                self.push(&format!(") AND {moment} < ")).int(before)
            }
        }
    }
}

/// How many items of a frozen selection are older than a moment.
pub(crate) fn count_late(
    connection: &mut Connection,
    (job, kind): (i64, ItemKind),
    from: i64,
) -> Result<i64, Error> {
    let sql = format!(
        "SELECT COUNT(*) FROM job_item i JOIN {} c ON c.key = i.item WHERE i.job = $1 AND {} < $2",
        table(kind),
        moment_of(kind)
    );
    let found = connection.row(&sql, &[job.into(), from.into()], |row| row.int(0))?;
    Ok(found.unwrap_or(0))
}
