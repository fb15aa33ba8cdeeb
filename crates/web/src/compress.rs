//! Answers compressed with gzip for who takes it: pages, JSON, styles and scripts, which shrink to a fifth. Event streams
//! and downloads pass as they are: what streams has no known length, and datasets are compressed already.

use std::io::{self, Write};

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::blocking::off_thread;
use crate::bounds::{COMPRESSED_BYTES, INLINE_BYTES, LEAST_BYTES};
use crate::problem::Problem;

/// What shrinks.
const TEXTS: [&str; 6] = [
    "text/html",
    "text/css",
    "text/javascript",
    "application/json",
    "application/openmetrics-text",
    "image/svg+xml",
];

/// Compresses an answer if it is worth it and its client takes it.
pub async fn compress(request: Request, next: Next) -> Response {
    let takes = takes_gzip(request.headers());
    let mut response = next.run(request).await;
    if !shrinks(&response) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    if !takes {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, COMPRESSED_BYTES).await {
        Ok(bytes) => bytes,
        // Nothing was sent yet, so the client need not find out by itself.
        Err(error) => return axum::response::IntoResponse::into_response(Problem::internal(error)),
    };
    let packed = if bytes.len() <= INLINE_BYTES {
        gzip(&bytes)
    } else {
        let kept = bytes.clone();
        off_thread(move || gzip(&kept))
            .await
            .unwrap_or_else(|problem| Err(io::Error::other(problem.detail().to_owned())))
    };
    let Ok(packed) = packed else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

/// Whether the answer is a text whose length is known and worth it. Problems are written later, with their id.
fn shrinks(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_problem = kind == "application/problem+json";
    let length =
        response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    !is_problem
        && TEXTS.contains(&kind)
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && length.is_some_and(|length| (LEAST_BYTES..=COMPRESSED_BYTES).contains(&length))
}

/// Whether `Accept-Encoding` names gzip, or anything, and does not refuse it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut anything = false;
    let all = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for coding in all.flat_map(|value| value.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let is_taken = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|q| q > 0.0));
        if name.eq_ignore_ascii_case("gzip") {
            return is_taken;
        }
        anything |= name == "*" && is_taken;
    }
    anything
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(5));
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::Router;
    use axum::middleware::from_fn;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use futures_util::stream;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, accept: &str) -> (Option<String>, bool, Vec<u8>) {
        let kind = |kind: &'static str| [(CONTENT_TYPE, kind)];
        let text = || "abc ".repeat(2_000);
        let router: Router = Router::new()
            .route("/page", get(move || async move { (kind("text/html; charset=utf-8"), text()) }))
            .route("/short", get(move || async move { (kind("application/json"), "{}") }))
            .route("/zip", get(move || async move { (kind("application/zip"), text()) }))
            .route(
                "/part",
                get(move || async move {
                    (kind("application/json"), [(CONTENT_RANGE, "bytes 0-9/10")], text())
                }),
            )
            .route(
                "/events",
                get(move || async move {
                    let event = Ok::<_, std::convert::Infallible>(text());
                    let body = Body::from_stream(stream::iter([event]));
                    (kind("text/event-stream"), body).into_response()
                }),
            )
            .route(
                "/lines",
                get(move || async move {
                    let line = Ok::<_, std::convert::Infallible>(text());
                    let body = Body::from_stream(stream::iter([line]));
                    (kind("application/json"), body).into_response()
                }),
            )
            .layer(from_fn(compress));
        let request = Request::builder().uri(path).header(ACCEPT_ENCODING, accept);
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let header = |name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (coding, varies) = (header(CONTENT_ENCODING), header(VARY).is_some());
        let length = header(CONTENT_LENGTH);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(length.is_none_or(|length| length == body.len().to_string()), "{path}");
        (coding, varies, body.to_vec())
    }

    #[tokio::test]
    async fn texts_are_compressed_for_who_takes_it_and_nothing_else_is() {
        for (path, accept, is_packed, varies) in [
            ("/page", "gzip, deflate, br", true, true),
            ("/page", "br;q=1.0, GZIP;q=0.5", true, true),
            ("/page", "*", true, true),
            ("/page", "gzip;q=0, *", false, true),
            ("/page", "br", false, true),
            ("/page", "", false, true),
            ("/short", "gzip", false, false),
            ("/zip", "gzip", false, false),
            ("/part", "gzip", false, false),
            ("/events", "gzip", false, false),
            ("/lines", "gzip", false, false),
        ] {
            let (coding, has_vary, body) = ask(path, accept).await;
            assert_eq!(coding.is_some(), is_packed, "{path} {accept}");
            assert_eq!(has_vary, varies, "{path} {accept}");
            if is_packed {
                let mut text = String::new();
                flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
                assert_eq!(text, "abc ".repeat(2_000));
                assert!(body.len() < 200);
            }
        }
    }
}
