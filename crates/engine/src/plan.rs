//! What is to be made of conversations: the dataset's shape, its kind of file, and its names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retort_formats::data::{self, Attachments, DataFormat, Layout, Schema, ShapeOptions, ToolsAs};
use retort_formats::file::{CsvDialect, FileFormat, FileOptions};
use retort_model::{DatasetName, FileName, Purpose, Time};

use crate::compression::Compression;
use crate::decontaminate::{BenchmarkFile, Benchmarks, Contaminated, DecontaminateOptions};
use crate::dedup::Dedup;
use crate::error::Error;
use crate::measure::{Measure, MeasureOptions};
use crate::model_files::ModelPaths;
use crate::package::Package;
use crate::papers::Papers;
use crate::redaction::Redaction;
use crate::sampling::Sampling;
use crate::split::{GroupBy, Split};
use crate::split_groups::Pinned;

/// The dataset that is to be made, wherever its conversations come from and wherever it goes.
#[derive(Clone)]
pub struct DatasetPlan {
    /// What it is made for. A node of runs, where one is needed, is in the shape's options.
    pub purpose: Purpose,
    /// The shape of the records.
    pub data_format: &'static dyn DataFormat,
    /// The kind of file.
    pub file_format: &'static dyn FileFormat,
    /// What is asked of the data format.
    pub shape_options: ShapeOptions,
    /// What is asked of the file format.
    pub file_options: FileOptions,
    /// How the data is compressed.
    pub compression: Compression,
    /// What records are measured with as a model sees them.
    pub measuring: MeasureOptions,
    /// The same, read from its files by [`Self::open_files`].
    pub measure: Option<Arc<Measure>>,
    /// Whether each repair and warning is listed in a file of the package.
    pub findings: bool,
    /// Whether the card has the types of the columns.
    pub card_types: bool,
    /// The outputs, if there are several.
    pub split: Split,
    /// What goes to one output as a whole.
    pub group_by: GroupBy,
    /// The earlier dataset whose items stay in their outputs.
    pub split_from: Option<String>,
    /// The same, read by [`Self::open_files`] or [`Self::pin`].
    pub pinned: Option<Arc<Pinned>>,
    /// Which duplicates are left out.
    pub dedup: Dedup,
    /// The benchmarks whose text is looked for in the items.
    pub decontaminate: DecontaminateOptions,
    /// The same, read from their files by [`Self::open_files`].
    pub benchmarks: Option<Arc<Benchmarks>>,
    /// Which of the items are written, if not all.
    pub sampling: Sampling,
    /// What is redacted.
    pub redaction: Redaction,
    /// The papers for others that are written beside the data, if any.
    pub papers: Option<Arc<Papers>>,
    /// Name of the dataset.
    pub dataset_name: DatasetName,
    /// Name of the data file, without its ending.
    pub file_name: FileName,
}

/// Where the files are that a plan names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanPaths {
    /// The chat template and the tokenizer.
    pub model: ModelPaths,
    /// The benchmarks.
    pub benchmarks: Vec<BenchmarkFile>,
    /// The package whose items stay in their outputs.
    pub split_from: Option<PathBuf>,
}

/// For whom CSV is written for a purpose, if that is not said: evaluators and trainers are programs.
pub fn usual_dialect(purpose: Purpose) -> CsvDialect {
    match purpose {
        Purpose::ExportDataset => CsvDialect::Spreadsheet,
        _ => CsvDialect::Plain,
    }
}

impl DatasetPlan {
    /// Whether the formats and options go together.
    ///
    /// # Errors
    /// [`Error::Choice`] with what does not.
    pub fn check(&self) -> Result<(), Error> {
        self.check_attachments()?;
        self.redaction.check()?;
        self.sampling.check()?;
        if self.split_from.is_some() && !self.split.is_split() {
            return Err(Error::Choice(
                "`--split-from` needs `--split`, with the same outputs".into(),
            ));
        }
        let DecontaminateOptions { names, action } = &self.decontaminate;
        if *action != Contaminated::default() && names.is_empty() {
            return Err(Error::Choice(format!(
                "`--contaminated {action}` is for `--decontaminate`, which names the benchmarks"
            )));
        }
        let (data, file) = (self.data_format.name(), self.file_format.name());
        if !self.data_format.file_formats().contains(&file) {
            let formats = self.data_format.file_formats().join(", ");
            return Err(Error::Choice(format!(
                "`{data}` cannot be written as `{file}`, only as {formats}"
            )));
        }
        if !self.data_format.purposes().contains(&self.purpose) {
            let purpose = self.purpose;
            let formats: Vec<_> = data::FORMATS
                .iter()
                .filter(|format| format.purposes().contains(&purpose))
                .map(|format| format!("`{}`", format.name()))
                .collect();
            let formats = formats.join(", ");
            return Err(Error::Choice(format!(
                "`{data}` does not fit the purpose `{purpose}`; use {formats}"
            )));
        }
        if self.card_types && file != "jsonl" {
            let why = format!("`--card-types` is for JSON Lines; `{file}` has types of its own");
            return Err(Error::Choice(why));
        }
        match (self.purpose.needs_node(), self.node()) {
            (true, None) => {
                let purpose = self.purpose;
                return Err(Error::Choice(format!(
                    "`{purpose}` needs a node: name it with `--node`"
                )));
            }
            (false, Some(node)) => {
                let purpose = self.purpose;
                return Err(Error::Choice(format!(
                    "the purpose `{purpose}` has no node: leave out `--node {node}`"
                )));
            }
            _ => {}
        }
        if self.compression != Compression::None && !self.file_format.is_text() {
            return Err(Error::Choice(format!(
                "`{file}` is already compressed inside; leave out `--compress`"
            )));
        }
        if self.shape_options.tools == ToolsAs::Array && !(data == "standard" && file == "jsonl") {
            return Err(Error::Choice(
                "`--tools array` only works with the data format `standard` in JSON Lines".into(),
            ));
        }
        if self.data_format.records_folder() == Some(&*self.file_name.to_string()) {
            return Err(Error::Choice(format!(
                "the files of `{data}` are in the folder `{}`; give the data file another name",
                self.file_name
            )));
        }
        let layout = self.shape_options.layout;
        let has_layouts = match layout {
            Layout::Trl => true,
            Layout::LlamaFactory => matches!(data, "preference" | "kto"),
            Layout::OpenAi => data == "preference",
        };
        if !has_layouts {
            return Err(Error::Choice(format!("`{data}` has no layout `{layout}`")));
        }
        Ok(())
    }

