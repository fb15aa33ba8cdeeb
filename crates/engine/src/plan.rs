//! What is to be made of conversations: the dataset's shape, its kind of file, and its names.

use std::collections::BTreeMap;
use std::str::FromStr;

use retort_formats::data::{
    Attachments, CallText, DataFormat, Embeddings, Schema, ShapeOptions, ToolsAs,
};
use retort_formats::file::{CsvDialect, FileFormat, FileOptions};
use retort_formats::{data, file};
use retort_model::bounds::CONTEXTS_PER_MESSAGE;
use retort_model::{DatasetName, FileName, ItemKind, Purpose};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The dataset that is to be made, wherever its conversations come from and wherever it goes.
#[derive(Clone)]
pub struct DatasetPlan {
    /// What it is made for. A node of runs, where one is needed, stands in the shape's options.
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
    /// Name of the dataset.
    pub dataset_name: DatasetName,
    /// Name of the data file, without its ending.
    pub file_name: FileName,
    /// Whether each repair and warning is listed in a file of the package.
    pub findings: bool,
}

/// How data files are compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As gzip.
    Gzip,
    /// As Zstandard.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The name to say on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| format!("unknown compression `{text}`: it is `none`, `gzip` or `zstd`"))
    }
}

/// For whom CSV is written for a purpose, if that is not said: evaluators and trainers are programs.
pub fn usual_dialect(purpose: Purpose) -> CsvDialect {
    match purpose {
        Purpose::ExportDataset => CsvDialect::Spreadsheet,
        _ => CsvDialect::Plain,
    }
}

const TOOLS: [(&str, ToolsAs); 2] = [("text", ToolsAs::Text), ("array", ToolsAs::Array)];
const CALL_TEXTS: [(&str, CallText); 2] = [("keep", CallText::Keep), ("extra", CallText::Extra)];
const ATTACHMENTS: [(&str, Attachments); 2] =
    [("leave-out", Attachments::LeaveOut), ("drop", Attachments::Drop)];
const EMBEDDINGS: [(&str, Embeddings); 3] =
    [("f64", Embeddings::F64), ("f32", Embeddings::F32), ("none", Embeddings::Without)];
const DIALECTS: [(&str, CsvDialect); 2] =
    [("spreadsheet", CsvDialect::Spreadsheet), ("plain", CsvDialect::Plain)];

fn name_in<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, one)| one == value).map_or("", |(name, _)| name)
}

