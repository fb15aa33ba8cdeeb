//! Spans that a server was sent, on disk until their traces are whole and imported.
//!
//! What was sent is kept in the transaction that precedes the answer, so nothing is lost when the server dies. Whoever
//! imports a trace moves the time at which it is due by a lease: it is due again if they die. Spans that come meanwhile set
//! the time anew, so the trace stays due.

use retort_model::Time;
use retort_model::bounds::PAGE_ITEMS;

use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::filter::key_text;
use crate::store::next;

/// Bytes that the rows of a trace take beside its spans, as they are counted.
const ROW_BYTES: u64 = 256;

/// How hard spans are compressed: they are read back within minutes.
const LEVEL: i32 = 1;

/// Who sends spans: what traces of the same id are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceSender {
    /// The number of the project.
    pub project: i64,
    /// The name of who sends.
    pub importer: String,
    /// The member whose items become of the spans; none if the sender sees everyone's.
    pub holder: Option<String>,
}

/// Spans of one trace, as they came.
#[derive(Clone, Debug)]
pub struct NewSpans<'s> {
    /// The trace's id.
    pub trace: &'s str,
    /// The session that a span names.
    pub session: Option<&'s str>,
    /// Whether the span without a parent is among them.
    pub has_root: bool,
    /// How many there are.
    pub spans: u64,
    /// They, as text.
    pub text: &'s str,
}

/// When traces are due, and how much may wait.
#[derive(Clone, Copy, Debug)]
pub struct TraceTimes {
    /// When a trace is due whose root has come.
    pub whole_at: Time,
    /// When any other is.
    pub partial_at: Time,
    /// Until when it is kept.
    pub forget_at: Time,
    /// Bytes of text of one trace, at most.
    pub trace_bytes: u64,
    /// Bytes on disk of a project's traces, at most.
    pub project_bytes: u64,
}

/// What became of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptSpans {
    /// They are on disk, but for so many, whose traces would be too large.
    Kept {
        /// Spans that are refused.
        refused: u64,
    },
    /// None was kept: so much waits already.
    Full,
}

/// A trace that waits, or was imported and is still kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTrace {
    /// The store's number of it.
    pub key: i64,
    /// Who sent it.
    pub sender: TraceSender,
    /// Its session, if it names one.
    pub session: Option<String>,
    /// Bytes of its text.
    pub size: u64,
}

/// How much waits to be imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceStats {
    /// Traces.
    pub traces: u64,
    /// Their spans.
    pub spans: u64,
}

const OPEN_TRACE: &str = "key, project, importer, holder, session, size";

impl crate::Store {
    /// Keeps spans until their traces are due.
    pub fn keep_spans(
        &self,
        sender: &TraceSender,
        new: &[NewSpans<'_>],
        times: &TraceTimes,
    ) -> Result<KeptSpans, Error> {
        let mut packed = Vec::with_capacity(new.len());
        for spans in new {
            let body = zstd::bulk::compress(spans.text.as_bytes(), LEVEL);
            packed.push((spans, body.map_err(|error| Error::Disk(error.to_string()))?));
        }
        // In one order, so that two requests do not wait for each other.
        packed.sort_by_key(|(spans, _)| spans.trace);
        let bytes: u64 = packed.iter().map(|(_, body)| body.len() as u64 + ROW_BYTES).sum();
        self.write(|connection| {
            if count_bytes(connection, sender.project, signed(bytes))? > signed(times.project_bytes)
            {
                count_bytes(connection, sender.project, -signed(bytes))?;
                return Ok(KeptSpans::Full);
            }
            let first = next(connection, "open_trace", packed.len() as i64)?;
            let (mut refused, mut refused_bytes) = (0, 0);
            for (key, (spans, body)) in (first..).zip(&packed) {
                if !keep(connection, sender, key, (spans, body), times)? {
                    refused += spans.spans;
                    refused_bytes += body.len() as u64 + ROW_BYTES;
                }
            }
            count_bytes(connection, sender.project, -signed(refused_bytes))?;
            Ok(KeptSpans::Kept { refused })
        })
    }

    /// Takes traces that are due, the oldest first, and has them due again at `lease`, should they not be imported.
    pub fn claim_traces(&self, now: Time, lease: Time) -> Result<Vec<OpenTrace>, Error> {
        self.write(|connection| {
            let sql = format!(
                "UPDATE open_trace SET due_at = $1 WHERE key IN (
                     SELECT key FROM open_trace WHERE due_at <= $2 ORDER BY due_at LIMIT {PAGE_ITEMS}{}
                 ) RETURNING {OPEN_TRACE}",
                connection.dialect().skip_locked()
            );
            let values = [Value::Int(lease.unix_micros()), Value::Int(now.unix_micros())];
            let mut found = connection.rows(&sql, &values, open_trace)?;
            found.sort_by_key(|trace| trace.key);
            Ok(found)
        })
    }

