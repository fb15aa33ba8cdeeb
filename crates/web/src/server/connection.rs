//! One connection: a slow or idle client is cut off, and what it did not read of an answer waits for it a little.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONNECTION, HOST};
use axum::http::{HeaderValue, Request, Version};
use axum::response::IntoResponse;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::ServiceExt;

use super::listening::{Listening, Peer};
use super::registry::Entry;
use super::tls::Tls;
use crate::bounds::{Bounds, LINGER};
use crate::pace::Meter;
use crate::problem::Problem;

/// What a connection needs to be served.
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) router: Router,
    pub(super) listening: Listening,
    pub(super) entry: Arc<Entry>,
}

impl Connection {
    pub(super) async fn run(self, stream: TcpStream, tls: Option<Tls>) {
        // Small answers must not wait for more.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.serve(stream).await,
            Some(Tls(acceptor)) => {
                let handshake = timeout(self.listening.bounds.handshake, acceptor.accept(stream));
                match handshake.await {
                    Ok(Ok(stream)) => self.serve(stream).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake took too long"),
                }
            }
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { peer, router, listening, entry } = self;
        let bounds = &listening.bounds;
        let state = Arc::new(State {
            phase: AtomicU8::new(READING),
            has_unread: AtomicBool::new(false),
            entry,
        });
        let io = TokioIo::new(Watched::new(stream, bounds, Arc::clone(&state)));
        let service = service_fn(|request: Request<Incoming>| {
            state.phase.store(SERVING, Ordering::Relaxed);
            state.entry.set_idle(false);
            let mut request = request
                .map(|body| Body::new(RequestBody { body, ended: false, state: state.clone() }));
            request.extensions_mut().insert(peer);
            let (router, state) = (router.clone(), Arc::clone(&state));
            async move {
                let mut response = match check_host(&request) {
                    Ok(()) => router.oneshot(request).await?,
                    Err(problem) => {
                        drop(request);
                        problem.into_response()
                    }
                };
                if state.has_unread.load(Ordering::Relaxed) {
                    // What is left of the request stands in the way of the next one.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| ResponseBody { body, state }))
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.idle)
            .max_header_size(bounds.header_bytes)
            .max_buf_size(bounds.header_bytes * 2);
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut stopping = pin!(listening.stopping.wait());
        let mut is_stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                () = &mut stopping, if !is_stopping => {
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Refuses a request that does not say once to which host it is (RFC 9112, 3.2): what comes before the server may have
/// understood another one.
fn check_host<B>(request: &Request<B>) -> Result<(), Problem> {
    let count = request.headers().get_all(HOST).iter().count();
    if count == 1 || (count == 0 && request.version() < Version::HTTP_11) {
        return Ok(());
    }
    Err(Problem::bad_request("a request has one header `Host`").with_header(CONNECTION, "close"))
}

/// The first bytes of a request have come, and the headers are not whole.
const READING: u8 = 0;
/// A request is being answered.
const SERVING: u8 = 1;
/// Between two requests.
const IDLE: u8 = 2;

/// What the two sides of a connection know of each other. A new one owes its first headers at once.
struct State {
    phase: AtomicU8,
    /// A body was not read to its end, so the client may still be sending.
    has_unread: AtomicBool,
    /// How others see the connection.
    entry: Arc<Entry>,
}

/// A request's body, which tells when it is dropped too soon.
struct RequestBody {
    body: Incoming,
    ended: bool,
    state: Arc<State>,
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.state.has_unread.store(true, Ordering::Relaxed);
        }
    }
}

/// An answer's body, which tells when it has ended.
struct ResponseBody {
    body: Body,
    state: Arc<State>,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.state.phase.store(IDLE, Ordering::Relaxed);
        self.state.entry.set_idle(true);
    }
}

/// A stream whose other end must not be too slow.
struct Watched<S> {
    stream: S,
    state: Arc<State>,
    bounds: Arc<Bounds>,
    headers_due: Pin<Box<Sleep>>,
    taking: Meter,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    fn new(stream: S, bounds: &Arc<Bounds>, state: Arc<State>) -> Self {
        Self {
            stream,
            state,
            bounds: Arc::clone(bounds),
            headers_due: Box::pin(sleep(bounds.headers)),
            taking: Meter::new(bounds.taking),
            lingering: None,
        }
    }

    /// What a write gave; an error instead, if the other end has let it wait for too long.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Ready(Ok(done)) => self.taking.moved(bytes(done)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.taking.waits(cx).is_ready() {
                    return too_slow("the answer is taken too slowly");
                }
            }
        }
        polled
    }

    /// Reads what still comes and throws it away: closing on it would reset the connection, and the answer with it.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut scratch = [0; 8 << 10];
        loop {
            if until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

fn too_slow<T>(what: &'static str) -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let phase = self.state.phase.load(Ordering::Relaxed);
        if polled.is_pending() {
            if phase == READING && self.headers_due.as_mut().poll(cx).is_ready() {
                return too_slow("the headers come too slowly");
            }
        } else if phase == IDLE && buffer.filled().len() > before {
            self.state.phase.store(READING, Ordering::Relaxed);
            let due = Instant::now() + self.bounds.headers;
            self.headers_due.as_mut().reset(due);
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.paced(cx, polled, |written| *written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.paced(cx, polled, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.paced(cx, polled, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.paced(cx, polled, |()| 0))?;
        }
        if self.state.has_unread.load(Ordering::Relaxed) {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
