//! An OpenID Connect provider for tests: a real server on loopback, with real keys, made when it starts. It does what
//! OpenID Connect Core 1.0 and RFC 7636 ask of a provider, but signs everyone in at once, as whom it is told, and
//! commits the fault it is told.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Signer;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

/// The one client that the provider knows.
pub const CLIENT_ID: &str = "retort";
/// Its secret, with characters that must be encoded on the way.
pub const CLIENT_SECRET: &str = "a secret: 100% & more+";
/// When tokens were issued: 2026-01-01.
pub const ISSUED: i64 = 1_767_225_600;
/// When they end: 2100-01-01, so that tests may use any clock.
pub const ENDS: i64 = 4_102_444_800;

/// Who signs in.
#[derive(Clone, Debug)]
pub struct Person {
    pub subject: String,
    pub email: Option<String>,
    /// None leaves it out, as Microsoft Entra ID does.
    pub email_verified: Option<bool>,
    pub name: Option<String>,
}

impl Person {
    /// Someone with this address, verified, and a subject and a name made of it.
    pub fn with_email(email: &str) -> Self {
        let name = email.split('@').next().unwrap_or_default();
        Self {
            subject: format!("subject-of-{name}"),
            email: Some(email.to_owned()),
            email_verified: Some(true),
            name: Some(name.to_owned()),
        }
    }
}

/// What a token is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

/// What a provider must not do, or an attacker would like to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    WrongNonce,
    NoNonce,
    WrongAudience,
    ManyAudiences,
    /// `azp` names another client.
    OtherParty,
    Expired,
    OtherIssuer,
    /// `alg: none`.
    Unsigned,
    /// The signature is cut off, the header left as it was.
    SignatureCut,
    /// HS256 with the public key as the secret.
    HmacWithPublicKey,
    /// HS256 with the client's secret.
    HmacWithClientSecret,
    /// Signed by another key that calls itself the same.
    OtherKey,
    /// Signed by a key that is never published.
    UnpublishedKey,
    /// A person's claims changed after signing.
    ClaimsChanged,
    NoIdToken,
    NotAToken,
    /// The details of a person are another's.
    DetailsOfAnother,
    /// An access token that is no header.
    AccessTokenNoHeader,
    /// The description names another issuer.
    DescribedAsAnother,
    /// The description stands elsewhere, by a redirect.
    DescriptionRedirected,
    /// The keys do not end.
    EndlessKeys,
    /// The token endpoint answers 502.
    TokensBroken,
    /// The token endpoint answers 403, with a page.
    TokensNoJson,
}

/// What providers do differently, and may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The client's secret belongs into the body.
    SecretInBody,
    /// The client has no secret.
    Public,
    /// E-mail and name are told at the userinfo endpoint only.
    DetailsApart,
    /// `email_verified` is a text, and `updated_at` a date.
    LooseTypes,
    /// Keys and tokens have no key id.
    NoKeyIds,
}

pub struct Provider {
    issuer: String,
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: Option<JoinHandle<()>>,
}

struct Shared {
    issuer: String,
    person: Person,
    fault: Option<Fault>,
    manner: Option<Manner>,
    key: Key,
    /// What each code was issued for; taken out when it is used.
    codes: HashMap<String, Asked>,
    /// Access tokens, and whom they are of.
    access: HashMap<String, Person>,
    requests: BTreeMap<String, usize>,
}

struct Asked {
    redirect: String,
    nonce: Option<String>,
    challenge: String,
    person: Person,
}

impl Provider {
    /// Starts on a free port, signing with RS256.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let shared = Shared {
            issuer: issuer.clone(),
            person: Person::with_email("ada@example.com"),
            fault: None,
            manner: None,
            key: Key::new(Algorithm::Rs256),
            codes: HashMap::new(),
            access: HashMap::new(),
            requests: BTreeMap::new(),
        };
        let mut provider =
            Self { issuer, address, shared: Arc::new(Mutex::new(shared)), server: None };
        provider.serve(listener);
        provider
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who signs in from now on.
    pub fn sign_in_as(&self, person: Person) {
        self.lock().person = person;
    }

    /// Commits one fault from now on, or none.
    pub fn commit(&self, fault: impl Into<Option<Fault>>) {
        self.lock().fault = fault.into();
    }

    pub fn behave(&self, manner: Manner) {
        self.lock().manner = Some(manner);
    }

    /// From now on a new key with a new id is published, and signs; the old one is gone.
    pub fn rotate(&self, algorithm: Algorithm) {
        self.lock().key = Key::new(algorithm);
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> usize {
        self.lock().requests.get(path).copied().unwrap_or(0)
    }

    /// Answers nobody any more.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
    }

    /// Answers again, where it did before.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/elsewhere", get(describe))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            // So that nobody is still connected when it stops.
            .layer(map_response(async |mut response: Response| {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }))
            .with_state(self.shared.clone());
        self.server = Some(tokio::spawn(async { axum::serve(listener, app).await.unwrap() }));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

