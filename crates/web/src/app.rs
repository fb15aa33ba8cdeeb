//! What every handler has at hand: the service, the gates before it, and how the server is set up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use ipnet::IpNet;
use retort_service::{Error, Service, panics};

use crate::blocking::{Calls, Gate, Line};
use crate::bounds::{CALLS, SLOW_BODY_BYTES};
use crate::metrics::Metrics;
use crate::oidc::Oidc;
use crate::problem::Problem;
use crate::rates::{Rate, Rates, SignIns};
use crate::server::Stopping;
use crate::threads::Threads;

/// Passwords that are looked at together: each takes 19 MiB for a while.
const PASSWORDS_AT_ONCE: u32 = 4;

/// How the server is set up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether people reach it through TLS, its own or a proxy's: cookies then go nowhere else.
    pub is_secure: bool,
    /// Where people reach it, if that is set: links to copy begin with it.
    pub url: Option<String>,
    /// Whether the server itself speaks TLS.
    pub has_tls: bool,
    /// Proxies that are believed when they say whom a request is from.
    pub proxies: Vec<IpNet>,
    /// The header in which they do.
    pub address_header: AddressHeader,
    /// The header in which such a proxy names the person who signed in with it.
    pub person_header: Option<HeaderName>,
    /// Requests of one caller in a minute.
    pub requests_per_minute: u32,
    /// Whether this process works on jobs, too.
    pub has_worker: bool,
    /// How long a call of the service may take.
    pub deadline: Duration,
    /// Whether webhooks may go to addresses of private networks.
    pub allows_private_webhooks: bool,
    /// Whether applications may send traces.
    pub takes_traces: bool,
}

/// In which header proxies say whom a request is from. Only one is believed: proxies pass on the others as clients
/// wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `X-Real-IP`.
    XRealIp,
}

/// What every handler has at hand.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    service: Arc<Service>,
    is_in_process: bool,
    calls: Calls,
    identities: Line,
    passwords: Line,
    downloads: Gate,
    uploads: Gate,
    settings: Settings,
    rates: Rates,
    sign_ins: SignIns,
    metrics: Metrics,
    oidc: Option<Oidc>,
    stopping: Stopping,
}

impl App {
    /// All of it together.
    pub fn new(
        service: Arc<Service>,
        settings: Settings,
        oidc: Option<Oidc>,
        metrics: Metrics,
        stopping: Stopping,
    ) -> Self {
        Self::with(service, false, settings, oidc, metrics, stopping)
    }

    /// For a caller in this process: calls have no turns and no deadlines.
    pub(crate) fn in_process(service: Arc<Service>) -> Self {
        let (settings, metrics) = (Settings::default(), Metrics::new(""));
        Self::with(service, true, settings, None, metrics, Stopping::default())
    }

    fn with(
        service: Arc<Service>,
        is_in_process: bool,
        settings: Settings,
        oidc: Option<Oidc>,
        metrics: Metrics,
        stopping: Stopping,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Threads::new(0);
        let burst = settings.requests_per_minute.div_ceil(6).max(20);
        Self(Arc::new(Inner {
            service,
            is_in_process,
            calls: Calls::new(cores, threads.clone()),
            identities: Line::new(CALLS, threads.clone()),
            passwords: Line::new(PASSWORDS_AT_ONCE, threads),
            downloads: Gate::new(crate::bounds::DOWNLOADS),
            uploads: Gate::new(crate::bounds::DOWNLOADS),
            rates: Rates::new(Rate::per_minute(settings.requests_per_minute, burst)),
            settings,
            sign_ins: SignIns::default(),
            metrics,
            oidc,
            stopping,
        }))
    }

    /// How the server is set up.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The rates of all requests.
    pub fn rates(&self) -> &Rates {
        &self.0.rates
    }

    /// The rates of attempts to sign in.
    pub fn sign_ins(&self) -> &SignIns {
        &self.0.sign_ins
    }

    /// What is measured.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The provider through which people sign in.
    pub fn oidc(&self) -> Option<&Oidc> {
        self.0.oidc.as_ref()
    }

    /// Hears when the server is to end.
    pub fn stopping(&self) -> Stopping {
        self.0.stopping.clone()
    }

    /// The gate before downloads.
    pub fn downloads(&self) -> &Gate {
        &self.0.downloads
    }

    /// The gate before uploads.
    pub fn uploads(&self) -> &Gate {
        &self.0.uploads
    }

    /// The service, for threads that may block.
    pub fn service(&self) -> Arc<Service> {
        Arc::clone(&self.0.service)
    }

    /// Where calls run, and whose turn it is.
    pub(crate) fn calls(&self) -> &Calls {
        &self.0.calls
    }

    /// Asks the service.
    ///
    /// # Errors
    /// What the service says, as a problem; there was no turn in time.
    pub async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Service) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.work(false, act).await??)
    }

    /// Asks the service to take in a body of so many bytes.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_with_body<T: Send + 'static>(
        &self,
        bytes: usize,
        act: impl FnOnce(&Service) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.work(bytes > SLOW_BODY_BYTES, act).await??)
    }

    /// Asks the service who someone is. That takes little, so it never waits for what others at the same address do.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_to_identify<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Service) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let service = self.service();
        Ok(self.0.identities.run(self.0.settings.deadline, move || act(&service)).await??)
    }

    /// Asks the service and makes the answer in the same call, as that may take as long.
    ///
    /// # Errors
    /// Those of `act`; there was no turn in time.
    pub async fn answer<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Service) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.work(false, act).await?
    }

    async fn work<T: Send + 'static>(
        &self,
        is_slow: bool,
        act: impl FnOnce(&Service) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let service = self.service();
        if self.0.is_in_process {
            return at_once(move || act(&service)).await;
        }
        self.0.calls.run(self.0.settings.deadline, is_slow, move || act(&service)).await
    }

    /// Asks the service what takes the hashing of a password.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_with_password<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Service) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let service = self.service();
        if self.0.is_in_process {
            return Ok(at_once(move || act(&service)).await??);
        }
        Ok(self.0.passwords.run(self.0.settings.deadline, move || act(&service)).await??)
    }

    /// Whether the address is that of a proxy that is believed.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.settings.proxies.iter().any(|net| net.contains(&address))
    }
}

/// Calls `f` on a thread that may block. What a panic said goes to the caller, who is the user of this process.
async fn at_once<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(|| panics::caught(f)).await;
    done.map_err(Problem::internal)?.map_err(|bug| Problem::from(Error::from(bug)))
}
