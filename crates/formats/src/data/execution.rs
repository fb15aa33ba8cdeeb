//! What the data formats for runs and their nodes share: what was put in, what came out, and the single values.

use retort_json::{RawJson, Text, write_string};
use retort_model::{
    AUTHOR, CORRECTS, Content, Conversation, FileReference, Judgement, Kind, Label, LeftOut,
    Message, NodeKind, Parent, Part, PartKind, Reason, Role, Round, Run, RunStatus, Time,
};

use super::schema::Sink;

/// A JSON value as a text: a JSON text is that text, anything else its JSON text.
pub(super) fn text_of(raw: &RawJson<'_>) -> Text<'static> {
    raw.as_text().unwrap_or_else(|| raw.as_str().to_owned()).into()
}

/// What was put into a run: its question, else its inputs.
pub(super) fn input_of<'r>(run: &'r Run<'_>) -> Result<Text<'r>, LeftOut> {
    let question = run.question.as_ref().filter(|question| !question.is_blank());
    let inputs = || {
        let inputs = run.inputs.as_ref().filter(|inputs| !is_nothing(inputs));
        inputs.map(text_of).filter(|text| !text.is_blank())
    };
    question
        .map(Text::borrowed)
        .or_else(inputs)
        .ok_or_else(|| LeftOut::new(Reason::NoInput, "neither a question nor inputs"))
}

/// Whether a JSON value says nothing.
pub(super) fn is_nothing(raw: &RawJson<'_>) -> bool {
    matches!(raw.as_str(), "null" | "\"\"" | "{}" | "[]")
}

/// Whether something ended by itself, well or not.
pub(super) fn finished(status: RunStatus, what: &str) -> Result<(), LeftOut> {
    match status {
        RunStatus::Success | RunStatus::Failure => Ok(()),
        RunStatus::Running => {
            Err(LeftOut::new(Reason::NotFinished, format!("{what} has not finished")))
        }
        RunStatus::Cancelled => {
            Err(LeftOut::new(Reason::NotFinished, format!("{what} was cancelled")))
        }
    }
}

/// What was said in a run that succeeded, as a conversation of one round under the run's id, with those who corrected its
/// answer in rounds beside it. The last correction is the answer that is shown.
pub(super) fn conversation_of<'r>(run: &'r Run<'_>) -> Result<Conversation<'r>, LeftOut> {
    finished(run.status, "the run")?;
    if run.status == RunStatus::Failure {
        return Err(LeftOut::new(Reason::NotSuccessful, "the run failed"));
    }
    let input = input_of(run)?;
    let answer = run.answer.as_ref().filter(|answer| !answer.is_blank());
    let Some(answer) = answer else {
        return Err(LeftOut::new(Reason::NoAnswer, "the run has no answer"));
    };
    let content = if run.files.is_empty() {
        Content::Text(input)
    } else {
        let mut parts = vec![Part { kind: PartKind::Text, text: Some(input), raw: None }];
        parts.extend(run.files.iter().map(file_part));
        Content::Parts(parts)
    };
    let question =
        Message { content: Some(content), created_at: run.started_at, ..Message::default() };
    let judged = run.judged();
    let answer = Message {
        role: Role::Assistant,
        content: Some(Content::Text(answer.borrowed())),
        contexts: run.contexts.clone(),
        created_at: run.finished_at,
        label: judged.preference,
        train: judged.train,
        ..Message::default()
    };
    let corrections = run.corrections().zip(2..).map(|((text, one), number)| Round {
        number,
        parent: Parent::Root,
        messages: vec![question.clone(), correction(text, one)],
        ..Round::default()
    });
    let corrections: Vec<_> = corrections.collect();
    let calls = run.nodes.iter().rev().filter(|node| node.kind == NodeKind::ModelCall);
    let model = calls.filter_map(|node| node.model.as_ref()).next().map(Text::borrowed);
    Ok(Conversation {
        id: run.request_id.borrowed(),
        kind: Kind::Chat,
        created_at: run.started_at,
        model,
        rounds: std::iter::once(Round {
            number: 1,
            messages: vec![question, answer],
            ..Round::default()
        })
        .chain(corrections)
        .collect(),
        ..Conversation::default()
    })
}

/// An answer that someone wrote to correct that of a run, as [`Conversation::correct`] adds it beside another.
fn correction<'r>(text: &'r Text<'_>, one: &Judgement<'_>) -> Message<'r> {
    let mut answer = Message {
        role: Role::Assistant,
        content: Some(Content::Text(text.borrowed())),
        created_at: one.at,
        label: Some(Label::Preferred),
        ..Message::default()
    };
    answer.metadata.put(CORRECTS.into(), RawJson::string("1"));
    if let Some(by) = &one.by {
        answer.metadata.put(AUTHOR.into(), RawJson::string(&by.decoded()));
    }
    answer
}

fn file_part<'p>(file: &FileReference<'_>) -> Part<'p> {
    let mut out = String::from(r#"{"type":"file","uri":"#);
    file.uri.write_string(&mut out);
    for (key, text) in [("name", &file.name), ("media_type", &file.media_type)] {
        if let Some(text) = text {
            out.push(',');
            write_string(key, &mut out);
            out.push(':');
            text.write_string(&mut out);
        }
    }
    out.push('}');
    let raw = RawJson::owned(&out).ok();
    Part { kind: PartKind::File, text: None, raw }
}

/// Milliseconds from one moment to the other; none if either is unknown, or the clocks went backwards.
pub(super) fn latency_ms(started: Option<Time>, finished: Option<Time>) -> Option<i64> {
    let micros = finished?.unix_micros().checked_sub(started?.unix_micros())?;
    (micros >= 0).then_some(micros / 1000)
}

/// A text that may be absent.
pub(super) fn put_text(text: Option<&Text<'_>>, out: &mut dyn Sink) {
    match text {
        Some(text) => out.text(text),
        None => out.absent(),
    }
}

/// A JSON value that may be absent.
pub(super) fn put_json(raw: Option<&RawJson<'_>>, out: &mut dyn Sink) {
    match raw {
        Some(raw) => out.json(raw.as_str()),
        None => out.absent(),
    }
}

/// A number that may be absent.
pub(super) fn put_int(number: Option<i64>, out: &mut dyn Sink) {
    match number {
        Some(number) => out.int(number),
        None => out.absent(),
    }
}

/// A number with digits behind the point, as JSON, that may be absent.
pub(super) fn put_number(number: Option<f64>, out: &mut dyn Sink) {
    match number.filter(|number| number.is_finite()) {
        Some(number) => out.json(&number.to_string()),
        None => out.absent(),
    }
}

/// A moment that may be absent.
pub(super) fn put_time(time: Option<Time>, out: &mut dyn Sink) {
    match time {
        Some(time) => out.str(&time.to_string()),
        None => out.absent(),
    }
}

/// Tokens as a number that files have.
pub(super) fn tokens(count: Option<u64>) -> Option<i64> {
    count.and_then(|count| i64::try_from(count).ok())
}
