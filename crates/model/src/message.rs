//! Messages and their parts.

use crate::fields::Fields;
use crate::judgement::{Judgement, Label};
use crate::named;
use crate::time::Time;
use retort_json::{RawJson, Text};

/// One message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message<'a> {
    /// Who speaks.
    pub role: Role,
    /// The source's own word for the role, where it was another one.
    pub source_role: Option<Text<'a>>,
    /// Name of the speaker or of the tool.
    pub name: Option<Text<'a>>,
    /// What is said; none where the source had null or nothing.
    pub content: Option<Content<'a>>,
    /// The model's reasoning before the answer.
    pub reasoning: Option<Text<'a>>,
    /// Calls of tools that the message makes, in order.
    pub tool_calls: Vec<ToolCall<'a>>,
    /// Id of the call that the message answers.
    pub tool_call_id: Option<Text<'a>>,
    /// Retrieved passages that the answer could use, as the source wrote them.
    pub contexts: Vec<RawJson<'a>>,
    /// What a person thought of the answer.
    pub feedback: Option<Box<Feedback<'a>>>,
    /// When it was said.
    pub created_at: Option<Time>,
    /// Why the answer failed or broke off, if it did.
    pub error: Option<Text<'a>>,
    /// Why the model stopped, in the source's words (`stop`, `length`, …).
    pub finish_reason: Option<Text<'a>>,
    /// Whether the source, or a person, says that the message is to be learnt; none if nobody does.
    pub train: Option<bool>,
    /// Whether the source, or a person, prefers or rejects the answer; none if nobody does.
    pub label: Option<Label>,
    /// What people said of it, and what the source had said before: see [`Judgement`].
    pub judgements: Vec<Judgement<'a>>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// A speaker whom the source names by a word that Retort does not know; the word is in `source_role`.
    Other,
}

impl<'a> Feedback<'a> {
    /// None if it says nothing.
    pub(crate) fn if_any(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

impl Feedback<'_> {
    pub(crate) fn into_owned(self) -> Feedback<'static> {
        Feedback {
            rating: self.rating.map(RawJson::into_owned),
            label: self.label.map(Text::into_owned),
            comment: self.comment.map(Text::into_owned),
        }
    }
}

named!(
    Role,
    "role",
    System = "system",
    User = "user",
    Assistant = "assistant",
    Tool = "tool",
    Other = "other"
);

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<'a> {
    /// Text alone.
    Text(Text<'a>),
    /// Typed parts.
    Parts(Vec<Part<'a>>),
}

/// One part of a message's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<'a> {
    /// What it is.
    pub kind: PartKind,
    /// Its text, if it is text.
    pub text: Option<Text<'a>>,
    /// The part as the source wrote it, for all but plain text.
    pub raw: Option<RawJson<'a>>,
}

impl<'a> Part<'a> {
    /// A part that is text and nothing else.
    pub fn text(text: Text<'a>) -> Self {
        Self { kind: PartKind::Text, text: Some(text), raw: None }
    }
}

/// What a part of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// Text.
    Text,
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A file.
    File,
    /// Something else.
    Other,
}

named!(
    PartKind,
    "kind of part",
    Text = "text",
    Image = "image",
    Audio = "audio",
    File = "file",
    Other = "other"
);

/// The field of an answer's metadata with the number of the round whose answer it corrects.
pub const CORRECTS: &str = "corrects";

/// The field of a corrected answer's metadata with its author.
pub const AUTHOR: &str = "author";

/// The field of an answer's metadata with what the answer should have been.
pub const GROUND_TRUTH: &str = "ground_truth";

/// The field of a run's metadata with the author of its corrected answer, where an earlier release recorded one.
pub const CORRECTED_BY: &str = "corrected_by";

/// Something that carries meaning in the source and that its reader could not place.
#[derive(Clone, Debug, PartialEq)]
pub struct NotUnderstood<'a> {
    /// Its path in the item, such as `messages[3].content[1].type=tool_use`.
    pub path: String,
    /// The value as the source wrote it.
    pub raw: RawJson<'a>,
}

