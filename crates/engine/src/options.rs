//! The options of an export, each declared once, in [`OPTIONS`]. The arguments of the command line, the fields of the
//! API and of forms, the plan that a job keeps, the options in a receipt and `docs/options.md` all come from there.

use std::str::FromStr;

use retort_formats::data::{
    Attachments, Branches, CallText, DataFormat, Embeddings, Evaluator, Layout, PairsBy,
    ReasoningAs, ReasoningField, RowsPer, ToolsAs, ToolsOf,
};
use retort_formats::file::{CsvDialect, FileFormat};
use retort_formats::{data, file};
use retort_model::bounds::CONTEXTS_PER_MESSAGE;
use retort_model::{Check, ItemKind, Purpose};
use retort_redact::{Action, OwnRules};
use serde_json::Value;

use crate::compression::Compression;
use crate::decontaminate::Contaminated;
use crate::dedup::Dedup;
use crate::measure::OverLong;
use crate::option::{Access, ExportOption, InReceipt, Values, Word};
use crate::papers::Papers;
use crate::plan::DatasetPlan;
use crate::sampling::SampleBy;
use crate::split::GroupBy;

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
    .in_receipt(InReceipt::Never),
    ExportOption::record(
        "purpose",
        "What the dataset is for; it determines which data formats are allowed and which one is the default",
        words!(Purpose),
        word!(purpose),
    )
    .of(ItemKind::ALL)
    .choosing()
    .usually("the purpose of the data format")
    .in_receipt(InReceipt::Never),
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
    .in_receipt(InReceipt::If(|plan| plan.data_format.name() == EVALUATION)),
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
    .in_receipt(InReceipt::Never),
    ExportOption::record(
        "check",
        "What to do with records that a trainer would reject",
        words!(Check),
        word!(shape_options.check),
    )
    .choosing()
    .in_receipt(InReceipt::Never),
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
    .in_receipt(InReceipt::If(|plan| plan.data_format.items() != [ItemKind::Document])),
    ExportOption::record(
        "embeddings",
        "How embeddings of documents are written",
        words!(Embeddings),
        word!(shape_options.embeddings),
    )
    .of(&[ItemKind::Document])
    .in_receipt(InReceipt::If(|plan| plan.data_format.items() == [ItemKind::Document])),
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
    .in_receipt(InReceipt::Never),
    ExportOption::record(
        CONTAMINATED,
        "With `decontaminate`: what to do with such items",
        words!(Contaminated),
        word!(decontaminate.action),
    )
    .of(ItemKind::ALL)
    .choosing()
    .in_receipt(InReceipt::Never),
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
    .in_receipt(InReceipt::If(|plan| plan.sampling.size.is_some())),
    ExportOption::record(
        "seed",
        "With `sample` or `balance`: a different number selects different items",
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
    .in_receipt(InReceipt::If(|plan| plan.sampling.is_any())),
    ExportOption::record(
        "sample_by",
        "With `sample` and a number: take the same share of each value of this field",
        words!(SampleBy),
        word!(sampling.by),
    )
    .of(ItemKind::ALL)
    .choosing(),
    ExportOption::record(
        "balance",
        "Write the same number of items for each value of this field, chosen at random: as many as there are of the \
         rarest value",
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
    .in_receipt(InReceipt::If(|plan| plan.redaction.sets.is_any())),
    ExportOption::record(
        "redact_with",
        "With `redact`: what to do with each match, unless a rule of your own says otherwise",
        words!(Action),
        word!(redaction.action),
    )
    .of(ItemKind::ALL)
    .in_receipt(InReceipt::If(|plan| plan.redaction.is_any())),
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
    .in_receipt(InReceipt::Never),
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
    .in_receipt(InReceipt::Never),
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
    .in_receipt(InReceipt::Never),
    ExportOption::package(
        "compress",
        "Compress each data file as a whole",
        words!(Compression),
        word!(compression),
    )
    .in_receipt(InReceipt::Never),
    ExportOption::package(
        "findings",
        "List each repair and warning in `findings.jsonl`, with the record and its position in the input; \
         otherwise only the receipt has them, as counts with the first ids",
        Values::Flag,
        flag!(findings),
    ),
    ExportOption::package(
        "card_types",
        "Write the types of the columns on the dataset card, so that `datasets` gives JSON such as the arguments of calls as \
         objects (`Json()`); for JSON Lines. Needs `datasets` 4.7: earlier versions cannot load a folder with such a card",
        Values::Flag,
        flag!(card_types),
    ),
    ExportOption::package(
        "split",
        "Divide the items among several data files by these shares, for example `train=0.9,validation=0.05,test=0.05`; \
         a stable hash of an item's group decides where the item goes, so it stays there as the dataset grows",
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
    .in_receipt(InReceipt::If(|plan| plan.split.is_split())),
    ExportOption::package(
        "group_by",
        "With `split`: which items always go to the same data file",
        words!(GroupBy),
        word!(group_by),
    )
    .in_receipt(InReceipt::If(|plan| plan.split.is_split())),
    ExportOption::package(
        "split_from",
        "With `split`: an earlier dataset with the same outputs and `group_by`, whose items keep their outputs; \
         new items join the output of their group. A package, or, in a store, the name or number of a dataset",
        Values::Text,
        Access {
            get: |plan| plan.split_from.clone().into(),
            set: |plan, value| {
                plan.split_from = Some(text(value).to_owned()).filter(|name| !name.is_empty());
                Ok(())
            },
        },
    )
    .usually("none")
    .in_receipt(InReceipt::Never),
    ExportOption::package(
        PAPERS,
        "Also write papers: `croissant.json`, which describes the dataset to data catalogs, and `SOURCES.md` with the \
         models that wrote the answers, the sources, and the dataset's part of the public summary of training content. \
         A TOML file says what Retort cannot know, such as licenses; it may be empty",
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
    .in_receipt(InReceipt::Never),
    ExportOption::package(
        "csv",
        "CSV dialect",
        words!(CsvDialect),
        word!(file_options.csv),
    )
    .usually("`plain` for evaluation and training, otherwise `spreadsheet`")
    .in_receipt(InReceipt::If(DatasetPlan::is_flat)),
];

/// The option that names an evaluator, and the data format that it chooses.
pub(crate) const FOR: &str = "for";
pub(crate) const EVALUATION: &str = "evaluation";

/// The option that names rules of redaction, and the one with the text of the user's.
pub(crate) const REDACT: &str = "redact";
pub(crate) const REDACT_RULES: &str = "redact_rules";

/// The option of papers for others.
const PAPERS: &str = "papers";

/// The options on benchmarks.
pub(crate) const DECONTAMINATE: &str = "decontaminate";
pub(crate) const CONTAMINATED: &str = "contaminated";

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

pub(crate) fn data_format(name: &str) -> Result<&'static dyn DataFormat, String> {
    data::by_name(name).ok_or_else(|| format!("unknown data format `{name}`"))
}

pub(crate) fn file_format(name: &str) -> Result<&'static dyn FileFormat, String> {
    file::by_name(name).ok_or_else(|| format!("unknown file format `{name}`"))
}
