//! The files that come with a model and say how its chats are rendered.

use std::collections::BTreeMap;

use retort_json::Value;
use retort_model::Time;

use super::render::{Chat, Rendered, Template, TemplateError};

/// Name of the template that renders a conversation, if no other is chosen.
const DEFAULT: &str = "default";

/// Name of the template that renders a conversation with tools, where a model has one.
const TOOL_USE: &str = "tool_use";

/// Tokens that a template may print by name.
const SPECIAL_TOKENS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What a model's files say about its chats: templates by name, and special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateFiles {
    templates: BTreeMap<String, String>,
    special_tokens: BTreeMap<String, String>,
}

impl TemplateFiles {
    /// Adds the text of a template's file (`chat_template.jinja`) under the name it is chosen by, in place of a template of
    /// this name.
    pub fn add_template(&mut self, name: Option<&str>, text: String) {
        self.templates.insert(name.unwrap_or(DEFAULT).to_owned(), text);
    }

    /// Adds what a JSON file says (`tokenizer_config.json`, `chat_template.json`): special tokens, and templates that are
    /// not there yet.
    ///
    /// # Errors
    /// A file that is not JSON, or whose `chat_template` is neither a string nor a list of named templates.
    pub fn add_config(&mut self, text: &str) -> Result<(), TemplateError> {
        let config = Value::parse(text)?;
        for name in SPECIAL_TOKENS {
            let token = config.get(name);
            let token =
                token.and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
            if let Some(token) = token {
                self.special_tokens.insert(name.to_owned(), token.to_owned());
            }
        }
        let mut add = |name: &str, text: &str| {
            self.templates.entry(name.to_owned()).or_insert_with(|| text.to_owned());
        };
        match config.get("chat_template") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => add(DEFAULT, text),
            Some(Value::Array(named)) => {
                for template in named {
                    let field = |name| template.get(name).and_then(Value::as_str);
                    let (Some(name), Some(text)) = (field("name"), field("template")) else {
                        return Err(TemplateError::of(
                            "`chat_template` has an entry without `name` or `template`",
                        ));
                    };
                    add(name, text);
                }
            }
            Some(Value::Object(named)) => {
                for (name, text) in named {
                    let text = text.as_str();
                    add(
                        name,
                        text.ok_or_else(|| {
                            TemplateError::of("`chat_template` has an entry that is not a string")
                        })?,
                    );
                }
            }
            Some(_) => {
                return Err(TemplateError::of(
                    "`chat_template` is neither a string nor a list of named templates",
                ));
            }
        }
        Ok(())
    }

    /// Names and sources of the templates, and the special tokens: what a hash of them must cover.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.templates
            .iter()
            .chain(&self.special_tokens)
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

/// The templates of a model, compiled.
pub struct Templates {
    /// Renders a conversation.
    plain: Template,
    /// Renders one with tools, if the model has a template for this.
    with_tools: Option<Template>,
}

impl Templates {
    /// Compiles the template `chosen`; if none is, `tool_use` for conversations with tools and `default` for the others, as
    /// `transformers` does. `now` is what `strftime_now` prints.
    ///
    /// # Errors
    /// A fault of a template's syntax, or no template of the name; the names that there are.
    pub fn new(
        files: &TemplateFiles,
        chosen: Option<&str>,
        now: Time,
    ) -> Result<Self, TemplateError> {
        let tokens: Vec<(String, String)> = files
            .special_tokens
            .iter()
            .map(|(name, token)| (name.clone(), token.clone()))
            .collect();
        let compile = |source: &String| Template::new(source, &tokens, now);
        let name = chosen.unwrap_or(DEFAULT);
        let Some(source) = files.templates.get(name) else {
            let names: Vec<&str> = files.templates.keys().map(String::as_str).collect();
            return Err(TemplateError::of(match names.as_slice() {
                [] => "no chat template found: a `.jinja` file or a `tokenizer_config.json` with `chat_template` is needed".to_owned(),
                names => format!("no template `{name}`; choose one of: {}", names.join(", ")),
            }));
        };
        let with_tools = files.templates.get(TOOL_USE).filter(|_| chosen.is_none());
        Ok(Self { plain: compile(source)?, with_tools: with_tools.map(compile).transpose()? })
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// What the template raises, or can't do with this conversation.
    pub fn render(&self, chat: &Chat<'_>) -> Result<Rendered, TemplateError> {
        match &self.with_tools {
            Some(template) if chat.tools.is_some() => template.render(chat),
            _ => self.plain.render(chat),
        }
    }

    /// Whether the template marks what is learnt, by `{% generation %}` blocks.
    pub fn marks_learnt(&self) -> bool {
        self.plain.marks_learnt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(
        files: &TemplateFiles,
        chosen: Option<&str>,
        tools: Option<&str>,
    ) -> Result<String, String> {
        let templates = Templates::new(files, chosen, Time::parse("2026-01-02").unwrap());
        let chat = Chat {
            messages: r#"[{"role":"user","content":"Hi"}]"#,
            tools,
            add_generation_prompt: false,
        };
        templates
            .and_then(|templates| templates.render(&chat))
            .map(|it| it.text)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_config_gives_its_template_and_its_special_tokens() {
        let mut files = TemplateFiles::default();
        let config = r#"{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "pad_token": null,
            "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}"}"#;
        files.add_config(config).unwrap();
        assert_eq!(render(&files, None, None).unwrap(), "<s>Hi</s>False");
    }

    #[test]
    fn a_template_file_goes_before_the_config() {
        let mut files = TemplateFiles::default();
        files.add_template(None, "file {{ bos_token }}".into());
        files.add_config(r#"{"bos_token": "<s>", "chat_template": "config"}"#).unwrap();
        assert_eq!(render(&files, None, None).unwrap(), "file <s>");
    }

    #[test]
    fn of_named_templates_one_is_chosen_by_name_or_by_the_tools() {
        let mut files = TemplateFiles::default();
        let named = |name, template| format!(r#"{{"name":"{name}","template":"{template}"}}"#);
        let named =
            [named("default", "plain"), named("tool_use", "tools"), named("rag", "documents")]
                .join(",");
        files.add_config(&format!(r#"{{"chat_template":[{named}]}}"#)).unwrap();
        assert_eq!(render(&files, None, None).unwrap(), "plain");
        assert_eq!(render(&files, None, Some("[]")).unwrap(), "tools");
        assert_eq!(render(&files, Some("rag"), Some("[]")).unwrap(), "documents");
        assert_eq!(
            render(&files, Some("chat"), None).unwrap_err(),
            "template: no template `chat`; choose one of: default, rag, tool_use"
        );
    }

    #[test]
    fn files_without_a_template_say_what_is_needed() {
        let mut files = TemplateFiles::default();
        files.add_config("{}").unwrap();
        assert!(render(&files, None, None).unwrap_err().contains("a `.jinja` file"));
        assert!(files.add_config(r#"{"chat_template": 1}"#).is_err());
        assert!(files.add_config("{").is_err());
    }
}