/// What a browser does with the URL of a sign-in: asks the provider, and is sent on. Returns where to, or what the
/// provider says instead.
pub async fn visit(url: &Url) -> Result<Url, String> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(retort_service::client_tls())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let answer = client.get(url.clone()).send().await.unwrap();
    match answer.headers().get(LOCATION) {
        Some(location) => Ok(Url::parse(location.to_str().unwrap()).unwrap()),
        None => Err(answer.text().await.unwrap()),
    }
}

/// A parameter of a URL's query.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

type Store = State<Arc<Mutex<Shared>>>;

fn enter<'s>(store: &'s Store, path: &str) -> MutexGuard<'s, Shared> {
    let mut shared = store.lock().unwrap();
    *shared.requests.entry(path.to_owned()).or_default() += 1;
    shared
}

async fn describe(store: Store, uri: Uri) -> Response {
    let shared = enter(&store, uri.path());
    let issuer = &shared.issuer;
    if shared.fault == Some(Fault::DescriptionRedirected) && uri.path() != "/elsewhere" {
        return (StatusCode::FOUND, [(LOCATION, format!("{issuer}/elsewhere"))]).into_response();
    }
    let called = if shared.fault == Some(Fault::DescribedAsAnother) {
        "https://accounts.example.com"
    } else {
        issuer
    };
    let methods = match shared.manner {
        Some(Manner::SecretInBody) => json!(["client_secret_post", "private_key_jwt"]),
        Some(Manner::Public) => json!(["none"]),
        _ => json!(["client_secret_basic", "client_secret_post"]),
    };
    Json(json!({
        "issuer": called,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "HS256", "none"],
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "email", "profile"],
    }))
    .into_response()
}

async fn keys(store: Store) -> Response {
    let shared = enter(&store, "/keys");
    if shared.fault == Some(Fault::EndlessKeys) {
        let endless =
            futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1 << 16)));
        return ([(CONTENT_TYPE, "application/json")], Body::from_stream(endless)).into_response();
    }
    Json(json!({"keys": [shared.key.public(shared.manner != Some(Manner::NoKeyIds))]}))
        .into_response()
}

async fn authorize(store: Store, uri: Uri) -> Response {
    let mut shared = enter(&store, "/authorize");
    let asked = pairs(uri.query().unwrap_or_default().as_bytes());
    let is = |name: &str, value: &str| asked.get(name).is_some_and(|v| v == value);
    let scopes = asked.get("scope").map(String::as_str).unwrap_or_default();
    let refuse = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned()).into_response();
    if !is("client_id", CLIENT_ID) || !is("response_type", "code") {
        return refuse("no such client or flow");
    }
    if !scopes.split(' ').any(|scope| scope == "openid") {
        return refuse("the scope `openid` is missing");
    }
    let (Some(redirect), Some(state)) = (asked.get("redirect_uri"), asked.get("state")) else {
        return refuse("`redirect_uri` or `state` is missing");
    };
    let challenge = asked.get("code_challenge").filter(|_| is("code_challenge_method", "S256"));
    let Some(challenge) = challenge else {
        return refuse("PKCE with S256 is required");
    };
    let code = URL_SAFE_NO_PAD.encode(random::<24>());
    let mut url = Url::parse(redirect).unwrap();
    url.query_pairs_mut().append_pair("code", &code).append_pair("state", state);
    let asked = Asked {
        redirect: redirect.clone(),
        nonce: asked.get("nonce").cloned(),
        challenge: challenge.clone(),
        person: shared.person.clone(),
    };
    shared.codes.insert(code, asked);
    (StatusCode::FOUND, [(LOCATION, url.to_string())]).into_response()
}

