//! Errors of the engine as exceptions.

use std::path::Path;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use retort_engine::Error;
use retort_formats::template::TemplateError;

create_exception!(
    retort,
    RetortError,
    PyException,
    "Retort failed. `path` is the file that the error is about, and `line` the line of a chat template; each is None \
     if there is none."
);
create_exception!(retort, UsageError, PyValueError, "An argument or option is invalid.");

create_exception!(
    retort,
    RepeatedIds,
    RetortError,
    "Ids are repeated in several parts. `parts` lists those that have to be made again, with `repeats=decisions`."
);

/// The exception for an error of the engine: `UsageError` for a user's mistake, `RetortError` for anything else.
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
        _ => {
            let raised = RetortError::new_err(error.to_string());
            let told = path_of(error).map_or(Ok(()), |path| raised.value(py).setattr("path", path));
            told.err().unwrap_or(raised)
        }
    }
}

/// The exception for an error that a chat template raises.
pub fn at_line(py: Python<'_>, error: &TemplateError) -> PyErr {
    let raised = RetortError::new_err(error.to_string());
    raised.value(py).setattr("line", error.line).err().unwrap_or(raised)
}

/// The file that an error is about.
fn path_of(error: &Error) -> Option<&Path> {
    match error {
        Error::Read { path, .. }
        | Error::Write { path, .. }
        | Error::Keep { path, .. }
        | Error::Exists(path)
        | Error::Busy(path)
        | Error::NotAPackage(path)
        | Error::NotWhole { path, .. }
        | Error::NotAPart { path, .. } => Some(path),
        Error::Unpack { name, .. } => Some(Path::new(name)),
        _ => None,
    }
}

/// The exception for an invalid argument.
pub fn usage(why: impl std::fmt::Display) -> PyErr {
    UsageError::new_err(why.to_string())
}
