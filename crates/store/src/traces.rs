//! Spans that a server was sent, on disk until their traces are whole and imported.
//!
//! Spans are committed before the request is answered, so nothing is lost when the server dies. The process that imports a
//! trace postpones the time at which it is due by a lease: if the process dies, the trace is due again. Spans that arrive
//! meanwhile set that time again, so the trace stays due.

use retort_model::Time;
use retort_model::bounds::PAGE_ITEMS;

use crate::columns::{key_text, whole};
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::store::next;

/// Bytes that are counted for the row of each part, besides the compressed spans.
const ROW_BYTES: u64 = 256;

/// How hard spans are compressed: they are read back within minutes.
const LEVEL: i32 = 1;

/// Who sends spans. Traces with the same id from different senders are different traces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceSender {
    /// The number of the project.
    pub project: i64,
    /// The sender's name.
    pub importer: String,
    /// The member who will hold the imported items; none if the sender sees everyone's.
    pub holder: Option<String>,
}

/// Spans of one trace from one request.
#[derive(Clone, Debug)]
pub struct NewSpans<'s> {
    /// The trace's id.
    pub trace: &'s str,
    /// The session, if a span names one.
    pub session: Option<&'s str>,
    /// Whether the root span is among them.
    pub has_root: bool,
    /// How many there are.
    pub spans: u64,
    /// The spans as text.
    pub text: &'s str,
}

/// When traces are due, and how much may wait.
#[derive(Clone, Copy, Debug)]
pub struct TraceTimes {
    /// When a trace is due whose root span has arrived.
    pub whole_at: Time,
    /// When any other trace is due.
    pub partial_at: Time,
    /// Until when a trace is kept.
    pub forget_at: Time,
    /// The most bytes of text of one trace.
    pub trace_bytes: u64,
    /// The most bytes on disk of a project's traces.
    pub project_bytes: u64,
}

/// What became of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptSpans {
    /// They are on disk, except those that were refused.
    Kept {
        /// Spans that were refused, as their traces would be too large.
        refused: u64,
    },
    /// None was kept: the project's traces take up all their space.
    Full,
}

