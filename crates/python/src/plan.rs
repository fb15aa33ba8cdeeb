//! Arguments of Python as the engine's plans.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use retort_engine::{ByKind, ConvertPlan, ExportOptions, Input, ReadOptions};
use retort_formats::import::{self, ImportFormat};
use retort_model::{ConversationFilter, DatasetName, bounds};

use crate::error::usage;

/// What to read: one path or several.
#[derive(FromPyObject)]
pub enum Source {
    /// A file, folder or archive.
    One(PathBuf),
    /// Several.
    Many(Vec<PathBuf>),
}

impl Source {
    fn inputs(self) -> Vec<Input> {
        match self {
            Self::One(path) => vec![Input::Path(path)],
            Self::Many(paths) => paths.into_iter().map(Input::Path).collect(),
        }
    }
}

/// The options of the engine's table, given by name. `None` is the default.
pub fn options(given: Option<&Bound<'_, PyDict>>) -> PyResult<ExportOptions> {
    let mut options = ExportOptions::default();
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        let text = if value.is_none() {
            continue;
        } else if let Ok(flag) = value.cast::<PyBool>() {
            flag.is_true().to_string()
        } else if let Ok(text) = value.cast::<PyString>() {
            text.to_string()
        } else {
            value.str()?.to_string()
        };
        options = options.with(&name, &text).map_err(usage)?;
    }
    Ok(options)
}

/// A plan that reads `source`, writes to `output`, and has the defaults of the command line.
pub fn plan(
    source: Source,
    format: Option<&str>,
    name: DatasetName,
    options: &ExportOptions,
    output: PathBuf,
) -> PyResult<ConvertPlan> {
    Ok(ConvertPlan {
        inputs: source.inputs(),
        from: format.map(import_format).transpose()?,
        selection: ConversationFilter::default(),
        namespace: None,
        dataset: options.resolve(name, None).map_err(usage)?,
        by_kind: ByKind {
            data_format: !options.has("data_format") && options.has("purpose"),
            file_name: !options.has("file_name"),
        },
        output,
        shard_bytes: bounds::SHARD_BYTES,
        threads: threads(None),
        force: false,
        snapshot: None,
        reading: ReadOptions::default(),
        strict: false,
        part: None,
    })
}

/// As many threads as asked, else as the machine has cores; within the bound.
pub fn threads(asked: Option<usize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.unwrap_or_else(cores).clamp(1, bounds::THREADS)
}

fn import_format(name: &str) -> PyResult<&'static dyn ImportFormat> {
    import::by_name(name).ok_or_else(|| {
        let names: Vec<_> = import::FORMATS.iter().map(|format| format.name()).collect();
        usage(format!("unknown import format `{name}`; known are {}", names.join(", ")))
    })
}
