//! Who a request is from, by its session, its token or a trusted proxy's header; and the project that it is for.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use retort_service::{Caller, Origin, Service, Session, Signed};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::app::{AddressHeader, App};
use crate::blocking::{share_as, sharing};
use crate::problem::Problem;
use crate::rates::Key;
use crate::requests::RequestId;
use crate::server::Peer;

/// The header with the token against requests of other pages.
pub const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address that it came from.
    pub address: IpAddr,
    /// Whether a proxy passed it on.
    pub is_forwarded: bool,
    /// For the audit log.
    pub origin: Origin,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
        let is_forwarded = app.is_proxy(peer);
        let address = if is_forwarded { forwarded(&parts.headers, app) } else { None };
        let address = address.unwrap_or(peer);
        let request = parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        let origin = Origin { address: Some(address.to_string()), request };
        Ok(Self { address, is_forwarded, origin })
    }
}

/// Has a request take turns from the share of the address it comes from.
pub(crate) async fn share(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let share = match Visitor::from_request_parts(&mut parts, &app).await {
        Ok(visitor) => format!("address {}", Key::of_address(visitor.address)),
        Err(problem) => return problem.into_response(),
    };
    sharing(share, app.calls(), next.run(Request::from_parts(parts, body))).await
}

/// The last address on the way that is no proxy of ours: what comes before it anyone can write.
fn forwarded(headers: &HeaderMap, app: &App) -> Option<IpAddr> {
    addresses(headers, app.settings().address_header)
        .into_iter()
        .rev()
        .find(|address| address.is_none_or(|address| !app.is_proxy(address)))
        .flatten()
}

/// The addresses in a header, in their order; none in the place of one that cannot be read.
fn addresses(headers: &HeaderMap, header: AddressHeader) -> Vec<Option<IpAddr>> {
    let name = match header {
        AddressHeader::XForwardedFor => "x-forwarded-for",
        AddressHeader::Forwarded => "forwarded",
        AddressHeader::XRealIp => "x-real-ip",
    };
    let hops = headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','));
    match header {
        AddressHeader::Forwarded => hops
            .map(|hop| {
                let mut pairs = hop.split(';').filter_map(|pair| pair.trim().split_once('='));
                let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
                address_in(value)
            })
            .collect(),
        AddressHeader::XForwardedFor | AddressHeader::XRealIp => hops.map(address_in).collect(),
    }
}

/// An address as proxies write it: bare, in quotes, in brackets, with a port.
fn address_in(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => text,
        },
    };
    Some(bare.parse::<IpAddr>().ok()?.to_canonical())
}

/// Someone who showed who they are.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who.
    pub signed: Signed,
    /// For the audit log.
    pub origin: Origin,
    /// The token against requests of other pages, of a session.
    pub csrf: Option<String>,
}

impl FromRequestParts<App> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let who = Self::of(parts, app).await?;
        who.check_sender(parts)?;
        Ok(who)
    }
}

impl Authenticated {
    /// Who a request is from, without the check for requests that another site made a browser send: forms carry their token
    /// in a field.
    ///
    /// # Errors
    /// Nobody is signed in; or they ask too often.
    pub async fn of(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self::and(parts, app, |_, _| ()).await?.0)
    }

    /// Who a request is from, and in the same call what `ask` returns for them.
    async fn and<T: Send + 'static>(
        parts: &mut Parts,
        app: &App,
        ask: impl FnOnce(&Service, &Signed) -> T + Send + 'static,
    ) -> Result<(Self, T), Problem> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        let credentials = credentials(parts, app)?;
        let csrf = match &credentials {
            Credentials::Session(secret) => Some(csrf_of(secret)),
            Credentials::Token(_) | Credentials::Name(_) | Credentials::Nothing => None,
        };
        let found = if matches!(credentials, Credentials::Nothing) {
            Ok(None)
        } else {
            app.call_to_identify(move |service| {
                let signed = match &credentials {
                    Credentials::Token(token) => Some(service.by_token(token)?),
                    Credentials::Session(secret) => service.by_session(secret)?,
                    Credentials::Name(name) => Some(service.by_header(name)?),
                    Credentials::Nothing => None,
                };
                Ok(signed.map(|signed| {
                    let answer = ask(service, &signed);
                    (signed, answer)
                }))
            })
            .await
        };
        let now = Instant::now();
        let nobody = || Problem::unauthenticated("sign in, or send a token");
        let (signed, answer) = match found.and_then(|found| found.ok_or_else(nobody)) {
            Ok(found) => found,
            Err(problem) => {
                take(app, visitor.address.into(), now)?;
                return Err(problem);
            }
        };
        take(app, Key::Caller(&signed.key()), now)?;
        share_as(format!("person {}", signed.person().id));
        Ok((Self { signed, origin: visitor.origin, csrf }, answer))
    }

    /// Refuses what another site's page may have had a browser send.
    fn check_sender(&self, parts: &Parts) -> Result<(), Problem> {
        if self.signed.is_ambient() && !is_safe(&parts.method) {
            check_sender(&parts.headers, self.csrf.as_deref())?;
        }
        Ok(())
    }
}

