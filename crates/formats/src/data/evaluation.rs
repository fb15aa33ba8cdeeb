//! `evaluation`: answers of runs and conversations as evaluators read them. A row holds the question, the answer, and what is
//! known of the answer, under the column names of the evaluator ([`columns`]).

use retort_json::{RawJson, Text, Value, write_string};
use retort_model::{
    Item, ItemKind, LeftOut, Message, Purpose, Reason, Role, Run, ToolCall, Warning,
};

use super::attachments::has_attachments;
use super::execution::{put_text, text_of};
use super::format::{DataFormat, Evaluator, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::object::{Lazy, list as write_list};
use super::recipe_evaluation::{contexts_of, passage};
use super::record::{Draft, shape_records};
use super::reference::reference_of;
use super::schema::{Field, Schema, Sink, Type};
use super::turn::result_words;

/// The format.
pub(super) struct Evaluation;

/// What a column holds.
#[derive(Clone, Copy)]
enum What {
    Id,
    /// The question as text, with the conversation before it if there is one.
    Input,
    /// The same as messages.
    Messages,
    Output,
    Reference,
    /// The reference for promptfoo's CSV, where a plain text could be taken for an assertion that runs code.
    Equals,
    /// The reference as promptfoo's list of assertions.
    Assertions,
    Contexts,
    /// The passages as one text, with this separator.
    ContextText(&'static str),
    Score,
    Label,
    Comment,
    Model,
    /// A JSON object.
    Object(&'static [(&'static str, What)]),
}

/// A column and what it holds.
struct Col(Field, What);

const fn text(name: &'static str, what: What) -> Col {
    Col(Field::nullable(name, Type::Text), what)
}

const fn needed(name: &'static str, what: What) -> Col {
    Col(Field::required(name, Type::Text), what)
}

const fn json(name: &'static str, what: What) -> Col {
    Col(Field::nullable(name, Type::Json), what)
}

const fn list(name: &'static str) -> Col {
    Col(Field::required(name, Type::List(&Type::Text)), What::Contexts)
}

/// What Inspect has no column for.
const JUDGED: &[(&str, What)] = &[
    ("output", What::Output),
    ("contexts", What::Contexts),
    ("score", What::Score),
    ("label", What::Label),
    ("comment", What::Comment),
    ("model", What::Model),
];

static RAGAS: &[Col] = &[
    needed("user_input", What::Input),
    needed("response", What::Output),
    list("retrieved_contexts"),
    text("reference", What::Reference),
    needed("id", What::Id),
    json("score", What::Score),
    text("label", What::Label),
    text("comment", What::Comment),
    text("model", What::Model),
];

macro_rules! deepeval {
    ($contexts:expr) => {
        &[
            needed("input", What::Input),
            needed("actual_output", What::Output),
            text("expected_output", What::Reference),
            $contexts,
            needed("name", What::Id),
            json("score", What::Score),
            text("label", What::Label),
            text("comments", What::Comment),
            text("model", What::Model),
        ]
    };
}

static DEEPEVAL: &[Col] = deepeval!(list("retrieval_context"));
// DeepEval splits a list in a CSV file at each `|`.
static DEEPEVAL_FLAT: &[Col] = deepeval!(needed("retrieval_context", What::ContextText("|")));

static INSPECT: &[Col] = &[
    Col(Field::required("input", Type::Json), What::Messages),
    text("target", What::Reference),
    needed("id", What::Id),
    json("metadata", What::Object(JUDGED)),
];

static INSPECT_FLAT: &[Col] = &[
    needed("input", What::Input),
    text("target", What::Reference),
    needed("id", What::Id),
    json("metadata", What::Object(JUDGED)),
];

static PROMPTFOO: &[Col] = &[
    json("vars", What::Object(&[("input", What::Input), ("context", What::ContextText("\n\n"))])),
    json("assert", What::Assertions),
    needed("providerOutput", What::Output),
    needed("description", What::Id),
    json(
        "metadata",
        What::Object(&[
            ("score", What::Score),
            ("label", What::Label),
            ("comment", What::Comment),
            ("model", What::Model),
        ]),
    ),
];

