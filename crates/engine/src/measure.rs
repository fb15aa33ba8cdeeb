//! Records as a model sees them: how long they are, what of them is learnt, and which are left out for that.

use std::collections::BTreeMap;
use std::ops::Range;

use retort_formats::data::{ChatRow, DataFormat};
use retort_formats::template::{Templates, TokenCount, Tokenizer};
use retort_json::Value;
use retort_model::{LeftOut, Reason, Time, named};

use crate::error::Error;
use crate::model_files::{
    ModelFile, ModelFiles, ModelPaths, read_template_files, read_tokenizer_file,
};

/// Measures records, and says which are too long.
pub struct Measure {
    templates: Option<Templates>,
    tokenizer: Option<Tokenizer>,
    /// The most tokens, or characters without a tokenizer, that a record may have.
    most: Option<usize>,
    /// What becomes of longer records.
    pub(crate) over_long: OverLong,
    told: BTreeMap<String, String>,
    files: ModelFiles,
}

/// What records are measured with, and how long they may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasureOptions {
    /// The chat template: see [`crate::read_templates`].
    pub template: Option<String>,
    /// The tokenizer: see [`crate::read_tokenizer`].
    pub tokenizer: Option<String>,
    /// The most tokens that a record may have.
    pub max_tokens: Option<usize>,
    /// The most characters that a record may have.
    pub max_characters: Option<usize>,
    /// What becomes of longer records.
    pub over_long: OverLong,
}

/// What becomes of records that are too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverLong {
    /// They are left out.
    #[default]
    LeaveOut,
    /// They become several, each from a question to an answer.
    Split,
}

named!(OverLong, "treatment of long records", LeaveOut = "leave-out", Split = "split");

impl OverLong {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::LeaveOut => "leave them out",
            Self::Split => "split them between exchanges, never within an answer",
        }
    }
}

impl MeasureOptions {
    /// Whether a record may be too long.
    pub fn has_limit(&self) -> bool {
        self.max_tokens.or(self.max_characters).is_some()
    }

    /// Whether records are to be measured.
    pub fn is_asked(&self) -> bool {
        *self != Self::default()
    }

    /// The names as paths.
    pub fn paths(&self) -> ModelPaths {
        self.paths_of(&ModelFiles::default())
    }

    /// The paths of files that were read before. What is built in has none, and is known by its name.
    pub fn paths_of(&self, files: &ModelFiles) -> ModelPaths {
        let path = |file: &Option<ModelFile>, name: &Option<String>| {
            file.as_ref().map(|file| file.path.clone()).or_else(|| name.clone())
        };
        ModelPaths {
            template: path(&files.template, &self.template),
            tokenizer: path(&files.tokenizer, &self.tokenizer),
        }
    }

    /// Refuses what does not go together.
    fn check(&self) -> Result<(), Error> {
        let refused = |why: &str| Err(Error::Choice(why.into()));
        if self.max_tokens.is_some() && self.tokenizer.is_none() {
            return refused(
                "`--max-tokens` needs `--tokenizer` to count with; `--max-characters` needs none",
            );
        }
        if self.over_long == OverLong::Split && !self.has_limit() {
            return refused("`--over-long split` needs `--max-tokens` or `--max-characters`");
        }
        if self.max_characters.is_some() && self.tokenizer.is_some() {
            return refused(
                "with `--tokenizer`, the limit is `--max-tokens`, not `--max-characters`",
            );
        }
        Ok(())
    }
}