    /// Whether attachments can be kept, if that is asked.
    fn check_attachments(&self) -> Result<(), Error> {
        if self.shape_options.attachments != Attachments::Keep {
            return Ok(());
        }
        let options = &self.shape_options;
        let why = if !self.data_format.carries_attachments(options) {
            let other = ShapeOptions::default();
            let carry = |format: &&&dyn DataFormat| format.carries_attachments(&other);
            let formats: Vec<_> = data::FORMATS
                .iter()
                .filter(carry)
                .map(|format| format!("`{}`", format.name()))
                .collect();
            let (data, formats) = (self.data_format.name(), formats.join(", "));
            format!(
                "`{data}` cannot hold images and sound; `--attachments keep` works with {formats}"
            )
        } else if self.is_flat() {
            "`csv` cannot hold images and sound; use `--attachments keep` with jsonl or parquet"
                .into()
        } else if self.redaction.is_any() {
            "`--attachments keep` cannot be used with `--redact`, which does not look into images and sound".into()
        } else {
            return Ok(());
        };
        Err(Error::Choice(why))
    }

    /// The node of runs that it is made of, for the purposes that need one.
    pub fn node(&self) -> Option<&str> {
        self.shape_options.node.as_deref()
    }

    /// Whether the rows have flat columns, as the file format holds no nested values.
    pub fn is_flat(&self) -> bool {
        !self.file_format.is_nested()
    }

    /// Where the files are that the plan names, if the names are paths.
    pub fn paths(&self) -> PlanPaths {
        let benchmarks = self.decontaminate.names.iter();
        PlanPaths {
            model: self.measuring.paths(),
            benchmarks: benchmarks.map(|path| BenchmarkFile::new(path, None)).collect(),
            split_from: self.split_from.as_ref().map(PathBuf::from),
        }
    }

    /// Reads the chat template, the tokenizer and the benchmarks from where `paths` says they are. `now` is what templates
    /// print as the date.
    ///
    /// # Errors
    /// As [`Measure::open`] and [`Benchmarks::open`].
    pub fn open_files(&mut self, paths: &PlanPaths, now: Time) -> Result<(), Error> {
        self.measure = Measure::open(&self.measuring, &paths.model, now)?.map(Arc::new);
        self.benchmarks = match &*paths.benchmarks {
            [] => None,
            files => Some(Arc::new(Benchmarks::open(files, self.decontaminate.action)?)),
        };
        match &paths.split_from {
            Some(path) => self.pin(&mut Package::open(path)?, path),
            None => Ok(()),
        }
    }

    /// Has the items of an earlier dataset stay in their outputs.
    ///
    /// # Errors
    /// As [`Pinned::of`].
    pub fn pin(&mut self, package: &mut Package, path: &Path) -> Result<(), Error> {
        let pinned = Pinned::of(package, path, (&self.split, self.group_by))?;
        self.pinned = Some(Arc::new(pinned));
        Ok(())
    }

    /// Whether the outputs of items depend on other items.
    pub fn split_needs_survey(&self) -> bool {
        let needs = self.group_by == GroupBy::Duplicates || self.split_from.is_some();
        self.split.is_split() && needs
    }

    /// What records are measured with, as the receipt tells it.
    pub fn measured(&self) -> BTreeMap<String, String> {
        self.measure.as_ref().map(|measure| measure.told().clone()).unwrap_or_default()
    }

    /// The columns of the rows.
    pub fn schema(&self) -> Schema {
        self.data_format.schema(&self.shape_options, self.is_flat())
    }

    /// What data files end on, without the first dot.
    pub fn ending(&self) -> String {
        format!("{}{}", self.file_format.name(), self.compression.ending())
    }
}

#[cfg(test)]
mod tests {
    use retort_formats::file;

    use super::*;
    use crate::export_options::ExportOptions;

    fn plan(purpose: Purpose, node: Option<&str>) -> DatasetPlan {
        DatasetPlan {
            purpose,
            data_format: data::by_name("history").unwrap(),
            file_format: file::by_name("csv").unwrap(),
            shape_options: ShapeOptions { node: node.map(Into::into), ..ShapeOptions::default() },
            compression: Compression::Zstd,
            ..ExportOptions::default().resolve("d".parse().unwrap(), None).unwrap()
        }
    }

    #[test]
    fn purposes_go_with_their_formats_and_nodes_with_the_purposes_that_need_one() {
        let plan = |purpose, node| plan(purpose, node).check().map_err(|error| error.to_string());
        assert_eq!(plan(Purpose::ExportDataset, None), Ok(()));
        let error = plan(Purpose::ExportDataset, Some("n")).unwrap_err();
        assert!(error.contains("the purpose `export-dataset` has no node"), "{error}");
        let error = plan(Purpose::FineTuning, None).unwrap_err();
        assert!(error.contains("`history` does not fit the purpose `fine-tuning`"), "{error}");
        assert!(error.contains("`standard`, `openai`"), "{error}");
    }
}