static PROMPTFOO_FLAT: &[Col] = &[
    needed("input", What::Input),
    needed("context", What::ContextText("\n\n")),
    text("__expected", What::Equals),
    needed("__providerOutput", What::Output),
    needed("__description", What::Id),
    json("__metadata:score", What::Score),
    text("__metadata:label", What::Label),
    text("__metadata:comment", What::Comment),
    text("__metadata:model", What::Model),
];

static OPENAI_EVALS: &[Col] = &[Col(
    Field::required("item", Type::Json),
    What::Object(&[
        ("id", What::Id),
        ("input", What::Input),
        ("messages", What::Messages),
        ("output", What::Output),
        ("ground_truth", What::Reference),
        ("contexts", What::Contexts),
        ("score", What::Score),
        ("label", What::Label),
        ("comment", What::Comment),
        ("model", What::Model),
    ]),
)];

/// The columns of an evaluator.
fn columns(evaluator: Evaluator, flat: bool) -> &'static [Col] {
    match (evaluator, flat) {
        (Evaluator::Ragas, _) => RAGAS,
        (Evaluator::DeepEval, false) => DEEPEVAL,
        (Evaluator::DeepEval, true) => DEEPEVAL_FLAT,
        (Evaluator::Inspect, false) => INSPECT,
        (Evaluator::Inspect, true) => INSPECT_FLAT,
        (Evaluator::Promptfoo, false) => PROMPTFOO,
        (Evaluator::Promptfoo, true) => PROMPTFOO_FLAT,
        (Evaluator::OpenAiEvals, _) => OPENAI_EVALS,
    }
}

impl DataFormat for Evaluation {
    fn name(&self) -> &'static str {
        "evaluation"
    }

    fn about(&self) -> &'static str {
        "questions and answers with scores and feedback, for an evaluator and with its column names (`--for`)"
    }

    fn schema(&self, options: &ShapeOptions, flat: bool) -> Schema {
        let fields: Vec<_> = columns(options.evaluator, flat).iter().map(|col| col.0).collect();
        Schema::chosen(fields)
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Run, ItemKind::Conversation]
    }

    fn purposes(&self) -> &'static [Purpose] {
        &[Purpose::RecipeEvaluation]
    }

    fn card_notes(&self, options: &ShapeOptions, flat: bool) -> String {
        let how = match (options.evaluator, flat) {
            (Evaluator::Ragas, _) => "Ragas loads it with `EvaluationDataset.from_jsonl`.",
            (Evaluator::DeepEval, false) => {
                "DeepEval loads it with `EvaluationDataset.add_goldens_from_jsonl_file`."
            }
            (Evaluator::DeepEval, true) => {
                "DeepEval loads it with `EvaluationDataset.add_test_cases_from_csv_file`. The passages of a row are separated \
                 by `|`; a `|` within a passage is written as `¦`."
            }
            (Evaluator::Inspect, false) => "Inspect loads it with `json_dataset`.",
            (Evaluator::Inspect, true) => "Inspect loads it with `csv_dataset`.",
            (Evaluator::Promptfoo, _) => {
                "promptfoo loads it with `tests: file://…`. It compares the recorded answer (`providerOutput`) with \
                 the reference and calls no model."
            }
            (Evaluator::OpenAiEvals, _) => "OpenAI Evals takes it as the data source of an eval.",
        };
        format!(
            "A row is one answer. {how} The input is the last question, with the conversation before it if there is \
             one. The reference is the expected answer that a person gave, if there is one. A score is a number."
        )
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let ShapeContext { options, flat, .. } = *context;
        // The answer of a run is what is evaluated; what people wrote to correct it is the reference.
        let uncorrected = match item {
            Item::Run(run) if run.corrections().next().is_some() => {
                Some(Item::from(Run { judgements: Vec::new(), ..run.clone() }))
            }
            _ => None,
        };
        shape_records(uncorrected.as_ref().unwrap_or(item), options, |_, draft| {
            let (row, notes) = Row::of(draft, options)?;
            out.begin_row();
            for Col(field, what) in columns(options.evaluator, flat) {
                row.put(*what, field.kind, options.evaluator, out);
            }
            out.end_row();
            Ok(notes)
        })
    }
}

