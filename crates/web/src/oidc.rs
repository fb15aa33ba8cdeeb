//! Sign-in through an OpenID Connect provider: the authorization code flow with PKCE. Who may come in, and as whom,
//! the service decides; here stands only what the provider says of a person, and that it is the provider who says it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJsonWebKeySet,
    CoreJwsSigningAlgorithm as Algorithm, CoreProviderMetadata, CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, DiscoveryError, EmptyAdditionalClaims, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, StandardErrorResponse, TokenResponse, UserInfoClaims,
    UserInfoError,
};
use reqwest::header::HeaderValue;
use retort_model::Time;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use url::{Host, Url};

use crate::outgoing::why;

/// For one request to the provider: a person waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Of one answer; key sets with certificates have some tens of kB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// How long what the provider says of itself is kept, in microseconds. New keys are asked for before.
const KEPT: i64 = 3600 * 1_000_000;

/// How long a provider that failed is left alone, in microseconds, so that people who try again do not queue up
/// behind timeouts.
const PAUSE: i64 = 5 * 1_000_000;

/// Signatures that only the provider can make. Those with a shared secret are left out: who knows the secret, or
/// takes a public key for one, could make them.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// The provider, and who we are to it.
#[derive(Clone)]
pub struct OidcSettings {
    /// As the provider writes it itself, to the last slash.
    pub issuer: String,
    /// As registered there.
    pub client_id: String,
    /// None for a public client.
    pub client_secret: Option<String>,
    /// The absolute URL of the page that the provider sends people back to.
    pub redirect: String,
    /// Beside `openid`; empty for `email` and `profile`.
    pub scopes: Vec<String>,
    /// Whether the provider's addresses prove who someone is even where it does not say that it verified them.
    /// Microsoft Entra ID never says so. Only for a provider in which nobody chooses their own address: with an issuer
    /// for many tenants, the admin of any tenant could take the address of anyone here.
    pub trusts_email: bool,
}

/// Why nobody signed in. The text is for the log and holds no secrets; [`OidcError::for_people`] is for the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The settings make no sense.
    #[error("sign-in settings: {0}")]
    Settings(String),
    /// The provider does not answer, or not as a provider does.
    #[error("sign-in provider: {0}")]
    Provider(String),
    /// The answer does not belong to a sign-in that this browser began.
    #[error("sign-in: the response belongs to no sign-in that was started in this browser")]
    Stray,
    /// The provider does not take the code, or not from us.
    #[error("sign-in: the provider refused the code: {0}")]
    Refused(String),
    /// What the provider says of the person does not hold.
    #[error("sign-in: the token is not valid: {0}")]
    Token(String),
}

impl OidcError {
    /// What to tell the person who wanted to sign in.
    pub fn for_people(&self) -> &'static str {
        match self {
            Self::Settings(_) => {
                "Signing in this way is not set up correctly. Tell your administrator."
            }
            Self::Provider(_) => "The sign-in provider did not answer. Try again in a minute.",
            Self::Stray => {
                "This sign-in was not started in this browser, or was started too long ago. Start again."
            }
            Self::Refused(_) | Self::Token(_) => {
                "The sign-in could not be confirmed. Start again; if that does not help, tell your administrator."
            }
        }
    }
}

/// A sign-in that was begun.
pub struct Begin {
    /// Where to send the browser.
    pub url: Url,
    /// What the provider gives back beside the code.
    pub state: String,
    /// For a cookie of a few minutes: HttpOnly, SameSite=Lax (the way back comes from elsewhere), under a name with
    /// `__Host-` where there is TLS, and removed at the end.
    pub keep: String,
}

/// What the provider says of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// With `subject`, what a person is known by.
    pub issuer: String,
    /// Never given to another person, as e-mail addresses can be.
    pub subject: String,
    /// The address, verified or not.
    pub email: Option<String>,
    /// Whether the provider has seen that the address is the person's; none if it does not say.
    pub email_verified: Option<bool>,
    /// The name to show.
    pub name: Option<String>,
}

/// Sign-in through one provider.
pub struct Oidc {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: Option<ClientSecret>,
    redirect: RedirectUrl,
    scopes: Vec<Scope>,
    trusts_email: bool,
    http: Http,
    known: Mutex<Known>,
}

/// What is known of the provider. Moments in microseconds since 1970.
#[derive(Default)]
struct Known {
    provider: Option<Arc<Provider>>,
    read: i64,
    failed: Option<(i64, OidcError)>,
}

