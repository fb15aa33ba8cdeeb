//! Notices to other programs: webhooks after the [Standard Webhooks](https://www.standardwebhooks.com) specification,
//! sent so that nobody can make this server speak to its own network. What is sent, and when again, the service knows.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use retort_model::Time;
use sha2::Sha256;
use url::{Host, Url};

/// Long enough for what people give as webhooks, short enough for a row of a table.
const MAX_URL_BYTES: usize = 2048;

/// The waits between attempts: short while it may be a restart, long while it may be a night without an operator.
const WAITS: [Duration; 7] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(24 * 3600),
];

/// How notices leave.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingSettings {
    /// Whether they may go to private addresses, and unencrypted.
    pub allow_private: bool,
    /// For all of one notice, from looking up the name to the answer's status.
    pub timeout: Duration,
}

impl Default for OutgoingSettings {
    fn default() -> Self {
        Self { allow_private: false, timeout: Duration::from_secs(10) }
    }
}

/// Sends notices.
pub struct Outgoing {
    client: reqwest::Client,
    allow_private: bool,
}

impl Outgoing {
    /// # Errors
    /// If the system's certificates cannot be read.
    pub fn new(settings: OutgoingSettings) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(retort_service::client_tls())
            .user_agent(concat!("retort/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would look up the name itself, and connect to whatever it finds.
            .no_proxy()
            .dns_resolver(Arc::new(Resolver { allow_private: settings.allow_private }))
            .https_only(!settings.allow_private)
            .timeout(settings.timeout)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| format!("notices cannot be sent: {}", why(error)))?;
        Ok(Self { client, allow_private: settings.allow_private })
    }

    /// Posts `body` (JSON), signed with `secret` (`whsec_` and base64), and returns the status of the answer, whose
    /// body is not read. The same notice keeps its `id` however often it is sent.
    ///
    /// 2xx: it arrived. 410: nobody wants it any more, give up. Anything else, an error too: again after
    /// [`next_attempt`].
    ///
    /// # Errors
    /// Why there is no status: what is wrong with the URL or the secret, or how far it came.
    pub async fn post(
        &self,
        url: &str,
        secret: &str,
        id: &str,
        body: &str,
        now: Time,
    ) -> Result<u16, String> {
        let url = checked(url, self.allow_private)?;
        let timestamp = now.unix_micros().div_euclid(1_000_000).to_string();
        let signature = sign(secret, id, &timestamp, body)?;
        let answer = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body.to_owned())
            .send()
            .await
            .map_err(why)?;
        Ok(answer.status().as_u16())
    }
}

/// How long to wait after so many attempts that failed: 10 s, 1 min, 5 min, 30 min, 2 h, 6 h, 24 h; then none, and
/// the notice is given up. What failed, [`Outgoing::post`] says.
pub fn next_attempt(attempts: u64) -> Option<Duration> {
    let Some(failed) = attempts.checked_sub(1) else { return Some(Duration::ZERO) };
    usize::try_from(failed).ok().and_then(|failed| WAITS.get(failed)).copied()
}

/// Checks the URL of a webhook when it is made, as far as that can be done without looking up its name.
///
/// # Errors
/// What is wrong with it and what to give instead.
pub fn check_url(url: &str, allow_private: bool) -> Result<(), String> {
    checked(url, allow_private).map(drop)
}

/// The URL, whose host is then a name, or an address in its usual spelling: `Url` reads `0x7f.1` and `127.0.0.1`
/// alike, and the client connects to what it has read.
fn checked(text: &str, allow_private: bool) -> Result<Url, String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("the URL is longer than {MAX_URL_BYTES} bytes: give a shorter one"));
    }
    let url = Url::parse(text).map_err(|error| {
        format!("not a URL ({error}): write it like `https://example.com/hook`")
    })?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        "http" => {
            return Err("the URL is not encrypted: give one that begins with `https://`".into());
        }
        other => {
            return Err(format!(
                "notices cannot be sent to `{other}:`; give a URL that begins with `https://`"
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the URL contains a name or a password: leave them out; notices are signed instead"
                .into(),
        );
    }
    let private = match url.host() {
        _ if allow_private => None,
        Some(Host::Ipv4(address)) => (!is_public_v4(address)).then(|| address.to_string()),
        Some(Host::Ipv6(address)) => (!is_public_v6(address)).then(|| address.to_string()),
        Some(Host::Domain(name)) => is_localhost(name).then(|| name.to_owned()),
        None => {
            return Err("the URL names no host: write it like `https://example.com/hook`".into());
        }
    };
    match private {
        Some(host) => Err(refusal(&host)),
        None => Ok(url),
    }
}

