//! The options of an export, each declared once, in [`OPTIONS`]. The arguments of the command line, the fields of the
//! API and of forms, the plan that a job keeps, the options in a receipt and `docs/options.md` all come from there.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use retort_formats::data::{
    Attachments, Branches, CallText, DataFormat, Embeddings, Evaluator, Layout, PairsBy,
    ReasoningAs, ReasoningField, RowsPer, ShapeOptions, ToolsAs, ToolsOf, usual_in,
};
use retort_formats::file::{CsvDialect, FileFormat, FileOptions};
use retort_formats::{data, file};
use retort_model::bounds::CONTEXTS_PER_MESSAGE;
use retort_model::{Check, DatasetName, ItemKind, Purpose};
use retort_redact::{Action, Key, OwnRules};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::decontaminate::{Contaminated, DecontaminateOptions};
use crate::dedup::Dedup;
use crate::measure::{MeasureOptions, OverLong};
use crate::papers::Papers;
use crate::plan::{Compression, DatasetPlan, usual_dialect};
use crate::redaction::{Redaction, read_rules};
use crate::sampling::{SampleBy, Sampling};
use crate::split::{GroupBy, Split};

/// One option of an export.
pub struct ExportOption {
    /// Its name in JSON and in forms. The command line writes `-` for `_`.
    pub name: &'static str,
    /// What it decides, in a sentence without a full stop.
    pub about: &'static str,
    /// The values that it takes.
    pub values: Values,
    /// The default in words, where it depends on other options.
    pub usual: Option<&'static str>,
    /// Where help and forms show it.
    pub group: Group,
    /// The kinds of items that it matters for.
    pub kinds: &'static [ItemKind],
    /// When a receipt names it.
    told: Told,
    /// Whether it decides which items are written, not only how.
    pub chooses: bool,
    /// What a plan meant that was kept before there was the option, if that is not the default.
    before: Option<&'static str>,
    access: Access,
}

/// Where a plan has an option.
#[derive(Clone, Copy)]
struct Access {
    get: fn(&DatasetPlan) -> Value,
    set: fn(&mut DatasetPlan, &Value) -> Result<(), String>,
}

/// The values that an option takes.
#[derive(Clone, Copy)]
pub enum Values {
    /// On or off.
    Flag,
    /// A whole number up to this one.
    Number(u64),
    /// One of these words.
    Words(fn() -> Vec<Word>),
    /// A text.
    Text,
    /// The text of a file. The command line takes it through another option, which names the file.
    FileText,
    /// The text of a file, which the command line names.
    File,
}

/// One of the words that an option takes.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// What it means, in a phrase.
    pub about: &'static str,
}

/// Where help and forms show an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// How records are shaped and checked.
    Records,
    /// How records look to a model, and how long they may be.
    Model,
    /// How the files are written.
    Package,
}

/// When a receipt names an option.
#[derive(Clone, Copy)]
enum Told {
    /// Never: the receipt has a field of its own for it.
    Never,
    /// Where it is not the default.
    Unusual,
    /// For plans of which this is true.
    If(fn(&DatasetPlan) -> bool),
}

/// All words of an enum.
macro_rules! words {
    ($type:ty) => {
        Values::Words(|| {
            <$type>::ALL.iter().map(|one| Word { name: one.as_str(), about: one.words() }).collect()
        })
    };
}

/// A field of the plan that is one of some words.
macro_rules! word {
    ($($field:ident).+) => {
        Access {
            get: |plan| plan.$($field).+.as_str().into(),
            set: |plan, value| word(&mut plan.$($field).+, value),
        }
    };
}

/// A field of the plan that is on or off.
macro_rules! flag {
    ($($field:ident).+) => {
        Access {
            get: |plan| plan.$($field).+.into(),
            set: |plan, value| {
                plan.$($field).+ = value == &Value::Bool(true);
                Ok(())
            },
        }
    };
}

/// A field of the plan that is a text or not given.
macro_rules! given {
    ($($field:ident).+) => {
        Access {
            get: |plan| plan.$($field).+.clone().into(),
            set: |plan, value| {
                plan.$($field).+ = Some(text(value).to_owned());
                Ok(())
            },
        }
    };
}

/// A field of the plan that is a length or not given.
macro_rules! length {
    ($($field:ident).+) => {
        Access {
            get: |plan| plan.$($field).+.into(),
            set: |plan, value| {
                plan.$($field).+ = value.as_u64().and_then(|most| usize::try_from(most).ok());
                Ok(())
            },
        }
    };
}

/// The largest limit of a record's length.
const MOST_LENGTH: u64 = u32::MAX as u64;

const CHATS: &[ItemKind] = &[ItemKind::Conversation, ItemKind::Run];