fn take(app: &App, key: Key<'_>, now: Instant) -> Result<(), Problem> {
    app.rates().take(key, now).map_err(Problem::rate_limited)
}

/// The caller of a request that was made in this process, by the owner of the store. It is an extension of the request,
/// and only [`InProcess`](crate::InProcess) adds it: a request that came over a connection cannot carry one.
#[derive(Clone)]
pub(crate) struct Trusted(pub Caller);

/// Someone who asks in a project.
#[derive(Clone, Debug)]
pub struct ProjectCaller(pub Caller);

impl FromRequestParts<App> for ProjectCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(Trusted(caller)) = parts.extensions.get() {
            return Ok(Self(caller.clone()));
        }
        let project = project(parts.uri.query().unwrap_or_default());
        let origin = Visitor::from_request_parts(parts, app).await?.origin;
        let asks = move |service: &Service, signed: &Signed| {
            service.caller(signed, project.as_deref(), origin)
        };
        let (who, caller) = Authenticated::and(parts, app, asks).await?;
        who.check_sender(parts)?;
        Ok(Self(caller?))
    }
}

/// A request as it was sent, by which it can be found out anew who asks.
#[derive(Clone, Debug)]
pub struct Sent(Box<Parts>);

impl FromRequestParts<App> for Sent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(Box::new(parts.clone())))
    }
}

impl Sent {
    /// Who asks, checked anew.
    ///
    /// # Errors
    /// Their session or token has ended, they are no longer in the project, or they ask too often.
    pub async fn again(&mut self, app: &App) -> Result<ProjectCaller, Problem> {
        ProjectCaller::from_request_parts(&mut self.0, app).await
    }
}

/// The project that a query names.
fn project(query: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == "project").map(|(_, value)| value.into_owned())
}

/// How a request shows who it is from.
enum Credentials {
    Token(String),
    Session(String),
    Name(String),
    Nothing,
}

fn credentials(parts: &Parts, app: &App) -> Result<Credentials, Problem> {
    let headers = &parts.headers;
    if let Some(value) = headers.get(AUTHORIZATION) {
        let mut words = value.to_str().unwrap_or_default().splitn(2, ' ');
        let (scheme, token) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !scheme.eq_ignore_ascii_case("bearer")
            || headers.get_all(AUTHORIZATION).iter().count() > 1
        {
            return Err(Problem::unauthenticated("the header `Authorization` is `Bearer TOKEN`"));
        }
        return Ok(Credentials::Token(token.trim().to_owned()));
    }
    if let Some(secret) = cookie(headers, cookie_name(app)) {
        return Ok(Credentials::Session(secret.to_owned()));
    }
    // Only what the proxy itself sent counts, and it sends one.
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
    if let (Some(name), Some(peer)) = (&app.settings().person_header, peer)
        && app.is_proxy(peer)
    {
        let mut values = headers.get_all(name).iter();
        if let (Some(value), None) = (values.next(), values.next()) {
            let person = std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim();
            if !person.is_empty() {
                return Ok(Credentials::Name(person.to_owned()));
            }
        }
    }
    Ok(Credentials::Nothing)
}

/// The server's address, as the sender of the request sees it: what links to copy begin with.
pub fn base(parts: &Parts, app: &App) -> String {
    if let Some(url) = &app.settings().url {
        return url.trim_end_matches('/').to_owned();
    }
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
    let scheme = if app.settings().is_secure { "https" } else { "http" };
    host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

/// What the cookie is called. With TLS the browser itself sees to it that no other site of the domain sets it.
pub fn cookie_name(app: &App) -> &'static str {
    if app.settings().is_secure { "__Host-retort" } else { "retort" }
}

/// The cookie of a session; none ends it.
pub fn session_cookie(app: &App, session: Option<&Session>) -> String {
    let name = cookie_name(app);
    let secure = if app.settings().is_secure { "; Secure" } else { "" };
    match session {
        Some(session) => {
            let seconds = 24 * 60 * 60 * retort_model::bounds::SESSION_DAYS;
            let secret = &session.secret;
            format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
        }
        None => format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}"),
    }
}

/// The value of a cookie.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The token against requests of other pages: known only to who knows the session's secret, and no way back to it.
pub fn csrf_of(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("csrf {secret}")))
}

