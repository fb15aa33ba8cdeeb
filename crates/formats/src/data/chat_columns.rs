//! Messages as chat systems read them: with `tool_calls`, and where it is wanted reasoning in a field of its own. Shared by
//! the data formats that write them.

use retort_json::Text;

use super::carried::{IMAGES, Piece, ShownAs};
use super::chat_messages::{ChatMessageText, Speech, Voice};
use super::format::{Attachments, ReasoningAs, ReasoningField, ShapeOptions};
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

const ROLE: Field = Field::required("role", Type::Word);
const CONTENT: Field = Field::required("content", Type::Text);
const REASONING_CONTENT: Field = Field::optional("reasoning_content", Type::Text);
const THINKING: Field = Field::optional("thinking", Type::Text);
const CALL_ID: Field = Field::required("id", Type::Text);
const CALL_TYPE: Field = Field::required("type", Type::Word);
const TOOL_NAME: Field = Field::required("name", Type::Word);
const TOOL_CALL_ID: Field = Field::optional("tool_call_id", Type::Text);

/// Calls whose arguments are JSON objects, as chat templates of Hugging Face read them.
const OBJECT_CALLS: Field = Field::optional(
    "tool_calls",
    Type::List(&Type::Struct(&[
        CALL_ID,
        CALL_TYPE,
        Field::required(
            "function",
            Type::Struct(&[TOOL_NAME, Field::required("arguments", Type::Object)]),
        ),
    ])),
);

/// Calls whose arguments are text, as OpenAI reads them.
const TEXT_CALLS: Field = Field::optional(
    "tool_calls",
    Type::List(&Type::Struct(&[
        CALL_ID,
        CALL_TYPE,
        Field::required(
            "function",
            Type::Struct(&[TOOL_NAME, Field::required("arguments", Type::Text)]),
        ),
    ])),
);

/// The content as a list of parts, where messages may show something.
const PARTS: Field = Field::required(
    "content",
    Type::List(&Type::Struct(&[
        Field::required("type", Type::Word),
        Field::optional("text", Type::Text),
    ])),
);

/// The same with the URLs of what is shown in its parts.
const URL_PARTS: Field = Field::required(
    "content",
    Type::List(&Type::Struct(&[
        Field::required("type", Type::Word),
        Field::optional("text", Type::Text),
        Field::optional("image_url", Type::Struct(&[Field::required("url", Type::Text)])),
    ])),
);

const WEIGHT: Field = Field::optional("weight", Type::Int);

/// A list of messages with these fields.
macro_rules! messages {
    ($($field:expr),* $(,)?) => {
        Type::List(&Type::Struct(&[$($field),*]))
    };
}

/// Messages as OpenAI reads them.
pub(super) const OPENAI: Type = messages![ROLE, CONTENT, TEXT_CALLS, TOOL_CALL_ID];

/// The same with `weight`, which says whether an answer is learnt.
pub(super) const WEIGHTED: Type = messages![ROLE, CONTENT, TEXT_CALLS, TOOL_CALL_ID, WEIGHT];

/// The same with images.
pub(super) const WEIGHTED_WITH_IMAGES: Type =
    messages![ROLE, URL_PARTS, TEXT_CALLS, TOOL_CALL_ID, WEIGHT];

/// Messages as chat templates of Hugging Face read them, with the field for reasoning that is asked for, and images if they
/// are kept.
pub(super) fn messages(options: &ShapeOptions) -> Type {
    use ReasoningField::{ReasoningContent, Thinking};
    match (reasoning_field(options), keeps(options)) {
        (None, false) => messages![ROLE, CONTENT, OBJECT_CALLS, TOOL_CALL_ID],
        (Some(ReasoningContent), false) => {
            messages![ROLE, CONTENT, REASONING_CONTENT, OBJECT_CALLS, TOOL_CALL_ID]
        }
        (Some(Thinking), false) => messages![ROLE, CONTENT, THINKING, OBJECT_CALLS, TOOL_CALL_ID],
        (None, true) => messages![ROLE, PARTS, OBJECT_CALLS, TOOL_CALL_ID],
        (Some(ReasoningContent), true) => {
            messages![ROLE, PARTS, REASONING_CONTENT, OBJECT_CALLS, TOOL_CALL_ID]
        }
        (Some(Thinking), true) => messages![ROLE, PARTS, THINKING, OBJECT_CALLS, TOOL_CALL_ID],
    }
}

/// The columns of rows that have such messages: these, and that of the images if they are kept.
pub(super) fn schema(fields: &[Field], options: &ShapeOptions) -> Schema {
    let images = keeps(options).then_some(IMAGES);
    Schema::chosen(fields.iter().copied().chain(images).collect::<Vec<_>>())
}

fn keeps(options: &ShapeOptions) -> bool {
    options.attachments == Attachments::Keep
}

/// The field for reasoning; none if it goes elsewhere.
fn reasoning_field(options: &ShapeOptions) -> Option<ReasoningField> {
    (options.reasoning == ReasoningAs::Keep).then_some(options.reasoning_field)
}

