//! Live traces: spans are stored as applications send them, and imported once their trace is complete.
//!
//! Spans of one trace arrive from several exporters, in any order and possibly more than once. A trace is imported a few
//! seconds after its root span arrived, which ends last, or when no spans have arrived for longer. It is read like a trace
//! in a file, together with the recently imported traces of its session. Later spans cause another import while the trace
//! is still kept; after that, they are merged into its run.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use retort_engine::pipeline::Nobody;
use retort_engine::{Input, ReadOptions};
use retort_formats::import::by_name;
use retort_formats::import::otlp_protobuf::{Signal, to_json};
use retort_formats::import::otlp_request::{SplitRequest, split};
use retort_model::bounds::REQUEST_UNPACKED_BYTES;
use retort_model::{Action, Grant, Scope, Time};
use retort_store::{KeptSpans, NewAudit, NewSpans, OpenTrace, TraceSender, TraceStats, TraceTimes};

use crate::caller::Caller;
use crate::clock::later;
use crate::error::Error;
use crate::import::{Destination, ImportPlan};
use crate::memory;
use crate::service::Service;

/// How long a trace waits after its root span arrived: exporters usually send every five seconds.
const WHOLE: Duration = Duration::from_secs(10);

/// How long a trace waits for its root span: longer than one call of a model takes.
const PARTIAL: Duration = Duration::from_secs(120);

/// How long a trace is kept after its last spans arrived, for late spans and for the next trace of its session.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// How long an import of traces may take before another process takes over.
const LEASE: Duration = Duration::from_secs(120);

/// Bytes of traces that are imported at once, besides those of their sessions: half of what a request may unpack to.
const IMPORT_BYTES: u64 = REQUEST_UNPACKED_BYTES / 2;

/// Bytes of earlier traces of the same sessions that are read with them.
const SESSION_BYTES: u64 = REQUEST_UNPACKED_BYTES / 4;

/// The name of an import of traces in reports and in the audit log.
const LABEL: &str = "traces";

/// A request of an exporter.
pub struct SpansRequest {
    /// The body.
    pub body: Vec<u8>,
    /// Whether it is compressed with gzip.
    pub is_gzip: bool,
    /// Whether it is JSON instead of protobuf.
    pub is_json: bool,
}

/// The result of a request with spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpansTaken {
    /// Spans that are stored.
    pub taken: u64,
    /// Spans that are refused for good.
    pub refused: u64,
    /// Why they are refused.
    pub why: Option<String>,
}

/// The result of an import of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracesImported {
    /// Traces that were due.
    pub traces: u64,
    /// Items that could not be read or stored.
    pub refused: u64,
}

impl Service {
    /// Stores the spans of a request until their traces are complete. Once this returns, they are on disk.
    ///
    /// # Errors
    /// The request cannot be read; the caller may not write; the project's traces take up all their space.
    pub fn take_spans(&self, caller: &Caller, request: SpansRequest) -> Result<SpansTaken, Error> {
        self.noting_refusal(caller, Action::Import, LABEL, || caller.needs(Grant::Write))?;
        self.check_room(caller)?;
        let SplitRequest { traces, without_trace } = read(request)?;
        let spans: u64 = traces.iter().map(|trace| trace.spans).sum();
        let new: Vec<_> = traces
            .iter()
            .map(|trace| NewSpans {
                trace: &trace.trace,
                session: trace.session.as_deref(),
                has_root: trace.has_root,
                spans: trace.spans,
                text: &trace.text,
            })
            .collect();
        let sender = TraceSender {
            project: caller.project.id,
            importer: caller.name.clone(),
            holder: caller.scope().owner,
        };
        let too_large = self.keep(&sender, &new)?;
        let mut whys = Vec::new();
        if without_trace > 0 {
            whys.push("spans without a trace id".to_owned());
        }
        if too_large > 0 {
            let most = self.settings.quotas.item_bytes / 1_000_000;
            whys.push(format!("spans of a trace that is larger than {most} MB"));
        }
        let why = Some(whys.join(", and ")).filter(|why| !why.is_empty());
        Ok(SpansTaken { taken: spans - too_large, refused: without_trace + too_large, why })
    }