/// What is known of one answer.
struct Row<'c> {
    id: String,
    /// What was said up to the last question.
    asked: Vec<&'c Message<'c>>,
    output: Text<'c>,
    reference: Option<Text<'c>>,
    contexts: Vec<Text<'static>>,
    score: Option<String>,
    label: Option<Text<'c>>,
    comment: Option<&'c Text<'c>>,
    model: Option<&'c Text<'c>>,
}

impl<'c> Row<'c> {
    fn of(draft: &Draft<'c>, options: &ShapeOptions) -> Result<(Self, RecordNotes), LeftOut> {
        let messages: Vec<&'c Message<'c>> = draft.messages().collect();
        let is_answer =
            |message: &&Message<'_>| message.role == Role::Assistant && !message.words().is_blank();
        let at = messages.iter().rposition(is_answer);
        let Some((before, &[answer, ..])) = at.and_then(|at| messages.split_at_checked(at)) else {
            return Err(LeftOut::new(Reason::NoAnswer, "no answer in words"));
        };
        let question = before.iter().rposition(|message| message.role == Role::User);
        let asked = question.and_then(|question| before.get(..=question)).unwrap_or_default();
        if !asked.iter().any(|message| message.role == Role::User && !message.words().is_blank()) {
            return Err(LeftOut::new(Reason::NoInput, "no question before the answer"));
        }
        if let Some(other) = asked.iter().find(|message| message.role == Role::Other) {
            let detail = format!("the role `{}`", other.role_word().escape_debug());
            return Err(LeftOut::new(Reason::UnknownRole, detail));
        }
        let mut notes = RecordNotes::default();
        if let Some(seen) = asked.iter().find(|message| has_attachments(message)) {
            notes.warnings.push(draft.noted(Warning::AttachmentLeftBehind, Some(seen)));
        }
        let mut contexts = match draft.run {
            Some(run) => contexts_of(run),
            None => answer.contexts.iter().map(passage).collect(),
        };
        if contexts.len() > options.max_contexts {
            contexts.truncate(options.max_contexts);
            notes.warnings.push(draft.noted(Warning::CutContexts, Some(answer)));
        }
        let feedback = answer.feedback.as_deref().or_else(|| draft.run?.feedback.as_deref());
        let rating = feedback.and_then(|feedback| feedback.rating.as_ref());
        let score = rating.and_then(number);
        let label = answer.label.or(draft.conversation.label);
        let label = label
            .map(|label| label.as_str().into())
            .or_else(|| feedback?.label.as_ref().map(Text::borrowed))
            .or_else(|| rating.filter(|_| score.is_none()).map(text_of));
        let suffix = draft.suffix().unwrap_or_default();
        let row = Self {
            id: format!("{}{suffix}", draft.conversation.id.decoded()),
            asked: asked.to_vec(),
            output: answer.words(),
            reference: reference_of(draft, Some(answer)),
            contexts,
            score,
            label,
            comment: feedback.and_then(|feedback| feedback.comment.as_ref()),
            model: draft.model,
        };
        Ok((row, notes))
    }

    /// Writes the value of a column.
    fn put(&self, what: What, kind: Type, evaluator: Evaluator, out: &mut dyn Sink) {
        match (kind, what) {
            (Type::List(_), _) => {
                out.open_list();
                for context in &self.contexts {
                    out.text(context);
                }
                out.close_list();
            }
            (Type::Json, _) => match self.json(what, evaluator) {
                Some(json) => out.json(&json),
                None => out.absent(),
            },
            _ => put_text(self.text(what).as_ref(), out),
        }
    }