/// All options, in the order in which help and forms show them.
pub static OPTIONS: &[ExportOption] = &[
    ExportOption::record(
        "data_format",
        "Format of the records; `retort formats` says what each one is for",
        Values::Words(|| {
            let word = |one: &&dyn DataFormat| Word { name: one.name(), about: one.about() };
            data::FORMATS.iter().map(word).collect()
        }),
        Access {
            get: |plan| plan.data_format.name().into(),
            set: |plan, value| {
                plan.data_format = data_format(text(value))?;
                Ok(())
            },
        },
    )
    .of(ItemKind::ALL)
    .usually("depends on the purpose; `standard` if none is given")
    .told(Told::Never),
    ExportOption::record(
        "purpose",
        "What the dataset is for; it determines which data formats are allowed and which one is the default",
        words!(Purpose),
        word!(purpose),
    )
    .of(ItemKind::ALL)
    .choosing()
    .usually("the purpose of the data format")
    .told(Told::Never),
    ExportOption::record(
        FOR,
        "The evaluator to write for: chooses the data format `evaluation` and the names of its columns",
        words!(Evaluator),
        Access {
            get: |plan| {
                let is_for = plan.data_format.name() == EVALUATION;
                is_for.then(|| plan.shape_options.evaluator.as_str()).into()
            },
            set: |plan, value| {
                let format = plan.data_format.name();
                if format != EVALUATION {
                    return Err(format!("`for` is for the data format `{EVALUATION}`, not `{format}`"));
                }
                word(&mut plan.shape_options.evaluator, value)
            },
        },
    )
    .usually("none; `ragas` for the data format `evaluation`")
    .told(Told::If(|plan| plan.data_format.name() == EVALUATION)),
    ExportOption::record(
        "node",
        "The node whose executions become the records, for purposes that need one",
        Values::Text,
        Access {
            get: |plan| plan.node().into(),
            set: |plan, value| {
                plan.shape_options.node = Some(text(value).into());
                Ok(())
            },
        },
    )
    .of(&[ItemKind::Run])
    .usually("none")
    .told(Told::Never),
    ExportOption::record(
        "check",
        "What to do with records that a trainer would reject",
        words!(Check),
        word!(shape_options.check),
    )
    .choosing()
    .told(Told::Never),
    ExportOption::record(
        "wrap_arguments",
        "Write tool-call arguments that are not a JSON object as `{\"_raw\": …}` instead of leaving the record out",
        Values::Flag,
        flag!(shape_options.wrap_arguments),
    ),
    ExportOption::record(
        "fill",
        "Fill gaps with placeholders (missing results, missing arguments, empty messages) instead of cutting them out",
        Values::Flag,
        flag!(shape_options.fill),
    )
    .before("true"),
    ExportOption::record(
        "rows",
        "How many rows to write per conversation",
        words!(RowsPer),
        word!(shape_options.rows),
    ),
    ExportOption::record(
        "reasoning",
        "What to do with the reasoning of the model",
        words!(ReasoningAs),
        word!(shape_options.reasoning),
    ),
    ExportOption::record(
        "reasoning_field",
        "The field for reasoning, in data formats that have one",
        words!(ReasoningField),
        word!(shape_options.reasoning_field),
    ),
    ExportOption::record(
        "layout",
        "The library or service whose row layout `preference` and `kto` use",
        words!(Layout),
        word!(shape_options.layout),
    ),
    ExportOption::record(
        "pairs",
        "How `preference` and `kto` decide which of several answers to a question is better",
        words!(PairsBy),
        word!(shape_options.pairs),
    ),
    ExportOption::record(
        "call_text",
        "What to do with text that an assistant wrote in the same message as a tool call",
        words!(CallText),
        word!(shape_options.call_text),
    )
    .before("extra"),
    ExportOption::record(
        "attachments",
        "What to do with the images, sound and files of messages, and with the answers to them",
        words!(Attachments),
        word!(shape_options.attachments),
    )
    .before("drop"),
    ExportOption::record(
        "tools",
        "How `standard` writes tool definitions in JSON Lines",
        words!(ToolsAs),
        word!(shape_options.tools),
    ),
    ExportOption::record(
        "tools_of",
        "Which tool definitions a row has, if the tools offered to the model changed during the conversation",
        words!(ToolsOf),
        word!(shape_options.tools_of),
    ),
    ExportOption::record(
        "tasks",
        "Also write each sub-agent's history as a separate record",
        Values::Flag,
        flag!(shape_options.tasks),
    ),
    ExportOption::record(
        "branches",
        "Which branches become records if answers were regenerated or questions edited; `preference`, `kto` and \
         whole-conversation formats always use them all",
        words!(Branches),
        word!(shape_options.branches),
    ),
    ExportOption::record(
        "max_contexts",
        "Maximum number of retrieved passages per answer",
        Values::Number(CONTEXTS_PER_MESSAGE as u64),
        Access {
            get: |plan| plan.shape_options.max_contexts.into(),
            set: |plan, value| {
                let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
                plan.shape_options.max_contexts = number.unwrap_or(CONTEXTS_PER_MESSAGE);
                Ok(())
            },
        },
    )
    .told(Told::If(|plan| plan.data_format.items() != [ItemKind::Document])),
    ExportOption::record(
        "embeddings",
        "How embeddings of documents are written",
        words!(Embeddings),
        word!(shape_options.embeddings),
    )
    .of(&[ItemKind::Document])
    .told(Told::If(|plan| plan.data_format.items() == [ItemKind::Document])),
    ExportOption::record(
        "dedup",
        "Leave out duplicates, comparing what users and assistants say and which tools are called; `rejects.jsonl` names \
         the item that is kept instead",
        words!(Dedup),
        word!(dedup),
    )
    .of(ItemKind::ALL)
    .choosing(),
    ExportOption::record(
        DECONTAMINATE,
        "Find items that have text of a benchmark: 13 words in a row, or all of a shorter text of at least 8, whatever their \
         case and punctuation. A file of JSON Lines, CSV, Parquet or plain text; separate several by commas. A server takes \
         the names in its configuration. `rejects.jsonl` and the receipt show the text",
        Values::Text,
        Access {
            get: |plan| {
                let names = &plan.decontaminate.names;
                (!names.is_empty()).then(|| names.to_string()).into()
            },
            set: |plan, value| word(&mut plan.decontaminate.names, value),
        },
    )
    .of(ItemKind::ALL)
    .usually("off")
    .choosing()
    .told(Told::Never),
    ExportOption::record(
        CONTAMINATED,
        "With `decontaminate`: what to do with such items",
        words!(Contaminated),
        word!(decontaminate.action),
    )
    .of(ItemKind::ALL)
    .choosing()
    .told(Told::Never),
    ExportOption::record(
        "sample",
        "Write only some of the selected items, chosen at random: a number such as `500`, or a share such as `2.5%`; \
         the same seed always chooses the same items",
        Values::Text,
        Access {
            get: |plan| plan.sampling.size.map(|size| size.to_string()).into(),
            set: |plan, value| {
                plan.sampling.size = Some(text(value).parse()?);
                Ok(())
            },
        },
    )
    .of(ItemKind::ALL)
    .usually("all items")
    .choosing()
    .told(Told::If(|plan| plan.sampling.size.is_some())),
    ExportOption::record(
        "seed",
        "With `sample` or `balance`: another number chooses other items",
        Values::Number(u32::MAX as u64),
        Access {
            get: |plan| plan.sampling.seed.into(),
            set: |plan, value| {
                plan.sampling.seed = value.as_u64().unwrap_or_default();
                Ok(())
            },
        },
    )
    .of(ItemKind::ALL)
    .choosing()
    .told(Told::If(|plan| plan.sampling.is_any())),
    ExportOption::record(
        "sample_by",
        "With `sample` and a number: take as large a part of each value of this field",
        words!(SampleBy),
        word!(sampling.by),
    )
    .of(ItemKind::ALL)
    .choosing(),
    ExportOption::record(
        "balance",
        "Write as many items of each value of this field: as many as there are of the rarest, chosen at random",
        words!(SampleBy),
        word!(sampling.balance),
    )
    .of(ItemKind::ALL)
    .choosing(),
    ExportOption::record(
        REDACT,
        "Replace secrets (`secrets`: keys, tokens, passwords), personal data (`pii`: e-mail addresses, telephone, account, \
         card and identity numbers, IP addresses), or what your own rules find (a file that ends in `.toml`); separate \
         several by commas",
        Values::Text,
        Access {
            get: |plan| {
                let sets = plan.redaction.sets;
                sets.is_any().then(|| sets.to_string()).into()
            },
            set: |plan, value| {
                plan.redaction.sets = text(value).parse()?;
                Ok(())
            },
        },
    )
    .of(ItemKind::ALL)
    .usually("off")
    .told(Told::If(|plan| plan.redaction.sets.is_any())),
    ExportOption::record(
        "redact_with",
        "With `redact`: what to do with what is found, unless a rule of your own says otherwise",
        words!(Action),
        word!(redaction.action),
    )
    .of(ItemKind::ALL)
    .told(Told::If(|plan| plan.redaction.is_any())),
    ExportOption::record(
        REDACT_RULES,
        "Your own redaction rules, as the text of a TOML file",
        Values::FileText,
        Access {
            get: |plan| plan.redaction.own.as_ref().map(|own| own.text().to_owned()).into(),
            set: |plan, value| {
                let rules = text(value);
                plan.redaction.own = match rules.trim().is_empty() {
                    true => None,
                    false => Some(own_rules(rules)?.into()),
                };
                Ok(())
            },
        },
    )
    .of(ItemKind::ALL)
    .usually("none")
    .told(Told::Never),
    ExportOption::model(
        "template",
        "Chat template: a `.jinja` file, a `tokenizer_config.json` or a model's folder, where `PATH#NAME` selects one of \
         several; on a server, a name from its configuration",
        Values::Text,
        given!(measuring.template),
    )
    .usually("none"),
    ExportOption::model(
        "tokenizer",
        "Tokenizer to count with: `cl100k`, `o200k`, a `tokenizer.json` or a model's folder; a server takes the names in \
         its configuration",
        Values::Text,
        given!(measuring.tokenizer),
    )
    .usually("count characters"),
    ExportOption::model(
        "max_tokens",
        "Maximum number of tokens in a record; needs `tokenizer`",
        Values::Number(MOST_LENGTH),
        length!(measuring.max_tokens),
    )
    .usually("no limit"),
    ExportOption::model(
        "max_characters",
        "Maximum number of characters in a record, if no tokenizer is given",
        Values::Number(MOST_LENGTH),
        length!(measuring.max_characters),
    )
    .usually("no limit"),
    ExportOption::model(
        "over_long",
        "What to do with longer records",
        words!(OverLong),
        word!(measuring.over_long),
    ),
    ExportOption::package(
        "file_name",
        "Name of the data file, without the extension",
        Values::Text,
        Access {
            get: |plan| plan.file_name.as_str().into(),
            set: |plan, value| {
                plan.file_name = text(value).parse().map_err(|error| format!("{error}"))?;
                Ok(())
            },
        },
    )
    .usually("`conversations`, `runs` or `documents`, by content")
    .told(Told::Never),
    ExportOption::package(
        "file_format",
        "Type of the data file",
        Values::Words(|| {
            let word = |one: &&dyn FileFormat| Word { name: one.name(), about: one.about() };
            file::FORMATS.iter().map(word).collect()
        }),
        Access {
            get: |plan| plan.file_format.name().into(),
            set: |plan, value| {
                plan.file_format = file_format(text(value))?;
                Ok(())
            },
        },
    )
    .told(Told::Never),
    ExportOption::package(
        "compress",
        "Compress each data file as a whole",
        words!(Compression),
        word!(compression),
    )
    .told(Told::Never),
    ExportOption::package(
        "findings",
        "List each repair and warning in `findings.jsonl`, with the record and its position in the input; \
         otherwise only the receipt has them, as counts with the first ids",
        Values::Flag,
        flag!(findings),
    ),
    ExportOption::package(
        "split",
        "Divide the items among several data files by these shares, for example `train=0.9,validation=0.05,test=0.05`; a \
         stable hash of its group decides where an item goes, so it stays there as the dataset grows",
        Values::Text,
        Access {
            get: |plan| plan.split.is_split().then(|| plan.split.to_string()).into(),
            set: |plan, value| {
                plan.split = text(value).parse()?;
                Ok(())
            },
        },
    )
    .usually("one data file")
    .told(Told::If(|plan| plan.split.is_split())),
    ExportOption::package(
        "group_by",
        "With `split`: which items always go to the same data file",
        words!(GroupBy),
        word!(group_by),
    )
    .told(Told::If(|plan| plan.split.is_split())),
    ExportOption::package(
        PAPERS,
        "Also write papers for others: `croissant.json`, which describes the dataset to catalogues, and `SOURCES.md` with the \
         models that wrote the answers, the sources, and the dataset's part of the public summary of training content. A TOML \
         file says what Retort cannot know, such as licences; it may be empty",
        Values::File,
        Access {
            get: |plan| plan.papers.as_ref().map(|papers| papers.text().to_owned()).into(),
            set: |plan, value| {
                plan.papers = Some(Papers::parse(text(value))?.into());
                Ok(())
            },
        },
    )
    .usually("none")
    .told(Told::Never),
    ExportOption::package(
        "csv",
        "CSV dialect",
        words!(CsvDialect),
        word!(file_options.csv),
    )
    .usually("`plain` for evaluation and training, otherwise `spreadsheet`")
    .told(Told::If(DatasetPlan::is_flat)),
];

