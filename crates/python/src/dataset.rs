//! Datasets on disk as Python objects: records to iterate over, a receipt, an Arrow stream.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatchReader;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use retort_engine::{Package, rows_of};
use retort_formats::package::Manifest;

use crate::error::{RetortError, raised, usage};

/// A dataset package: a folder or an archive.
#[pyclass(module = "retort", frozen)]
pub struct Dataset {
    path: PathBuf,
    manifest: Manifest,
    /// The folder of the package, if it is removed with this object and everything that reads from it.
    temporary: Option<Arc<tempfile::TempDir>>,
}

impl Dataset {
    /// The package at a path.
    pub fn open(
        py: Python<'_>,
        path: PathBuf,
        temporary: Option<tempfile::TempDir>,
    ) -> PyResult<Self> {
        let manifest = Package::open(&path).map_err(|error| raised(py, &error))?.manifest().clone();
        Ok(Self { path, manifest, temporary: temporary.map(Arc::new) })
    }

    /// The data files, in the order of their records.
    fn data_files(&self) -> impl Iterator<Item = &str> {
        let files = self.manifest.files.iter();
        files.filter(|file| file.records.is_some()).map(|file| file.path.as_str())
    }
}

#[pymethods]
impl Dataset {
    /// Opens an existing package.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::open(py, path, None)
    }

    /// The path of the package.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// The receipt (`manifest.json`) as a dict.
    #[getter]
    fn receipt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py)?.call1((self.manifest.to_json(),))
    }

    /// Paths of the data files, in the order of their records.
    #[getter]
    fn data_paths(&self) -> Vec<PathBuf> {
        self.data_files().map(|name| self.path.join(name)).collect()
    }

    fn __len__(&self) -> usize {
        let records = self.manifest.files.iter().filter_map(|file| file.records).sum::<u64>();
        usize::try_from(records).unwrap_or(usize::MAX)
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Records> {
        let package = Package::open(&self.path).map_err(|error| raised(py, &error))?;
        let mut files: Vec<_> = self.data_files().map(str::to_owned).collect();
        files.reverse();
        let manifest = self.manifest.clone();
        let (rows, temporary) = (Mutex::new(None), self.temporary.clone());
        Ok(Records {
            package,
            manifest,
            files,
            rows,
            loads: loads(py)?.unbind(),
            _temporary: temporary,
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "Dataset({:?}, data_format={:?}, file_format={:?}, records={})",
            self.path.display().to_string(),
            self.manifest.data_format,
            self.manifest.file_format,
            self.__len__()
        )
    }

    /// The records as an Arrow stream, for a dataset in a folder whose file format is `parquet`. Nothing is copied
    /// between Retort and the library that reads the stream.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // Arrow's protocol lets a producer that cannot convert ignore the schema.
        drop(requested_schema);
        if self.manifest.file_format != "parquet" || !self.path.is_dir() {
            return Err(usage(
                "only a dataset in a folder with `file_format=\"parquet\"` has an Arrow stream; \
                 iterate over other datasets, or read their files",
            ));
        }
        let files: Vec<_> = self.data_files().map(|name| self.path.join(name)).collect();
        let batches = Batches::open(files, self.temporary.clone())
            .map_err(|error| RetortError::new_err(error.to_string()))?;
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

type Rows = Box<dyn Iterator<Item = std::io::Result<String>> + Send>;

/// The records of a dataset, each a dict.
#[pyclass(module = "retort")]
pub struct Records {
    package: Package,
    manifest: Manifest,
    /// The files still to be read, the last one first.
    files: Vec<String>,
    /// The rows of the current file. The mutex makes this `Sync`, which Python classes must be.
    rows: Mutex<Option<Rows>>,
    loads: Py<PyAny>,
    _temporary: Option<Arc<tempfile::TempDir>>,
}

#[pymethods]
impl Records {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let fail = |error: std::io::Error| RetortError::new_err(error.to_string());
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(row) = rows.as_mut().and_then(Iterator::next) {
                let record = self.loads.bind(py).call1((row.map_err(fail)?,))?;
                return Ok(Some(record.cast_into::<PyDict>()?));
            }
            let Some(file) = self.files.pop() else { return Ok(None) };
            *rows = Some(rows_of(&mut self.package, &self.manifest, &file).map_err(fail)?);
        }
    }
}

/// The batches of several Parquet files, one after the other.
struct Batches {
    schema: SchemaRef,
    current: ParquetRecordBatchReader,
    /// Those still to be read, the last one first.
    files: Vec<PathBuf>,
    _temporary: Option<Arc<tempfile::TempDir>>,
}

impl Batches {
    fn open(
        mut files: Vec<PathBuf>,
        temporary: Option<Arc<tempfile::TempDir>>,
    ) -> Result<Self, ArrowError> {
        files.reverse();
        let first = files.pop().ok_or_else(|| {
            ArrowError::IoError(
                "the dataset has no data file".into(),
                std::io::ErrorKind::NotFound.into(),
            )
        })?;
        let current = reader(&first)?;
        Ok(Self { schema: current.schema(), current, files, _temporary: temporary })
    }
}

fn reader(path: &PathBuf) -> Result<ParquetRecordBatchReader, ArrowError> {
    let file = File::open(path)?;
    Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.build()?)
}

impl Iterator for Batches {
    type Item = Result<arrow_array::RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.current.next() {
                return Some(batch);
            }
            match reader(&self.files.pop()?) {
                Ok(next) => self.current = next,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Python's `json.loads`.
pub fn loads(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("json")?.getattr("loads")
}
