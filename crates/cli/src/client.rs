//! The API of Retort, over HTTP or in this process: a server that keeps the store, or the store itself.

mod datasets;
mod documents;
mod erasures;
mod ids;
mod people;
mod refusal;
mod runs;
mod schedules;
mod transfer;
mod verbs;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, Url};
use retort_service::{Caller, Service, Settings};
use retort_web::InProcess;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use refusal::{ClientError, Refusal};

use crate::commands::{Failure, misuse};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the server may think about a request.
const THINK: Duration = Duration::from_secs(120);

/// How long the server may be silent within an answer; one that follows a job says something each quarter of a minute.
const SILENCE: Duration = Duration::from_secs(60);

/// How often what may pass is tried in all.
const TRIES: u32 = 4;

/// How long is waited before the next try, the longest.
const WAIT: Duration = Duration::from_secs(10);

/// How soon is heard that the person wants it to stop.
const HEARING: Duration = Duration::from_millis(100);

/// Bytes of an answer that is no refusal of Retort's that are read for what it says.
const REFUSAL_BYTES: usize = 64 << 10;

/// Where the server is, and who asks.
pub struct Reached {
    pub url: String,
    pub token: String,
    /// The project, where it is named; else the only one of the token.
    pub project: Option<String>,
    /// Whether the token may cross the network in the clear.
    pub insecure: bool,
}

/// A history that is sent.
pub enum Source {
    File(PathBuf),
    Stdin,
}

/// A store that this process opened, and who asks.
pub struct Opened {
    pub service: Arc<Service>,
    pub caller: Caller,
    pub settings: Settings,
}

/// Calls the API.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    transport: Transport,
    base: Url,
    project: Option<String>,
}

enum Transport {
    Http(reqwest::Client),
    InProcess(InProcess, Box<Opened>),
}

/// The header of [`request_key`].
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is put behind the `?`.
type Query<'q> = Vec<(&'q str, String)>;

impl Client {
    pub fn new(reached: Reached) -> Result<Self, Failure> {
        let base = check_address(&reached.url, reached.insecure)?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", reached.token))
            .map_err(|_| "the token contains characters that no token can have")?;
        token.set_sensitive(true);
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(retort_service::client_tls())
            .user_agent(concat!("retort/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, token)]))
            // A token goes to the server that was named and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_keepalive(SILENCE);
        if base.scheme() == "http" {
            http = http.no_proxy();
        }
        let http =
            http.build().map_err(|error| format!("cannot set up TLS: {}", refusal::why(&error)))?;
        Self::over(Transport::Http(http), base, reached.project)
    }

    /// The API over a store that this process opened.
    pub fn local(opened: Opened) -> Result<Self, Failure> {
        let api = InProcess::new(Arc::clone(&opened.service), opened.caller.clone());
        let base = Url::parse("http://in-process/")?;
        Self::over(Transport::InProcess(api, Box::new(opened)), base, None)
    }

    fn over(transport: Transport, base: Url, project: Option<String>) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, transport, base, project })
    }

    /// The store, if it is this process that opened it.
    pub fn opened(&self) -> Option<&Opened> {
        match &self.transport {
            Transport::Http(_) => None,
            Transport::InProcess(_, opened) => Some(opened),
        }
    }

    /// How long to wait for what a server sends within `most`; the store itself may take its time.
    fn patience(&self, most: Duration) -> Duration {
        if self.opened().is_some() { Duration::MAX } else { most }
    }

    /// Where the server is, without a `/` at the end.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request of the API.
    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: Query<'_>,
    ) -> Result<Request, ClientError> {
        let mut url = self.base.clone();
        let mut whole = format!("{}/api/v1", url.path().trim_end_matches('/'));
        for part in path {
            if matches!(*part, "" | "." | "..") {
                return Err(ClientError::Broken(format!(
                    "`{part}` cannot be part of a request URL"
                )));
            }
            whole.push('/');
            push_escaped(&mut whole, part);
        }
        url.set_path(&whole);
        let project = self.project.iter().map(|project| ("project", project.clone()));
        let pairs: Vec<_> = query.into_iter().chain(project).collect();
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        Ok(Request::new(method, url))
    }

    /// Waits for what is under way; none if the person wants it to stop.
    fn unless<T>(
        &self,
        stopped: &AtomicBool,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Option<T>, ClientError> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done.map(Some),
                () = until(stopped) => Ok(None),
            }
        })
    }

    /// Sends a request; refusals are errors. What only reads is tried again where that may help.
    async fn sent(&self, mut request: Request) -> Result<Response, ClientError> {
        let may_repeat = *request.method() == Method::GET;
        for tried in 1.. {
            let again = request.try_clone().filter(|_| may_repeat && tried < TRIES);
            let think = self.patience(THINK);
            let answered = match tokio::time::timeout(think, self.once(request)).await {
                Ok(answered) => answered,
                Err(_) => Err(ClientError::Broken(format!(
                    "the server at `{}` does not respond; try again",
                    self.url()
                ))),
            };
            match (answered, again) {
                (Err(ClientError::Refused(refusal)), Some(next)) if refusal.may_pass(WAIT) => {
                    tokio::time::sleep(refusal.wait.unwrap_or(HEARING)).await;
                    request = next;
                }
                (answered, _) => return answered,
            }
        }
        unreachable!("a try is the last")
    }

    /// Sends a request once, however long that takes.
    async fn once(&self, request: Request) -> Result<Response, ClientError> {
        let mut response = match &self.transport {
            Transport::Http(http) => {
                http.execute(request).await.map_err(|error| self.broken(&error))?
            }
            Transport::InProcess(api, _) => {
                api.answer(request).await.map_err(ClientError::Local)?
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = crate::display::one_line(to.unwrap_or("another address"), 200);
            return Err(ClientError::Broken(format!(
                "`{}` redirects to `{to}`; give `--server` the server's own address",
                self.url()
            )));
        }
        let mut body = Vec::new();
        while let Ok(Ok(Some(piece))) = tokio::time::timeout(SILENCE, response.chunk()).await {
            body.extend_from_slice(&piece);
            if body.len() > REFUSAL_BYTES {
                break;
            }
        }
        Err(Refusal::read(status, response.headers(), &body, self.url()))
    }

    /// Sends a request, and reads the JSON that is answered.
    fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T, ClientError> {
        self.runtime.block_on(self.json_of(request))
    }

    async fn json_of<T: DeserializeOwned>(&self, request: Request) -> Result<T, ClientError> {
        let response = self.sent(request).await?;
        let bytes = tokio::time::timeout(self.patience(THINK), response.bytes()).await;
        let bytes = match bytes {
            Ok(bytes) => bytes.map_err(|error| self.broken(&error))?,
            Err(_) => {
                return Err(ClientError::Broken("the response was cut off; try again".into()));
            }
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            ClientError::Broken(format!(
                "unexpected response from `{}`; is it a Retort server of this release? ({error})",
                self.url()
            ))
        })
    }

    /// Sends a request whose answer says nothing.
    fn done(&self, request: Request) -> Result<(), ClientError> {
        self.runtime.block_on(self.sent(request)).map(|_| ())
    }

    fn broken(&self, error: &reqwest::Error) -> ClientError {
        let why = refusal::why(error);
        if self.opened().is_some() {
            return ClientError::Ended(why);
        }
        let url = self.url();
        ClientError::Broken(if error.is_connect() {
            format!(
                "cannot reach the server at `{url}`: {why}; check the address, that the server runs, and its certificate"
            )
        } else {
            format!("the connection to `{url}` broke: {why}; try again")
        })
    }
}