fn named_in<T: Copy>(names: &[(&'static str, T)], what: &str, name: &str) -> Result<T, String> {
    let found = names.iter().find(|(one, _)| *one == name).map(|(_, value)| *value);
    found.ok_or_else(|| format!("unknown {what} `{name}`"))
}

impl DatasetPlan {
    /// Whether the formats and options go together.
    ///
    /// # Errors
    /// [`Error::Choice`] with what does not.
    pub fn check(&self) -> Result<(), Error> {
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
                "`{data}` is not made for the purpose `{purpose}`, for which there is {formats}"
            )));
        }
        match (self.purpose.needs_node(), self.node()) {
            (true, None) => {
                let purpose = self.purpose;
                return Err(Error::Choice(format!("`{purpose}` needs a node")));
            }
            (false, Some(node)) => {
                let purpose = self.purpose;
                return Err(Error::Choice(format!("`{purpose}` takes no node, so not `{node}`")));
            }
            _ => {}
        }
        if self.shape_options.max_contexts > CONTEXTS_PER_MESSAGE {
            return Err(Error::Choice(format!(
                "at most {CONTEXTS_PER_MESSAGE} retrieved passages are carried with one answer"
            )));
        }
        if self.compression != Compression::None && !self.file_format.is_text() {
            return Err(Error::Choice(format!(
                "`{file}` is compressed within; leave `--compress` out"
            )));
        }
        if self.shape_options.tools == ToolsAs::Array && !(data == "standard" && file == "jsonl") {
            return Err(Error::Choice(
                "`--tools array` is for the data format `standard` as `jsonl`".into(),
            ));
        }
        Ok(())
    }

    /// The node of runs that it is made of, for the purposes that need one.
    pub fn node(&self) -> Option<&str> {
        self.shape_options.node.as_deref()
    }

    /// Whether the rows have flat columns, as the file format holds no nested values.
    pub fn is_flat(&self) -> bool {
        !self.file_format.is_nested()
    }

    /// The columns of the rows.
    pub fn schema(&self) -> Schema {
        self.data_format.schema(&self.shape_options, self.is_flat())
    }

    /// What data files end on, without the first dot.
    pub fn ending(&self) -> String {
        format!("{}{}", self.file_format.name(), self.compression.ending())
    }

    /// What was asked, as the receipt tells it.
    pub fn options(&self) -> BTreeMap<String, String> {
        let shape = &self.shape_options;
        let mut options = BTreeMap::new();
        let mut put = |key: &str, value: &str| options.insert(key.to_owned(), value.to_owned());
        if self.is_flat() {
            put("csv", name_in(&DIALECTS, &self.file_options.csv));
        }
        if shape.tools == ToolsAs::Array {
            put("tools", name_in(&TOOLS, &shape.tools));
        }
        if shape.wrap_arguments {
            put("wrap_arguments", "true");
        }
        if shape.fill {
            put("fill", "true");
        }
        if shape.call_text != CallText::default() {
            put("call_text", name_in(&CALL_TEXTS, &shape.call_text));
        }
        if shape.attachments != Attachments::default() {
            put("attachments", name_in(&ATTACHMENTS, &shape.attachments));
        }
        if shape.tasks {
            put("tasks", "true");
        }
        if self.findings {
            put("findings", "true");
        }
        match self.data_format.items() {
            [ItemKind::Document] => put("embeddings", name_in(&EMBEDDINGS, &shape.embeddings)),
            _ => put("max_contexts", &shape.max_contexts.to_string()),
        };
        options
    }

    /// The plan by its names.
    pub fn names(&self) -> PlanNames {
        let shape = &self.shape_options;
        PlanNames {
            data_format: self.data_format.name().into(),
            file_format: self.file_format.name().into(),
            check: shape.check.to_string(),
            tools: name_in(&TOOLS, &shape.tools).into(),
            wrap_arguments: shape.wrap_arguments,
            fill: shape.fill,
            call_text: name_in(&CALL_TEXTS, &shape.call_text).into(),
            attachments: name_in(&ATTACHMENTS, &shape.attachments).into(),
            tasks: shape.tasks,
            max_contexts: shape.max_contexts,
            csv: Some(name_in(&DIALECTS, &self.file_options.csv).into()),
            compression: self.compression.as_str().into(),
            dataset_name: self.dataset_name.to_string(),
            file_name: self.file_name.to_string(),
            purpose: Some(self.purpose.to_string()),
            node: shape.node.as_deref().map(str::to_owned),
            embeddings: Some(name_in(&EMBEDDINGS, &shape.embeddings).into()),
            findings: self.findings,
        }
    }

    /// The plan as JSON text, to be kept until it is carried out.
    pub fn to_json(&self) -> String {
        // Names, numbers and flags always have a JSON text.
        serde_json::to_string(&self.names()).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// What is wrong with the text, or which name in it is not known.
    pub fn from_json(text: &str) -> Result<Self, String> {
        Self::named(&serde_json::from_str(text).map_err(|error| error.to_string())?)
    }

    /// The plan of these names.
    ///
    /// # Errors
    /// Which of them is not known.
    pub fn named(kept: &PlanNames) -> Result<Self, String> {
        let data_format = data::by_name(&kept.data_format)
            .ok_or_else(|| format!("unknown data format `{}`", kept.data_format))?;
        let usual = data_format.purposes().first().copied().unwrap_or_default();
        let purpose = kept.purpose.as_deref().map_or(Ok(usual), str::parse)?;
        Ok(Self {
            purpose,
            data_format,
            file_format: file::by_name(&kept.file_format)
                .ok_or_else(|| format!("unknown file format `{}`", kept.file_format))?,
            shape_options: ShapeOptions {
                check: kept.check.parse()?,
                tools: named_in(&TOOLS, "way to write tools", &kept.tools)?,
                wrap_arguments: kept.wrap_arguments,
                fill: kept.fill,
                call_text: named_in(&CALL_TEXTS, "place for text beside calls", &kept.call_text)?,
                attachments: named_in(&ATTACHMENTS, "way with attachments", &kept.attachments)?,
                tasks: kept.tasks,
                max_contexts: kept.max_contexts,
                embeddings: match &kept.embeddings {
                    Some(name) => named_in(&EMBEDDINGS, "way to write embeddings", name)?,
                    None => Embeddings::default(),
                },
                node: kept.node.as_deref().map(Into::into),
                variables: [].into(),
            },
            file_options: FileOptions {
                csv: match &kept.csv {
                    Some(name) => named_in(&DIALECTS, "CSV dialect", name)?,
                    None => usual_dialect(purpose),
                },
            },
            compression: kept.compression.parse()?,
            dataset_name: kept.dataset_name.parse().map_err(|error| format!("{error}"))?,
            file_name: kept.file_name.parse().map_err(|error| format!("{error}"))?,
            findings: kept.findings,
        })
    }
}

