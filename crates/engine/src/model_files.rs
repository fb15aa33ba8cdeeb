//! The files that come with a model: its chat template and its tokenizer.

use std::fs;
use std::path::Path;

use retort_formats::template::{BUILT_IN, TemplateFiles, Templates, Tokenizer};
use retort_model::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::storage::{hex, read_small};

/// Largest file that is read. The largest tokenizers have some 30 MB.
const MOST_BYTES: u64 = 256 << 20;

/// What a folder of a model calls its files.
const TEMPLATE: &str = "chat_template.jinja";
const NAMED_TEMPLATES: &str = "additional_chat_templates";
const CONFIGS: [&str; 2] = ["chat_template.json", "tokenizer_config.json"];
const TOKENIZER: &str = "tokenizer.json";

/// Where the chat template and the tokenizer are that a plan names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPaths {
    /// As [`read_templates`] takes it.
    pub template: Option<String>,
    /// As [`read_tokenizer`] takes it.
    pub tokenizer: Option<String>,
}

/// The files that a chat template and a tokenizer were read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFiles {
    /// The chat template.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<ModelFile>,
    /// The tokenizer; none if it is built in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokenizer: Option<ModelFile>,
}

/// Where a file of a model is, and a hash of what was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its absolute path, with the name of the template behind `#` if one was selected.
    pub path: String,
    /// The hash of what was read.
    pub sha256: String,
}

impl ModelFile {
    fn of(path: &str, sha256: String) -> Self {
        let absolute = std::path::absolute(path).ok();
        let absolute = absolute.map(|path| path.to_string_lossy().into_owned());
        Self { path: absolute.unwrap_or_else(|| path.to_owned()), sha256 }
    }
}

impl ModelFiles {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses files that are no longer what they were.
    ///
    /// # Errors
    /// Which file changed.
    pub fn check(&self, now: &Self) -> Result<(), Error> {
        for (what, before, now) in [
            ("chat template", &self.template, &now.template),
            ("tokenizer", &self.tokenizer, &now.tokenizer),
        ] {
            if before != now {
                let path = before.as_ref().map_or("", |file| file.path.as_str());
                return Err(Error::Choice(format!(
                    "the {what} `{path}` changed after the export was submitted; submit it again"
                )));
            }
        }
        Ok(())
    }
}

/// Reads the chat template of a model: a `.jinja` file, a `tokenizer_config.json`, or the folder of a model. `path` may end
/// in `#NAME`, for one of several templates. `now` is what templates print as the date.
///
/// # Errors
/// A file that can't be read, or that is no template.
pub fn read_templates(path: &str, now: Time) -> Result<Templates, Error> {
    read_template_files(path, now).map(|(templates, _)| templates)
}

/// As [`read_templates`], with a hash of the templates and the special tokens.
pub(crate) fn read_template_files(whole: &str, now: Time) -> Result<(Templates, ModelFile), Error> {
    let path = Path::new(whole);
    let (file, chosen) = match whole.rsplit_once('#') {
        Some((file, name)) if !path.exists() => (Path::new(file), Some(name)),
        _ => (path, None),
    };
    let refused = |error| Error::Choice(format!("`{}`: {error}", file.display()));
    let mut files = TemplateFiles::default();
    let add_config =
        |files: &mut TemplateFiles, path: &Path| files.add_config(&read(path)?).map_err(refused);
    if file.is_dir() {
        let template = file.join(TEMPLATE);
        if template.is_file() {
            files.add_template(None, read(&template)?);
        }
        add_named(&mut files, &file.join(NAMED_TEMPLATES))?;
        for config in CONFIGS.map(|name| file.join(name)).iter().filter(|config| config.is_file()) {
            add_config(&mut files, config)?;
        }
    } else if file.extension().is_some_and(|ending| ending == "json") {
        add_config(&mut files, file)?;
    } else {
        files.add_template(chosen, read(file)?);
        // Its special tokens are in the config beside it.
        let config = file.with_file_name("tokenizer_config.json");
        if config.is_file() {
            add_config(&mut files, &config)?;
        }
    }
    let mut hash = Sha256::new();
    for (name, text) in files.parts() {
        for part in [name, text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let templates = Templates::new(&files, chosen, now).map_err(refused)?;
    Ok((templates, ModelFile::of(whole, hex(&hash.finalize()))))
}

/// Adds the templates of a folder, each under the name of its file.
fn add_named(files: &mut TemplateFiles, folder: &Path) -> Result<(), Error> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(|source| Error::read(folder, source))? {
        let path = entry.map_err(|source| Error::read(folder, source))?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if path.extension().is_some_and(|ending| ending == "jinja") {
            files.add_template(name, read(&path)?);
        }
    }
    Ok(())
}

/// Reads a tokenizer: a `tokenizer.json`, the folder of a model, or the name of a built-in one.
///
/// # Errors
/// A file that can't be read, or that is not a tokenizer.
pub fn read_tokenizer(name: &str) -> Result<Tokenizer, Error> {
    read_tokenizer_file(name).map(|(tokenizer, _)| tokenizer)
}

/// As [`read_tokenizer`], with its file; a built-in one has none.
pub(crate) fn read_tokenizer_file(name: &str) -> Result<(Tokenizer, Option<ModelFile>), Error> {
    let path = Path::new(name);
    if let Some(tokenizer) = Tokenizer::built_in(name).filter(|_| !path.exists()) {
        return Ok((tokenizer, None));
    }
    if !path.exists() {
        let built_in = BUILT_IN.join("` and `");
        return Err(Error::Choice(format!(
            "no tokenizer `{name}`: give a `tokenizer.json`, a folder that contains one, or one of `{built_in}`"
        )));
    }
    let path = if path.is_dir() { path.join(TOKENIZER) } else { path.to_owned() };
    let text = read(&path)?;
    let refused = |error| Error::Choice(format!("`{}`: {error}", path.display()));
    let file = ModelFile::of(name, hex(&Sha256::digest(&text)));
    Ok((text.parse().map_err(refused)?, Some(file)))
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = read_small(path, MOST_BYTES, "chat template or tokenizer")?;
    String::from_utf8(bytes)
        .map_err(|_| Error::Choice(format!("`{}` is not UTF-8 text", path.display())))
}
