//! What the endpoints of the API answer with.

use serde_json::value::RawValue;

use crate::extract::Json;
use crate::problem::Problem;

/// What a handler gives.
pub type Answer<T> = Result<Json<T>, Problem>;

/// JSON text as it stands.
///
/// # Errors
/// It is no JSON.
pub fn raw(line: Vec<u8>) -> Result<Box<RawValue>, Problem> {
    let text = String::from_utf8(line).map_err(Problem::internal)?;
    RawValue::from_string(text).map_err(Problem::internal)
}
