//! The accept loop: connections in bounded number, each bounded in time and memory, and an orderly end.

mod connection;
mod registry;
mod tls;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::bounds::{ACCEPT_PAUSE, ACCEPT_PAUSE_MOST, Bounds, MAKING_ROOM};
use connection::Connection;
use registry::{Place, Registry};

pub use tls::{Tls, TlsError};

/// The other end of the connection. Handlers find it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A server as others see it: whether it stops, and how much it has to do. Clones are of the same server.
#[derive(Clone)]
pub struct Listening {
    bounds: Arc<Bounds>,
    most: usize,
    slots: Arc<Semaphore>,
    registry: Arc<Registry>,
    stopping: Stopping,
    cut: Stopping,
}

impl Listening {
    /// A server within those bounds.
    pub fn new(mut bounds: Bounds) -> Self {
        // What hyper takes at the least.
        bounds.header_bytes = bounds.header_bytes.max(8 << 10);
        let most = bounds.connections.min(most_files() / 2).clamp(1, u32::MAX as usize >> 4);
        if most < bounds.connections {
            tracing::warn!(most, "fewer connections are taken: the process may open few files");
        }
        Self {
            bounds: Arc::new(bounds),
            most,
            slots: Arc::new(Semaphore::new(most)),
            registry: Arc::default(),
            stopping: Stopping::default(),
            cut: Stopping::default(),
        }
    }

    /// Tells when the server stops.
    pub fn stopping(&self) -> &Stopping {
        &self.stopping
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.most.saturating_sub(self.slots.available_permits())
    }

    /// Room for a connection; none if there is none, and no idle one can make room for it.
    async fn room_for(&self, from: SocketAddr) -> Option<(OwnedSemaphorePermit, Place)> {
        let (bounds, registry, from) = (&self.bounds, &self.registry, from.ip());
        let is_shared =
            bounds.shared_addresses.iter().any(|net| net.contains(&from.to_canonical()));
        if !is_shared
            && registry.count(from) >= bounds.connections_per_address
            && !registry.close_idle(Some(from))
        {
            return None;
        }
        let place = registry.add(from);
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) if registry.close_idle(None) => {
                let slot = Arc::clone(&self.slots).acquire_owned();
                timeout(MAKING_ROOM, slot).await.ok()?.ok()?
            }
            Err(_) => return None,
        };
        Some((slot, place))
    }

    /// Lets what runs come to its end, but not for ever.
    async fn finish(&self) {
        let all = || self.slots.acquire_many(u32::try_from(self.most).unwrap_or(u32::MAX));
        if timeout(self.bounds.grace, all()).await.is_err() {
            tracing::warn!(open = self.open(), "connections are cut: they did not end in time");
            self.cut.begin();
            let _ = timeout(Duration::from_secs(1), all()).await;
        }
    }
}

/// Whether the server stops. What answers for long, such as a stream of events, ends then.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Sender<bool>);

impl Default for Stopping {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stopping {
    /// Ends when the server begins to stop.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.0.subscribe();
        async move {
            // An error means that the server is gone.
            let _ = changes.wait_for(|stops| *stops).await;
        }
    }

    /// Whether the server has begun to stop.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    fn begin(&self) {
        self.0.send_replace(true);
    }
}

/// Answers with the router until `stop` ends; then takes no more connections, and lets running requests finish.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    listening: &Listening,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let router = router.with_state(());
    let mut pause = ACCEPT_PAUSE;
    let mut was_full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                pause = ACCEPT_PAUSE;
                let room = listening.room_for(from).await;
                if room.is_none() && !was_full {
                    tracing::warn!(most = listening.most, "connections are refused: too many");
                }
                was_full = room.is_none();
                let Some((slot, place)) = room else {
                    refuse(stream, tls.is_some());
                    continue;
                };
                let connection = Connection {
                    peer: Peer(from),
                    router: router.clone(),
                    listening: listening.clone(),
                    entry: Arc::clone(&place.entry),
                };
                let (tls, cut) = (tls.clone(), listening.cut.wait());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection.run(stream, tls) => {}
                        () = cut => {}
                        () = place.entry.is_to_close() => {}
                    }
                    drop((slot, place));
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if pause == ACCEPT_PAUSE {
                    tracing::warn!(%error, "no connection can be accepted for now");
                }
                tokio::select! {
                    () = &mut stop => break,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(ACCEPT_PAUSE_MOST);
            }
        }
    }
    drop(listener);
    listening.stopping.begin();
    listening.finish().await;
}

/// Says that there are too many, if that takes no waiting, and closes.
fn refuse(stream: TcpStream, has_tls: bool) {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\
        content-length: 0\r\nretry-after: 2\r\n\r\n";
    if !has_tls && let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(ANSWER);
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Files that this process may have open.
#[cfg(unix)]
fn most_files() -> usize {
    use rustix::process::{Resource, getrlimit};
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn most_files() -> usize {
    usize::MAX
}
