//! The functions of the module.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyList};
use retort_engine::pipeline::threads as bounded_threads;
use retort_engine::{
    AskedPart, Error, Input, MergePlan, Merged, OPTIONS, Package, Values, verify_package,
};
use retort_formats::{data, file, import};
use retort_model::{ConversationFilter, DatasetName, Filter, FilterValues};

use crate::dataset::{Dataset, loads};
use crate::error::{RetortError, raised, usage};
use crate::plan::{Source, options as parse_options, plan, redact, select};
use crate::running::run;

/// Reads histories and writes a dataset package.
///
/// `source` is a path or a list of paths: files, folders, archives, or datasets on the Hugging Face Hub, such as
/// `"hf://datasets/acme/support@v1/data"`, which are copied to this machine first. `to` is the folder of the package, or
/// an archive if it ends in `.zip`. `filter` selects conversations, by the fields of `retort.filters()`, such as
/// `{"type": ["chat"], "created_from": "2026-01-01"}`. `options` are those of `retort.options()`, such as `data_format="openai"`. `rejects` is a file
/// that gets a line of JSON for each item that could not be read or was left out. `redact_key` is a file with the key
/// of pseudonyms for `redact`. `progress(read_bytes, total_bytes)` is called from time to time.
///
/// With `part="2/7"`, it makes one part of the export in the folder `to`, for `retort.merge`, and returns the folder's
/// path.
#[pyfunction]
#[pyo3(signature = (source, to, *, format=None, name=None, namespace=None, filter=None, limit=None, threads=None, force=false, strict=false, part=None, repeats=None, rejects=None, redact_key=None, progress=None, **options))]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
#[allow(clippy::needless_pass_by_value, reason = "Python gives values")]
pub fn convert<'py>(
    py: Python<'py>,
    source: Source,
    to: PathBuf,
    format: Option<&str>,
    name: Option<&str>,
    namespace: Option<String>,
    filter: Option<&Bound<'py, PyDict>>,
    limit: Option<u64>,
    threads: Option<usize>,
    force: bool,
    strict: bool,
    part: Option<&str>,
    repeats: Option<PathBuf>,
    rejects: Option<PathBuf>,
    redact_key: Option<PathBuf>,
    progress: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let name: DatasetName = match name {
        Some(name) => name.parse().map_err(usage)?,
        None => {
            let stem = to.file_stem().unwrap_or_default().to_string_lossy();
            stem.parse().map_err(|error| usage(format!("{error}; give a `name`")))?
        }
    };
    let mut plan = plan(py, source, format, name, &parse_options(options)?, to, progress)?;
    plan.namespace = namespace;
    select(&mut plan, filter, limit)?;
    plan.threads = bounded_threads(threads);
    plan.force = force;
    plan.strict = strict;
    plan.part = match part {
        Some(part) => Some(AskedPart { part: part.parse().map_err(usage)?, repeats }),
        None => None,
    };
    redact(py, &mut plan, redact_key.as_deref())?;
    let mut rejects: Box<dyn Write + Send> = match rejects {
        Some(path) => Box::new(BufWriter::new(File::create(path)?)),
        None => Box::new(io::sink()),
    };
    let report = run(py, progress, |observer, stopped| {
        retort_engine::convert(&plan, observer, stopped, &mut *rejects)
    })?;
    rejects.flush()?;
    if plan.part.is_some() {
        return Ok(report.output.into_pyobject(py)?.into_any());
    }
    Ok(Bound::new(py, Dataset::open(py, report.output, None)?)?.into_any())
}

