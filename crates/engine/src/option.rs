//! What an option of an export is: its name, the values that it takes, and where a plan has it.

use retort_model::ItemKind;
use serde_json::Value;

use crate::plan::DatasetPlan;

const CHATS: &[ItemKind] = &[ItemKind::Conversation, ItemKind::Run];

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
    pub(crate) in_receipt: InReceipt,
    /// Whether it decides which items are written, not only how.
    pub chooses: bool,
    /// What a plan meant that was kept before there was the option, if that is not the default.
    pub(crate) before: Option<&'static str>,
    pub(crate) access: Access,
}

/// Where a plan has an option.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) get: fn(&DatasetPlan) -> Value,
    pub(crate) set: fn(&mut DatasetPlan, &Value) -> Result<(), String>,
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
pub(crate) enum InReceipt {
    /// Never: the receipt has a field of its own for it.
    Never,
    /// Where it is not the default.
    Unusual,
    /// For plans of which this is true.
    If(fn(&DatasetPlan) -> bool),
}

impl ExportOption {
    /// An option on records of conversations and runs.
    pub(crate) const fn record(
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
            in_receipt: InReceipt::Unusual,
            chooses: false,
            before: None,
            access,
        }
    }

    /// An option on the files of any items.
    pub(crate) const fn package(
        name: &'static str,
        about: &'static str,
        values: Values,
        access: Access,
    ) -> Self {
        let (group, kinds) = (Group::Package, ItemKind::ALL);
        Self { group, kinds, ..Self::record(name, about, values, access) }
    }

    /// An option on what a model sees; a receipt has it from what measured the records.
    pub(crate) const fn model(
        name: &'static str,
        about: &'static str,
        values: Values,
        access: Access,
    ) -> Self {
        let (group, in_receipt) = (Group::Model, InReceipt::Never);
        Self { group, in_receipt, ..Self::record(name, about, values, access) }
    }

    pub(crate) const fn of(self, kinds: &'static [ItemKind]) -> Self {
        Self { kinds, ..self }
    }

    pub(crate) const fn usually(self, words: &'static str) -> Self {
        Self { usual: Some(words), ..self }
    }

    pub(crate) const fn in_receipt(self, in_receipt: InReceipt) -> Self {
        Self { in_receipt, ..self }
    }

    pub(crate) const fn choosing(self) -> Self {
        Self { chooses: true, ..self }
    }

    pub(crate) const fn before(self, meant: &'static str) -> Self {
        Self { before: Some(meant), ..self }
    }

    /// As the command line writes it, without the dashes in front.
    pub fn long(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether a value, as JSON holds it, has the type that the option takes.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
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
    pub(crate) fn parsed(&self, text: &str) -> Result<Value, String> {
        let value = match self.values {
            Values::Flag => text.parse().map_or_else(|_| text.into(), Value::Bool),
            Values::Number(_) => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
            Values::Words(_) | Values::Text | Values::FileText | Values::File => text.into(),
        };
        self.check(&value)?;
        Ok(value)
    }
}
