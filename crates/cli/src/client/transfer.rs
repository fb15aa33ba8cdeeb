//! What is large: histories sent, archives brought here, jobs followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE,
};
use reqwest::{Body, Method, Response, StatusCode};
use retort_service::{EngineError, Observer, Progress};
use retort_web::wire;
use tokio::sync::mpsc;

use super::{
    Client, ClientError, HEARING, IDEMPOTENCY_KEY, Query, SILENCE, Source, TRIES, WAIT, with_header,
};

/// Bytes of a history that are read at a time, and how often that waits to be sent.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_WAITING: usize = 4;

/// Largest event of a job: its report lists a bounded number of findings.
const EVENT_BYTES: usize = 16 << 20;

/// How long a server may be away while a job of it is followed.
const AWAY: Duration = Duration::from_secs(60);

impl Client {
    /// Sends a history to be imported; none if the person wants it to stop. One that broke off is sent again, which
    /// its key makes one import.
    pub fn upload(
        &self,
        source: &Source,
        query: &Query<'_>,
        key: &str,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<wire::Job>, ClientError> {
        self.unless(stopped, async {
            for tried in 1.. {
                let is_last = tried == TRIES || matches!(source, Source::Stdin);
                match self.upload_once(source, query, key, observer).await {
                    Err(error) if !is_last && may_pass(&error) => {
                        tokio::time::sleep(wait_of(&error)).await;
                    }
                    sent => return sent,
                }
            }
            unreachable!("a try is the last")
        })
    }

    async fn upload_once(
        &self,
        source: &Source,
        query: &Query<'_>,
        key: &str,
        observer: &dyn Observer,
    ) -> Result<wire::Job, ClientError> {
        let (input, bytes): (Box<dyn Read + Send>, Option<u64>) = match source {
            Source::Stdin => (Box::new(io::stdin()), None),
            Source::File(path) => {
                let fail = |error| ClientError::Broken(EngineError::read(path, error).to_string());
                let file = File::open(path).map_err(fail)?;
                let metadata = file.metadata().map_err(fail)?;
                // What is in a pipe has no length.
                let bytes = metadata.is_file().then_some(metadata.len());
                (Box::new(file.take(bytes.unwrap_or(u64::MAX))), bytes)
            }
        };
        let sent = Arc::new(AtomicU64::new(0));
        let body = body_of(input, Arc::clone(&sent));
        let request = self.request(Method::POST, &["imports"], query.clone())?;
        let request = with_header(request, IDEMPOTENCY_KEY, key);
        let mut request = with_header(request, CONTENT_TYPE, "application/octet-stream");
        *request.body_mut() = Some(body);
        if let Some(bytes) = bytes {
            request.headers_mut().insert(CONTENT_LENGTH, bytes.into());
        }
        let telling = async {
            loop {
                let read_bytes = sent.load(Ordering::Relaxed);
                let total_bytes = bytes.unwrap_or(read_bytes);
                observer.progress(Progress { read_bytes, total_bytes, records: 0 });
                tokio::time::sleep(HEARING).await;
            }
        };
        let response = tokio::select! {
            response = self.once(request) => response?,
            () = telling => unreachable!("it tells for ever"),
        };
        let bytes = response.bytes().await.map_err(|error| self.broken(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            ClientError::Broken(format!("the server's response does not name a job: {error}"))
        })
    }

    /// Follows a job until it ends; none if the person wants it to stop.
    pub fn follow(
        &self,
        job: &wire::Job,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<wire::Job>, ClientError> {
        if job.is_ended() {
            return Ok(Some(job.clone()));
        }
        self.unless(stopped, async {
            let mut away = Duration::ZERO;
            loop {
                match self.events(job, observer).await {
                    Ok(Some(ended)) => return Ok(ended),
                    // The server has stopped in between: another, or the same, goes on.
                    Ok(None) => away = Duration::ZERO,
                    Err(error) if may_pass(&error) && away < AWAY => {}
                    Err(ClientError::Broken(why)) => {
                        let id = job.id;
                        return Err(ClientError::Broken(format!(
                            "{why}; job {id} continues on the server, and `retort jobs watch {id}` follows it"
                        )));
                    }
                    Err(error) => return Err(error),
                }
                let wait = Duration::from_secs(1);
                away += wait;
                tokio::time::sleep(wait).await;
            }
        })
    }

    /// The job when it has ended; none if the stream of its events did before.
    async fn events(
        &self,
        job: &wire::Job,
        observer: &dyn Observer,
    ) -> Result<Option<wire::Job>, ClientError> {
        let path = [&*format!("{}s", job.kind), &job.id.to_string(), "events"];
        let mut response = self.sent(self.request(Method::GET, &path, Query::new())?).await?;
        let mut text = Vec::new();
        loop {
            // What breaks off after it began is taken up again.
            let Ok(Some(piece)) = self.piece(&mut response).await else { return Ok(None) };
            text.extend_from_slice(&piece);
            while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = text.drain(..end + 2).collect();
                let Some((is_end, job)) = read_event(&event) else { continue };
                if is_end {
                    return Ok(Some(job));
                }
                observer.progress(Progress {
                    read_bytes: job.bytes.done,
                    total_bytes: job.bytes.total,
                    records: job.records,
                });
            }
            if text.len() > EVENT_BYTES {
                return Err(ClientError::Broken("an event of the job is too long".into()));
            }
        }
    }

    /// The next bytes of an answer.
    async fn piece(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, ClientError> {
        match tokio::time::timeout(self.patience(SILENCE), response.chunk()).await {
            Ok(piece) => piece.map_err(|error| self.broken(&error)),
            Err(_) => Err(ClientError::Broken(format!("`{}` stopped answering", self.url()))),
        }
    }

    /// Writes the archive of a dataset; says how many bytes it has, or none if the person wants it to stop. One that
    /// breaks off goes on where it did.
    pub fn download(
        &self,
        id: i64,
        out: &mut dyn Write,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<u64>, ClientError> {
        self.unless(stopped, async {
            let mut got = Got::default();
            let mut failures = 0;
            loop {
                let before = got.bytes;
                match self.download_on(id, &mut got, out, observer).await {
                    Ok(()) => return Ok(got.bytes),
                    Err(error) if may_pass(&error) => {
                        failures = if got.bytes > before { 1 } else { failures + 1 };
                        if failures >= TRIES {
                            return Err(error);
                        }
                        tokio::time::sleep(wait_of(&error)).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// Writes what is still to come of an archive.
    async fn download_on(
        &self,
        id: i64,
        got: &mut Got,
        out: &mut dyn Write,
        observer: &dyn Observer,
    ) -> Result<(), ClientError> {
        let path = ["datasets", &id.to_string(), "download"];
        let mut request = self.request(Method::GET, &path, Query::new())?;
        if let Some(etag) = got.etag.as_ref().filter(|_| got.bytes > 0) {
            request = with_header(request, RANGE, &format!("bytes={}-", got.bytes));
            request = with_header(request, IF_RANGE, etag);
        }
        let mut response = self.sent(request).await?;
        let total = got.begin(response.status(), response.headers())?;
        while let Some(piece) = self.piece(&mut response).await? {
            out.write_all(&piece).map_err(ClientError::Output)?;
            got.bytes += piece.len() as u64;
            observer.progress(Progress { read_bytes: got.bytes, total_bytes: total, records: 0 });
        }
        match got.bytes == total {
            true => Ok(()),
            false => {
                Err(ClientError::Broken(format!("the download has {} of {total} bytes", got.bytes)))
            }
        }
    }

    /// Writes the list of what an import could not read.
    pub fn rejects(&self, job: i64, out: &mut dyn Write) -> Result<(), ClientError> {
        self.copy(&["imports", &job.to_string(), "rejects"], Query::new(), out)
    }

    /// Writes an answer as it comes; for what is not known to be the same a second time.
    pub fn copy(
        &self,
        path: &[&str],
        query: Query<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ClientError> {
        let request = self.request(Method::GET, path, query)?;
        self.runtime.block_on(async {
            let mut response = self.sent(request).await?;
            while let Some(piece) = self.piece(&mut response).await? {
                out.write_all(&piece).map_err(ClientError::Output)?;
            }
            Ok(())
        })
    }
}

/// What has come of a download.
#[derive(Default)]
struct Got {
    bytes: u64,
    total: Option<u64>,
    etag: Option<String>,
}

impl Got {
    /// Holds an answer's beginning against what has come before; says how many bytes there are in all.
    fn begin(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<u64, ClientError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let etag = text(ETAG).map(str::to_owned);
        let total = if status == StatusCode::PARTIAL_CONTENT {
            let range = text(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes "));
            let parts = range.and_then(|range| range.split_once('/'));
            let total = parts.and_then(|(_, total)| total.parse().ok());
            let start = parts.and_then(|(range, _)| range.split_once('-'));
            let start = start.and_then(|(start, _)| start.parse::<u64>().ok());
            total.filter(|_| start == Some(self.bytes))
        } else {
            text(CONTENT_LENGTH).and_then(|length| length.parse().ok()).filter(|_| self.bytes == 0)
        };
        let Some(total) = total else {
            return Err(ClientError::Ended(
                "the server cannot continue the download; start it again".into(),
            ));
        };
        if self.bytes > 0 && (self.total != Some(total) || self.etag != etag) {
            return Err(ClientError::Ended(
                "the dataset has changed in the meantime; start the download again".into(),
            ));
        }
        (self.total, self.etag) = (Some(total), etag);
        Ok(total)
    }
}

/// An event's job, and whether it is the last.
fn read_event(event: &[u8]) -> Option<(bool, wire::Job)> {
    let text = std::str::from_utf8(event).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let job = serde_json::from_str(field("data: ")?).ok()?;
    Some((field("event: ")? == "end", job))
}

fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Broken(_) => true,
        ClientError::Refused(refusal) => {
            refusal.may_pass(WAIT) || refusal.slug == "idempotency-under-way"
        }
        ClientError::Local(_) | ClientError::Ended(_) | ClientError::Output(_) => false,
    }
}

fn wait_of(error: &ClientError) -> Duration {
    match error {
        ClientError::Refused(refusal) => refusal.wait.unwrap_or(WAIT / 10),
        _ => WAIT / 10,
    }
}

/// A body that is read as it is sent.
pub(super) fn body_of(mut input: Box<dyn Read + Send>, sent: Arc<AtomicU64>) -> Body {
    let (send, receive) = mpsc::channel::<io::Result<Vec<u8>>>(PIECES_WAITING);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match input.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => break,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece)
                }
                Err(error) => Err(error),
            };
            if send.blocking_send(read).is_err() {
                break;
            }
        }
    });
    let pieces = futures_util::stream::unfold((receive, sent), |(mut receive, sent)| async move {
        let piece = receive.recv().await?;
        if let Ok(piece) = &piece {
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        Some((piece, (receive, sent)))
    });
    Body::wrap_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn a_download_goes_on_only_with_the_same_bytes() {
        let whole = headers(&[("content-length", "10"), ("etag", "\"a\"")]);
        let mut got = Got::default();
        assert_eq!(got.begin(StatusCode::OK, &whole).unwrap(), 10);
        got.bytes = 4;
        let rest = headers(&[("content-range", "bytes 4-9/10"), ("etag", "\"a\"")]);
        assert_eq!(got.begin(StatusCode::PARTIAL_CONTENT, &rest).unwrap(), 10);
        for (status, other) in [
            (200, whole),
            (206, headers(&[("content-range", "bytes 4-9/10"), ("etag", "\"b\"")])),
            (206, headers(&[("content-range", "bytes 4-10/11"), ("etag", "\"a\"")])),
            (206, headers(&[("content-range", "bytes 0-9/10"), ("etag", "\"a\"")])),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(got.begin(status, &other).is_err(), "{other:?}");
        }
    }
}
