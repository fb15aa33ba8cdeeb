//! The Python module `retort`: the engine's functions, with histories and datasets as Python and Arrow objects.
//!
//! Rules live in the engine and the formats; this crate only translates values, errors, progress and signals.

mod command;
mod dataset;
mod error;
mod plan;
mod renderer;
mod running;
mod verbs;

use mimalloc::MiMalloc;
use pyo3::prelude::*;

/// The same allocator as in the program `retort`. Python's own memory is not affected.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The native half of the package `retort`.
#[pymodule]
fn _retort(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("RepeatedIds", module.py().get_type::<error::RepeatedIds>())?;
    let retort_error = module.py().get_type::<error::RetortError>();
    retort_error.setattr("path", module.py().None())?;
    retort_error.setattr("line", module.py().None())?;
    module.add("RetortError", retort_error)?;
    module.add("UsageError", module.py().get_type::<error::UsageError>())?;
    module.add_class::<dataset::Dataset>()?;
    module.add_class::<dataset::Records>()?;
    module.add_function(wrap_pyfunction!(verbs::convert, module)?)?;
    module.add_class::<renderer::Renderer>()?;
    module.add_function(wrap_pyfunction!(command::command, module)?)?;
    module.add_function(wrap_pyfunction!(renderer::render, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::diff, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::filters, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::formats, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::hash_of_parts, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::inspect, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::merge, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::options, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::pinned, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::preview, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::read, module)?)?;
    module.add_function(wrap_pyfunction!(verbs::verify, module)?)?;
    Ok(())
}
