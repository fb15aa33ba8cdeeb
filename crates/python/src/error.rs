//! Errors of the engine as exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use retort_engine::Error;

create_exception!(retort, RetortError, PyException, "Retort could not do what was asked.");
create_exception!(retort, UsageError, PyValueError, "An argument or option is not valid.");

create_exception!(
    retort,
    RepeatedIds,
    RetortError,
    "Ids are repeated in several parts. `parts` lists those that have to be made again, with `repeats=decisions`."
);

/// The exception for an error of the engine: a user's mistake is a `UsageError`, all else a `RetortError`.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    match error {
        Error::RepeatedIds { parts, decisions } => {
            let raised = RepeatedIds::new_err(error.to_string());
            let value = raised.value(py);
            let told = value
                .setattr("parts", parts)
                .and_then(|()| value.setattr("decisions", decisions.as_path()));
            told.err().unwrap_or(raised)
        }
        Error::Choice(why) => UsageError::new_err(why.clone()),
        Error::Stopped => PyKeyboardInterrupt::new_err(()),
        _ => RetortError::new_err(error.to_string()),
    }
}

/// The exception for an argument that is not valid.
pub fn usage(why: impl std::fmt::Display) -> PyErr {
    UsageError::new_err(why.to_string())
}