/// The provider as it described itself.
struct Provider {
    client: Client,
    keys: CoreJsonWebKeySet,
}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl Oidc {
    /// Asks the provider nothing yet: one that is down must not keep the server from starting.
    ///
    /// # Errors
    /// [`OidcError::Settings`].
    pub fn new(settings: OidcSettings) -> Result<Self, OidcError> {
        let fail = |text: String| OidcError::Settings(text);
        if settings.trusts_email && is_for_all_tenants(&settings.issuer) {
            return Err(fail(format!(
                "the issuer `{}` is for everyone's tenants, so its addresses prove nothing: give your own tenant's \
                 issuer, or do not trust its addresses",
                short(&settings.issuer)
            )));
        }
        let issuer = IssuerUrl::new(settings.issuer)
            .map_err(|error| fail(format!("the issuer is not a URL: {error}")))?;
        let encrypted = issuer.url().scheme() == "https";
        let local = issuer.url().scheme() == "http" && is_loopback(issuer.url());
        if !encrypted && !local {
            return Err(fail(format!(
                "the issuer `{}` is not encrypted: give one that begins with `https://`",
                issuer.as_str()
            )));
        }
        let redirect = RedirectUrl::new(settings.redirect).map_err(|error| {
            fail(format!("the page to come back to is not an absolute URL: {error}"))
        })?;
        if settings.client_id.is_empty() {
            return Err(fail(
                "the client id is empty: give the one registered with the provider".into(),
            ));
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(retort_service::client_tls())
            .user_agent(concat!("retort/", env!("CARGO_PKG_VERSION")))
            // A provider does not redirect; who can make it do so must not choose what this server asks.
            .redirect(reqwest::redirect::Policy::none())
            .https_only(encrypted)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| fail(why(error)))?;
        let mut scopes = settings.scopes;
        if scopes.is_empty() {
            scopes = vec!["email".into(), "profile".into()];
        }
        // The crate asks for `openid` by itself.
        scopes.retain(|scope| scope != "openid");
        Ok(Self {
            issuer,
            client_id: ClientId::new(settings.client_id),
            client_secret: settings.client_secret.map(ClientSecret::new),
            redirect,
            scopes: scopes.into_iter().map(Scope::new).collect(),
            trusts_email: settings.trusts_email,
            http: Http(http),
            known: Mutex::default(),
        })
    }

    /// Whether the provider's addresses are trusted whatever it says of them.
    pub fn trusts_email(&self) -> bool {
        self.trusts_email
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`OidcError::Provider`], if it was not reached before and is not now.
    pub async fn begin(&self, now: Time) -> Result<Begin, OidcError> {
        let provider = self.provider(now).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = provider
            .client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .url();
        let keep =
            Keep { state: state.secret(), nonce: nonce.secret(), verifier: verifier.secret() };
        Ok(Begin { url, state: state.secret().clone(), keep: keep.write() })
    }

    /// Ends a sign-in: `keep` from the cookie, `state` and `code` from the URL that the provider sent the person to.
    ///
    /// # Errors
    /// All but [`OidcError::Settings`].
    pub async fn finish(
        &self,
        keep: &str,
        state: &str,
        code: &str,
        now: Time,
    ) -> Result<Verified, OidcError> {
        let keep = Keep::read(keep).ok_or(OidcError::Stray)?;
        if !is_same(keep.state, state) {
            return Err(OidcError::Stray);
        }
        let mut provider = self.provider(now).await?;
        let answer = self.exchange(&provider, code, keep.verifier).await?;
        let token = answer
            .id_token()
            .ok_or_else(|| OidcError::Token("there is none in the answer".into()))?;
        let nonce = Nonce::new(keep.nonce.to_owned());
        let mut claims = self.verify(&provider, token, &nonce, now);
        if let Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey | SignatureVerificationError::CryptoError(_),
        )) = claims
        {
            // The provider may have new keys. Nobody can make us ask in a loop: each token came from the provider,
            // for a code of its own.
            provider = self.newer(&provider, now).await?;
            claims = self.verify(&provider, token, &nonce, now);
        }
        let claims = claims.map_err(|error| OidcError::Token(unverified(&error)))?;
        self.verified(&provider, claims, answer.access_token()).await
    }

    /// The provider as it is known, asked first where it must be.
    async fn provider(&self, now: Time) -> Result<Arc<Provider>, OidcError> {
        let mut known = self.known.lock().await;
        let now = now.unix_micros();
        let recent = |moment: i64, span: i64| (0..span).contains(&now.saturating_sub(moment));
        match (&known.provider, &known.failed) {
            (Some(provider), _) if recent(known.read, KEPT) => return Ok(provider.clone()),
            (Some(provider), Some((at, _))) if recent(*at, PAUSE) => return Ok(provider.clone()),
            (None, Some((at, error))) if recent(*at, PAUSE) => return Err(error.clone()),
            _ => {}
        }
        let asked = self.discover(&mut known, now).await;
        // What was true an hour ago likely still is; if not, the exchange will tell.
        known.provider.clone().map_or(asked, Ok)
    }

    /// The provider asked again, unless someone else did so since it was `old`.
    async fn newer(&self, old: &Arc<Provider>, now: Time) -> Result<Arc<Provider>, OidcError> {
        let mut known = self.known.lock().await;
        match &known.provider {
            Some(provider) if !Arc::ptr_eq(provider, old) => Ok(provider.clone()),
            _ => self.discover(&mut known, now.unix_micros()).await,
        }
    }

    async fn discover(&self, known: &mut Known, now: i64) -> Result<Arc<Provider>, OidcError> {
        match self.described().await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                *known = Known { provider: Some(provider.clone()), read: now, failed: None };
                Ok(provider)
            }
            Err(error) => {
                known.failed = Some((now, error.clone()));
                Err(error)
            }
        }
    }

    /// Reads what the provider says of itself, and its keys.
    async fn described(&self) -> Result<Provider, OidcError> {
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http)
            .await
            .map_err(|error| OidcError::Provider(undiscovered(error)))?;
        let page = metadata.authorization_endpoint();
        if self.issuer.url().scheme() == "https" && page.url().scheme() != "https" {
            return Err(OidcError::Provider(short(&format!(
                "its sign-in page `{}` is not encrypted",
                page.as_str()
            ))));
        }
        let keys = metadata.jwks().clone();
        // Basic unless the provider knows only the other.
        let auth = match metadata.token_endpoint_auth_methods_supported() {
            Some(known)
                if known.contains(&CoreClientAuthMethod::ClientSecretPost)
                    && !known.contains(&CoreClientAuthMethod::ClientSecretBasic) =>
            {
                AuthType::RequestBody
            }
            _ => AuthType::BasicAuth,
        };
        let client = CoreClient::from_provider_metadata(
            metadata,
            self.client_id.clone(),
            self.client_secret.clone(),
        )
        .set_auth_type(auth)
        .set_redirect_uri(self.redirect.clone());
        Ok(Provider { client, keys })
    }

    async fn exchange(
        &self,
        provider: &Provider,
        code: &str,
        verifier: &str,
    ) -> Result<CoreTokenResponse, OidcError> {
        let answer = provider
            .client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| OidcError::Provider(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
            .request_async(&self.http)
            .await
            .map_err(unexchanged);
        if let Err(OidcError::Provider(_)) = answer {
            // It may have moved.
            self.known.lock().await.read = i64::MIN;
        }
        answer
    }

    fn verify<'t>(
        &self,
        provider: &Provider,
        token: &'t CoreIdToken,
        nonce: &Nonce,
        now: Time,
    ) -> Result<&'t CoreIdTokenClaims, ClaimsVerificationError> {
        let now = UNIX_EPOCH
            + Duration::from_micros(u64::try_from(now.unix_micros()).unwrap_or_default());
        // Public, so that it does not even know the secret that a token could be signed with.
        let verifier = CoreIdTokenVerifier::new_public_client(
            self.client_id.clone(),
            self.issuer.clone(),
            provider.keys.clone(),
        )
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || now.into());
        let claims = token.claims(&verifier, nonce)?;
        match claims.authorized_party() {
            Some(party) if *party != self.client_id => {
                Err(ClaimsVerificationError::InvalidAudience(format!(
                    "it was issued to `{}`",
                    party.as_str()
                )))
            }
            _ => Ok(claims),
        }
    }

    /// The claims in our words; what the token does not say of the person, the provider is asked for.
    async fn verified(
        &self,
        provider: &Provider,
        claims: &CoreIdTokenClaims,
        access: &AccessToken,
    ) -> Result<Verified, OidcError> {
        let mut verified = Verified {
            issuer: self.issuer.to_string(),
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            email_verified: claims.email_verified(),
            name: claims.name().and_then(|n| n.get(None)).map(|name| name.to_string()),
        };
        if verified.email.is_none() && provider.client.user_info_url().is_some() {
            // The crate would panic on a token that is no header.
            HeaderValue::from_str(access.secret())
                .map_err(|_| OidcError::Provider("its access token is not one".into()))?;
            let details: UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim> = provider
                .client
                .user_info(access.clone(), Some(claims.subject().clone()))
                .map_err(|error| OidcError::Provider(error.to_string()))?
                .request_async(&self.http)
                .await
                .map_err(|error| uninformed(&error))?;
            verified.email = details.email().map(|email| email.to_string());
            verified.email_verified = details.email_verified();
            verified.name = verified
                .name
                .or_else(|| details.name().and_then(|n| n.get(None)).map(|name| name.to_string()));
        }
        Ok(verified)
    }
}

