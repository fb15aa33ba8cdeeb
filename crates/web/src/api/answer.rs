//! What the endpoints of the API answer with.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use utoipa::IntoResponses;
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder, ResponsesBuilder};

use crate::extract::Json;
use crate::problem::{PROBLEMS, Problem};

/// What a handler gives.
pub type Answer<T> = Result<Json<T>, Problem>;

/// The problems that any endpoint may answer with.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let mut responses = ResponsesBuilder::new();
        let mut known: Vec<u16> = Vec::new();
        for kind in PROBLEMS {
            let status = kind.status;
            if known.contains(&status) {
                continue;
            }
            known.push(status);
            let titles: Vec<&str> = PROBLEMS
                .iter()
                .filter(|other| other.status == kind.status)
                .map(|other| other.title)
                .collect();
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new()
                .description(titles.join("; "))
                .content("application/problem+json", content)
                .build();
            responses = responses.response(status.to_string(), response);
        }
        responses.build().responses
    }
}

/// JSON text as it stands.
///
/// # Errors
/// It is no JSON.
pub fn raw(line: Vec<u8>) -> Result<Box<RawValue>, Problem> {
    let text = String::from_utf8(line).map_err(Problem::internal)?;
    RawValue::from_string(text).map_err(Problem::internal)
}
