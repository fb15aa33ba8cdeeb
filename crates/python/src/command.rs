//! The command line, which the package installs as the script `retort`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command `retort` and returns its exit code. The first argument is the program's name. After wrong usage and
/// after `--help`, the process exits.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "Python gives values")]
pub fn command(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| retort_cli::exit_code_of(&args))
}