/// What must come back for a sign-in to end: `state.nonce.verifier`, each base64url.
///
/// It is neither signed nor encrypted, as that would add nothing. Someone who writes their own only chooses the
/// values of their own sign-in, and still needs a code that the provider issued for that very challenge and nonce:
/// one of their own account. Someone who plants theirs in another's browser could as well plant one that we had
/// signed, gotten by beginning a sign-in; against that stands the cookie's `__Host-` name. And what is read in the
/// cookie is of use only with the code, which goes to the same browser. So nothing is stored, and any server of
/// several can end what another began.
struct Keep<'t> {
    state: &'t str,
    nonce: &'t str,
    verifier: &'t str,
}

impl<'t> Keep<'t> {
    fn write(&self) -> String {
        format!("{}.{}.{}", self.state, self.nonce, self.verifier)
    }

    fn read(text: &'t str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut part = || parts.next().filter(|part| part.len() >= 22);
        let keep = Self { state: part()?, nonce: part()?, verifier: part()? };
        parts.next().is_none().then_some(keep)
    }
}

/// Compares in a time that does not tell how much is the same.
fn is_same(left: &str, right: &str) -> bool {
    Sha256::digest(left) == Sha256::digest(right)
}

/// Whether an issuer of Microsoft's lets in people of any tenant, whose admin chooses the addresses in it.
fn is_for_all_tenants(issuer: &str) -> bool {
    let Ok(url) = Url::parse(issuer) else { return false };
    let is_microsofts = url.host_str().is_some_and(|host| {
        ["login.microsoftonline.com", "login.microsoftonline.us", "sts.windows.net"].contains(&host)
    });
    let first = url.path_segments().and_then(|mut parts| parts.next()).unwrap_or_default();
    // The tenant of personal accounts is one in which everyone chooses their own address.
    let open = ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"];
    is_microsofts && open.iter().any(|one| first.eq_ignore_ascii_case(one))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The client as the crate wants it, with a bound on answers.
struct Http(reqwest::Client);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        Self(why(error))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut answer = self.0.execute(request.try_into()?).await?;
            if answer.status().is_server_error() {
                return Err(Unanswered(format!("status {}", answer.status())));
            }
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                    return Err(Unanswered(format!(
                        "an answer of more than {MAX_ANSWER_BYTES} bytes"
                    )));
                }
                body.extend_from_slice(&chunk);
            }
            let mut response = HttpResponse::new(body);
            *response.status_mut() = answer.status();
            *response.headers_mut() = std::mem::take(answer.headers_mut());
            Ok(response)
        })
    }
}