/// Checks that an export can be made in parts, and returns a hash of everything that the bytes of the parts depend on.
/// If the folder of the parts has this hash in its name, parts that exist already can be reused.
#[pyfunction]
#[pyo3(signature = (source, to, name, *, force=false, format=None, namespace=None, filter=None, limit=None, strict=false, redact_key=None, **options))]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
#[allow(clippy::needless_pass_by_value, reason = "Python gives values")]
pub fn hash_of_parts(
    py: Python<'_>,
    source: Source,
    to: PathBuf,
    name: &str,
    force: bool,
    format: Option<&str>,
    namespace: Option<String>,
    filter: Option<&Bound<'_, PyDict>>,
    limit: Option<u64>,
    strict: bool,
    redact_key: Option<PathBuf>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<String> {
    if !force && to.symlink_metadata().is_ok() {
        return Err(raised(py, &Error::Exists(to)));
    }
    let name = name.parse().map_err(usage)?;
    let mut plan = plan(py, source, format, name, &parse_options(options)?, to, None)?;
    plan.namespace = namespace;
    select(&mut plan, filter, limit)?;
    plan.strict = strict;
    plan.part = Some(AskedPart { part: "1/1".parse().map_err(usage)?, repeats: None });
    redact(py, &mut plan, redact_key.as_deref())?;
    run(py, None, |_, stopped| retort_engine::hash_of_parts(&plan, stopped))
}

/// Reads histories and returns them as a dataset in the lossless format `retort`, in a temporary folder that is removed
/// with the object. Iterate over it: each conversation or run is a dict.
#[pyfunction]
#[pyo3(signature = (source, *, format=None, namespace=None, threads=None, progress=None))]
pub fn read(
    py: Python<'_>,
    source: Source,
    format: Option<&str>,
    namespace: Option<String>,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Dataset> {
    let folder = tempfile::Builder::new().prefix("retort-").tempdir()?;
    let options =
        retort_engine::ExportOptions::default().with("data_format", "retort").map_err(usage)?;
    let name = "history".parse().map_err(usage)?;
    let mut plan =
        plan(py, source, format, name, &options, folder.path().join("history"), progress)?;
    plan.namespace = namespace;
    plan.threads = bounded_threads(threads);
    let report = run(py, progress, |observer, stopped| {
        retort_engine::convert(&plan, observer, stopped, &mut io::sink())
    })?;
    Dataset::open(py, report.output, Some(folder))
}

/// The first records that `convert` would write, as a list of dicts; nothing is written.
#[pyfunction]
#[pyo3(signature = (source, *, format=None, filter=None, redact_key=None, **options))]
#[allow(clippy::needless_pass_by_value, reason = "Python gives values")]
pub fn preview<'py>(
    py: Python<'py>,
    source: Source,
    format: Option<&str>,
    filter: Option<&Bound<'py, PyDict>>,
    redact_key: Option<PathBuf>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    let name = "preview".parse().map_err(usage)?;
    let mut plan = plan(py, source, format, name, &parse_options(options)?, PathBuf::new(), None)?;
    select(&mut plan, filter, None)?;
    redact(py, &mut plan, redact_key.as_deref())?;
    let preview =
        run(py, None, |_, stopped| retort_engine::preview(&plan, stopped, &mut io::sink()))?;
    let loads = loads(py)?;
    let records: PyResult<Vec<_>> =
        preview.records.iter().map(|text| loads.call1((text,))).collect();
    PyList::new(py, records?)
}

/// Merges the parts that `convert(part=…)` made into one package. It is byte for byte the same as `convert` makes
/// without parts.
#[pyfunction]
#[pyo3(signature = (parts, to, *, force=false, threads=None, progress=None))]
pub fn merge(
    py: Python<'_>,
    parts: Vec<PathBuf>,
    to: PathBuf,
    force: bool,
    threads: Option<usize>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Dataset> {
    let threads = bounded_threads(threads);
    let plan = MergePlan { parts, output: to, is_partial: false, force, threads };
    let merged =
        run(py, progress, |observer, stopped| retort_engine::merge(&plan, observer, stopped))?;
    match merged {
        Merged::Package(report) => Dataset::open(py, report.output, None),
        Merged::Parts { .. } => Err(usage("some parts are missing")),
    }
}

/// Reads a whole package and compares it with its receipt: the bytes and hash of every file, and all counts. Returns
/// the differences, as pairs of a file name and a sentence; an empty list means that the package matches its receipt.
#[pyfunction]
pub fn verify(py: Python<'_>, path: PathBuf) -> PyResult<Vec<(String, String)>> {
    let verified =
        run(py, None, move |_, stopped| verify_package(&mut Package::open(&path)?, stopped))?;
    Ok(verified.differences.into_iter().map(|one| (one.file, one.what)).collect())
}

/// Reads whole files and returns what they contain, and what a dataset made from them would leave out and why. It is
/// the same as `retort inspect --json` prints, as a dict. Nothing is written. The files are read twice, so `progress`
/// counts their bytes twice.
#[pyfunction]
#[pyo3(signature = (source, *, format=None, namespace=None, filter=None, limit=None, threads=None, progress=None, **options))]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn inspect<'py>(
    py: Python<'py>,
    source: Source,
    format: Option<&str>,
    namespace: Option<String>,
    filter: Option<&Bound<'py, PyDict>>,
    limit: Option<u64>,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let name = "preview".parse().map_err(usage)?;
    let mut plan =
        plan(py, source, format, name, &parse_options(options)?, PathBuf::new(), progress)?;
    plan.namespace = namespace;
    select(&mut plan, filter, limit)?;
    plan.threads = bounded_threads(threads);
    redact(py, &mut plan, None)?;
    let inspection =
        run(py, progress, |observer, stopped| retort_engine::inspect(&plan, observer, stopped))?;
    loads(py)?.call1((inspection.to_json().to_string(),))
}

/// Compares two packages by the ids of their records, and returns as a dict what `retort diff --json` prints: how many
/// records moved, were added, are gone or changed, each with the reason, and where the receipts differ.
///
/// `list` is a file that gets a line of JSON for each record that differs.
#[pyfunction]
#[pyo3(signature = (before, after, *, list=None, progress=None))]
pub fn diff<'py>(
    py: Python<'py>,
    before: PathBuf,
    after: PathBuf,
    list: Option<PathBuf>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut list = list.map(|path| File::create(path).map(BufWriter::new)).transpose()?;
    let to_list = &mut list;
    let found = run(py, progress, move |observer, stopped| {
        let (mut before, mut after) = (Package::open(&before)?, Package::open(&after)?);
        retort_engine::diff(&mut before, &mut after, u64::MAX, (observer, stopped), &mut |one| {
            let Some(list) = to_list.as_mut() else { return Ok(()) };
            serde_json::to_writer(&mut *list, one)?;
            list.write_all(b"\n")
        })
    })?;
    list.as_mut().map(Write::flush).transpose()?;
    let text =
        serde_json::to_string(&found).map_err(|error| RetortError::new_err(error.to_string()))?;
    loads(py)?.call1((text,))
}

