//! Translates Python arguments into the engine's plans.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use retort_engine::{ConvertPlan, ExportOptions, Input};
use retort_formats::import::{self, ImportFormat};
use retort_model::{ConversationFilter, DatasetName, Filter, Time};

use crate::error::{raised, usage};
use crate::running::run;

/// What to read: one path or several.
#[derive(FromPyObject)]
pub enum Source {
    /// A file, folder or archive.
    One(PathBuf),
    /// Several.
    Many(Vec<PathBuf>),
}

impl Source {
    /// The paths, as they were given.
    pub fn inputs(self) -> Vec<Input> {
        match self {
            Self::One(path) => vec![Input::Path(path)],
            Self::Many(paths) => paths.into_iter().map(Input::Path).collect(),
        }
    }
}

/// Sets the conversations that a plan selects: those that match a dict of filter fields, at most `limit` of them.
pub fn select(
    plan: &mut ConvertPlan,
    filter: Option<&Bound<'_, PyDict>>,
    limit: Option<u64>,
) -> PyResult<()> {
    if let Some(filter) = filter {
        let json = filter.py().import("json")?;
        let text: String = json.call_method1("dumps", (filter,))?.extract()?;
        let read: ConversationFilter = serde_json::from_str(&text)
            .map_err(|error| usage(format!("filter: {}", without_place(&error))))?;
        read.check().map_err(|why| usage(format!("filter: {why}")))?;
        plan.selection = read;
    }
    if limit.is_some() {
        plan.selection.limit = limit;
    }
    Ok(())
}

/// An error in the JSON text of a dict, without its line and column: the caller has not seen that text.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).map(str::to_owned).unwrap_or(text)
}

/// The current time, for templates that print the date.
pub fn now() -> Time {
    #[allow(clippy::disallowed_methods, reason = "the module is a door, and reads the clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Time::from_unix_micros(micros)
        .or(Time::from_epoch_ms(0))
        .unwrap_or_else(|| std::process::abort())
}

/// The options of the engine's table, given by name. `None` is the default.
pub fn options(given: Option<&Bound<'_, PyDict>>) -> PyResult<ExportOptions> {
    let mut options = ExportOptions::default();
    for (name, value) in given.into_iter().flatten() {
        // Names that are Python keywords end in an underscore, such as `for_`.
        let name: String = name.extract()?;
        let name = name.strip_suffix('_').unwrap_or(&name);
        let text = if value.is_none() {
            continue;
        } else if let Ok(flag) = value.cast::<PyBool>() {
            flag.is_true().to_string()
        } else if let Ok(text) = value.cast::<PyString>() {
            text.to_string()
        } else {
            value.str()?.to_string()
        };
        options = options.with_files(name, &text).map_err(usage)?;
    }
    Ok(options)
}

/// A plan that reads `source` and writes to `output`, with the defaults of the command line. Inputs on the Hub
/// are copied first, which `progress` reports as well.
pub fn plan(
    py: Python<'_>,
    source: Source,
    format: Option<&str>,
    name: DatasetName,
    options: &ExportOptions,
    output: PathBuf,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<ConvertPlan> {
    let from = format.map(import_format).transpose()?;
    let inputs = source.inputs();
    let inputs =
        run(py, progress, |observer, stopped| retort_cli::hub::fetched(inputs, observer, stopped))?;
    let mut plan = ConvertPlan::new(inputs, options, name).map_err(usage)?;
    let dataset = &mut plan.dataset;
    dataset.open_files(&dataset.paths(), now()).map_err(|error| raised(py, &error))?;
    Ok(ConvertPlan { from, output, ..plan })
}

/// Prepares the redaction of a plan, with the key in a file or a new one. Rules may run any program,
/// because the caller is a script.
pub fn redact(py: Python<'_>, plan: &mut ConvertPlan, key: Option<&Path>) -> PyResult<()> {
    retort_engine::allow_all_programs();
    let is_part = plan.part.is_some();
    plan.dataset.redaction.prepare_from(key, is_part).map_err(|error| raised(py, &error))
}

fn import_format(name: &str) -> PyResult<&'static dyn ImportFormat> {
    import::by_name(name).ok_or_else(|| {
        let names: Vec<_> = import::FORMATS.iter().map(|format| format.name()).collect();
        usage(format!("unknown import format `{name}`; known formats: {}", names.join(", ")))
    })
}
