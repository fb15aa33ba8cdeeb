//! A template, compiled, and what it renders.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Object};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value};
use retort_json::{JsonError, Parser};
use retort_model::Time;

use super::clock;
use super::filters;
use super::json;
use super::methods;
use super::prepare;
use super::python;

/// Where a rendering notes what it has written and what of that is learnt.
const TRACKER: &str = "__tracker";

/// The one template of an environment.
const NAME: &str = "template";

/// A chat template, compiled.
pub struct Template {
    environment: Environment<'static>,
    pub(super) marks_learnt: bool,
    special_tokens: Vec<(String, Value)>,
}

/// What a template renders.
#[derive(Clone, Copy, Debug)]
pub struct Chat<'a> {
    /// JSON array of messages, each with `role` and `content`.
    pub messages: &'a str,
    /// JSON array of tool definitions.
    pub tools: Option<&'a str>,
    /// Whether the text ends with the beginning of an answer.
    pub add_generation_prompt: bool,
}

/// A conversation as the model sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The whole text, special tokens included.
    pub text: String,
    /// Bytes of the text that are learnt: what is in `{% generation %}` blocks. None if the template has none.
    pub learnt: Option<Vec<Range<usize>>>,
}

/// Why a template can't be used, or renders nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Line of the template, from 1.
    pub line: Option<usize>,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line} of the template: {}", self.message),
            None => write!(f, "template: {}", self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

impl TemplateError {
    pub(super) fn of(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into() }
    }
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let message = match (error.kind(), error.detail()) {
            (ErrorKind::InvalidOperation | ErrorKind::SyntaxError, Some(detail)) => {
                detail.to_owned()
            }
            (kind, Some(detail)) => format!("{kind}: {detail}"),
            (kind, None) => kind.to_string(),
        };
        Self { line: error.line(), message }
    }
}

impl From<JsonError> for TemplateError {
    fn from(error: JsonError) -> Self {
        Self::of(error.to_string())
    }
}

impl Template {
    /// Compiles the source of a template. `now` is what `strftime_now` prints, in its own offset.
    ///
    /// # Errors
    /// A fault of the template's syntax, with its line.
    pub fn new(
        source: &str,
        special_tokens: &[(String, String)],
        now: Time,
    ) -> Result<Self, TemplateError> {
        let prepared = prepare::prepare(source);
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(methods::call);
        environment.set_formatter(|out, _, value| match value.as_str() {
            Some(text) => Ok(out.write_str(text)?),
            None if value.is_undefined() => Ok(()),
            None => Ok(out.write_str(&python::str(value))?),
        });
        filters::add(&mut environment);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", move |format: &str| clock::strftime(now, format));
        environment.add_function(prepare::GENERATION, generation);
        environment.add_template_owned(NAME, prepared.source)?;
        let special_tokens =
            special_tokens.iter().map(|(name, token)| (name.clone(), Value::from(token))).collect();
        Ok(Self { environment, marks_learnt: prepared.marks_learnt, special_tokens })
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// What the template raises, or can't do with this conversation.
    pub fn render(&self, chat: &Chat<'_>) -> Result<Rendered, TemplateError> {
        let tracker = self.marks_learnt.then(Arc::<Tracker>::default);
        let context = self.context(chat, tracker.clone())?;
        let template = self.environment.get_template(NAME)?;
        let Some(tracker) = tracker else {
            return Ok(Rendered { text: template.render(context)?, learnt: None });
        };
        let mut out = Output { text: Vec::new(), tracker: &tracker };
        template.render_captured_to(context, &mut out)?;
        let text =
            String::from_utf8(out.text).map_err(|_| TemplateError::of("the text is not UTF-8"))?;
        let spans = tracker.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let learnt = spans.iter().map(|span| span.range(&text)).collect();
        Ok(Rendered { text, learnt: Some(learnt) })
    }

    fn context(
        &self,
        chat: &Chat<'_>,
        tracker: Option<Arc<Tracker>>,
    ) -> Result<Value, TemplateError> {
        let mut variables: Vec<(&str, Value)> = self
            .special_tokens
            .iter()
            .map(|(name, token)| (name.as_str(), token.clone()))
            .collect();
        variables.push(("messages", messages(chat.messages)?));
        variables.push(("tools", chat.tools.map_or(Ok(Value::from(())), value)?));
        variables.push(("documents", Value::from(())));
        variables.push(("add_generation_prompt", Value::from(chat.add_generation_prompt)));
        if let Some(tracker) = tracker {
            variables.push((TRACKER, Value::from_dyn_object(tracker)));
        }
        Ok(Value::from_pairs(variables))
    }
}

fn value(text: &str) -> Result<Value, JsonError> {
    let mut parser = Parser::new(text);
    let value = json::take(&mut parser)?;
    parser.end()?;
    Ok(value)
}

/// The messages as `transformers` hands them to a template: without keys whose value is null, and with the reasoning
/// under both names that templates read.
fn messages(text: &str) -> Result<Value, JsonError> {
    const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
    let mut messages = Vec::new();
    let mut parser = Parser::new(text);
    parser.array()?;
    while parser.next_element()? {
        let message = json::take(&mut parser)?;
        let Some(dict) = message.downcast_object_ref::<json::Dict>() else {
            messages.push(message);
            continue;
        };
        let mut fields = dict.0.clone();
        fields.retain(|_, value| !value.is_none());
        let reasoning = REASONING.iter().find_map(|name| fields.get(*name).cloned());
        if let Some(reasoning) = reasoning {
            if !fields.contains_key("thinking") {
                fields.shift_insert(0, "thinking".into(), reasoning.clone());
            }
            fields.insert("reasoning_content".into(), reasoning);
        }
        messages.push(Value::from_object(json::Dict(fields)));
    }
    parser.end()?;
    Ok(Value::from(messages))
}

fn raise_exception(message: &Value) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, python::str(message)))
}

/// Renders the body of a generation block, and notes where it goes.
#[allow(clippy::needless_pass_by_value, reason = "MiniJinja hands named arguments over by value")]
fn generation(state: &mut State, named: Kwargs) -> Result<Value, minijinja::Error> {
    let body = named.get::<Value>("caller")?.call(state, &[])?;
    let tracker = state.lookup(TRACKER);
    if let Some(tracker) =
        tracker.as_ref().and_then(|tracker| tracker.downcast_object_ref::<Tracker>())
    {
        let text = body.as_str().unwrap_or_default();
        let span =
            Span { start: tracker.written.load(Ordering::Relaxed), chars: text.chars().count() };
        tracker.spans.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
    Ok(body)
}

/// Where in the output the rendering is, for generation blocks.
#[derive(Debug, Default)]
struct Tracker {
    written: AtomicUsize,
    spans: Mutex<Vec<Span>>,
}

impl Object for Tracker {}

/// A generation block in the output. As in `transformers`, it begins where the output ended when the block was rendered,
/// which inside a macro is before the text that the macro wrote until then.
#[derive(Debug)]
struct Span {
    start: usize,
    chars: usize,
}

impl Span {
    fn range(&self, text: &str) -> Range<usize> {
        let rest = text.get(self.start..).unwrap_or_default();
        let length = rest.char_indices().nth(self.chars).map_or(rest.len(), |(at, _)| at);
        self.start..self.start + length
    }
}

/// The output, with its length in the tracker.
struct Output<'a> {
    text: Vec<u8>,
    tracker: &'a Tracker,
}

impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        self.tracker.written.store(self.text.len(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