async fn token(store: Store, headers: HeaderMap, body: String) -> Response {
    let mut shared = enter(&store, "/token");
    let sent = pairs(body.as_bytes());
    let get = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
    let refuse = |status: StatusCode, error: &str| {
        let text = format!("{error} of ada@example.com for the code {}", get("code"));
        (status, Json(json!({"error": error, "error_description": text}))).into_response()
    };
    match shared.fault {
        Some(Fault::TokensBroken) => {
            return (StatusCode::BAD_GATEWAY, "<h1>502</h1>").into_response();
        }
        Some(Fault::TokensNoJson) => {
            return (StatusCode::FORBIDDEN, format!("<h1>{}</h1>", get("code"))).into_response();
        }
        _ => {}
    }
    let known = match shared.manner {
        Some(Manner::SecretInBody) => {
            get("client_id") == CLIENT_ID && get("client_secret") == CLIENT_SECRET
        }
        Some(Manner::Public) => {
            get("client_id") == CLIENT_ID && !headers.contains_key(AUTHORIZATION)
        }
        _ => basic(&headers).is_some_and(|sent| sent == (CLIENT_ID.into(), CLIENT_SECRET.into())),
    };
    if !known {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if get("grant_type") != "authorization_code" {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
    let asked = match shared.codes.remove(get("code")) {
        Some(asked) if asked.redirect == get("redirect_uri") && asked.challenge == challenge => {
            asked
        }
        _ => return refuse(StatusCode::BAD_REQUEST, "invalid_grant"),
    };
    let mut access = URL_SAFE_NO_PAD.encode(random::<24>());
    if shared.fault == Some(Fault::AccessTokenNoHeader) {
        access.push('\n');
    }
    let id_token = shared.id_token(&asked);
    shared.access.insert(access.clone(), asked.person);
    let mut answer = json!({"access_token": access, "token_type": "Bearer", "expires_in": 300});
    match shared.fault {
        Some(Fault::NoIdToken) => {}
        Some(Fault::NotAToken) => answer["id_token"] = json!("secret.is-not.a-token"),
        _ => answer["id_token"] = json!(id_token),
    }
    Json(answer).into_response()
}

async fn userinfo(store: Store, headers: HeaderMap) -> Response {
    let shared = enter(&store, "/userinfo");
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let person = token.and_then(|t| t.strip_prefix("Bearer ")).and_then(|t| shared.access.get(t));
    let Some(person) = person else { return StatusCode::UNAUTHORIZED.into_response() };
    let mut claims = shared.details(person);
    claims["sub"] = if shared.fault == Some(Fault::DetailsOfAnother) {
        json!("subject-of-another")
    } else {
        json!(person.subject)
    };
    Json(claims).into_response()
}

impl Shared {
    /// What is told of a person beside the subject.
    fn details(&self, person: &Person) -> Value {
        let loose = self.manner == Some(Manner::LooseTypes);
        let mut claims = json!({});
        if let Some(email) = &person.email {
            claims["email"] = json!(email);
            if let Some(verified) = person.email_verified {
                claims["email_verified"] =
                    if loose { json!(verified.to_string()) } else { json!(verified) };
            }
        }
        if let Some(name) = &person.name {
            claims["name"] = json!(name);
        }
        if loose {
            claims["updated_at"] = json!("2025-12-31T12:00:00.000Z");
        }
        claims
    }

    fn id_token(&self, asked: &Asked) -> String {
        let person = &asked.person;
        let mut claims = json!({});
        if self.manner != Some(Manner::DetailsApart) {
            claims = self.details(person);
        }
        claims["iss"] = json!(self.issuer);
        claims["sub"] = json!(person.subject);
        claims["aud"] = json!(CLIENT_ID);
        claims["iat"] = json!(ISSUED);
        claims["exp"] = json!(ENDS);
        if let Some(nonce) = &asked.nonce {
            claims["nonce"] = json!(nonce);
        }
        match self.fault {
            Some(Fault::WrongNonce) => claims["nonce"] = json!("bm90LXRoZS1ub25jZQ"),
            Some(Fault::NoNonce) => claims["nonce"] = Value::Null,
            Some(Fault::WrongAudience) => claims["aud"] = json!("another-client"),
            Some(Fault::ManyAudiences) => claims["aud"] = json!([CLIENT_ID, "another-client"]),
            Some(Fault::OtherParty) => claims["azp"] = json!("another-client"),
            Some(Fault::Expired) => claims["exp"] = json!(ISSUED - 3600),
            Some(Fault::OtherIssuer) => claims["iss"] = json!("https://accounts.example.com"),
            _ => {}
        }
        self.signed(claims)
    }

    fn signed(&self, mut claims: Value) -> String {
        let mut header = json!({"typ": "JWT", "alg": self.key.algorithm(), "kid": self.key.id});
        if self.manner == Some(Manner::NoKeyIds) {
            header["kid"] = Value::Null;
        }
        let other = || Key::new(Algorithm::Es256);
        let hmac = |secret: &[u8], text: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        };
        match self.fault {
            Some(Fault::Unsigned) => header["alg"] = json!("none"),
            Some(Fault::HmacWithPublicKey | Fault::HmacWithClientSecret) => {
                header["alg"] = json!("HS256");
            }
            Some(Fault::OtherKey) => header["alg"] = json!("ES256"),
            Some(Fault::UnpublishedKey) => {
                header["alg"] = json!("ES256");
                header["kid"] = json!("never-published");
            }
            _ => {}
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut text = format!("{}.{}", part(&header), part(&claims));
        let signature = match self.fault {
            Some(Fault::Unsigned | Fault::SignatureCut) => Vec::new(),
            Some(Fault::HmacWithPublicKey) => hmac(&self.key.public_pem(), text.as_bytes()),
            Some(Fault::HmacWithClientSecret) => hmac(CLIENT_SECRET.as_bytes(), text.as_bytes()),
            Some(Fault::OtherKey | Fault::UnpublishedKey) => other().sign(text.as_bytes()),
            _ => self.key.sign(text.as_bytes()),
        };
        if self.fault == Some(Fault::ClaimsChanged) {
            claims["sub"] = json!("subject-of-another");
            text = format!("{}.{}", part(&header), part(&claims));
        }
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A key that signs, with its id.
struct Key {
    id: String,
    secret: Secret,
}

enum Secret {
    Rsa(&'static rsa::RsaPrivateKey),
    Ec(Box<p256::ecdsa::SigningKey>),
    Ed(Box<ed25519_dalek::SigningKey>),
}

/// RSA keys take a while to make, so a run of tests has one.
static RSA: LazyLock<rsa::RsaPrivateKey> =
    LazyLock::new(|| rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap());

impl Key {
    fn new(algorithm: Algorithm) -> Self {
        let secret = match algorithm {
            Algorithm::Rs256 => Secret::Rsa(&RSA),
            Algorithm::Es256 => {
                Secret::Ec(Box::new(p256::ecdsa::SigningKey::from_slice(&random::<32>()).unwrap()))
            }
            Algorithm::EdDsa => {
                Secret::Ed(Box::new(ed25519_dalek::SigningKey::from_bytes(&random::<32>())))
            }
        };
        Self { id: URL_SAFE_NO_PAD.encode(random::<8>()), secret }
    }

    fn algorithm(&self) -> &'static str {
        match self.secret {
            Secret::Rsa(_) => "RS256",
            Secret::Ec(_) => "ES256",
            Secret::Ed(_) => "EdDSA",
        }
    }

    /// As a JSON Web Key.
    fn public(&self, with_id: bool) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut key = match &self.secret {
            Secret::Rsa(key) => json!({
                "kty": "RSA", "n": text(&key.n().to_bytes_be()), "e": text(&key.e().to_bytes_be()),
            }),
            Secret::Ec(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                json!({
                    "kty": "EC", "crv": "P-256", "x": text(point.x().unwrap()), "y": text(point.y().unwrap()),
                })
            }
            Secret::Ed(key) => json!({
                "kty": "OKP", "crv": "Ed25519", "x": text(key.verifying_key().as_bytes()),
            }),
        };
        key["use"] = json!("sig");
        key["alg"] = json!(self.algorithm());
        if with_id {
            key["kid"] = json!(self.id);
        }
        key
    }

    /// As an attacker would take it for a secret.
    fn public_pem(&self) -> Vec<u8> {
        let Secret::Rsa(key) = &self.secret else { panic!("only of RSA") };
        key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap().into_bytes()
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Rsa(key) => key
                .sign(rsa::Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), &Sha256::digest(text))
                .unwrap(),
            Secret::Ec(key) => {
                let signature: p256::ecdsa::Signature = key.sign(text);
                signature.to_bytes().to_vec()
            }
            Secret::Ed(key) => key.sign(text).to_bytes().to_vec(),
        }
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn pairs(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// Id and secret, each encoded as in forms (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let sent = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let sent = String::from_utf8(STANDARD.decode(sent).ok()?).ok()?;
    let (id, secret) = sent.split_once(':')?;
    let decode = |text: &str| pairs(format!("x={text}").as_bytes()).remove("x");
    Some((decode(id)?, decode(secret)?))
}