impl NotUnderstood<'_> {
    /// The same, borrowing from nothing.
    pub fn into_owned(self) -> NotUnderstood<'static> {
        NotUnderstood { path: self.path, raw: self.raw.into_owned() }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCall<'a> {
    /// The source's id of the call; may be empty and need not be unique.
    pub id: Text<'a>,
    /// Name of the tool.
    pub name: Text<'a>,
    /// The arguments as the model wrote them: JSON text as a rule, but nothing promises it.
    pub arguments: Text<'a>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// What a person thought of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feedback<'a> {
    /// The rating as the source gave it: a boolean, a number or a word, as JSON.
    pub rating: Option<RawJson<'a>>,
    /// A category.
    pub label: Option<Text<'a>>,
    /// Words.
    pub comment: Option<Text<'a>>,
}

/// How answers end that are not whole, in small letters and without what joins words.
const CUT_OFF: [&str; 65] = [
    // Cut by a limit.
    "length",
    "incomplete",
    "unfinished",
    "notfinished",
    "truncated",
    "inprogress",
    "finishedpartialcompletion",
    "pauseturn",
    "errorlimit",
    "limit",
    "maxlen",
    "maxlength",
    "maxtokens",
    "maxtoken",
    "maxoutput",
    "maxoutputtokens",
    "maxnewtokens",
    "maxcompletiontokens",
    "maxcontext",
    "tokenlimit",
    "timelimit",
    "contextlength",
    "contextlengthexceeded",
    "contextwindowexceeded",
    "modellength",
    "modelcontextwindowexceeded",
    "repetition",
    "repetitiontruncation",
    "repetitiondetected",
    // Stopped by a person or a fault.
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "usercancel",
    "interrupted",
    "timeout",
    "error",
    "failed",
    "malformedfunctioncall",
    "malformedresponse",
    "malformedmodeloutput",
    "malformedtooluse",
    "unexpectedtoolcall",
    "toomanytoolcalls",
    "maxiterations",
    "missingthoughtsignature",
    "networkerror",
    "insufficientsystemresource",
    "noimage",
    // Stopped by a filter.
    "refusal",
    "contentfilter",
    "contentfiltered",
    "errortoxic",
    "guardrailintervened",
    "safety",
    "sensitive",
    "language",
    "recitation",
    "blocklist",
    "prohibitedcontent",
    "spii",
    "modelarmor",
    "imagesafety",
    "imageprohibitedcontent",
    "imagerecitation",
];

impl<'a> Message<'a> {
    /// A message of plain text.
    pub fn text(role: Role, text: impl Into<Text<'a>>) -> Self {
        Self { role, content: Some(Content::Text(text.into())), ..Self::default() }
    }

    /// What the message says in words; empty if nothing.
    pub fn words(&self) -> Text<'_> {
        self.content.as_ref().map(Content::text).unwrap_or_default()
    }

    /// The message's parts other than text.
    pub fn attachments(&self) -> impl Iterator<Item = &Part<'a>> {
        let parts = match &self.content {
            Some(Content::Parts(parts)) => parts.as_slice(),
            _ => &[],
        };
        parts.iter().filter(|part| part.kind != PartKind::Text)
    }

    /// Whether the model was stopped before its answer was whole: by a limit, a filter, a person or a fault. The words are
    /// those of OpenAI, Anthropic, Gemini, Bedrock, Cohere, watsonx, xAI, Vercel's AI SDK and others, in any case; the name of
    /// an enum may be in front of them.
    pub fn is_cut_off(&self) -> bool {
        let Some(reason) = &self.finish_reason else { return false };
        let reason = reason.decoded();
        // As Python shows the member of an enum: `<FinishReason.MAX_TOKENS: 2>`.
        let word = reason.trim().trim_start_matches('<').split(':').next().unwrap_or_default();
        let word = word.rsplit('.').next().unwrap_or_default();
        let letters: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        let letters = letters.to_ascii_lowercase();
        let letters = letters.strip_prefix("finishreason").unwrap_or(&letters);
        let letters = letters.strip_prefix("reason").unwrap_or(letters);
        // Gemini's; others say `other` of what they have no word for.
        let is_other = word == "OTHER" || word.ends_with("_OTHER");
        is_other || CUT_OFF.contains(&letters)
    }

    /// Whether the message is a person's correction of an answer.
    pub fn is_correction(&self) -> bool {
        self.role == Role::Assistant && self.metadata.get(CORRECTS).is_some()
    }

    /// The source's own word for the role.
    pub fn role_word(&self) -> std::borrow::Cow<'_, str> {
        match &self.source_role {
            Some(word) => word.decoded(),
            None => self.role.as_str().into(),
        }
    }
}