fn refusal(host: &str) -> String {
    format!(
        "`{host}` is not reachable from the internet: give a public address, or ask your administrator to allow \
         private ones"
    )
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Looks up names for the client, which connects to nothing else than what comes from here: an address is checked
/// at the moment it is used, and a name that leads elsewhere the second time gains nothing.
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => found.collect(),
                Err(error) if allow_private => return Err(error.into()),
                // Which names there are inside is not told from which there are not.
                Err(_) => Vec::new(),
            };
            let addresses = reachable(name.as_str(), found, allow_private)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Of the addresses of a name, those that notices may go to.
fn reachable(
    name: &str,
    mut found: Vec<SocketAddr>,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, String> {
    found.retain(|address| allow_private || is_public(address.ip()));
    if found.is_empty() { Err(refusal(name)) } else { Ok(found) }
}

/// Whether an address is anyone's on the internet, after IANA's registries of special-purpose addresses.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..] // shared by carriers
            | [169, 254, ..] // link-local, and where clouds keep credentials
            | [168, 63, 129, 16] // Azure's own address for that
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _] // protocol assignments; documentation
            | [192, 88, 99, _] // relays of 6to4
            | [198, 18..=19, ..] // benchmarks
            | [198, 51, 100, _] // documentation
            | [203, 0, 113, _] // documentation
            | [224..=255, ..] // multicast, reserved, broadcast
    )
}

/// Only global unicast, 2000::/3, and of it nothing that tunnels to IPv4; of the ways to write IPv4 as IPv6, those
/// of a network with IPv6 alone, as long as the IPv4 address is public.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        [0x2001, 0..=0x1ff, ..] => false, // Teredo, benchmarks, ORCHID
        [0x2001, 0xdb8, ..] => false,     // documentation
        [0x2002, ..] => false,            // 6to4
        [0x3fff, 0..=0xfff, ..] => false, // documentation
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// The header `webhook-signature`.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> Result<String, String> {
    let key = secret
        .strip_prefix("whsec_")
        .and_then(|key| STANDARD.decode(key).ok())
        .filter(|key| !key.is_empty())
        .ok_or("the webhook's secret is not `whsec_` and base64: create a new webhook")?;
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key).map_err(|error| format!("the secret: {error}"))?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Why a request has no answer, in short, and without its URL, which may hold what only its owner should know.
pub(crate) fn why(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let at = if error.is_connect() { "no connection: " } else { "" };
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("{at}{cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[&str], expect: &[&str]) {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        let kept = reachable("example.com", addresses(found), false).unwrap_or_default();
        assert_eq!(kept, addresses(expect), "{found:?}");
    }

    #[test]
    fn of_a_name_s_addresses_only_public_ones_are_used() {
        check(&["93.184.215.14", "10.0.0.1"], &["93.184.215.14"]);
        check(&["::1", "2606:4700::1111", "169.254.169.254"], &["2606:4700::1111"]);
        check(&["127.0.0.1", "::ffff:192.168.0.1", "64:ff9b::a00:1"], &[]);
        check(&[], &[]);
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads_when_the_client_connects() {
        let outgoing = Outgoing::new(OutgoingSettings::default()).unwrap();
        for name in ["localhost", "nothing.invalid"] {
            let sent = outgoing.client.get(format!("https://{name}:9/")).send();
            let error = why(sent.await.unwrap_err());
            let told = format!("`{name}` is not reachable from the internet");
            assert!(error.contains(&told), "{error}");
        }
    }
}
