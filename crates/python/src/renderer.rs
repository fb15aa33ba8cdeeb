//! Shows how a model sees records.

use std::path::PathBuf;

use pyo3::prelude::*;
use retort_engine::ModelView;
use retort_formats::data;
use retort_json::Value;

use crate::dataset::loads;
use crate::error::{at_line, raised, usage};
use crate::plan::now;

/// A chat template, with a tokenizer if one was given. Call it with a record to see the record as the model does.
#[pyclass(module = "retort", frozen)]
pub struct Renderer {
    view: ModelView,
    dumps: Py<PyAny>,
}

/// Reads the chat template of a model, and returns a function that shows how the model sees a record.
///
/// `template` is a `.jinja` file, a `tokenizer_config.json` or the folder of a model; add `#NAME` to select one of
/// several templates. `tokenizer` is a `tokenizer.json`, the folder of a model, `"o200k"` or `"cl100k"`. Without a
/// tokenizer, characters are counted. `data_format` is the data format of the records.
#[pyfunction]
#[pyo3(signature = (template, tokenizer=None, *, data_format="standard"))]
#[allow(clippy::needless_pass_by_value, reason = "Python gives values")]
pub fn render(
    py: Python<'_>,
    template: PathBuf,
    tokenizer: Option<PathBuf>,
    data_format: &str,
) -> PyResult<Renderer> {
    let format = data::by_name(data_format)
        .ok_or_else(|| usage(format!("unknown data format `{data_format}`")))?;
    let template = template.to_string_lossy();
    let tokenizer = tokenizer.as_ref().map(|path| path.to_string_lossy());
    let view = py
        .detach(|| ModelView::read(format, &template, tokenizer.as_deref(), now()))
        .map_err(|error| raised(py, &error))?;
    Ok(Renderer { view, dumps: py.import("json")?.getattr("dumps")?.unbind() })
}

#[pymethods]
impl Renderer {
    /// Returns how the model sees a record, as a dict: the `text` with all special tokens; `learnt`, the spans of
    /// characters that the model is trained on, or `None` if the template does not mark them; and `length` and
    /// `learnt_length`, counted in `unit`, which is `"tokens"` or `"characters"`. For a preference pair, this is the
    /// chosen answer.
    ///
    /// Raises `RetortError` with the `line` of the template if the template refuses the record.
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        record: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let text: String = self.dumps.bind(py).call1((record,))?.extract()?;
        let seen = py.detach(|| {
            let record = Value::parse(&text).map_err(|error| error.to_string());
            record.map(|record| self.view.see(&record))
        });
        match seen.map_err(usage)?.map_err(|error| raised(py, &error))? {
            Ok(seen) => loads(py)?.call1((seen.to_json().to_string(),)),
            Err(error) => Err(at_line(py, &error)),
        }
    }
}