/// The option that names an evaluator, and the data format that it chooses.
const FOR: &str = "for";
const EVALUATION: &str = "evaluation";

/// The option that names rules of redaction, and the one with the text of the user's.
const REDACT: &str = "redact";
const REDACT_RULES: &str = "redact_rules";

/// The option of papers for others.
const PAPERS: &str = "papers";

/// The options on benchmarks.
pub const DECONTAMINATE: &str = "decontaminate";
pub const CONTAMINATED: &str = "contaminated";

/// Where a kept plan has the key of pseudonyms.
pub const REDACTION_KEY: &str = "redaction_key";

/// The key of a kept plan's own name.
const DATASET_NAME: &str = "dataset_name";

/// The file format of data formats that can be written so.
const JSON_LINES: &str = "jsonl";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn word<T: FromStr<Err = String>>(into: &mut T, value: &Value) -> Result<(), String> {
    *into = text(value).parse()?;
    Ok(())
}

fn own_rules(text: &str) -> Result<OwnRules, String> {
    OwnRules::parse(text).map_err(|why| format!("redaction rules: {why}"))
}

fn data_format(name: &str) -> Result<&'static dyn DataFormat, String> {
    data::by_name(name).ok_or_else(|| format!("unknown data format `{name}`"))
}

fn file_format(name: &str) -> Result<&'static dyn FileFormat, String> {
    file::by_name(name).ok_or_else(|| format!("unknown file format `{name}`"))
}

