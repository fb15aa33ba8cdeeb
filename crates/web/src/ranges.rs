//! Downloads: a file that is written on the way, whole or in part. A download that breaks off can be taken up again.

mod asked;
mod attachment;

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use retort_service::file::ReadSeek;
use retort_service::{EngineError, Error};
use tokio::sync::mpsc;
use utoipa::IntoParams;

use crate::blocking::Gate;
use crate::bounds::{DOWNLOAD_CHUNK_BYTES, DOWNLOAD_CHUNKS_WAITING, DOWNLOAD_NICENESS};
use crate::problem::Problem;
use crate::requests::IsDownload;
use crate::threads::stand_back;
use asked::{Asked, asked};

pub use attachment::attachment;

/// The headers of a request for a part of a file, for the API's description.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers, which `asked` reads")]
pub struct ByteRange {
    /// The bytes to answer with, such as `bytes=0-1023`; without it all.
    #[param(rename = "Range", required = false)]
    range: Option<String>,
    /// Answer with the whole file instead of the range, unless its `ETag` is this one.
    #[param(rename = "If-Range", required = false)]
    if_range: Option<String>,
    /// Answer with 412, unless the file's `ETag` is one of these.
    #[param(rename = "If-Match", required = false)]
    if_match: Option<String>,
    /// Answer with 304, if the file's `ETag` is one of these.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: Option<String>,
}

/// A file that can be had.
pub struct Offer<'a> {
    /// Its bytes.
    pub total_bytes: u64,
    /// What stands for just these bytes, without quotes: a hash, or an id with a version.
    pub etag: &'a str,
    /// What it is saved as.
    pub file_name: &'a str,
    /// Its type.
    pub media_type: &'a str,
}

/// The answer to a `GET` or `HEAD` of the file. `write` runs on a thread of its own, with a turn at the gate, and
/// gets an error from its output soon after the client has gone.
///
/// # Errors
/// No such range, or a precondition that does not hold; no turn in time; `write` failed before its first byte. If it
/// fails later, the connection breaks.
pub async fn download<W>(
    gate: &Gate,
    method: &Method,
    headers: &HeaderMap,
    offer: &Offer<'_>,
    write: W,
) -> Result<Response, Problem>
where
    W: FnOnce(Range<u64>, &mut dyn Write) -> Result<(), Error> + Send + 'static,
{
    let total_bytes = offer.total_bytes;
    let etag = format!("\"{}\"", offer.etag);
    let range = match asked(method, headers, &etag, total_bytes) {
        Asked::Whole => None,
        Asked::Part(range) => Some(range),
        Asked::NotModified => return answer(StatusCode::NOT_MODIFIED, &etag, Body::empty()),
        Asked::PreconditionFailed => return Err(Problem::precondition_failed()),
        Asked::NotSatisfiable => return Err(Problem::range_not_satisfiable(total_bytes)),
    };
    let status = range.as_ref().map_or(StatusCode::OK, |_| StatusCode::PARTIAL_CONTENT);
    let content_range =
        range.as_ref().map(|part| format!("bytes {}-{}/{total_bytes}", part.start, part.end - 1));
    let range = range.unwrap_or(0..total_bytes);
    let bytes = range.end - range.start;
    let body = if method == Method::HEAD || bytes == 0 {
        Body::empty()
    } else {
        begin(gate, range, write).await?
    };
    let mut response = answer(status, &etag, body)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, value(offer.media_type)?);
    headers.insert(CONTENT_DISPOSITION, attachment(offer.file_name));
    headers.insert(CONTENT_LENGTH, bytes.into());
    if let Some(range) = content_range {
        headers.insert(CONTENT_RANGE, value(&range)?);
    }
    Ok(response)
}

/// An answer of so many bytes that `write` writes on a thread of its own, as [`download`] does.
///
/// # Errors
/// No turn in time; `write` failed before its first byte. If it fails later, the connection breaks.
pub async fn stream<W>(
    gate: &Gate,
    media_type: &'static str,
    bytes: u64,
    write: W,
) -> Result<Response, Problem>
where
    W: FnOnce(&mut dyn Write) -> Result<(), Error> + Send + 'static,
{
    let mut response = Response::new(begin(gate, 0..bytes, |_, out| write(out)).await?);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, bytes.into());
    Ok(response)
}

/// Writes a range of a file's bytes; `what` names both ends where one of them fails.
///
/// # Errors
/// The file cannot be read, or the client has gone.
pub fn copy_range(
    mut file: Box<dyn ReadSeek>,
    range: Range<u64>,
    out: &mut dyn Write,
    what: &'static str,
) -> Result<(), Error> {
    let fail = |source| EngineError::Failed { what, source };
    file.seek(SeekFrom::Start(range.start)).map_err(fail)?;
    let mut part = file.take(range.end.saturating_sub(range.start));
    io::copy(&mut part, out).map_err(fail)?;
    Ok(())
}

