//! Notices, sent to real local servers.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use retort_model::Time;
use retort_web::outgoing::{Outgoing, OutgoingSettings, check_url, next_attempt};
use tokio::net::TcpListener;

/// The example of the specification's own libraries.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &str = r#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

/// Hosts that are no one's on the internet, as people and attackers write them.
const PRIVATE: &str = "
    127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7F.1 0177.0.0.1 017700000001 127.0.0.1.
    %31%32%37.0.0.1 １２７.0.0.1 ①②⑦.⓪.⓪.① 127。0。0。1 127.255.255.254 0 0.0.0.0 0.1.2.3 10.0.0.1
    10.255.255.255 0xa.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 3232235521 169.254.169.254 0xa9fea9fe
    2852039166 0251.0376.0251.0376 100.64.0.1 100.127.255.255 100.100.100.200 168.63.129.16 192.0.0.8
    192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255 [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::8.8.8.8] [::ffff:127.0.0.1]
    [::ffff:7f00:1] [::ffff:169.254.169.254] [::ffff:0:127.0.0.1] [64:ff9b::10.0.0.1] [64:ff9b::7f00:1]
    [64:ff9b:1::8.8.8.8] [2002:7f00:1::] [2002:c0a8:1::1] [2002:808:808::] [2001::1]
    [2001:0:4136:e378:8000:63bf:f5ff:fffe] [2001:2::1] [2001:10::1] [2001:db8::1] [3fff::1] [100::1]
    [5f00::1] [fc00::1] [fd00:ec2::254] [fe80::1] [febf::1] [fec0::1] [ff02::1] [4000::1] localhost
    LOCALHOST localhost. app.localhost
";

/// Hosts that may be anyone's, many of them next to those that are not.
const PUBLIC: &str = "
    8.8.8.8 1.1.1.1 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.0.1
    172.15.255.255 172.32.0.1 192.0.1.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255
    134744072 [2606:4700:4700::1111] [2001:200::1] [2001:4860:4860::8888] [3fff:1000::1]
    [::ffff:8.8.8.8] [64:ff9b::8.8.8.8] example.com hooks.example.com. bücher.example
    localhost.example.com
";

fn now() -> Time {
    Time::from_epoch_ms(1_614_265_330_999).unwrap()
}

fn outgoing(allow_private: bool) -> Outgoing {
    Outgoing::new(OutgoingSettings { allow_private, ..Default::default() }).unwrap()
}

type Received = Arc<Mutex<Vec<(Uri, HeaderMap, String)>>>;

/// A server that answers everything with a status, and remembers what it was asked.
async fn receiver(status: u16) -> (String, Received) {
    let received = Received::default();
    let kept = received.clone();
    let app = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: String| {
        kept.lock().unwrap().push((uri, headers, body));
        (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], "x".repeat(1 << 20))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    (url, received)
}

#[tokio::test]
async fn a_notice_arrives_with_the_signature_of_the_specification() {
    let (url, received) = receiver(204).await;
    assert_eq!(outgoing(true).post(&url, SECRET, ID, BODY, now()).await, Ok(204));
    let received = received.lock().unwrap();
    let [(uri, headers, body)] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!((uri.path(), body.as_str()), ("/hook", BODY));
    assert_eq!(headers["webhook-id"], ID);
    assert_eq!(headers["webhook-timestamp"], "1614265330");
    assert_eq!(headers["webhook-signature"], SIGNATURE);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["user-agent"], concat!("retort/", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    // Nothing listens at port 9; the test before this one, run again, would not arrive through it.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outgoing::a_notice_arrives_with_the_signature_of_the_specification"])
        .envs(
            ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"]
                .map(|n| (n, "http://127.0.0.1:9")),
        )
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (url, received) = receiver(307).await;
    assert_eq!(outgoing(true).post(&url, SECRET, ID, BODY, now()).await, Ok(307));
    assert_eq!(received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path", listener.local_addr().unwrap());
    let timeout = Duration::from_millis(200);
    let outgoing = Outgoing::new(OutgoingSettings { allow_private: true, timeout }).unwrap();
    let error = outgoing.post(&url, SECRET, ID, BODY, now()).await.unwrap_err();
    assert_eq!(error, "no answer in time");

    drop(listener);
    let error = outgoing.post(&url, SECRET, ID, BODY, now()).await.unwrap_err();
    assert!(error.starts_with("no connection: ") && !error.contains("secret-path"), "{error}");
}

#[tokio::test]
async fn a_secret_that_is_none_is_refused_and_not_told() {
    for secret in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64"] {
        let error = outgoing(true).post("http://127.0.0.1:9/", secret, ID, BODY, now()).await;
        assert_eq!(
            error.unwrap_err(),
            "the webhook's secret is not `whsec_` and base64: create a new webhook"
        );
    }
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_spelling() {
    let outgoing = outgoing(false);
    for host in PRIVATE.split_whitespace() {
        let url = format!("https://{host}:8443/hook");
        let refused = check_url(&url, false).unwrap_err();
        assert!(
            refused.contains("is not reachable from the internet: give a public address"),
            "{host}: {refused}"
        );
        assert_eq!(outgoing.post(&url, SECRET, ID, BODY, now()).await, Err(refused));
        assert_eq!(check_url(&url, true), Ok(()), "{host}");
    }
}

#[test]
fn public_addresses_and_names_are_taken() {
    for host in PUBLIC.split_whitespace() {
        assert_eq!(check_url(&format!("https://{host}/hook?token=1"), false), Ok(()), "{host}");
    }
}

#[test]
fn what_is_no_url_for_notices_is_refused_with_what_to_give() {
    for (url, expect) in [
        ("", "not a URL"),
        ("example.com/hook", "not a URL"),
        ("/hook", "not a URL"),
        ("https://", "not a URL"),
        ("https://[fe80::1%25eth0]/", "not a URL"),
        ("http://example.com/", "the URL is not encrypted: give one that begins with `https://`"),
        ("ftp://example.com/", "notices cannot be sent to `ftp:`"),
        ("file:///etc/passwd", "notices cannot be sent to `file:`"),
        ("gopher://127.0.0.1:6379/_", "notices cannot be sent to `gopher:`"),
        ("https://user@example.com/", "the URL contains a name or a password"),
        ("https://:word@example.com/", "the URL contains a name or a password"),
        ("https://example.com@127.0.0.1/", "the URL contains a name or a password"),
        (&format!("https://example.com/{}", "x".repeat(3000)), "the URL is longer than 2048 bytes"),
    ] {
        let error = check_url(url, false).unwrap_err();
        assert!(error.starts_with(expect), "{url}: {error}");
        assert!(!error.contains("word@"), "{error}");
    }
    assert_eq!(check_url("http://intranet:8080/hook", true), Ok(()));
    assert!(check_url("ftp://example.com/", true).is_err());
}

#[test]
fn attempts_become_rare_and_end() {
    let waits: Vec<u64> = (0..).map_while(next_attempt).map(|wait| wait.as_secs()).collect();
    assert_eq!(waits, [0, 10, 60, 300, 1800, 7200, 21_600, 86_400]);
    assert_eq!(next_attempt(u64::MAX), None);
}