impl ExportOption {
    /// An option on records of conversations and runs.
    const fn record(
        name: &'static str,
        about: &'static str,
        values: Values,
        access: Access,
    ) -> Self {
        Self {
            name,
            about,
            values,
            usual: None,
            group: Group::Records,
            kinds: CHATS,
            told: Told::Unusual,
            chooses: false,
            before: None,
            access,
        }
    }

    /// An option on the files of any items.
    const fn package(
        name: &'static str,
        about: &'static str,
        values: Values,
        access: Access,
    ) -> Self {
        let (group, kinds) = (Group::Package, ItemKind::ALL);
        Self { group, kinds, ..Self::record(name, about, values, access) }
    }

    /// An option on what a model sees; a receipt has it from what measured the records.
    const fn model(
        name: &'static str,
        about: &'static str,
        values: Values,
        access: Access,
    ) -> Self {
        let (group, told) = (Group::Model, Told::Never);
        Self { group, told, ..Self::record(name, about, values, access) }
    }

    const fn of(self, kinds: &'static [ItemKind]) -> Self {
        Self { kinds, ..self }
    }

    const fn usually(self, words: &'static str) -> Self {
        Self { usual: Some(words), ..self }
    }

    const fn told(self, told: Told) -> Self {
        Self { told, ..self }
    }

