//! A server on a port of its own, with handlers that do what the tests need.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::{StreamExt, stream};
use retort_service::EngineError;
use retort_service::Error;
use retort_web::blocking::Gate;
use retort_web::bounds::{Bounds, Pace};
use retort_web::extract::whole_body;
use retort_web::metrics::Metrics;
use retort_web::problem::Problem;
use retort_web::ranges::{Offer, download};
use retort_web::requests::around;
use retort_web::server::{Listening, Peer, Tls, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What the tests make short.
pub const SHORT: Duration = Duration::from_millis(200);

/// Short bounds on whatever is slow.
pub fn quick() -> Bounds {
    let pace = Pace { silence: SHORT, ..Pace::default() };
    Bounds { headers: SHORT, handshake: SHORT, sending: pace, taking: pace, ..Bounds::default() }
}

pub struct Server {
    pub address: SocketAddr,
    pub listening: Listening,
    /// Tells when the writer of `/endless` has ended.
    pub ended: mpsc::UnboundedReceiver<()>,
    pub stop: oneshot::Sender<()>,
    pub task: JoinHandle<()>,
    running: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(bounds: Bounds, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sending = bounds.sending;
        let listening = Listening::new(bounds);
        let (sender, ended) = mpsc::unbounded_channel();
        let running = Arc::new(AtomicUsize::new(0));
        let shared =
            Shared { listening: listening.clone(), ended: sender, running: Arc::clone(&running) };
        let router = around(router(shared), Metrics::new("0"), sending);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn({
            let listening = listening.clone();
            async move {
                let stop = async { drop(stopped.await) };
                serve(listener, tls, router, &listening, stop).await;
            }
        });
        Self { address, listening, ended, stop, task, running }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a new connection; what comes until it closes.
    pub async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    pub async fn works(&self) {
        let answer = self.exchange("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
    }

    /// Waits until no connection is open.
    pub async fn is_empty(&self) {
        within(async {
            while self.listening.open() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Waits until so many requests to `/wait` and `/events` run.
    pub async fn runs(&self, count: usize) {
        within(async {
            while self.running.load(Ordering::SeqCst) < count {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// What handlers share with the tests.
#[derive(Clone)]
struct Shared {
    listening: Listening,
    ended: mpsc::UnboundedSender<()>,
    running: Arc<AtomicUsize>,
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/peer", get(async |Extension(Peer(peer)): Extension<Peer>| peer.to_string()))
        .route("/body", post(async |request: Request| whole_body(request, 1000).await))
        .route("/wait", get(wait))
        .route("/never", get(std::future::pending::<()>))
        .route("/events", get(events))
        .route("/endless", get(endless))
        .route("/dataset", get(dataset))
        .route("/broken", get(broken))
        .route("/panic", get(panics))
        .with_state(shared)
}

async fn wait(State(shared): State<Shared>) -> &'static str {
    shared.running.fetch_add(1, Ordering::SeqCst);
    shared.listening.stopping().wait().await;
    sleep(SHORT).await;
    "finished"
}

async fn events(State(shared): State<Shared>) -> Response {
    shared.running.fetch_add(1, Ordering::SeqCst);
    let ticks = stream::unfold((), async |()| {
        sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, io::Error>("data: tick\n\n"), ()))
    });
    let ticks = ticks.take_until(shared.listening.stopping().wait());
    ([("content-type", "text/event-stream")], Body::from_stream(ticks)).into_response()
}

async fn panics() -> Body {
    let chunks = stream::unfold(0, async |at| {
        assert!(at == 0, "on purpose");
        sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, io::Error>("abc"), at + 1))
    });
    Body::from_stream(chunks)
}

const OFFER: Offer<'_> =
    Offer { total_bytes: 1 << 40, etag: "abc", file_name: "a.zip", media_type: "application/zip" };

async fn endless(
    State(shared): State<Shared>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let write = move |_: Range<u64>, out: &mut dyn Write| {
        let source = loop {
            if let Err(error) = out.write_all(&[7; 1 << 16]) {
                break error;
            }
        };
        shared.ended.send(()).unwrap();
        Err(EngineError::Failed { what: "", source }.into())
    };
    download(&Gate::new(1), &method, &headers, &OFFER, write).await
}

async fn dataset(method: Method, headers: HeaderMap) -> Result<Response, Problem> {
    let write = |range: Range<u64>, out: &mut dyn Write| {
        let text = &b"0123456789"[range.start as usize..range.end as usize];
        out.write_all(text).map_err(|source| EngineError::Failed { what: "", source }.into())
    };
    download(&Gate::new(1), &method, &headers, &Offer { total_bytes: 10, ..OFFER }, write).await
}

async fn broken(method: Method, headers: HeaderMap) -> Result<Response, Problem> {
    let write = |_: Range<u64>, out: &mut dyn Write| {
        let _ = out.write_all(&[b'x'; 1 << 20]);
        Err(Error::Choice("the object is gone".into()))
    };
    download(&Gate::new(1), &method, &headers, &OFFER, write).await
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("it took too long")
}

/// What comes until the other end closes, or breaks off.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = within(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What comes until it ends so.
pub async fn until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        bytes.push(within(stream.read_u8()).await.expect("the connection ended"));
    }
    String::from_utf8(bytes).unwrap()
}

/// Asks and is answered, on a connection that stays.
pub async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(until(stream, "hello").await.starts_with("HTTP/1.1 200 OK"));
}