impl Measure {
    /// Reads the template and the tokenizer from where `paths` says they are; none if nothing is to be measured. `now` is
    /// what templates print as the date.
    ///
    /// # Errors
    /// A file that can't be read, or that is not what it should be; a limit in tokens without a tokenizer.
    pub fn open(
        options: &MeasureOptions,
        paths: &ModelPaths,
        now: Time,
    ) -> Result<Option<Self>, Error> {
        options.check()?;
        if !options.is_asked() {
            return Ok(None);
        }
        let MeasureOptions { template, tokenizer, max_tokens, max_characters, over_long } = options;
        let (mut told, mut files) = (BTreeMap::new(), ModelFiles::default());
        let templates = match template.as_ref().zip(paths.template.as_ref()) {
            Some((name, path)) => {
                let (templates, file) = read_template_files(path, now)?;
                told.insert("template".to_owned(), name.clone());
                told.insert("template_sha256".to_owned(), file.sha256.clone());
                files.template = Some(file);
                Some(templates)
            }
            None => None,
        };
        let tokenizer = match tokenizer.as_ref().zip(paths.tokenizer.as_ref()) {
            Some((name, path)) => {
                let (tokenizer, file) = read_tokenizer_file(path)?;
                told.insert("tokenizer".to_owned(), name.clone());
                let sha256 = file.as_ref().map(|file| file.sha256.clone());
                told.extend(sha256.map(|sha256| ("tokenizer_sha256".to_owned(), sha256)));
                files.tokenizer = file;
                Some(tokenizer)
            }
            None => None,
        };
        let limits = [("max_tokens", max_tokens), ("max_characters", max_characters)];
        for (name, limit) in limits {
            told.extend(limit.map(|limit| (name.to_owned(), limit.to_string())));
        }
        if *over_long != OverLong::default() {
            told.insert("over_long".to_owned(), over_long.to_string());
        }
        let (most, over_long) = (max_tokens.or(*max_characters), *over_long);
        Ok(Some(Self { templates, tokenizer, most, over_long, told, files }))
    }

    /// The files that it was read from.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// What it measures with, as the receipt tells it.
    pub fn told(&self) -> &BTreeMap<String, String> {
        &self.told
    }

    /// Measures a record, the JSON text of a row. Of a pair, the longer chat counts; of a row that is no chat, its text.
    pub(crate) fn row(&self, format: &dyn DataFormat, row: &str) -> Result<TokenCount, LeftOut> {
        let value = Value::parse(row).ok();
        let longest = match value.as_ref().and_then(|value| format.chats(value)) {
            Some(chats) => {
                let mut longest = TokenCount::default();
                for chat in &chats {
                    let counted = self.chat(chat)?;
                    if counted.all >= longest.all {
                        longest = counted;
                    }
                }
                longest
            }
            None if self.templates.is_some() => {
                let why = format!("a chat template cannot render rows of `{}`", format.name());
                return Err(LeftOut::new(Reason::TemplateError, why));
            }
            None => self.count(row, &[])?,
        };
        match self.most {
            Some(most) if longest.all > most => {
                let unit = unit_of(&self.told);
                let detail = format!("{} {unit}, more than {most}", longest.all);
                Err(LeftOut::new(Reason::TooLong, detail))
            }
            _ => Ok(longest),
        }
    }

    fn chat(&self, chat: &ChatRow) -> Result<TokenCount, LeftOut> {
        let (text, learnt) = match &self.templates {
            Some(templates) => {
                let rendered = templates
                    .render_row(chat)
                    .map_err(|error| LeftOut::new(Reason::TemplateError, error.to_string()))?;
                (rendered.text, rendered.learnt)
            }
            None => {
                let (text, learnt) = chat.plain();
                (text, Some(learnt))
            }
        };
        let spans = learnt.as_deref().unwrap_or_default();
        let counted = self.count(&text, spans)?;
        // Where a template writes earlier answers anew, it is not known what is learnt.
        let teaches = chat.messages.iter().any(|message| message.is_learnt);
        if teaches && learnt.is_some() && counted.learnt == 0 {
            let why = "the chat template leaves out the answers to train on";
            return Err(LeftOut::new(Reason::NothingToLearn, why));
        }
        Ok(counted)
    }

    /// The length of a text, and of what is learnt of it.
    fn count(&self, text: &str, learnt: &[Range<usize>]) -> Result<TokenCount, LeftOut> {
        match &self.tokenizer {
            Some(tokenizer) => tokenizer
                .count(text, learnt)
                .map_err(|error| LeftOut::new(Reason::TemplateError, error.to_string())),
            None => Ok(TokenCount::of_characters(text, learnt)),
        }
    }
}

/// In what the lengths are, by what the receipt tells of the options.
pub(crate) fn unit_of(told: &BTreeMap<String, String>) -> &'static str {
    if told.contains_key("tokenizer") { "tokens" } else { "characters" }
}