    /// Stores spans; returns how many are refused because their trace would be too large.
    fn keep(&self, sender: &TraceSender, new: &[NewSpans<'_>]) -> Result<u64, Error> {
        if new.is_empty() {
            return Ok(0);
        }
        let (now, quotas) = (self.clock.now(), self.settings.quotas);
        let times = TraceTimes {
            whole_at: later(now, WHOLE),
            partial_at: later(now, PARTIAL),
            forget_at: later(now, KEPT),
            trace_bytes: quotas.item_bytes as u64,
            project_bytes: quotas.trace_bytes,
        };
        let mut kept = self.store.keep_spans(sender, new, &times)?;
        if kept == KeptSpans::Full {
            // Imported traces make room for new ones.
            self.store.forget_traces(later(now, KEPT))?;
            kept = self.store.keep_spans(sender, new, &times)?;
        }
        match kept {
            KeptSpans::Kept { refused } => Ok(refused),
            KeptSpans::Full => Err(Error::TooMany(format!(
                "{} MB of spans are already waiting to be imported; send these again later",
                quotas.trace_bytes / 1_000_000
            ))),
        }
    }

    /// Imports the traces of all projects that are due, and deletes those that were imported a while ago.
    ///
    /// # Errors
    /// Failing I/O or a failing store: traces that were not imported are due again.
    pub fn import_traces(&self, stopped: &AtomicBool) -> Result<TracesImported, Error> {
        let now = self.clock.now();
        let lease = later(now, LEASE);
        let mut done = TracesImported::default();
        let mut by_sender: HashMap<TraceSender, Vec<OpenTrace>> = HashMap::new();
        let claimed = self.store.claim_traces(now, lease)?;
        for trace in &claimed {
            by_sender.entry(trace.sender.clone()).or_default().push(trace.clone());
        }
        for (sender, traces) in &by_sender {
            for some in by_bytes(traces, IMPORT_BYTES) {
                let keys: Vec<_> = some.iter().map(|trace| trace.key).collect();
                match self.import_some(sender, some, now, stopped) {
                    Ok(refused) => {
                        self.store.end_traces(&keys, lease)?;
                        done.traces += keys.len() as u64;
                        done.refused += refused;
                    }
                    Err(error) => {
                        let all: Vec<_> = claimed.iter().map(|trace| trace.key).collect();
                        self.store.release_traces(&all, lease, now)?;
                        return Err(error);
                    }
                }
            }
        }
        self.store.forget_traces(now)?;
        Ok(done)
    }

    /// How much waits to be imported, of all projects.
    pub fn trace_stats(&self) -> Result<TraceStats, Error> {
        Ok(self.store.trace_stats()?)
    }

    /// Imports traces of one sender, with those of their sessions; returns how many items were refused.
    fn import_some(
        &self,
        sender: &TraceSender,
        traces: &[OpenTrace],
        now: Time,
        stopped: &AtomicBool,
    ) -> Result<u64, Error> {
        let mut lines = Vec::new();
        for trace in self.beside(sender, traces)?.iter().chain(traces) {
            for text in self.store.trace_texts(trace.key)? {
                lines.extend(text);
                lines.push(b'\n');
            }
        }
        let plan = ImportPlan {
            inputs: vec![Input::Bytes(lines.into(), LABEL.into())],
            from: by_name("otlp"),
            owner: None,
            adopts: true,
            namespace: None,
            replace: false,
            keeps_files: false,
            threads: self.settings.threads,
            dry_run: false,
            names: false,
            reading: ReadOptions::default(),
        };
        let scope = Scope { owner: sender.holder.clone(), ..Scope::project(sender.project) };
        let to = Destination { store: &self.store, scope: &scope, importer: &sender.importer, now };
        let report = crate::import::import(&to, &plan, &Nobody, stopped, &mut io::sink())?;
        let entry = NewAudit {
            project: Some(sender.project),
            person: Some(&sender.importer),
            action: Action::Import,
            object: LABEL,
            is_refused: false,
            address: None,
            request: None,
        };
        self.write_audit(&entry)?;
        Ok(report.refused_count() + report.foreign + report.erased)
    }

    /// Recently imported traces of the same sessions: a conversation is read from all of its traces.
    fn beside(&self, sender: &TraceSender, traces: &[OpenTrace]) -> Result<Vec<OpenTrace>, Error> {
        let sessions: BTreeSet<_> =
            traces.iter().filter_map(|trace| trace.session.as_deref()).collect();
        let (mut beside, mut bytes) = (Vec::new(), 0);
        for session in sessions {
            for trace in self.store.imported_traces(sender, session)? {
                bytes += trace.size;
                if bytes > SESSION_BYTES {
                    return Ok(beside);
                }
                beside.push(trace);
            }
        }
        Ok(beside)
    }
}

/// Cuts a list of traces into pieces of at most so many bytes, each with at least one trace.
fn by_bytes(traces: &[OpenTrace], most: u64) -> impl Iterator<Item = &[OpenTrace]> {
    let mut bytes = 0;
    traces.chunk_by(move |trace, next| {
        bytes += trace.size;
        let fits = bytes + next.size <= most;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

/// The traces of a request.
fn read(request: SpansRequest) -> Result<SplitRequest, Error> {
    let SpansRequest { mut body, is_gzip, is_json } = request;
    if is_gzip {
        body = unpacked(&body)?;
    }
    let text = if is_json {
        String::from_utf8(body).map_err(|_| Error::Choice("the body is not UTF-8".into()))?
    } else {
        to_json(Signal::Traces, &body).map_err(|error| Error::Choice(error.to_string()))?
    };
    split(&text).map_err(|error| Error::Choice(format!("the body is not OTLP in JSON: {error}")))
}

/// The body, unpacked.
fn unpacked(body: &[u8]) -> Result<Vec<u8>, Error> {
    memory::take(REQUEST_UNPACKED_BYTES.min(body.len() as u64 * 16))?;
    let mut bytes = Vec::new();
    let mut input = flate2::read::MultiGzDecoder::new(body).take(REQUEST_UNPACKED_BYTES + 1);
    input
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Choice(format!("the body's gzip: {error}")))?;
    if bytes.len() as u64 > REQUEST_UNPACKED_BYTES {
        let most = REQUEST_UNPACKED_BYTES >> 20;
        return Err(Error::Choice(format!(
            "the body unpacks to more than {most} MiB; send smaller batches"
        )));
    }
    Ok(bytes)
}