impl Message<'_> {
    /// The same message, borrowing from nothing.
    pub fn into_owned(self) -> Message<'static> {
        Message {
            role: self.role,
            source_role: self.source_role.map(Text::into_owned),
            name: self.name.map(Text::into_owned),
            content: self.content.map(Content::into_owned),
            reasoning: self.reasoning.map(Text::into_owned),
            tool_calls: self.tool_calls.into_iter().map(ToolCall::into_owned).collect(),
            tool_call_id: self.tool_call_id.map(Text::into_owned),
            contexts: self.contexts.into_iter().map(RawJson::into_owned).collect(),
            feedback: self.feedback.map(|feedback| Box::new(feedback.into_owned())),
            created_at: self.created_at,
            error: self.error.map(Text::into_owned),
            finish_reason: self.finish_reason.map(Text::into_owned),
            train: self.train,
            label: self.label,
            judgements: self.judgements.into_iter().map(Judgement::into_owned).collect(),
            metadata: self.metadata.into_owned(),
        }
    }
}

/// The types of items of the Responses API for tools that the provider runs itself. Logs contain their results only if the
/// client asked for them.
const RUN_BY_PROVIDER: [&str; 4] =
    ["web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"];

impl ToolCall<'_> {
    /// Whether the provider ran the tool itself, so that the model saw a result even where none was logged.
    pub fn is_hosted(&self) -> bool {
        self.metadata.iter().any(|(key, raw)| match &*key.decoded() {
            "type" => raw.as_text().is_some_and(|word| RUN_BY_PROVIDER.contains(&&*word)),
            "providerExecuted" => raw.as_str() == "true",
            _ => false,
        })
    }

    /// The same call, borrowing from nothing.
    pub fn into_owned(self) -> ToolCall<'static> {
        ToolCall {
            id: self.id.into_owned(),
            name: self.name.into_owned(),
            arguments: self.arguments.into_owned(),
            metadata: self.metadata.into_owned(),
        }
    }
}

impl Content<'_> {
    fn into_owned(self) -> Content<'static> {
        match self {
            Self::Text(text) => Content::Text(text.into_owned()),
            Self::Parts(parts) => Content::Parts(
                parts
                    .into_iter()
                    .map(|part| Part {
                        kind: part.kind,
                        text: part.text.map(Text::into_owned),
                        raw: part.raw.map(RawJson::into_owned),
                    })
                    .collect(),
            ),
        }
    }
}

impl<'a> Content<'a> {
    /// The text of the content: the text parts joined by line breaks.
    pub fn text(&self) -> Text<'_> {
        match self {
            Self::Text(text) => text.borrowed(),
            Self::Parts(parts) => {
                let mut texts = parts.iter().filter_map(|part| part.text.as_ref());
                let Some(first) = texts.next() else { return Text::default() };
                let Some(second) = texts.next() else { return first.borrowed() };
                let mut joined = String::new();
                first.push_to(&mut joined);
                for text in std::iter::once(second).chain(texts) {
                    joined.push('\n');
                    text.push_to(&mut joined);
                }
                joined.into()
            }
        }
    }
}
