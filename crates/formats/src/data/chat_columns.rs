//! Messages as Hugging Face's chat templates take them: the arguments of calls as objects, reasoning in a field of its
//! own. Shared by the data formats that write them.

use super::chat_messages::{Spoken, Voice};
use super::format::{ReasoningAs, ReasoningField, ShapeOptions};
use super::schema::{Sink, Type};
use super::turns::Unlearnt;

macro_rules! messages {
    ($arguments:expr $(, $reasoning:literal)?) => {
        $crate::data::schema::Type::List(&$crate::data::schema::Type::Struct(&[
            $crate::data::schema::Field::required("role", $crate::data::schema::Type::Word),
            $crate::data::schema::Field::required("content", $crate::data::schema::Type::Text),
            $($crate::data::schema::Field::optional($reasoning, $crate::data::schema::Type::Text),)?
            $crate::data::schema::Field::optional(
                "tool_calls",
                $crate::data::schema::Type::List(&$crate::data::schema::Type::Struct(&[
                    $crate::data::schema::Field::required("id", $crate::data::schema::Type::Text),
                    $crate::data::schema::Field::required("type", $crate::data::schema::Type::Word),
                    $crate::data::schema::Field::required(
                        "function",
                        $crate::data::schema::Type::Struct(&[
                            $crate::data::schema::Field::required(
                                "name",
                                $crate::data::schema::Type::Word,
                            ),
                            $crate::data::schema::Field::required("arguments", $arguments),
                        ]),
                    ),
                ])),
            ),
            $crate::data::schema::Field::optional("tool_call_id", $crate::data::schema::Type::Text),
        ]))
    };
}

/// Messages without a field for reasoning.
pub(super) const PLAIN: Type = messages!(Type::Object);
/// Messages whose reasoning is in `reasoning_content`.
pub(super) const WITH_REASONING: Type = messages!(Type::Object, "reasoning_content");
/// Messages whose reasoning is in `thinking`.
pub(super) const WITH_THINKING: Type = messages!(Type::Object, "thinking");
/// Messages as OpenAI takes them, with the arguments of calls as text.
pub(super) const AS_OPENAI: Type = messages!(Type::Text);

/// The schema of a format whose columns are made of `$messages`, with the field for reasoning that is asked for.
macro_rules! chat_schema {
    ($options:expr, |$messages:ident| [$($field:expr),+ $(,)?]) => {
        match $crate::data::chat_columns::reasoning_field($options) {
            None => {
                const $messages: $crate::data::schema::Type = $crate::data::chat_columns::PLAIN;
                static SCHEMA: $crate::data::schema::Schema =
                    $crate::data::schema::Schema::of(&[$($field),+]);
                SCHEMA.clone()
            }
            Some($crate::data::format::ReasoningField::ReasoningContent) => {
                const $messages: $crate::data::schema::Type =
                    $crate::data::chat_columns::WITH_REASONING;
                static SCHEMA: $crate::data::schema::Schema =
                    $crate::data::schema::Schema::of(&[$($field),+]);
                SCHEMA.clone()
            }
            Some($crate::data::format::ReasoningField::Thinking) => {
                const $messages: $crate::data::schema::Type =
                    $crate::data::chat_columns::WITH_THINKING;
                static SCHEMA: $crate::data::schema::Schema =
                    $crate::data::schema::Schema::of(&[$($field),+]);
                SCHEMA.clone()
            }
        }
    };
}
pub(super) use chat_schema;

/// The field for reasoning; none if it goes elsewhere.
pub(super) fn reasoning_field(options: &ShapeOptions) -> Option<ReasoningField> {
    (options.reasoning == ReasoningAs::Keep).then_some(options.reasoning_field)
}

/// What such messages can say.
pub(super) fn voice(unlearnt: Unlearnt) -> Voice {
    Voice { unlearnt, has_reasoning: true }
}

/// Writes messages in the shape of [`chat_schema!`].
pub(super) fn write(messages: &[Spoken<'_>], options: &ShapeOptions, out: &mut dyn Sink) {
    write_list(messages, reasoning_field(options).is_some(), true, out);
}

/// Writes messages in the shape of [`AS_OPENAI`].
pub(super) fn write_as_openai(messages: &[Spoken<'_>], out: &mut dyn Sink) {
    write_list(messages, false, false, out);
}

fn write_list(messages: &[Spoken<'_>], has_reasoning: bool, as_objects: bool, out: &mut dyn Sink) {
    out.open_list();
    for message in messages {
        out.open_struct();
        out.str(&message.role);
        out.text(&message.content);
        if has_reasoning {
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
                if as_objects {
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