    /// Traces of the same sender and session that were imported, the newest first.
    pub fn imported_traces(
        &self,
        sender: &TraceSender,
        session: &str,
    ) -> Result<Vec<OpenTrace>, Error> {
        let sql = format!(
            "SELECT {OPEN_TRACE} FROM open_trace
             WHERE project = $1 AND session = $2 AND importer = $3 AND holder = $4 AND due_at IS NULL
             ORDER BY key DESC LIMIT {PAGE_ITEMS}"
        );
        let (session, importer) = (key_text(session), key_text(&sender.importer));
        let holder = key_text(sender.holder.as_deref().unwrap_or_default());
        let values = [
            sender.project.into(),
            Value::Text(&session),
            Value::Text(&importer),
            Value::Text(&holder),
        ];
        self.read(|connection| connection.rows(&sql, &values, open_trace))
    }

    /// The spans of a trace: each text that came, in the order in which they came.
    pub fn trace_texts(&self, trace: i64) -> Result<Vec<Vec<u8>>, Error> {
        let sql = "SELECT size, body FROM trace_part WHERE trace = $1 ORDER BY key";
        self.read(|connection| {
            connection.rows(sql, &[trace.into()], |row| {
                let size = usize::try_from(row.int(0)?).unwrap_or(0);
                let body = row.bytes(1)?.unwrap_or_default();
                zstd::bulk::decompress(body, size)
                    .map_err(|error| Error::Damaged(format!("spans of a trace: {error}")))
            })
        })
    }

    /// Notes that traces were imported, but for those of which spans came since they were claimed.
    pub fn end_traces(&self, traces: &[i64], lease: Time) -> Result<(), Error> {
        let sql = "UPDATE open_trace SET due_at = NULL WHERE key = $1 AND due_at = $2";
        self.write(|connection| {
            for key in traces {
                connection.execute(sql, &[Value::Int(*key), Value::Int(lease.unix_micros())])?;
            }
            Ok(())
        })
    }

    /// Has traces be due at once that were claimed and could not be imported.
    pub fn release_traces(&self, traces: &[i64], lease: Time, now: Time) -> Result<(), Error> {
        let sql = "UPDATE open_trace SET due_at = $1 WHERE key = $2 AND due_at = $3";
        let (now, lease) = (now.unix_micros(), lease.unix_micros());
        self.write(|connection| {
            for key in traces {
                connection.execute(sql, &[now.into(), Value::Int(*key), lease.into()])?;
            }
            Ok(())
        })
    }

    /// Forgets traces that were imported and are kept no longer than until `before`; says how many.
    pub fn forget_traces(&self, before: Time) -> Result<u64, Error> {
        let mut forgotten = 0;
        loop {
            let some = self.write(|connection| {
                let sql = format!(
                    "SELECT key, project, bytes FROM open_trace WHERE due_at IS NULL AND forget_at <= $1
                     ORDER BY forget_at LIMIT {PAGE_ITEMS}{}",
                    connection.dialect().skip_locked()
                );
                let found = connection.rows(&sql, &[Value::Int(before.unix_micros())], read_three)?;
                forget(connection, &found)
            })?;
            forgotten += some;
            if some < PAGE_ITEMS as u64 {
                return Ok(forgotten);
            }
        }
    }

    /// How much waits to be imported, of all projects.
    pub fn trace_stats(&self) -> Result<TraceStats, Error> {
        let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(spans), 0) AS BIGINT) FROM open_trace WHERE due_at IS NOT NULL";
        let read = |row: &Row<'_>| {
            Ok(TraceStats { traces: row.int(0)?.unsigned_abs(), spans: row.int(1)?.unsigned_abs() })
        };
        Ok(self.read(|connection| connection.row(sql, &[], read))?.unwrap_or_default())
    }
}

/// Forgets what traces of a project that were imported still hold: what was purged of it is not to be found there.
pub(crate) fn forget_imported(connection: &mut Connection, project: i64) -> Result<(), Error> {
    let sql = "SELECT key, project, bytes FROM open_trace WHERE project = $1 AND due_at IS NULL";
    let found = connection.rows(sql, &[project.into()], read_three)?;
    forget(connection, &found).map(|_| ())
}