/// The import, data and file formats, each with a description.
#[pyfunction]
pub fn formats(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    let import = import::FORMATS.iter().map(|one| (one.name(), one.about()));
    let data = data::FORMATS.iter().map(|one| (one.name(), one.about()));
    let file = file::FORMATS.iter().map(|one| (one.name(), one.about()));
    all.set_item("import", import.collect::<Vec<_>>().into_py_dict(py)?)?;
    all.set_item("data", data.collect::<Vec<_>>().into_py_dict(py)?)?;
    all.set_item("file", file.collect::<Vec<_>>().into_py_dict(py)?)?;
    Ok(all)
}

/// The sources, where addresses of datasets on the Hub have their revision resolved to the current commit. Other sources
/// are unchanged.
#[pyfunction]
pub fn pinned(py: Python<'_>, source: Source) -> PyResult<Vec<OsString>> {
    let inputs = source.inputs();
    run(py, None, |_, stopped| {
        let pinned = inputs.into_iter().map(|input| {
            // Returned as strings, because Python's `Path` would turn `//` into `/`.
            let pinned = retort_cli::hub::pinned(&input, stopped)?.map(OsString::from);
            Ok(match (pinned, input) {
                (Some(address), _) => address,
                (None, Input::Path(path)) => path.into_os_string(),
                (None, _) => OsString::new(),
            })
        });
        pinned.collect()
    })
}

/// The fields of `filter`, each with its description and values.
#[pyfunction]
pub fn filters(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for field in ConversationFilter::FIELDS {
        let one = PyDict::new(py);
        one.set_item("about", field.about)?;
        one.set_item("several", field.is_list)?;
        match field.values {
            FilterValues::Words(words) => one.set_item("values", words())?,
            FilterValues::Flag => one.set_item("values", [true, false])?,
            values => one.set_item("values", values.words())?,
        }
        all.set_item(field.name, one)?;
    }
    Ok(all)
}

/// The options of `convert` and `preview`, each with its description, default and values.
#[pyfunction]
pub fn options(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for option in OPTIONS {
        let one = PyDict::new(py);
        one.set_item("about", option.about)?;
        one.set_item("default", option.default_words())?;
        match option.values {
            Values::Flag => one.set_item("values", ["True", "False"])?,
            Values::Number(most) => one.set_item("most", most)?,
            Values::Text | Values::FileText | Values::File => {}
            Values::Words(words) => {
                let names: Vec<_> = words().into_iter().map(|word| word.name).collect();
                one.set_item("values", names)?;
            }
        }
        all.set_item(option.name, one)?;
    }
    Ok(all)
}