/// A plan by its names. A field that is not known is refused: the dataset would not be what was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanNames {
    /// The shape of the records.
    pub data_format: String,
    /// The kind of file.
    pub file_format: String,
    /// What happens to records that trainers would refuse.
    pub check: String,
    /// How tools are written: `text` or `array`.
    pub tools: String,
    /// Whether arguments that are no JSON object are wrapped.
    pub wrap_arguments: bool,
    /// Whether gaps are filled with placeholders. A plan kept before there was a choice filled them.
    #[serde(default = "filled")]
    pub fill: bool,
    /// Where text beside tool calls goes: `keep` or `extra`. A plan kept before there was a choice moved it.
    #[serde(default = "moved")]
    pub call_text: String,
    /// What becomes of answers after a picture, sound or file: `leave-out` or `drop`. A plan kept before there was a
    /// choice dropped the attachments.
    #[serde(default = "dropped")]
    pub attachments: String,
    /// Whether histories of sub-agents become records of their own, too.
    pub tasks: bool,
    /// Retrieved passages carried with one answer, at most.
    pub max_contexts: usize,
    /// For whom CSV is written: `spreadsheet` or `plain`; if not said, the purpose decides.
    #[serde(default)]
    pub csv: Option<String>,
    /// How the data file is compressed as a whole.
    pub compression: String,
    /// Name of the dataset.
    pub dataset_name: String,
    /// Name of the data file, without its ending.
    pub file_name: String,
    /// What it is made for; none stands for what the data format is made for.
    #[serde(default)]
    pub purpose: Option<String>,
    /// The node of runs that it is made of.
    #[serde(default)]
    pub node: Option<String>,
    /// How embeddings are written: `f32`, `f64` or `none`; in 64 bits, if not said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub embeddings: Option<String>,
    /// Whether each repair and warning is listed in `findings.jsonl`.
    #[serde(default)]
    pub findings: bool,
}

fn filled() -> bool {
    true
}

fn dropped() -> String {
    name_in(&ATTACHMENTS, &Attachments::Drop).to_owned()
}

fn moved() -> String {
    name_in(&CALL_TEXTS, &CallText::Extra).to_owned()
}

#[cfg(test)]
mod tests {
    use retort_model::Check;

    use super::*;

    fn unusual() -> DatasetPlan {
        DatasetPlan {
            purpose: Purpose::RecipeEvaluation,
            data_format: data::by_name("history").unwrap(),
            file_format: file::by_name("csv").unwrap(),
            shape_options: ShapeOptions {
                check: Check::Off,
                tools: ToolsAs::Array,
                wrap_arguments: true,
                fill: true,
                call_text: CallText::Extra,
                attachments: Attachments::Drop,
                tasks: true,
                max_contexts: 7,
                embeddings: Embeddings::F32,
                node: Some("summarise".into()),
                variables: [].into(),
            },
            file_options: FileOptions { csv: CsvDialect::Plain },
            compression: Compression::Zstd,
            dataset_name: "对话 数据".parse().unwrap(),
            file_name: "rows".parse().unwrap(),
            findings: true,
        }
    }

    #[test]
    fn a_plan_comes_back_from_its_text() {
        let plan = unusual();
        let back = DatasetPlan::from_json(&plan.to_json()).unwrap();
        assert_eq!((back.purpose, back.node()), (plan.purpose, Some("summarise")));
        assert_eq!(back.data_format.name(), "history");
        assert_eq!(back.file_format.name(), "csv");
        assert_eq!(back.shape_options, plan.shape_options);
        assert_eq!(back.file_options, plan.file_options);
        assert_eq!(back.compression, plan.compression);
        assert_eq!(back.dataset_name, plan.dataset_name);
        assert_eq!(back.file_name, plan.file_name);
        assert!(back.findings);
        assert_eq!(back.to_json(), plan.to_json());
    }

    #[test]
    fn a_plan_that_was_kept_before_there_were_purposes_has_that_of_its_format() {
        let text = unusual().to_json();
        let (kept, _) = text.split_once(",\"purpose\"").unwrap();
        let back = DatasetPlan::from_json(&format!("{kept}}}")).unwrap();
        assert_eq!((back.purpose, back.node()), (Purpose::ExportDataset, None));
    }

    #[test]
    fn purposes_go_with_their_formats_and_nodes_with_the_purposes_that_need_one() {
        let plan = |purpose, node: Option<&str>| {
            let mut plan = unusual();
            plan.shape_options = ShapeOptions::default();
            plan.shape_options.node = node.map(Into::into);
            plan.purpose = purpose;
            plan.check().map_err(|error| error.to_string())
        };
        assert_eq!(plan(Purpose::ExportDataset, None), Ok(()));
        let error = plan(Purpose::ExportDataset, Some("n")).unwrap_err();
        assert!(error.contains("`export-dataset` takes no node"), "{error}");
        let error = plan(Purpose::FineTuning, None).unwrap_err();
        assert!(error.contains("`history` is not made for the purpose `fine-tuning`"), "{error}");
        assert!(error.contains("`standard`, `openai`"), "{error}");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let text = unusual().to_json();
        for (from, to, expect) in [
            ("\"history\"", "\"poem\"", "unknown data format `poem`"),
            ("\"csv\":\"plain\"", "\"csv\":\"fancy\"", "unknown CSV dialect `fancy`"),
            ("\"zstd\"", "\"lzma\"", "unknown compression `lzma`"),
            ("\"rows\"", "\"../rows\"", "file name"),
            ("\"tasks\"", "\"songs\"", "unknown field `songs`"),
        ] {
            let error = DatasetPlan::from_json(&text.replace(from, to)).err().unwrap();
            assert!(error.contains(expect), "{error}");
        }
    }
}
