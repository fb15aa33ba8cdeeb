//! A server as others see it: its bounds, how much it has to do, and whether it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::registry::{Registered, Registry};
use crate::bounds::{Bounds, MAKING_ROOM};

/// The other end of the connection. Handlers find it in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A server as others see it: whether it stops, and how much it has to do. Clones are of the same server.
#[derive(Clone)]
pub struct Listening {
    pub(super) bounds: Arc<Bounds>,
    pub(super) most: usize,
    pub(super) slots: Arc<Semaphore>,
    pub(super) registry: Arc<Registry>,
    pub(super) stopping: Stopping,
    pub(super) cut: Stopping,
}

impl Listening {
    /// A server within those bounds.
    pub fn new(mut bounds: Bounds) -> Self {
        // What hyper takes at the least.
        bounds.header_bytes = bounds.header_bytes.max(8 << 10);
        let most = bounds.connections.min(most_files() / 2).clamp(1, u32::MAX as usize >> 4);
        if most < bounds.connections {
            tracing::warn!(most, "accepting fewer connections: the open-file limit is low");
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
    pub(super) async fn room_for(
        &self,
        from: SocketAddr,
    ) -> Option<(OwnedSemaphorePermit, Registered)> {
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
    pub(super) async fn finish(&self) {
        let all = || self.slots.acquire_many(u32::try_from(self.most).unwrap_or(u32::MAX));
        if timeout(self.bounds.grace, all()).await.is_err() {
            tracing::warn!(open = self.open(), "closing connections that did not end in time");
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

    pub(super) fn begin(&self) {
        self.0.send_replace(true);
    }
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
