//! `retort serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use retort_model::bounds::SIGN_IN_LINK_MINUTES;
use retort_service::{LOCAL, Service, Wanted, io_reason, panics};
use retort_web::app::{AddressHeader, App, Settings};
use retort_web::bounds::{Bounds, DEADLINE, WORKER_NICENESS};
use retort_web::metrics::Metrics;
use retort_web::oidc::{Oidc, OidcSettings};
use retort_web::outgoing::{Outgoing, OutgoingSettings};
use retort_web::server::{Listening, Tls};
use retort_web::wire;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

use super::worker::{Told, work_until};
use super::{Failure, misuse};
use crate::config::{LISTEN, REQUESTS_PER_MINUTE, ServeConfig, StoreArgs};

/// How long an attempt to post a notice may take.
const POST: Duration = Duration::from_secs(10);

/// How long a worker has to give its job back when the server stops.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// What the workers of a server do: one any job, and one beside it those of people who have none running, so that
/// nobody waits for someone else's long job.
const WORKERS: [Wanted; 2] = [Wanted::Any, Wanted::OfIdlePeople];

/// How often it is looked for traces that are due.
const LOOK_FOR_TRACES: Duration = Duration::from_millis(500);

/// The pause after traces could not be imported.
const TRACES_PAUSE: Duration = Duration::from_secs(5);

/// How long calls have to end once nobody waits for them any more and the server stops.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Start the web server (API and pages).
#[derive(Args)]
pub struct Serve {
    /// Address to listen on [default: 127.0.0.1:8610].
    #[arg(long, value_name = "ADDRESS:PORT", env = "RETORT_LISTEN", value_parser = parse_address)]
    listen: Option<SocketAddr>,

    /// Certificate chain for TLS, in PEM format.
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "RETORT_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,

    /// Private key of the certificate, in PEM format.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", env = "RETORT_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// The server is behind a proxy that handles TLS.
    #[arg(long)]
    behind_proxy: bool,

    /// Network of proxies whose headers name the client's address and the signed-in person; repeatable.
    #[arg(long = "proxy", value_name = "NETWORK")]
    proxies: Vec<IpNet>,

    /// Header in which the proxy names the client's address: `X-Forwarded-For`, `Forwarded` or `X-Real-IP`
    /// [default: X-Forwarded-For].
    #[arg(long, value_name = "NAME")]
    address_header: Option<String>,

    /// Header in which the proxy names the person who signed in to it.
    #[arg(long, value_name = "NAME", requires = "proxies")]
    person_header: Option<String>,

    /// Public address of the server, such as `https://retort.example.org`.
    #[arg(long, value_name = "URL", env = "RETORT_URL")]
    url: Option<String>,

    /// Issuer of the OpenID Connect provider through which people sign in.
    #[arg(long, value_name = "URL", requires_all = ["oidc_client", "url"], env = "RETORT_OIDC_ISSUER")]
    oidc_issuer: Option<String>,

    /// Client id of this server at the provider; the secret is read from `RETORT_OIDC_SECRET`.
    #[arg(long, value_name = "ID", env = "RETORT_OIDC_CLIENT")]
    oidc_client: Option<String>,

    /// Trust the provider's e-mail addresses even if it does not say that it verified them; Microsoft Entra ID never does.
    /// Use it only with an issuer of your own tenant: in other tenants, people can choose any address.
    #[arg(long, requires = "oidc_issuer")]
    oidc_trust_email: bool,

    /// Maximum number of requests per caller and minute [default: 3000].
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,

    /// Stop a request after this many seconds [default: 60].
    #[arg(long, value_name = "SECONDS")]
    request_seconds: Option<u64>,

    /// Also send webhooks to addresses in private networks.
    #[arg(long)]
    allow_private_webhooks: bool,

    /// Accept traces from OpenTelemetry exporters at `/v1/traces`.
    #[arg(long)]
    traces: bool,

    /// Run no jobs in this process; leave them to `retort worker`.
    #[arg(long)]
    no_worker: bool,

    /// Format of the log.
    #[arg(long, value_name = "text|json", default_value = "text", env = "RETORT_LOG")]
    log: Log,

    #[command(flatten)]
    keeping: StoreArgs<false>,
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not an IP address with a port; write it like `{LISTEN}`"))
}

#[derive(Clone, Copy, ValueEnum)]
enum Log {
    Text,
    Json,
}