/// The token as a page shows it: another text each time. Pages are compressed, and a token that stays the same beside
/// what others can have a page say could be guessed from how long the page is (BREACH).
pub fn masked(token: &str) -> String {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return token.to_owned() };
    let mut mask = vec![0; bytes.len()];
    if getrandom::fill(&mut mask).is_err() {
        return token.to_owned();
    }
    let hidden: Vec<u8> = bytes.iter().zip(&mask).map(|(byte, mask)| byte ^ mask).collect();
    URL_SAFE_NO_PAD.encode([mask, hidden].concat())
}

/// Whether a form carries the session's token, as it is or [`masked`].
pub fn is_token(given: &str, own: &str) -> bool {
    let unmasked = || {
        let bytes = URL_SAFE_NO_PAD.decode(given).ok()?;
        let (mask, hidden) = bytes.split_at_checked(bytes.len() / 2)?;
        let bytes: Vec<u8> = mask.iter().zip(hidden).map(|(mask, hidden)| mask ^ hidden).collect();
        Some(URL_SAFE_NO_PAD.encode(bytes))
    };
    !own.is_empty() && (given == own || unmasked().is_some_and(|token| token == own))
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses a form that another site's page has a browser send, where there is no session yet.
///
/// # Errors
/// As it says.
pub fn check_page(headers: &HeaderMap) -> Result<(), Problem> {
    check_sender(headers, None).map_err(|_| {
        Problem::forbidden(
            "the form was sent by a page of another site; open this one and try again",
        )
    })
}

/// Refuses what another site's page has a browser send: a session's request bears its token, and one that a proxy
/// vouches for comes from a page of this site, as browsers say.
fn check_sender(headers: &HeaderMap, csrf: Option<&str>) -> Result<(), Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = match csrf {
        Some(csrf) => text(CSRF) == Some(csrf),
        None => match text(HeaderName::from_static("sec-fetch-site")) {
            Some(site) => site == "same-origin",
            None => match (text(ORIGIN), text(HOST)) {
                (Some(origin), Some(host)) => {
                    origin.split_once("://").is_some_and(|(_, from)| from == host)
                }
                _ => false,
            },
        },
    };
    if is_own {
        return Ok(());
    }
    Err(Problem::forbidden("the header `X-CSRF-Token` must hold the session's token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let v4 = address("203.0.113.7");
        for (header, name, value, expect) in [
            (AddressHeader::XForwardedFor, "x-forwarded-for", "203.0.113.7", vec![v4]),
            (
                AddressHeader::XForwardedFor,
                "x-forwarded-for",
                "::1, 203.0.113.7:4711",
                vec![address("::1"), v4],
            ),
            (
                AddressHeader::XForwardedFor,
                "x-forwarded-for",
                "[2001:db8::7]:80, ?",
                vec![address("2001:db8::7"), None],
            ),
            (AddressHeader::XForwardedFor, "forwarded", "for=203.0.113.7", vec![]),
            (AddressHeader::XRealIp, "x-real-ip", "203.0.113.7", vec![v4]),
            (
                AddressHeader::Forwarded,
                "forwarded",
                "for=\"[2001:db8::7]:4711\", proto=https;For=203.0.113.7;by=_x, for=unknown",
                vec![address("2001:db8::7"), v4, None],
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(addresses(&headers, header), expect, "{value}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; retortx=no; retort=yes; b=2".parse().unwrap());
        assert_eq!(cookie(&headers, "retort"), Some("yes"));
        assert_eq!(cookie(&headers, "retor"), None);
    }

    #[test]
    fn a_token_is_known_behind_any_mask() {
        let own = csrf_of("secret");
        let (one, other) = (masked(&own), masked(&own));
        assert_ne!(one, other);
        for given in [&own, &one, &other] {
            assert!(is_token(given, &own));
        }
        for given in ["", "x", &csrf_of("another"), &masked(&csrf_of("another")), &one[1..]] {
            assert!(!is_token(given, &own), "{given}");
        }
        assert!(!is_token("", ""));
    }

    #[test]
    fn a_request_of_another_page_is_refused() {
        let with = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            headers
        };
        let own = csrf_of("secret");
        assert!(check_sender(&with(&[("x-csrf-token", &own)]), Some(&own)).is_ok());
        assert!(check_sender(&with(&[("x-csrf-token", "")]), Some(&own)).is_err());
        assert!(check_sender(&with(&[("sec-fetch-site", "same-origin")]), Some(&own)).is_err());
        assert!(check_sender(&with(&[("sec-fetch-site", "same-origin")]), None).is_ok());
        assert!(check_sender(&with(&[("sec-fetch-site", "same-site")]), None).is_err());
        let from = |origin: &str| with(&[("origin", origin), ("host", "a.org:80")]);
        assert!(check_sender(&from("http://a.org:80"), None).is_ok());
        assert!(check_sender(&from("http://b.org"), None).is_err());
        assert!(check_sender(&with(&[]), None).is_err());
    }
}