/// What such messages can say.
pub(super) fn voice(unlearnt: Unlearnt) -> Voice {
    Voice { unlearnt, may_ask: false, has_reasoning: true, shown_as: ShownAs::Parts }
}

/// What to tell on the card of rows with images.
pub(super) const IMAGES_NOTE: &str = "\n\nThe content of messages is a list of parts. Each part `{\"type\": \"image\"}` \
    shows the next one of `images`, which are paths of files in this folder or URLs.";

/// Which of the fields that not all messages have are written, and how.
#[derive(Clone, Copy, Default)]
struct Extras {
    reasoning: bool,
    /// The arguments of calls are objects instead of text.
    object_arguments: bool,
    weight: bool,
    content: ContentAs,
}

/// How the content of messages is written.
#[derive(Clone, Copy, Default)]
enum ContentAs {
    #[default]
    Text,
    Parts,
    /// Parts with a field for the URLs of images.
    UrlParts,
}

/// Writes messages of the type [`messages`].
pub(super) fn write(messages: &[ChatMessageText<'_>], options: &ShapeOptions, out: &mut dyn Sink) {
    let reasoning = reasoning_field(options).is_some();
    let content = if keeps(options) { ContentAs::Parts } else { ContentAs::Text };
    let extras = Extras { reasoning, object_arguments: true, content, ..Extras::default() };
    write_list(messages, extras, out);
}

/// Writes messages of the type [`OPENAI`].
pub(super) fn write_openai(messages: &[ChatMessageText<'_>], out: &mut dyn Sink) {
    write_list(messages, Extras::default(), out);
}

/// Writes messages of the type [`WEIGHTED`], or [`WEIGHTED_WITH_IMAGES`] if images are kept.
pub(super) fn write_weighted(
    messages: &[ChatMessageText<'_>],
    options: &ShapeOptions,
    out: &mut dyn Sink,
) {
    let content = if keeps(options) { ContentAs::UrlParts } else { ContentAs::Text };
    write_list(messages, Extras { weight: true, content, ..Extras::default() }, out);
}

/// Writes the definitions of tools, or null, and the column of images if they are kept.
pub(super) fn write_rest(speech: &Speech<'_>, options: &ShapeOptions, out: &mut dyn Sink) {
    write_tools(&speech.tools, out);
    if keeps(options) {
        speech.media.write_images(out);
    }
}

fn write_content(message: &ChatMessageText<'_>, content: ContentAs, out: &mut dyn Sink) {
    let has_url = match content {
        ContentAs::Text => return out.text(&message.content),
        ContentAs::Parts => false,
        ContentAs::UrlParts => true,
    };
    let part = |kind: &str, text: Option<&Text<'_>>, url: Option<&str>, out: &mut dyn Sink| {
        out.open_struct();
        out.str(kind);
        match text {
            Some(text) => out.text(text),
            None => out.absent(),
        }
        if has_url {
            match url {
                Some(url) => {
                    out.open_struct();
                    out.str(url);
                    out.close_struct();
                }
                None => out.absent(),
            }
        }
        out.close_struct();
    };
    out.open_list();
    match &message.parts {
        None => part("text", Some(&message.content), None, out),
        Some(parts) => {
            for one in parts {
                match one {
                    Piece::Text(text) => part("text", Some(&text.as_str().into()), None, out),
                    Piece::Shown(shown) if has_url => {
                        part("image_url", None, Some(&shown.place), out);
                    }
                    Piece::Shown(_) => part("image", None, None, out),
                }
            }
        }
    }
    out.close_list();
}

fn write_list(messages: &[ChatMessageText<'_>], extras: Extras, out: &mut dyn Sink) {
    out.open_list();
    for message in messages {
        out.open_struct();
        out.str(&message.role);
        write_content(message, extras.content, out);
        if extras.reasoning {
            match &message.reasoning {
                Some(reasoning) => out.text(reasoning),
                None => out.absent(),
            }
        }
        if message.calls.is_empty() {
            out.absent();
        } else {
            out.open_list();
            for call in &message.calls {
                out.open_struct();
                out.str(&call.id);
                out.str("function");
                out.open_struct();
                out.str(&call.name);
                if extras.object_arguments {
                    out.json(&call.arguments_as_json());
                } else {
                    out.str(&call.arguments);
                }
                out.close_struct();
                out.close_struct();
            }
            out.close_list();
        }
        match &message.answers {
            Some(id) => out.str(id),
            None => out.absent(),
        }
        if extras.weight {
            match message.is_learnt {
                Some(is_learnt) => out.int(is_learnt.into()),
                None => out.absent(),
            }
        }
        out.close_struct();
    }
    out.close_list();
}

/// Writes the definitions of tools, or null.
pub(super) fn write_tools(tools: &str, out: &mut dyn Sink) {
    if tools.is_empty() {
        out.absent();
    } else {
        out.json(tools);
    }
}