impl Serve {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.begin_log();
        panics::watch(|place| tracing::error!(place, "a bug in Retort: a panic"));
        open_more_files();
        let config = self.keeping.serve_config()?;
        let listen = match (self.listen, &config.listen) {
            (Some(listen), _) => listen,
            (None, text) => {
                let text = text.as_deref().unwrap_or(LISTEN);
                parse_address(text).map_err(|why| misuse(format!("`listen`: {why}")))?
            }
        };
        let tls = self.tls(&config)?;
        let behind_proxy = self.behind_proxy || config.behind_proxy.unwrap_or(false);
        if !listen.ip().is_loopback() && tls.is_none() && !behind_proxy {
            return Err(misuse(format!(
                "passwords and conversations would cross the network unencrypted at {listen}: set \
                 `--tls-certificate` and `--tls-key`, or `--behind-proxy` if a proxy in front of the server handles TLS"
            )));
        }
        let opened = self.keeping.open_or_new()?;
        let service = opened.service;
        let owner = service.first_owner()?;
        let link = match &owner {
            // Once: the log of a service is kept and read by others.
            Some((owner, true)) if listen.ip().is_loopback() => Some(service.sign_in_link(owner)?),
            _ => None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(512)
            .enable_all()
            .build()?;
        // The service outlives the runtime: connections to PostgreSQL cannot be closed within one.
        let served = runtime.block_on(self.serve(
            Arc::clone(&service),
            &config,
            (listen, tls, behind_proxy),
            (owner.is_some(), link),
        ));
        // Calls that were asked to end and do not are left behind.
        runtime.shutdown_timeout(LEFT_BEHIND);
        service.write_counted(None)?;
        served?;
        Ok(ExitCode::SUCCESS)
    }

    fn begin_log(&self) {
        let log = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            // It would tell of them at the same place, and panic.
            .log_internal_errors(false)
            .with_target(false)
            .with_max_level(LevelFilter::INFO);
        match self.log {
            Log::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
            Log::Json => log.json().flatten_event(true).init(),
        }
    }

    fn tls(&self, config: &ServeConfig) -> Result<Option<Tls>, Failure> {
        let certificate = self.tls_certificate.as_ref().or(config.tls_certificate.as_ref());
        let key = self.tls_key.as_ref().or(config.tls_key.as_ref());
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Tls::from_files(certificate, key)?)),
            (None, None) => Ok(None),
            _ => Err(misuse("TLS needs both `--tls-certificate` and `--tls-key`")),
        }
    }

    fn oidc(&self, config: &ServeConfig, url: Option<&str>) -> Result<Option<Oidc>, Failure> {
        let issuer = self.oidc_issuer.clone().or(config.oidc_issuer.clone());
        let Some(issuer) = issuer else { return Ok(None) };
        let client_id = self.oidc_client.clone().or(config.oidc_client.clone());
        let (Some(client_id), Some(url)) = (client_id, url) else {
            return Err("signing in through a provider also needs `oidc_client` and `url`".into());
        };
        let settings = OidcSettings {
            issuer,
            client_id,
            client_secret: std::env::var("RETORT_OIDC_SECRET").ok(),
            redirect: format!("{}/sign-in/callback", url.trim_end_matches('/')),
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            trusts_email: self.oidc_trust_email || config.oidc_trust_email.unwrap_or(false),
        };
        Ok(Some(Oidc::new(settings)?))
    }

    async fn serve(
        &self,
        service: Arc<Service>,
        config: &ServeConfig,
        (listen, tls, behind_proxy): (SocketAddr, Option<Tls>, bool),
        (needs_link, link): (bool, Option<String>),
    ) -> Result<(), Failure> {
        let url = self.url.as_deref().or(config.url.as_deref()).map(public_url).transpose()?;
        let address_header =
            match self.address_header.as_deref().or(config.address_header.as_deref()) {
                None => AddressHeader::default(),
                Some(name) => address_header(name)?,
            };
        let mut proxies = self.proxies.clone();
        for text in config.proxies.iter().flatten() {
            proxies.push(text.parse().map_err(|_| format!("`{text}` is not a network"))?);
        }
        if behind_proxy && proxies.is_empty() {
            proxies = ["127.0.0.0/8".parse()?, "::1/128".parse()?].to_vec();
        }
        let header = self.person_header.clone().or(config.person_header.clone());
        let person_header = header
            .map(|name| name.parse().map_err(|_| format!("`{name}` is not the name of a header")))
            .transpose()?;
        if person_header.is_some() && self.proxies.is_empty() && config.proxies.is_none() {
            return Err(
                "`person_header` needs `proxy`: the networks of the proxies that set it".into()
            );
        }
        let allows_private_webhooks =
            self.allow_private_webhooks || config.allow_private_webhooks.unwrap_or(false);
        let takes_traces = self.traces || config.traces.unwrap_or(false);
        let settings = Settings {
            is_secure: tls.is_some() || behind_proxy,
            has_worker: !self.no_worker,
            url: url.clone(),
            has_tls: tls.is_some(),
            deadline: Duration::from_secs(
                self.request_seconds
                    .or(config.request_seconds)
                    .unwrap_or(DEADLINE.as_secs())
                    .max(1),
            ),
            proxies,
            address_header,
            person_header,
            requests_per_minute: self
                .requests_per_minute
                .or(config.requests_per_minute)
                .unwrap_or(REQUESTS_PER_MINUTE)
                .max(1),
            allows_private_webhooks,
            takes_traces,
        };
        let outgoing = OutgoingSettings { allow_private: allows_private_webhooks, timeout: POST };
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("cannot listen at {listen}: {}", io_reason(&error)))?;
        let here = listener.local_addr()?;
        let bounds = Bounds { shared_addresses: settings.proxies.clone(), ..Bounds::default() };
        let app_bounds = bounds.clone();
        let listening = Listening::new(bounds);
        let app = App::new(
            Arc::clone(&service),
            settings,
            self.oidc(config, url.as_deref())?,
            Metrics::new(env!("CARGO_PKG_VERSION")),
            listening.stopping().clone(),
        );
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = url.unwrap_or_else(|| format!("{scheme}://{here}"));
        eprintln!("listening at {base}");
        match link {
            Some(secret) => eprintln!(
                "sign in, once and within {SIGN_IN_LINK_MINUTES} minutes: {base}{}",
                wire::sign_in_path(&secret)
            ),
            None if needs_link => eprintln!(
                "`{LOCAL}`, the owner, has no password: `retort users link {LOCAL}` prints a link that signs them in"
            ),
            None => {}
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = WORKERS
            .into_iter()
            .filter(|_| !self.no_worker)
            .map(|wanted| begin_worker(Arc::clone(&service), wanted, Arc::clone(&stopped)))
            .chain(takes_traces.then(|| import_traces(Arc::clone(&service), Arc::clone(&stopped))))
            .collect();
        let watching = tokio::spawn(retort_web::watch(app.clone(), listening.clone()));
        let delivering = tokio::spawn(retort_web::deliver(app.clone(), Outgoing::new(outgoing)?));
        let router = retort_web::router(app, &app_bounds);
        let stop = async {
            wait_for_stop().await;
            tracing::info!("stopping");
            stopped.store(true, Ordering::Relaxed);
        };
        retort_web::server::serve(listener, tls, router, &listening, stop).await;
        let background = async { tokio::join!(watching, delivering) };
        let _ = tokio::time::timeout(LEFT_BEHIND, background).await;
        let ended = tokio::task::spawn_blocking(move || {
            workers.into_iter().all(|worker| worker.join().is_ok())
        });
        if tokio::time::timeout(GIVE_BACK, ended).await.is_err() {
            tracing::warn!(
                "a worker did not return its job in time; another one continues it when its lease expires"
            );
        }
        Ok(())
    }
}