/// Escapes all that is not plain, control characters too: the URL's own escapes pass over some.
fn push_escaped(path: &mut String, part: &str) {
    for byte in part.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => path.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => path.push(byte.into()),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// A key that no other request has.
pub fn request_key() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

/// The request with a header more; one that no header can hold is left out.
fn with_header(mut request: Request, name: HeaderName, value: &str) -> Request {
    if let Ok(value) = HeaderValue::from_str(value) {
        request.headers_mut().insert(name, value);
    }
    request
}

/// The request with a body of JSON.
fn with_json(request: Request, body: &impl Serialize) -> Result<Request, ClientError> {
    let body = serde_json::to_vec(body).map_err(|error| ClientError::Ended(error.to_string()))?;
    let mut request = with_header(request, CONTENT_TYPE, "application/json");
    *request.body_mut() = Some(body.into());
    Ok(request)
}

/// Waits until the person wants it to stop.
async fn until(stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        tokio::time::sleep(HEARING).await;
    }
}

/// The address of a server, if a token may be sent to it.
///
/// # Errors
/// It is not the address of a server, or the token would be sent unencrypted over the network.
pub fn check_address(text: &str, insecure: bool) -> Result<Url, Failure> {
    const EXAMPLE: &str = "write it like `https://retort.example.org`";
    let url = Url::parse(text)
        .map_err(|_| misuse(format!("`{text}` is not the address of a server; {EXAMPLE}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(misuse(
            "the server's address must not contain a name or a password; use a token instead",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(misuse(format!(
            "`{text}` is not the address of a server: leave out what follows the path"
        )));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || is_here(&url) => Ok(url),
        "http" => Err(misuse(format!(
            "the token and the conversations would be sent unencrypted to `{text}`: give an address that begins with \
             `https://`, or add `--insecure` if nobody can listen"
        ))),
        _ => Err(misuse(format!("`{text}` is not the address of a server; {EXAMPLE}"))),
    }
}

fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_in_the_clear_only_to_this_machine() {
        for url in
            ["https://a.org", "http://127.0.0.1:1", "http://[::1]:80/", "http://localhost/retort"]
        {
            assert!(check_address(url, false).is_ok(), "{url}");
        }
        for url in
            ["http://a.org", "http://10.0.0.1", "http://127.0.0.1.a.org", "http://localhost.a.org"]
        {
            assert!(
                check_address(url, false).unwrap_err().to_string().contains("--insecure"),
                "{url}"
            );
            assert!(check_address(url, true).is_ok(), "{url}");
        }
        for url in ["ftp://a.org", "a.org", "https://a:b@a.org", "https://a.org?x=1"] {
            assert!(check_address(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_named_stays_one_part_of_the_address() {
        let reached = Reached {
            url: "https://a.org/retort/".into(),
            token: "t".into(),
            project: Some("a&b".into()),
            insecure: false,
        };
        let client = Client::new(reached).unwrap();
        let built = |id| {
            let request = client.request(Method::GET, &["conversations", id], Vec::new());
            request.map(|request| request.url().to_string())
        };
        let expect = "https://a.org/retort/api/v1/conversations/a%2F..%3F%20%2520?project=a%26b";
        assert_eq!(built("a/..? %20").unwrap(), expect);
        let expect = "https://a.org/retort/api/v1/conversations/a%0D%0A%09%C3%A9?project=a%26b";
        assert_eq!(built("a\r\n\té").unwrap(), expect);
        assert!(built("..").is_err() && built("").is_err());
    }
}