    const fn choosing(self) -> Self {
        Self { chooses: true, ..self }
    }

    const fn before(self, meant: &'static str) -> Self {
        Self { before: Some(meant), ..self }
    }

    /// The option of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|one| one.name == name)
    }

    /// As the command line writes it, without the dashes in front.
    pub fn long(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The default, unless it depends on other options.
    pub fn default(&self) -> Option<Value> {
        if self.usual.is_some() {
            return None;
        }
        let plan = ExportOptions::default().resolve("default".parse().ok()?, None).ok()?;
        Some((self.access.get)(&plan))
    }

    /// The default as a form holds it; empty if it depends on other options.
    pub fn default_text(&self) -> String {
        self.default().as_ref().map(plain).unwrap_or_default()
    }

    /// The default as a person reads it.
    pub fn default_words(&self) -> String {
        match (self.usual, self.default()) {
            (Some(words), _) => words.to_owned(),
            (None, Some(Value::String(word))) => format!("`{word}`"),
            (None, Some(Value::Bool(_)) | None) => "off".to_owned(),
            (None, Some(value)) => value.to_string(),
        }
    }

    /// Whether a value, as JSON holds it, has the type that the option takes.
    fn check(&self, value: &Value) -> Result<(), String> {
        let name = self.name;
        let takes = match self.values {
            Values::Flag if value.is_boolean() => return Ok(()),
            Values::Flag => "`true` or `false`".to_owned(),
            Values::Words(_) | Values::Text | Values::FileText | Values::File
                if value.is_string() =>
            {
                return Ok(());
            }
            Values::Words(_) | Values::Text | Values::FileText | Values::File => {
                "a text".to_owned()
            }
            Values::Number(most) if value.as_u64().is_some_and(|number| number <= most) => {
                return Ok(());
            }
            Values::Number(most) => format!("a whole number up to {most}"),
        };
        Err(format!("`{name}` is {takes}, not `{value}`"))
    }

    /// A value from the command line or a form.
    fn parsed(&self, text: &str) -> Result<Value, String> {
        let value = match self.values {
            Values::Flag => text.parse().map_or_else(|_| text.into(), Value::Bool),
            Values::Number(_) => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
            Values::Words(_) | Values::Text | Values::FileText | Values::File => text.into(),
        };
        self.check(&value)?;
        Ok(value)
    }
}

