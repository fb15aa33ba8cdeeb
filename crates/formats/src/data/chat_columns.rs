//! Messages as chat systems read them: with `tool_calls`, and where it is wanted reasoning in a field of its own. Shared by
//! the data formats that write them.

use super::chat_messages::{Spoken, Voice};
use super::format::{ReasoningAs, ReasoningField, ShapeOptions};
use super::schema::{Field, Sink, Type};
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

/// Messages as OpenAI reads them.
pub(super) const OPENAI: Type =
    Type::List(&Type::Struct(&[ROLE, CONTENT, TEXT_CALLS, TOOL_CALL_ID]));

/// The same with `weight`, which says whether an answer is learnt.
pub(super) const WEIGHTED: Type = Type::List(&Type::Struct(&[
    ROLE,
    CONTENT,
    TEXT_CALLS,
    TOOL_CALL_ID,
    Field::optional("weight", Type::Int),
]));

/// Messages as chat templates of Hugging Face read them, with the field for reasoning that is asked for.
pub(super) fn messages(options: &ShapeOptions) -> Type {
    match reasoning_field(options) {
        None => Type::List(&Type::Struct(&[ROLE, CONTENT, OBJECT_CALLS, TOOL_CALL_ID])),
        Some(ReasoningField::ReasoningContent) => Type::List(&Type::Struct(&[
            ROLE,
            CONTENT,
            REASONING_CONTENT,
            OBJECT_CALLS,
            TOOL_CALL_ID,
        ])),
        Some(ReasoningField::Thinking) => {
            Type::List(&Type::Struct(&[ROLE, CONTENT, THINKING, OBJECT_CALLS, TOOL_CALL_ID]))
        }
    }
}

/// The field for reasoning; none if it goes elsewhere.
fn reasoning_field(options: &ShapeOptions) -> Option<ReasoningField> {
    (options.reasoning == ReasoningAs::Keep).then_some(options.reasoning_field)
}

/// What such messages can say.
pub(super) fn voice(unlearnt: Unlearnt) -> Voice {
    Voice { unlearnt, has_reasoning: true, has_media: false }
}

/// Which of the fields that not all messages have are written.
#[derive(Clone, Copy, Default)]
struct Extras {
    reasoning: bool,
    /// The arguments of calls are objects instead of text.
    object_arguments: bool,
    weight: bool,
}

/// Writes messages of the type [`messages`].
pub(super) fn write(messages: &[Spoken<'_>], options: &ShapeOptions, out: &mut dyn Sink) {
    let reasoning = reasoning_field(options).is_some();
    write_list(messages, Extras { reasoning, object_arguments: true, weight: false }, out);
}

/// Writes messages of the type [`OPENAI`].
pub(super) fn write_openai(messages: &[Spoken<'_>], out: &mut dyn Sink) {
    write_list(messages, Extras::default(), out);
}

/// Writes messages of the type [`WEIGHTED`].
pub(super) fn write_weighted(messages: &[Spoken<'_>], out: &mut dyn Sink) {
    write_list(messages, Extras { weight: true, ..Extras::default() }, out);
}

fn write_list(messages: &[Spoken<'_>], extras: Extras, out: &mut dyn Sink) {
    out.open_list();
    for message in messages {
        out.open_struct();
        out.str(&message.role);
        out.text(&message.content);
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
                    out.json(&call.arguments);
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
