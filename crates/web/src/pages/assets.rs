//! The style and the scripts of the pages, which are in the program itself.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::app::App;

/// Each with its type.
const ASSETS: [(&str, &str, &str); 10] = [
    ("/assets/retort.css", "text/css; charset=utf-8", include_str!("../../assets/retort.css")),
    ("/assets/retort.svg", "image/svg+xml", include_str!("../../assets/retort.svg")),
    ("/assets/page.js", SCRIPT, include_str!("../../assets/page.js")),
    ("/assets/keys.js", SCRIPT, include_str!("../../assets/keys.js")),
    ("/assets/choose.js", SCRIPT, include_str!("../../assets/choose.js")),
    ("/assets/rows.js", SCRIPT, include_str!("../../assets/rows.js")),
    ("/assets/runs.js", SCRIPT, include_str!("../../assets/runs.js")),
    ("/assets/follow.js", SCRIPT, include_str!("../../assets/follow.js")),
    ("/assets/drop.js", SCRIPT, include_str!("../../assets/drop.js")),
    ("/assets/secret.js", SCRIPT, include_str!("../../assets/secret.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router<App> {
    ASSETS.iter().fold(Router::new(), |router, &(path, kind, text)| {
        let hash = Sha256::digest(text.as_bytes());
        let etag: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let etag = format!("\"{etag}\"");
        router.route(path, get(move |headers: HeaderMap| asset(headers, kind, text, etag.clone())))
    })
}

/// Asked for again, an asset that has not changed is not sent again.
async fn asset(
    headers: HeaderMap,
    kind: &'static str,
    text: &'static str,
    etag: String,
) -> Response {
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let tag = HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\""));
    let fresh = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    (fresh, [(CONTENT_TYPE, kind)], text).into_response()
}