/// What is asked of an export: values of [`OPTIONS`]. What is not asked has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportOptions(BTreeMap<&'static str, Value>);

impl ExportOptions {
    /// All that a plan says.
    pub fn of(plan: &DatasetPlan) -> Self {
        let values = OPTIONS.iter().map(|one| (one.name, (one.access.get)(plan)));
        Self(values.filter(|(_, value)| !value.is_null()).collect())
    }

    /// With one option more, as the command line or a form says it.
    ///
    /// # Errors
    /// The option is not known, or does not take the value.
    pub fn with(mut self, name: &str, text: &str) -> Result<Self, String> {
        let option = known(name)?;
        self.0.insert(option.name, option.parsed(text)?);
        Ok(self)
    }

    /// As [`Self::with`], where a value may name a file on this machine, which is read.
    ///
    /// # Errors
    /// As for [`Self::with`], or the file cannot be read.
    pub fn with_files(self, name: &str, text: &str) -> Result<Self, String> {
        if matches!(known(name)?.values, Values::File) {
            let read = std::fs::read_to_string(text);
            return self.with(name, &read.map_err(|error| format!("cannot read {text}: {error}"))?);
        }
        if name != REDACT {
            return self.with(name, text);
        }
        let (rest, rules) = read_rules(text)?;
        let options = self.with(name, &rest)?;
        match rules {
            Some(rules) => options.with(REDACT_RULES, &rules),
            None => Ok(options),
        }
    }

    /// With those that another asks for, which come before its own.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether something is asked of an option.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The plan of it, for items of a kind if that is known. This is the one place that decides what stands for what is
    /// not asked.
    ///
    /// # Errors
    /// Names and words that there are not, or a purpose for which there is no format.
    pub fn resolve(
        &self,
        dataset_name: DatasetName,
        kind: Option<ItemKind>,
    ) -> Result<DatasetPlan, String> {
        let purpose: Option<Purpose> = self.word("purpose").map(str::parse).transpose()?;
        let file_format = file_format(self.word("file_format").unwrap_or(JSON_LINES))?;
        let data_format = match self.word("data_format") {
            Some(name) => data_format(name)?,
            None if self.has(FOR) => data_format(EVALUATION)?,
            None => usual_format(purpose.unwrap_or_default(), kind, file_format.name())?,
        };
        let usual = data_format.purposes().first().copied().unwrap_or_default();
        let purpose = purpose.unwrap_or(usual);
        let file_name = kind.unwrap_or_default().plural();
        let mut plan = DatasetPlan {
            purpose,
            data_format,
            file_format,
            shape_options: ShapeOptions::default(),
            file_options: FileOptions { csv: usual_dialect(purpose) },
            compression: Compression::default(),
            measuring: MeasureOptions::default(),
            measure: None,
            findings: false,
            split: Split::default(),
            group_by: GroupBy::default(),
            dedup: Dedup::default(),
            decontaminate: DecontaminateOptions::default(),
            benchmarks: None,
            sampling: Sampling::default(),
            redaction: Redaction::default(),
            papers: None,
            dataset_name,
            file_name: file_name.parse().map_err(|error| format!("{error}"))?,
        };
        for (name, value) in &self.0 {
            (known(name)?.access.set)(&mut plan, value)?;
        }
        Ok(plan)
    }
}

impl DatasetPlan {
    /// The plan as JSON text, to be kept until it is carried out.
    pub fn to_json(&self) -> String {
        let ExportOptions(mut values) = ExportOptions::of(self);
        values.insert(DATASET_NAME, self.dataset_name.as_str().into());
        values.extend(self.redaction.key().map(|key| (REDACTION_KEY, key.into())));
        // Names, numbers and flags always have a JSON text.
        serde_json::to_string(&values).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] wrote, also before there were all of today's options.
    ///
    /// # Errors
    /// What is wrong with the text, or which name in it is not known.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let mut values: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let name = values.remove(DATASET_NAME);
        let name = name.as_ref().map(plain).unwrap_or_default();
        let key = values.remove(REDACTION_KEY);
        // As it was called before.
        if let Some(compress) = values.remove("compression") {
            values.insert("compress".into(), compress);
        }
        let mut options = ExportOptions::default();
        for option in OPTIONS {
            match (values.remove(option.name), option.before) {
                (None | Some(Value::Null), None) => {}
                (None | Some(Value::Null), Some(before)) => {
                    options = options.with(option.name, before)?;
                }
                (Some(value), _) => {
                    option.check(&value)?;
                    options.0.insert(option.name, value);
                }
            }
        }
        if let Some((unknown, _)) = values.iter().next() {
            return Err(unknown_option(unknown));
        }
        let mut plan = options.resolve(name.parse().map_err(|error| format!("{error}"))?, None)?;
        if let Some(key) = key {
            plan.redaction.prepare(Key::from_hex(&plain(&key))?)?;
        }
        Ok(plan)
    }

    /// What was asked, as the receipt tells it.
    pub fn options(&self) -> BTreeMap<String, String> {
        let is_told = |option: &&ExportOption| match option.told {
            Told::Never => false,
            Told::Unusual => {
                option.default().is_none_or(|usual| usual != (option.access.get)(self))
            }
            Told::If(is_told) => is_told(self),
        };
        let told = OPTIONS.iter().filter(is_told);
        told.map(|option| (option.name.to_owned(), plain(&(option.access.get)(self)))).collect()
    }
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn unknown_option(name: &str) -> String {
    let names: Vec<_> = OPTIONS.iter().map(|one| format!("`{}`", one.name)).collect();
    format!("unknown field `{name}`, expected one of {}", names.join(", "))
}