/// Where people reach the server, without a slash at its end.
fn public_url(text: &str) -> Result<String, Failure> {
    let url = reqwest::Url::parse(text)
        .map_err(|error| misuse(format!("`{text}` is not a URL: {error}")))?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_plain {
        return Err(misuse(format!(
            "`--url` is the address of the server's root, such as `https://retort.example.org`, not `{text}`: it \
             cannot be served below a path"
        )));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn address_header(name: &str) -> Result<AddressHeader, Failure> {
    match name.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Ok(AddressHeader::XForwardedFor),
        "forwarded" => Ok(AddressHeader::Forwarded),
        "x-real-ip" => Ok(AddressHeader::XRealIp),
        _ => Err(misuse(format!(
            "unknown address header `{name}`: use `X-Forwarded-For`, `Forwarded` or `X-Real-IP`"
        ))),
    }
}

/// Does the jobs that are wanted, on a thread of its own.
fn begin_worker(
    service: Arc<Service>,
    wanted: Wanted,
    stopped: Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        // Requests go first: it and the threads that it begins yield to the others.
        retort_web::stand_back(WORKER_NICENESS);
        let done = work_until(&service, wanted, &stopped, false, true, &mut |told| match told {
            Told::Done(job) => tracing::info!(job = job.id, kind = %job.kind, "job done"),
            Told::Part(job, part, None) => {
                tracing::info!(job = job.id, part, "part of an export done");
            }
            Told::Part(job, part, Some(error)) => {
                tracing::warn!(
                    job = job.id,
                    part,
                    cause = error.for_log(),
                    "part of an export failed"
                );
            }
            Told::Stopped(job) => tracing::info!(job = job.id, kind = %job.kind, "job stopped"),
            Told::Failed(job, error) => {
                tracing::error!(job = job.id, kind = %job.kind, cause = error.for_log(), "job failed");
            }
            Told::Waiting(error) => {
                tracing::warn!(cause = error.for_log(), "the worker could not read its queue");
            }
        });
        if let Err(error) = done {
            tracing::error!(cause = error.for_log(), "the worker ended");
        }
    })
}

/// Imports the traces that applications send once they are whole, on a thread of its own.
fn import_traces(service: Arc<Service>, stopped: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        retort_web::stand_back(WORKER_NICENESS);
        while !stopped.load(Ordering::Relaxed) {
            match panics::caught(|| service.import_traces(&stopped)) {
                Ok(Ok(done)) if done.traces > 0 => {
                    tracing::info!(traces = done.traces, refused = done.refused, "traces imported");
                }
                Ok(Ok(_)) => std::thread::sleep(LOOK_FOR_TRACES),
                Ok(Err(error)) if error.is_stopped() => {}
                Ok(Err(error)) => {
                    tracing::error!(cause = error.for_log(), "traces could not be imported");
                    std::thread::sleep(TRACES_PAUSE);
                }
                // It was logged where it happened; what was claimed is due again later.
                Err(_) => std::thread::sleep(TRACES_PAUSE),
            }
        }
    })
}

/// Lets this process open as many files as the system lets it: each connection is one.
fn open_more_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Some systems name a limit that they do not grant; then it stays as it was.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

async fn wait_for_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