    /// The value as text; none if there is none.
    fn text(&self, what: What) -> Option<Text<'_>> {
        match what {
            What::Id => Some(self.id.as_str().into()),
            What::Input => Some(self.transcript()),
            What::Output => Some(self.output.borrowed()),
            What::Reference => self.reference.as_ref().map(Text::borrowed),
            What::Equals => {
                let reference = self.reference.as_ref()?;
                Some(format!("equals:{}", reference.decoded()).into())
            }
            What::ContextText(between) => {
                // A `|` in a passage would split it. A blank line does no harm: a model reads the text as a whole.
                let texts: Vec<_> = self
                    .contexts
                    .iter()
                    .map(|text| match between {
                        "|" => text.decoded().replace('|', "¦"),
                        _ => text.decoded().into_owned(),
                    })
                    .collect();
                Some(texts.join(between).into())
            }
            What::Label => self.label.as_ref().map(Text::borrowed),
            What::Comment => self.comment.map(Text::borrowed),
            What::Model => self.model.map(Text::borrowed),
            What::Score | What::Contexts | What::Messages | What::Assertions | What::Object(_) => {
                None
            }
        }
    }

    /// The value as JSON; none if there is none.
    fn json(&self, what: What, evaluator: Evaluator) -> Option<String> {
        match what {
            What::Score => self.score.clone(),
            What::Contexts => {
                let mut out = String::new();
                write_list(&mut out, self.contexts.iter(), Text::write_string);
                Some(out)
            }
            What::Messages => {
                let mut out = String::new();
                write_list(&mut out, self.asked.iter(), |message, out| {
                    write_message(message, evaluator, out);
                });
                Some(out)
            }
            What::Assertions => Some(match &self.reference {
                Some(reference) => {
                    format!(r#"[{{"type":"equals","value":{}}}]"#, quoted(reference))
                }
                None => "[]".into(),
            }),
            What::Object(members) => {
                let mut out = String::new();
                let mut object = Lazy::new(&mut out);
                for (name, what) in members {
                    let value = self.json(*what, evaluator);
                    object.key(name).push_str(value.as_deref().unwrap_or("null"));
                }
                object.end();
                Some(out)
            }
            _ => self.text(what).map(|text| quoted(&text)),
        }
    }

    /// The question. With a conversation before it, all messages up to it, each with its role.
    fn transcript(&self) -> Text<'c> {
        if let [question] = self.asked.as_slice() {
            return question.words();
        }
        let lines = self.asked.iter().map(|message| {
            let calls = message.tool_calls.iter().map(|call| {
                format!("[calls {}: {}]", call.name.decoded(), call.arguments.decoded())
            });
            let words = words(message);
            let said: Vec<_> =
                Some(words).filter(|words| !words.is_empty()).into_iter().chain(calls).collect();
            format!("{}: {}", message.role.as_str(), said.join("\n"))
        });
        lines.collect::<Vec<_>>().join("\n\n").into()
    }
}

/// A rating as a number: yes is 1 and no is 0. None for other words.
fn number(rating: &RawJson<'_>) -> Option<String> {
    let number = match Value::parse(rating.as_str()).ok()? {
        Value::Number(number) => number.into_owned(),
        Value::Bool(is_good) => u8::from(is_good).to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    let is_number = matches!(Value::parse(&number), Ok(Value::Number(_)));
    is_number.then_some(number)
}

fn quoted(text: &Text<'_>) -> String {
    let mut out = String::new();
    text.write_string(&mut out);
    out
}

fn words(message: &Message<'_>) -> String {
    let words = match message.role {
        Role::Tool => result_words(message),
        _ => message.words(),
    };
    words.decoded().into_owned()
}

/// Writes a message as evaluators read it.
fn write_message(message: &Message<'_>, evaluator: Evaluator, out: &mut String) {
    let mut object = Lazy::new(out);
    write_string(message.role.as_str(), object.key("role"));
    write_string(&words(message), object.key("content"));
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter();
        write_list(object.key("tool_calls"), calls, |call, out| write_call(call, evaluator, out));
    }
    if let Some(id) = &message.tool_call_id {
        object.text("tool_call_id", id);
    }
    object.end();
}

/// Writes a call. Inspect takes its arguments as an object, all others as text.
fn write_call(call: &ToolCall<'_>, evaluator: Evaluator, out: &mut String) {
    let arguments = call.arguments.decoded();
    let mut object = Lazy::new(out);
    object.text("id", &call.id);
    write_string("function", object.key("type"));
    if evaluator == Evaluator::Inspect {
        let is_object = matches!(Value::parse(&arguments), Ok(Value::Object(_)));
        object.text("function", &call.name);
        object.key("arguments").push_str(if is_object { &arguments } else { "{}" });
        if !is_object {
            write_string(&arguments, object.key("parse_error"));
        }
    } else {
        let mut function = Lazy::new(object.key("function"));
        function.text("name", &call.name);
        write_string(&arguments, function.key("arguments"));
        function.end();
    }
    object.end();
}
