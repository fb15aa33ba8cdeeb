//! Answers with a canonical line in them: small ones at once, large ones while the line is read.

use std::io::Write;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use retort_service::{Error, Service};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::app::App;
use crate::bounds::COMPRESSED_BYTES;
use crate::problem::Problem;
use crate::ranges::stream;

/// Writes a line.
pub(super) type WriteLine = Box<dyn Fn(&mut dyn Write) -> Result<(), Error> + Send>;

/// An answer, and where the line belongs in it.
pub(super) struct Around {
    before: String,
    behind: String,
}

impl Around {
    /// Of an answer that has `null` for the line in its field `conversation`.
    pub(super) fn new(answer: &impl Serialize) -> Result<Self, Problem> {
        const FIELD: &str = "\"conversation\":";
        let json = serde_json::to_string(answer).map_err(Problem::internal)?;
        // In a string its quotation marks would be escaped.
        let found = json.find(&format!("{FIELD}null")).map(|at| json.split_at(at + FIELD.len()));
        let (before, behind) = found.ok_or_else(|| Problem::internal("no place for the line"))?;
        let behind = behind.strip_prefix("null").unwrap_or(behind);
        Ok(Self { before: before.to_owned(), behind: behind.to_owned() })
    }
}

/// What stands for a line until it is written.
pub(super) fn no_line() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// Answers with a line of `bytes` bytes. `find` gives the answer around it, how long it is, and what writes it, and
/// has seen that the line is whole, so that no half of a large one is sent.
pub(super) async fn with_line(
    app: &App,
    find: impl FnOnce(&Service) -> Result<(Around, u64, WriteLine), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    enum Found {
        Small(Response),
        Large(Around, u64, WriteLine),
    }
    let found = app.answer(move |service| {
        let (around, bytes, write) = find(service)?;
        if bytes > COMPRESSED_BYTES as u64 {
            return Ok(Found::Large(around, bytes, write));
        }
        let mut body = around.before.into_bytes();
        body.reserve(usize::try_from(bytes).unwrap_or(0) + around.behind.len());
        write(&mut body)?;
        body.extend_from_slice(around.behind.as_bytes());
        let kind = HeaderValue::from_static("application/json");
        Ok(Found::Small(([(CONTENT_TYPE, kind)], body).into_response()))
    });
    match found.await? {
        Found::Small(response) => Ok(response),
        Found::Large(around, bytes, write) => {
            let bytes = bytes + (around.before.len() + around.behind.len()) as u64;
            let all = move |out: &mut dyn Write| {
                out.write_all(around.before.as_bytes()).map_err(Error::gone)?;
                write(out)?;
                out.write_all(around.behind.as_bytes()).map_err(Error::gone)
            };
            stream(app.downloads(), "application/json", bytes, all).await
        }
    }
}