fn undiscovered(error: DiscoveryError<Unanswered>) -> String {
    match error {
        DiscoveryError::Request(error) => error.to_string(),
        DiscoveryError::Response(_, _, text) => short(&text),
        DiscoveryError::Parse(error) => {
            short(&format!("its description is not understood: {error}"))
        }
        DiscoveryError::Validation(text) => {
            short(&text)
                + "; write the issuer exactly as the provider does, including a trailing slash"
        }
        error => short(&error.to_string()),
    }
}

type TokenError = RequestTokenError<Unanswered, StandardErrorResponse<CoreErrorResponseType>>;

/// Of the answer only what cannot be a token or name a person: descriptions are free text, and errors of parsing
/// quote what they did not understand.
fn unexchanged(error: TokenError) -> OidcError {
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let code: String = answer
                .error()
                .as_ref()
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                .take(64)
                .collect();
            let hint = match code.as_str() {
                "invalid_client" | "unauthorized_client" => ": check the client id and secret",
                "invalid_grant" => ": it is used, too old, or another's",
                _ => "",
            };
            OidcError::Refused(format!("`{code}`{hint}"))
        }
        RequestTokenError::Request(error) => OidcError::Provider(error.to_string()),
        RequestTokenError::Parse(error, _) => misread("to the code", error.inner()),
        RequestTokenError::Other(text) => OidcError::Provider(short(&text)),
    }
}

fn unverified(error: &ClaimsVerificationError) -> String {
    short(&match error {
        ClaimsVerificationError::SignatureVerification(error) => error.to_string(),
        error => error.to_string(),
    })
}

fn uninformed(error: &UserInfoError<Unanswered>) -> OidcError {
    match error {
        UserInfoError::ClaimsVerification(ClaimsVerificationError::InvalidSubject(_)) => {
            OidcError::Token("the person's details are another's".into())
        }
        UserInfoError::ClaimsVerification(error) => OidcError::Token(unverified(error)),
        UserInfoError::Parse(error) => misread("about the person", error.inner()),
        UserInfoError::Request(error) => OidcError::Provider(error.to_string()),
        UserInfoError::Response(status, ..) => {
            OidcError::Provider(format!("no details of the person: status {status}"))
        }
        error => OidcError::Provider(error.to_string()),
    }
}

/// An answer that is not what the specification says, without what is in it.
fn misread(which: &str, error: &serde_json::Error) -> OidcError {
    let what = if error.is_data() { "what OpenID Connect says" } else { "JSON" };
    OidcError::Provider(format!("its answer {which} is not {what}"))
}

/// A text that others wrote, fit for a line of a log.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
