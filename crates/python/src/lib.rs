//! The Python module `retort`: the engine's verbs, with histories and datasets as Python and Arrow see them.
//!
//! Rules live in the engine and the formats; this crate only translates values, errors, progress and signals.

mod dataset;
mod error;
mod plan;
mod running;
mod verbs;

use pyo3::prelude::*;

/// The native half of the package `retort`.
#[pymodule]
fn _retort(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("RepeatedIds", module.py().get_type::<error::RepeatedIds>())?;
    module.add("RetortError", module.py().get_type::<error::RetortError>())?;
    module.add("UsageError", module.py().get_type::<error::UsageError>())?;
    module.add_class::<dataset::Dataset>()?;
    module.add_class::<dataset::Records>()?;
    module.add_function(wrap_pyfunction!(verbs::convert, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::formats, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::merge, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::options, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::preview, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::read, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::verify, module)?)?;
    Ok(())
}