fn known(name: &str) -> Result<&'static ExportOption, String> {
    ExportOption::named(name).ok_or_else(|| unknown_option(name))
}

/// The data format that a purpose usually takes, for a kind of item, or else for the first for which there is one.
fn usual_format(
    purpose: Purpose,
    kind: Option<ItemKind>,
    file_format: &str,
) -> Result<&'static dyn DataFormat, String> {
    let kinds = kind.as_ref().map_or(ItemKind::ALL, std::slice::from_ref);
    let found = kinds.iter().find_map(|kind| usual_in(purpose, *kind, file_format));
    found.ok_or_else(|| {
        let of = kind.map_or_else(String::new, |kind| format!(" of {}", kind.plural()));
        format!("there is no data format{of} for the purpose `{purpose}`")
    })
}

impl Serialize for ExportOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExportOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Options;

        impl<'de> Visitor<'de> for Options {
            type Value = ExportOptions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of options")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExportOptions, A::Error> {
                let mut options = ExportOptions::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let option = known(&name).map_err(A::Error::custom)?;
                    if !value.is_null() {
                        option.check(&value).map_err(A::Error::custom)?;
                        options.0.insert(option.name, value);
                    }
                }
                Ok(options)
            }
        }

        deserializer.deserialize_map(Options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "[[rule]]\nname = 'x'\nregex = 'EMP-[0-9]+'\n";

    #[allow(clippy::field_reassign_with_default, reason = "some of its fields are private")]
    fn redaction() -> Redaction {
        let mut redaction = Redaction::default();
        redaction.sets = "secrets".parse().unwrap();
        redaction.own = Some(OwnRules::parse(RULES).unwrap().into());
        redaction.action = Action::Pseudonym;
        redaction.prepare(Key::new([3; 32])).unwrap();
        redaction
    }

    fn unusual() -> DatasetPlan {
        DatasetPlan {
            purpose: Purpose::RecipeEvaluation,
            data_format: data::by_name("history").unwrap(),
            file_format: file::by_name("csv").unwrap(),
            shape_options: ShapeOptions {
                check: Check::Off,
                tools: ToolsAs::Array,
                tools_of: ToolsOf::Answer,
                wrap_arguments: true,
                fill: true,
                rows: RowsPer::Answer,
                reasoning: ReasoningAs::Think,
                reasoning_field: ReasoningField::Thinking,
                layout: Layout::LlamaFactory,
                evaluator: Evaluator::default(),
                pairs: PairsBy::Rated,
                call_text: CallText::Extra,
                attachments: Attachments::Drop,
                tasks: true,
                branches: Branches::All,
                max_contexts: 7,
                embeddings: Embeddings::F32,
                node: Some("summarise".into()),
                variables: [].into(),
            },
            file_options: FileOptions { csv: CsvDialect::Plain },
            compression: Compression::Zstd,
            measuring: MeasureOptions {
                template: Some("m#rag".into()),
                tokenizer: Some("o200k".into()),
                max_tokens: Some(9),
                max_characters: None,
                over_long: OverLong::Split,
            },
            measure: None,
            findings: true,
            split: "train=0.9,test=0.1".parse().unwrap(),
            group_by: GroupBy::User,
            dedup: Dedup::Exact,
            decontaminate: DecontaminateOptions {
                names: "a.jsonl,b".parse().unwrap(),
                action: Contaminated::Report,
            },
            benchmarks: None,
            sampling: Sampling {
                size: "500".parse().ok(),
                seed: 3,
                by: SampleBy::Owner,
                balance: SampleBy::Nothing,
            },
            redaction: redaction(),
            papers: Papers::parse("license = 'MIT'").ok().map(Into::into),
            dataset_name: "对话 数据".parse().unwrap(),
            file_name: "rows".parse().unwrap(),
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
        assert_eq!(back.measuring, plan.measuring);
        assert_eq!(back.decontaminate, plan.decontaminate);
        assert_eq!(back.file_options, plan.file_options);
        assert_eq!(back.compression, plan.compression);
        assert_eq!(back.dataset_name, plan.dataset_name);
        assert_eq!(back.file_name, plan.file_name);
        assert_eq!(back.to_json(), plan.to_json());
        assert!(back.redaction.check().is_ok() && back.redaction.key() == plan.redaction.key());
    }

    #[test]
    fn a_plan_that_was_kept_before_there_were_options_means_what_it_did() {
        let mut kept: Value = serde_json::from_str(&unusual().to_json()).unwrap();
        let kept = kept.as_object_mut().unwrap();
        for name in ["purpose", "node", "fill", "call_text", "attachments"] {
            kept.remove(name);
        }
        let compression = kept.remove("compress").unwrap();
        kept.insert("compression".into(), compression);
        let back = DatasetPlan::from_json(&serde_json::to_string(kept).unwrap()).unwrap();
        assert_eq!((back.purpose, back.node()), (Purpose::ExportDataset, None));
        assert_eq!(back.compression, Compression::Zstd);
        let ShapeOptions { fill, call_text, attachments, .. } = back.shape_options;
        assert_eq!((fill, call_text, attachments), (true, CallText::Extra, Attachments::Drop));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let text = unusual().to_json();
        for (from, to, expect) in [
            ("\"history\"", "\"poem\"", "unknown data format `poem`"),
            ("\"csv\":\"plain\"", "\"csv\":\"fancy\"", "unknown CSV dialect `fancy`"),
            ("\"zstd\"", "\"lzma\"", "unknown compression `lzma`"),
            ("\"file_name\":\"rows\"", "\"file_name\":\"../rows\"", "file name"),
            ("\"tasks\"", "\"songs\"", "unknown field `songs`"),
        ] {
            let error = DatasetPlan::from_json(&text.replace(from, to)).err().unwrap();
            assert!(error.contains(expect), "{error}");
        }
    }

    #[test]
    fn every_option_says_its_default_and_takes_it_back() {
        for option in OPTIONS {
            assert!(option.usual.is_some() || option.default().is_some(), "{}", option.name);
            let Some(value) = option.default() else { continue };
            let options = ExportOptions::default().with(option.name, &plain(&value)).unwrap();
            let plan = options.resolve("d".parse().unwrap(), None).unwrap();
            assert_eq!((option.access.get)(&plan), value, "{}", option.name);
        }
    }

    #[test]
    fn every_value_of_every_option_reaches_the_plan() {
        for option in OPTIONS {
            let values = match option.values {
                Values::Flag => vec!["true".to_owned(), "false".to_owned()],
                Values::Number(most) => vec!["0".to_owned(), most.to_string()],
                Values::Words(words) => words().iter().map(|word| word.name.to_owned()).collect(),
                Values::Text if option.name == "split" => vec!["a=0.5,b=0.5".to_owned()],
                Values::Text if option.name == "sample" => vec!["500".into(), "2.5%".into()],
                Values::Text if option.name == REDACT => {
                    vec!["secrets".into(), "secrets,pii".into()]
                }
                Values::FileText => vec![RULES.to_owned()],
                Values::File => vec![String::new(), "license = 'MIT'\n".to_owned()],
                Values::Text => vec!["some".to_owned()],
            };
            for value in values {
                let options = ExportOptions::default().with(option.name, &value).unwrap();
                let plan = options.resolve("d".parse().unwrap(), None).unwrap();
                assert_eq!(plain(&(option.access.get)(&plan)), value, "{}", option.name);
                let kept = DatasetPlan::from_json(&plan.to_json()).unwrap();
                assert_eq!(plain(&(option.access.get)(&kept)), value, "{}", option.name);
            }
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_what_is_taken() {
        for (json, expect) in [
            (r#"{"fill": "yes"}"#, "`fill` is `true` or `false`, not `\"yes\"`"),
            (r#"{"check": 3}"#, "`check` is a text, not `3`"),
            (r#"{"max_contexts": 81}"#, "`max_contexts` is a whole number up to 80, not `81`"),
            (r#"{"max_contexts": -1}"#, "`max_contexts` is a whole number up to 80, not `-1`"),
            (r#"{"songs": true}"#, "unknown field `songs`, expected one of `data_format`"),
        ] {
            let error = serde_json::from_str::<ExportOptions>(json).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }
}
