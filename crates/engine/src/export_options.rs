//! The options requested for an export, the plan that they resolve to, and the plan's JSON form.

use std::collections::BTreeMap;
use std::fmt;

use retort_formats::data::{DataFormat, ShapeOptions, usual_in};
use retort_formats::file::FileOptions;
use retort_model::{DatasetName, ItemKind, Purpose};
use retort_redact::Key;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::compression::Compression;
use crate::decontaminate::DecontaminateOptions;
use crate::dedup::Dedup;
use crate::error::io_reason;
use crate::measure::MeasureOptions;
use crate::option::{ExportOption, InReceipt, Values};
use crate::options::{EVALUATION, FOR, OPTIONS, REDACT, REDACT_RULES, data_format, file_format};
use crate::plan::{DatasetPlan, usual_dialect};
use crate::redaction::{Redaction, read_rules};
use crate::sampling::Sampling;
use crate::split::{GroupBy, Split};

/// Where a kept plan has the key of pseudonyms.
pub const REDACTION_KEY: &str = "redaction_key";

/// The key of a kept plan's own name.
const DATASET_NAME: &str = "dataset_name";

/// The file format of data formats that can be written so.
const JSON_LINES: &str = "jsonl";

impl ExportOption {
    /// The option of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|one| one.name == name)
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
}

/// The options requested for an export: values of [`OPTIONS`]. Options that are not given have their defaults.
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
            let read = read.map_err(|error| format!("cannot read `{text}`: {}", io_reason(&error)));
            return self.with(name, &read?);
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

    /// Merges the options of `other`, which take precedence over its own.
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

    /// The plan of it, for items of a kind if that is known. This is the one place that chooses the default of each
    /// option that was not given.
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
            card_types: false,
            split: Split::default(),
            group_by: GroupBy::default(),
            split_from: None,
            pinned: None,
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
            plan.redaction.prepare(Key::from_hex(&plain(&key))?);
        }
        Ok(plan)
    }

    /// What was asked, as the receipt names it.
    pub fn options(&self) -> BTreeMap<String, String> {
        let is_named = |option: &&ExportOption| match option.in_receipt {
            InReceipt::Never => false,
            InReceipt::Unusual => {
                option.default().is_none_or(|usual| usual != (option.access.get)(self))
            }
            InReceipt::If(is_named) => is_named(self),
        };
        let named = OPTIONS.iter().filter(is_named);
        named.map(|option| (option.name.to_owned(), plain(&(option.access.get)(self)))).collect()
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
    use retort_formats::data::{
        Attachments, Branches, CallText, Embeddings, Evaluator, Layout, PairsBy, ReasoningAs,
        ReasoningField, RowsPer, ToolsAs, ToolsOf,
    };
    use retort_formats::file::CsvDialect;
    use retort_formats::{data, file};
    use retort_model::Check;
    use retort_redact::{Action, OwnRules};

    use super::*;
    use crate::decontaminate::Contaminated;
    use crate::measure::OverLong;
    use crate::papers::Papers;
    use crate::sampling::SampleBy;

    const RULES: &str = "[[rule]]\nname = 'x'\nregex = 'EMP-[0-9]+'\n";

    #[allow(clippy::field_reassign_with_default, reason = "some of its fields are private")]
    fn redaction() -> Redaction {
        let mut redaction = Redaction::default();
        redaction.sets = "secrets".parse().unwrap();
        redaction.own = Some(OwnRules::parse(RULES).unwrap().into());
        redaction.action = Action::Pseudonym;
        redaction.prepare(Key::new([3; 32]));
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
            card_types: true,
            split: "train=0.9,test=0.1".parse().unwrap(),
            group_by: GroupBy::User,
            split_from: Some("base".into()),
            pinned: None,
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