fn answer(status: StatusCode, etag: &str, body: Body) -> Result<Response, Problem> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ETAG, value(etag)?);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.extensions_mut().insert(IsDownload);
    Ok(response)
}

fn value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(Problem::internal)
}

/// Starts the writer, and waits for its first bytes: until then a failure can still be told.
async fn begin<W>(gate: &Gate, range: Range<u64>, write: W) -> Result<Body, Problem>
where
    W: FnOnce(Range<u64>, &mut dyn Write) -> Result<(), Error> + Send + 'static,
{
    let permit = gate.enter().await?;
    let bytes = range.end - range.start;
    let (sender, mut receiver) = mpsc::channel(DOWNLOAD_CHUNKS_WAITING);
    let writing = move || {
        let _permit = permit;
        stand_back(DOWNLOAD_NICENESS);
        let mut pipe = Pipe { sender, chunk: Vec::new(), room: bytes };
        let written = write(range, &mut pipe).map_err(Problem::from).and_then(|()| pipe.finish());
        if let Err(problem) = written {
            // Nobody is there to hear it if the client has gone.
            let _ = pipe.sender.blocking_send(Err(problem));
        }
    };
    // A thread of its own, as its priority cannot be raised again.
    let begun = std::thread::Builder::new().name("download".into()).spawn(writing);
    begun.map_err(Problem::internal)?;
    match receiver.recv().await {
        Some(Ok(first)) => Ok(Body::new(Written { next: Some(first), receiver, left: bytes })),
        Some(Err(problem)) => Err(problem),
        None => Err(Problem::internal("a download's writer panicked")),
    }
}

type Chunk = Result<Bytes, Problem>;

