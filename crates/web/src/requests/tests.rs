use std::io;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::to_bytes;
use axum::routing::{get, post};
use futures_util::stream;
use tower::ServiceExt;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::extract::{no_method, no_route, whole_body};

/// What was logged on this thread, as JSON lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn keep() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The fields of the one line that tells of the request.
    fn line(&self) -> serde_json::Value {
        let text = self.text();
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"].take())
            .filter(|fields| fields["message"] == "request");
        let line = lines.next().unwrap();
        assert!(lines.next().is_none(), "{text}");
        line
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn router() -> Router {
    let router = Router::new()
        .route("/share/{token}", get(async || "hello"))
        .route("/page", get(async || ([(CONTENT_SECURITY_POLICY, "default-src 'self'")], "")))
        .route("/panic", get(async || -> &str { panic!("a secret") }))
        .route("/fail", get(async || Problem::internal("a secret table is gone")))
        .route("/body", post(async |request: Request| whole_body(request, 100).await))
        .route(
            "/swallow",
            post(async |request: Request| {
                let _ = whole_body(request, 100).await;
                "all well"
            }),
        )
        .route(
            "/breaks",
            get(async || {
                let chunks = [Ok("abc"), Err(io::Error::other("the disk"))];
                Body::from_stream(stream::iter(chunks))
            }),
        )
        .fallback(no_route)
        .method_not_allowed_fallback(no_method);
    around(router, Metrics::new("0"), Pace::default())
}

async fn ask(request: Request) -> Response {
    router().oneshot(request).await.unwrap()
}

fn request(method: &str, address: &str) -> Request {
    Request::builder().method(method).uri(address).body(Body::empty()).unwrap()
}

async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_request_is_one_line_that_names_its_route_and_no_secret() {
    let (log, _guard) = Log::keep();
    let mut request = request("GET", "/share/secret-1?token=secret-2");
    request.headers_mut().insert("authorization", "Bearer secret-3".parse().unwrap());
    let response = ask(request).await;
    let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
    text(response).await;
    let line = log.line();
    assert_eq!(line["request"], id);
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/share/{token}");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], 5);
    assert_eq!(line["whole"], true);
    assert!(!log.text().contains("secret"), "{}", log.text());
}

#[tokio::test]
async fn an_unknown_route_and_method_are_told_without_their_names() {
    let (log, _guard) = Log::keep();
    let response = ask(request("BREW", "/secret")).await;
    assert_eq!(response.status(), 404);
    text(response).await;
    let line = log.line();
    assert_eq!((&line["method"], &line["route"]), (&"other".into(), &"other".into()));
    let response = ask(request("POST", "/page")).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &HeaderValue::from_static("GET,HEAD"))
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_left_is_told_as_not_whole() {
    for read_it in [true, false] {
        let (log, _guard) = Log::keep();
        let response = ask(request("GET", "/breaks")).await;
        if read_it {
            assert!(to_bytes(response.into_body(), 100).await.is_err());
            assert!(log.text().contains("the disk"));
        } else {
            drop(response);
        }
        let line = log.line();
        assert_eq!(line["whole"], false);
        assert_eq!(line["bytes"], if read_it { 3 } else { 0 });
    }
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_is_told_too() {
    let (log, _guard) = Log::keep();
    let waits = Router::new().route("/", get(std::future::pending::<()>));
    let router = around(waits, Metrics::new("0"), Pace::default());
    let answer = router.oneshot(request("GET", "/"));
    assert!(tokio::time::timeout(Duration::from_millis(10), answer).await.is_err());
    assert_eq!(log.line()["status"], 499);
}

#[tokio::test]
async fn the_callers_id_is_kept_if_it_is_one() {
    let longest = "a".repeat(64);
    let too_long = "a".repeat(65);
    for (sent, is_kept) in [
        (vec!["Job-7_a.b"], true),
        (vec![&*longest], true),
        (vec![&*too_long], false),
        (vec![""], false),
        (vec!["a b"], false),
        (vec!["a\"b"], false),
        (vec!["a", "b"], false),
        (vec![], false),
    ] {
        let mut request = request("GET", "/nowhere");
        for id in &sent {
            request.headers_mut().append(REQUEST_ID, id.parse().unwrap());
        }
        let response = ask(request).await;
        let got = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        assert_eq!(Some(&*got) == sent.first().copied(), is_kept, "{sent:?}");
        assert!(is_kept || got.len() == 24, "{got}");
        assert!(text(response).await.contains(&format!("\"request_id\":\"{got}\"")));
    }
}

#[tokio::test]
async fn browsers_are_kept_strict_and_pages_may_say_their_own_policy() {
    for (address, policy) in [
        (
            "/share/a",
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("/page", "default-src 'self'"),
        (
            "/nowhere",
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ] {
        let response = ask(request("GET", address)).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("content-security-policy", policy),
        ] {
            assert_eq!(response.headers()[name], value, "{address}");
        }
    }
}

#[tokio::test]
async fn a_panic_and_a_failure_are_500_and_their_cause_is_only_logged() {
    for (address, cause) in
        [("/panic", "the handler panicked"), ("/fail", "a secret table is gone")]
    {
        let (log, _guard) = Log::keep();
        let response = ask(request("GET", address)).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let text = text(response).await;
        assert!(text.contains(&id) && !text.contains("secret"), "{text}");
        let log = log.text();
        assert!(log.contains(cause) && log.contains(&id), "{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_ends_with_408_whatever_the_handler_makes_of_it() {
    for address in ["/body", "/swallow"] {
        let start = Instant::now();
        let silent = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        let request = Request::post(address).body(silent).unwrap();
        let response = ask(request).await;
        assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (408, 20), "{address}");
        assert_eq!(response.headers()["connection"], "close");
        assert!(text(response).await.contains("/problems/timeout"));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let broken = Body::from_stream(stream::iter([Ok("abc"), Err(io::Error::other("reset"))]));
    let response = ask(Request::post("/body").body(broken).unwrap()).await;
    assert_eq!(response.status(), 400);
    assert!(text(response).await.contains("broke off"));
}

#[tokio::test]
async fn requests_are_counted_by_their_routes_pattern() {
    let metrics = Metrics::new("0");
    let hello = Router::new().route("/share/{token}", get(async || "hello"));
    let router = around(hello, metrics.clone(), Pace::default());
    for (method, address) in
        [("GET", "/share/a"), ("GET", "/share/b"), ("HEAD", "/share/c"), ("BREW", "/nowhere")]
    {
        text(router.clone().oneshot(request(method, address)).await.unwrap()).await;
    }
    let told = text(metrics.answer()).await;
    for line in [
        r#"retort_http_requests_total{method="GET",route="/share/{token}",status="2xx"} 2"#,
        r#"retort_http_requests_total{method="HEAD",route="/share/{token}",status="2xx"} 1"#,
        r#"retort_http_requests_total{method="other",route="other",status="4xx"} 1"#,
    ] {
        assert!(told.lines().any(|got| got == line), "{line}\n{told}");
    }
}