/// Forgets all traces of a project.
pub(crate) fn forget_all(connection: &mut Connection, project: i64) -> Result<(), Error> {
    let sql = "SELECT key, project, bytes FROM open_trace WHERE project = $1";
    let found = connection.rows(sql, &[project.into()], read_three)?;
    forget(connection, &found)?;
    let sql = "DELETE FROM counter WHERE name = $1";
    connection.execute(sql, &[Value::Text(&counter(project))]).map(|_| ())
}

fn read_three(row: &Row<'_>) -> Result<[i64; 3], Error> {
    Ok([row.int(0)?, row.int(1)?, row.int(2)?])
}

fn forget(connection: &mut Connection, traces: &[[i64; 3]]) -> Result<u64, Error> {
    for [key, project, bytes] in traces {
        connection.execute("DELETE FROM trace_part WHERE trace = $1", &[Value::Int(*key)])?;
        connection.execute("DELETE FROM open_trace WHERE key = $1", &[Value::Int(*key)])?;
        count_bytes(connection, *project, -bytes)?;
    }
    Ok(traces.len() as u64)
}

fn open_trace(row: &Row<'_>) -> Result<OpenTrace, Error> {
    let holder = Some(row.text(3)?).filter(|holder| !holder.is_empty());
    Ok(OpenTrace {
        key: row.int(0)?,
        sender: TraceSender { project: row.int(1)?, importer: row.text(2)?, holder },
        session: row.text_or_none(4)?,
        size: row.int(5)?.unsigned_abs(),
    })
}

/// Keeps what came of one trace; false if the trace would be too large.
fn keep(
    connection: &mut Connection,
    sender: &TraceSender,
    key: i64,
    (spans, body): (&NewSpans<'_>, &[u8]),
    times: &TraceTimes,
) -> Result<bool, Error> {
    let size = spans.text.len() as u64;
    if size > times.trace_bytes {
        return Ok(false);
    }
    let sql = "INSERT INTO open_trace (key, project, importer, holder, trace, session, has_root, spans, size, bytes, due_at,
                   forget_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
               ON CONFLICT (project, importer, holder, trace) DO UPDATE SET
                   session = COALESCE(excluded.session, open_trace.session),
                   has_root = CASE WHEN open_trace.has_root > excluded.has_root THEN 1 ELSE excluded.has_root END,
                   spans = open_trace.spans + excluded.spans,
                   size = open_trace.size + excluded.size,
                   bytes = open_trace.bytes + excluded.bytes,
                   due_at = CASE WHEN open_trace.has_root = 1 THEN $13 ELSE excluded.due_at END,
                   forget_at = excluded.forget_at
               WHERE open_trace.size + excluded.size <= $14
               RETURNING key";
    let due_at = if spans.has_root { times.whole_at } else { times.partial_at };
    let (importer, trace) = (key_text(&sender.importer), key_text(spans.trace));
    let holder = key_text(sender.holder.as_deref().unwrap_or_default());
    let session = spans.session.map(key_text);
    let values = [
        Value::Int(key),
        sender.project.into(),
        Value::Text(&importer),
        Value::Text(&holder),
        Value::Text(&trace),
        session.as_deref().into(),
        i64::from(spans.has_root).into(),
        signed(spans.spans).into(),
        signed(size).into(),
        signed(body.len() as u64 + ROW_BYTES).into(),
        due_at.unix_micros().into(),
        times.forget_at.unix_micros().into(),
        times.whole_at.unix_micros().into(),
        signed(times.trace_bytes).into(),
    ];
    let Some(trace) = connection.row(sql, &values, |row| row.int(0))? else { return Ok(false) };
    let sql = "INSERT INTO trace_part (key, trace, size, body) VALUES ($1, $2, $3, $4)";
    let values = [key.into(), trace.into(), signed(size).into(), Value::Bytes(body)];
    connection.execute(sql, &values)?;
    Ok(true)
}

/// What counts the bytes of a project's traces.
fn counter(project: i64) -> String {
    format!("traces of {project}")
}

/// Counts bytes of a project's traces, and gives how many there are now.
fn count_bytes(connection: &mut Connection, project: i64, bytes: i64) -> Result<i64, Error> {
    Ok(next(connection, &counter(project), bytes)? + bytes - 1)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