/// A trace that waits to be imported, or was imported and is still kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTrace {
    /// The store's number of it.
    pub key: i64,
    /// Who sent it.
    pub sender: TraceSender,
    /// Its session, if a span names one.
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
        let failed = |error: std::io::Error| Error::Disk(error.to_string());
        let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
        for spans in new {
            packed.push((spans, compressor.compress(spans.text.as_bytes()).map_err(failed)?));
        }
        // Always in the same order, so that two requests cannot deadlock.
        packed.sort_by_key(|(spans, _)| spans.trace);
        let bytes: u64 = packed.iter().map(|(_, body)| body.len() as u64 + ROW_BYTES).sum();
        self.write(|connection| {
            if count_bytes(connection, sender.project, whole(bytes))? > whole(times.project_bytes) {
                count_bytes(connection, sender.project, -whole(bytes))?;
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
            count_bytes(connection, sender.project, -whole(refused_bytes))?;
            Ok(KeptSpans::Kept { refused })
        })
    }

    /// Claims traces that are due, the oldest first. They are due again at `lease`, in case they are not imported.
    pub fn claim_traces(&self, now: Time, lease: Time) -> Result<Vec<OpenTrace>, Error> {
        if !self.has_traces("due_at <= $1", now)? {
            return Ok(Vec::new());
        }
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

    /// Imported traces of this sender and session that are still kept, the newest first.
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

    /// The texts of a trace's spans, in the order in which they arrived.
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

    /// Notes that traces were imported, except those that received spans since they were claimed.
    pub fn end_traces(&self, traces: &[i64], lease: Time) -> Result<(), Error> {
        let sql = "UPDATE open_trace SET due_at = NULL WHERE key = $1 AND due_at = $2";
        self.write(|connection| {
            for key in traces {
                connection.execute(sql, &[Value::Int(*key), Value::Int(lease.unix_micros())])?;
            }
            Ok(())
        })
    }

    /// Makes traces due at once that were claimed and could not be imported.
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

    /// Deletes imported traces that need not be kept beyond `before`; returns how many.
    pub fn forget_traces(&self, before: Time) -> Result<u64, Error> {
        const OLD: &str = "due_at IS NULL AND forget_at <= $1";
        let mut forgotten = 0;
        while self.has_traces(OLD, before)? {
            let some = self.write(|connection| {
                let sql = format!(
                    "SELECT key, project, bytes FROM open_trace WHERE {OLD}
                     ORDER BY forget_at LIMIT {PAGE_ITEMS}{}",
                    connection.dialect().skip_locked()
                );
                let found = connection.rows(&sql, &[before.unix_micros().into()], stored_trace)?;
                forget(connection, &found)
            })?;
            forgotten += some;
            if some < PAGE_ITEMS as u64 {
                break;
            }
        }
        Ok(forgotten)
    }

    /// Whether there are such traces. A server asks twice a second, and mostly there are none: it need not wait for others
    /// that write.
    fn has_traces(&self, condition: &str, at: Time) -> Result<bool, Error> {
        let sql = format!("SELECT key FROM open_trace WHERE {condition} LIMIT 1");
        let values = [at.unix_micros().into()];
        let found = self.read(|connection| connection.row(&sql, &values, |row| row.int(0)))?;
        Ok(found.is_some())
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

/// Deletes a project's imported traces, as they hold copies of what was purged.
pub(crate) fn forget_imported(connection: &mut Connection, project: i64) -> Result<(), Error> {
    let sql = "SELECT key, project, bytes FROM open_trace WHERE project = $1 AND due_at IS NULL";
    let found = connection.rows(sql, &[project.into()], stored_trace)?;
    forget(connection, &found).map(|_| ())
}

/// Deletes the traces of a project that a person sent or will hold; how many.
pub(crate) fn forget_held(
    connection: &mut Connection,
    project: i64,
    name: &str,
) -> Result<u64, Error> {
    let sql = "SELECT key, project, bytes FROM open_trace WHERE project = $1 AND (holder = $2 OR importer = $2)";
    let found = connection.rows(sql, &[project.into(), name.into()], stored_trace)?;
    forget(connection, &found)
}

/// Deletes all traces of a project.
pub(crate) fn forget_all(connection: &mut Connection, project: i64) -> Result<(), Error> {
    let sql = "SELECT key, project, bytes FROM open_trace WHERE project = $1";
    let found = connection.rows(sql, &[project.into()], stored_trace)?;
    forget(connection, &found)?;
    let sql = "DELETE FROM counter WHERE name = $1";
    connection.execute(sql, &[Value::Text(&counter(project))]).map(|_| ())
}

/// The columns `key`, `project` and `bytes` of a trace.
fn stored_trace(row: &Row<'_>) -> Result<[i64; 3], Error> {
    Ok([row.int(0)?, row.int(1)?, row.int(2)?])
}

fn forget(connection: &mut Connection, traces: &[[i64; 3]]) -> Result<u64, Error> {
    for &[key, project, bytes] in traces {
        connection.execute("DELETE FROM trace_part WHERE trace = $1", &[key.into()])?;
        connection.execute("DELETE FROM open_trace WHERE key = $1", &[key.into()])?;
        count_bytes(connection, project, -bytes)?;
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

/// Keeps spans of one trace; false if the trace would be too large.
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
        whole(spans.spans).into(),
        whole(size).into(),
        whole(body.len() as u64 + ROW_BYTES).into(),
        due_at.unix_micros().into(),
        times.forget_at.unix_micros().into(),
        times.whole_at.unix_micros().into(),
        whole(times.trace_bytes).into(),
    ];
    let Some(trace) = connection.row(sql, &values, |row| row.int(0))? else { return Ok(false) };
    let sql = "INSERT INTO trace_part (key, trace, size, body) VALUES ($1, $2, $3, $4)";
    let values = [key.into(), trace.into(), whole(size).into(), Value::Bytes(body)];
    connection.execute(sql, &values)?;
    Ok(true)
}

/// The name of the counter of a project's bytes of traces.
fn counter(project: i64) -> String {
    format!("traces of {project}")
}

/// Adds to the bytes of a project's traces; returns how many there are now.
fn count_bytes(connection: &mut Connection, project: i64, bytes: i64) -> Result<i64, Error> {
    Ok(next(connection, &counter(project), bytes)? + bytes - 1)
}