/// Where the writer writes: chunk by chunk into a channel, which holds it back while the network is busy.
struct Pipe {
    sender: mpsc::Sender<Chunk>,
    chunk: Vec<u8>,
    room: u64,
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.chunk));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
        self.sender.blocking_send(Ok(chunk)).map_err(gone)
    }

    fn finish(&mut self) -> Result<(), Problem> {
        if self.room > 0 {
            return Err(Problem::internal(format!("a download ended {} bytes short", self.room)));
        }
        self.send().map_err(Problem::internal)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.room {
            return Err(io::Error::other("a download is longer than was announced"));
        }
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(DOWNLOAD_CHUNK_BYTES);
        }
        let most = bytes.len().min(DOWNLOAD_CHUNK_BYTES - self.chunk.len());
        let (now, _) = bytes.split_at_checked(most).unwrap_or((bytes, &[]));
        self.chunk.extend_from_slice(now);
        self.room -= now.len() as u64;
        if self.chunk.len() == DOWNLOAD_CHUNK_BYTES {
            self.send()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// The writer's bytes as a body. Fewer than were announced are an error, so that no part passes for the whole.
struct Written {
    next: Option<Bytes>,
    receiver: mpsc::Receiver<Chunk>,
    left: u64,
}

impl HttpBody for Written {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = match self.next.take() {
            Some(chunk) => Some(Ok(chunk)),
            None => ready!(self.receiver.poll_recv(cx)),
        };
        Poll::Ready(Some(match chunk {
            Some(Ok(chunk)) => {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                Ok(Frame::data(chunk))
            }
            Some(Err(problem)) => Err(Broken(problem.cause().unwrap_or_default().to_owned())),
            None => Err(Broken("the writer panicked".into())),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Why a download broke off, for the log.
#[derive(Debug, thiserror::Error)]
#[error("the download broke off: {0}")]
struct Broken(String);

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use axum::body::to_bytes;
    use axum::http::header::{IF_NONE_MATCH, RANGE};
    use http_body_util::BodyExt;

    use super::*;

    const TOTAL: usize = 3 * DOWNLOAD_CHUNK_BYTES + 7;

    const OFFER: Offer<'_> = Offer {
        total_bytes: TOTAL as u64,
        etag: "abc",
        file_name: "a.zip",
        media_type: "application/zip",
    };

    fn content() -> Vec<u8> {
        (0..TOTAL).map(|at| (at % 251) as u8).collect()
    }

    fn write_content(range: Range<u64>, out: &mut dyn Write) -> Result<(), Error> {
        let range = range.start as usize..range.end as usize;
        out.write_all(&content()[range]).map_err(gone)
    }

    fn gone(source: io::Error) -> Error {
        EngineError::Failed { what: "the connection", source }.into()
    }

    async fn get<W>(
        method: Method,
        headers: &[(axum::http::HeaderName, &str)],
        write: W,
    ) -> Result<Response, Problem>
    where
        W: FnOnce(Range<u64>, &mut dyn Write) -> Result<(), Error> + Send + 'static,
    {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let headers: HeaderMap = headers.collect();
        download(&Gate::new(1), &method, &headers, &OFFER, write).await
    }

    #[tokio::test]
    async fn any_range_has_its_bytes_and_says_which() {
        for (range, status, part) in [
            (None, 200, 0..TOTAL),
            (Some("bytes=0-0"), 206, 0..1),
            (Some("bytes=1-"), 206, 1..TOTAL),
            (Some("bytes=-8"), 206, TOTAL - 8..TOTAL),
            (Some("bytes=131000-132000"), 206, 131_000..132_001),
        ] {
            let headers: Vec<_> = range.map(|range| (RANGE, range)).into_iter().collect();
            let response = get(Method::GET, &headers, write_content).await.unwrap();
            assert_eq!(response.status(), status, "{range:?}");
            let headers = response.headers().clone();
            assert_eq!(headers["etag"], "\"abc\"");
            assert_eq!(headers["accept-ranges"], "bytes");
            assert_eq!(headers["content-type"], "application/zip");
            assert_eq!(headers["content-length"], part.len().to_string());
            assert_eq!(headers["content-disposition"], "attachment; filename=\"a.zip\"");
            let said = headers.get("content-range").map(|value| value.to_str().unwrap().to_owned());
            let expect = range.map(|_| format!("bytes {}-{}/{TOTAL}", part.start, part.end - 1));
            assert_eq!(said, expect);
            let body = to_bytes(response.into_body(), TOTAL).await.unwrap();
            assert!(body == content()[part], "{range:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_written_where_nothing_is_sent() {
        let never = |_: Range<u64>, _: &mut dyn Write| unreachable!("the writer was called");
        let head = get(Method::HEAD, &[(RANGE, "bytes=0-1")], never).await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-length"], TOTAL.to_string());
        let known = get(Method::GET, &[(IF_NONE_MATCH, "\"abc\"")], never).await.unwrap();
        assert_eq!(
            (known.status(), &known.headers()["etag"]),
            (StatusCode::NOT_MODIFIED, &value("\"abc\"").unwrap())
        );
        let beyond = get(Method::GET, &[(RANGE, "bytes=999999999-")], never).await.unwrap_err();
        assert_eq!(beyond.kind().status, 416);
    }

    #[tokio::test]
    async fn a_failure_before_the_first_byte_is_told_and_one_after_it_breaks_the_body() {
        let missing = |_: Range<u64>, _: &mut dyn Write| {
            Err(Error::NotFound { what: "dataset", name: "a".into() })
        };
        assert_eq!(get(Method::GET, &[], missing).await.unwrap_err().kind().status, 404);
        let panics = |_: Range<u64>, _: &mut dyn Write| panic!("on purpose");
        assert_eq!(get(Method::GET, &[], panics).await.unwrap_err().kind().status, 500);

        let fails = |_: Range<u64>, out: &mut dyn Write| {
            out.write_all(&content()[..DOWNLOAD_CHUNK_BYTES + 1]).map_err(gone)?;
            Err(Error::Choice("no more".into()))
        };
        let short = |_: Range<u64>, out: &mut dyn Write| {
            out.write_all(&content()[..TOTAL - 1]).map_err(gone)
        };
        let breaks_down = |_: Range<u64>, out: &mut dyn Write| {
            out.write_all(&content()[..TOTAL - 1]).map_err(gone)?;
            panic!("on purpose")
        };
        let long = |_: Range<u64>, out: &mut dyn Write| {
            out.write_all(&content()).map_err(gone)?;
            out.write_all(b"x").map_err(gone)
        };
        let bodies = [
            (get(Method::GET, &[], fails).await, true),
            (get(Method::GET, &[], short).await, true),
            (get(Method::GET, &[], breaks_down).await, true),
            (get(Method::GET, &[], long).await, true),
            (get(Method::GET, &[], write_content).await, false),
        ];
        for (at, (response, breaks)) in bodies.into_iter().enumerate() {
            let body = response.unwrap().into_body();
            assert_eq!(body.collect().await.is_err(), breaks, "{at}");
        }
    }

    #[tokio::test]
    async fn a_writer_ends_soon_after_its_client_has_gone() {
        let (told, ended) = std_mpsc::channel();
        let endless = move |_: Range<u64>, out: &mut dyn Write| {
            let error = loop {
                if let Err(error) = out.write_all(&[7; 1000]) {
                    break error;
                }
            };
            told.send(error.kind()).unwrap();
            Err(gone(error))
        };
        let offer = Offer { total_bytes: u64::MAX, ..OFFER };
        let headers = HeaderMap::new();
        let response = download(&Gate::new(1), &Method::GET, &headers, &offer, endless).await;
        drop(response.unwrap());
        assert_eq!(ended.recv().unwrap(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_dataset_can_be_offered() {
        fn offered(
            download: retort_service::Download,
        ) -> impl FnOnce(Range<u64>, &mut dyn Write) -> Result<(), Error> + Send + 'static {
            move |range, out| download.write(range, out)
        }
        let _ = offered;
    }
}
