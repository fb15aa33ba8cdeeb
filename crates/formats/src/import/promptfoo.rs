//! Results of promptfoo: the file that `promptfoo eval -o` writes, and its results one a line. Reference: `EvaluateResult` and
//! `OutputFile` of promptfoo's types.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Feedback, Role, Usage};

use super::fields::{self, FieldMap, object_of};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::openai;
use super::sniff::Sniff;
use super::thread;

/// The format.
pub(super) struct Promptfoo;

/// The label of an answer that failed an assertion.
const FAILED: &str = "fail";

/// Fields of a result that are not part of the chat.
const KNOWN: [&str; 8] =
    ["vars", "testCase", "response", "gradingResult", "prompt", "provider", "error", "namedScores"];

impl ImportFormat for Promptfoo {
    fn name(&self) -> &'static str {
        "promptfoo"
    }

    fn about(&self) -> &'static str {
        "promptfoo's results: the JSON that `promptfoo eval -o results.json` writes, and results as JSON Lines"
    }

    fn notes(&self) -> &'static str {
        "A result is a conversation: the rendered prompt, as messages where it is a list of them, and the output, as \
         calls where it is a list of them. The score, whether it passed and the reason are feedback; the provider is \
         the model. An output that failed has its error, and one that \
         failed an assertion is not trained on. Variables, the test case and the rest of the response are \
         kept as metadata. `promptfoo export eval ID` gives the same file. Written from promptfoo's documentation and \
         types; no real file was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_result = |within: &[&str]| {
            let path = |keys: &[&'static str]| [within, keys].concat();
            sniff.holds(&path(&["prompt", "raw"]))
                && sniff.holds(&path(&["provider"]))
                && (sniff.holds(&path(&["vars"])) || sniff.holds(&path(&["testCase"])))
        };
        is_result(&[]) || is_result(&["results", "results"]) || is_result(&["results"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        if map.has(&["prompt"]) {
            return Ok(result(map, None, notes)?.into());
        }
        let inner = map.take(&["results"], fields::json).unwrap_or(RawJson::null());
        let list =
            fields::list(&inner).or_else(|| fields::map(&inner)?.take(&["results"], fields::list));
        let list = list.ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `results` in the item")
        })?;
        let time = fields::map(&inner).and_then(|map| map.peek("timestamp").cloned());
        let run = map.take_id(&["evalId", "id"]);
        thread::each(&list, "results", notes, |mut map, notes| {
            if let Some(time) = time.clone().filter(|_| !map.has(&["createdAt", "created_at"])) {
                map.put("created_at", time);
            }
            result(map, run.as_ref(), notes)
        })
    }
}

/// Reads a result of a run.
fn result<'a>(
    mut map: FieldMap<'a>,
    run: Option<&Text<'a>>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let prompt = map.take(&["prompt"], |raw| fields::text_or_under(raw, &["raw"]));
    let prompt = prompt.ok_or_else(|| {
        ItemError::new(Refusal::BadField, 0, "a result without the text of its prompt")
    })?;
    let prompt = RawJson::string(&prompt.decoded());
    let is_message = |raw: &RawJson<'_>| fields::map(raw).is_some_and(|map| map.has(&["role"]));
    let list = fields::list_within(&prompt).filter(|list| list.iter().all(is_message));
    let mut messages = list.filter(|list| !list.is_empty()).unwrap_or_else(|| {
        vec![object_of([("role", RawJson::string("user")), ("content", prompt.clone())])]
    });
    let mut response = map.take(&["response"], fields::map).unwrap_or_default();
    let output = response.take(&["output"], fields::json).filter(|raw| !raw.is_null());
    let usage = response.peek("tokenUsage").and_then(fields::map).map(|mut usage| Usage {
        input_tokens: usage.take(&["prompt"], fields::count),
        output_tokens: usage.take(&["completion"], fields::count),
    });
    // promptfoo writes the reason why an assertion failed as an error, too.
    let is_graded = map.peek("failureReason").is_some_and(|raw| raw.as_str() == "1");
    let own = map.take(&["error"], |raw| raw.text().filter(|text| !text.is_blank()));
    let error = response.take(&["error"], RawJson::text).or(own.filter(|_| !is_graded));
    if output.is_some() || error.is_some() {
        messages.push(answer(output.unwrap_or(RawJson::null())));
    }
    let ended = response.take(&["finishReason"], |raw| marks::ended(raw).map(Text::into_owned));
    if let Some(rest) = response.rest_object() {
        map.put("response", rest);
    }
    let model = map.take(&["provider"], |raw| fields::text_or_under(raw, &["id"]));
    let feedback = feedback(&mut map);
    if map.peek("id").is_none() {
        let place = |name| map.peek(name).map_or("0", |raw| raw.as_str());
        let run = run.map(|run| format!("{}-", run.decoded())).unwrap_or_default();
        let id = format!("{run}{}-{}", place("promptIdx"), place("testIdx"));
        map.put("id", RawJson::string(&id));
    }
    if let Some(time) = map.take(&["createdAt"], fields::json) {
        map.put("created_at", time);
    }
    let mut read = openai::with_messages(map.rest(), RawJson::array(&messages), &KNOWN, notes)?;
    read.model = model.map(Text::into_owned);
    if let Some(round) = read.rounds.last_mut() {
        round.usage = usage.unwrap_or_default();
        let answer = round.messages.last_mut().filter(|message| message.role == Role::Assistant);
        if let Some(answer) = answer {
            answer.error = error.map(Text::into_owned).or(answer.error.take());
            answer.finish_reason = answer.finish_reason.take().or(ended);
            if feedback
                .as_ref()
                .and_then(|said| said.label.as_ref())
                .is_some_and(|label| *label == *FAILED)
            {
                answer.train = Some(false);
            }
            answer.feedback = feedback.map(Box::new);
        }
    }
    Ok(read)
}

/// The answer that an output is: a text, calls, a message, or the JSON text of anything else.
fn answer(output: RawJson<'_>) -> RawJson<'static> {
    let role = ("role", RawJson::string("assistant"));
    let has = |raw: &RawJson<'_>, names: &[&str]| {
        fields::map(raw).is_some_and(|map| names.iter().all(|name| map.has(&[name])))
    };
    match fields::kind(&output) {
        Some(Kind::String | Kind::Null) => object_of([role, ("content", output)]),
        Some(Kind::Array)
            if fields::list(&output).is_some_and(|list| {
                !list.is_empty() && list.iter().all(|raw| has(raw, &["type", "function"]))
            }) =>
        {
            object_of([role, ("tool_calls", output)])
        }
        Some(Kind::Object) if has(&output, &["role", "content"]) => output.into_owned(),
        Some(Kind::Object) if has(&output, &["tool_calls"]) => {
            let mut map = fields::map(&output).unwrap_or_default();
            map.put("role", RawJson::string("assistant"));
            map.rest_object().unwrap_or(RawJson::null())
        }
        _ => object_of([role, ("content", RawJson::string(output.as_str()))]),
    }
}

/// The score, whether it passed, and why.
fn feedback(map: &mut FieldMap<'_>) -> Option<Feedback<'static>> {
    let mut grading = map.peek("gradingResult").and_then(fields::map).unwrap_or_default();
    let passed = grading.peek("pass").or(map.peek("success")).map(|raw| raw.as_str() == "true");
    let rating = grading.peek("score").or(map.peek("score")).cloned().map(RawJson::into_owned);
    let comment = grading.take(&["reason"], RawJson::text).filter(|text| !text.is_blank());
    let feedback = Feedback {
        rating,
        label: passed.map(|passed| if passed { "pass".into() } else { FAILED.into() }),
        comment: comment.map(Text::into_owned),
    };
    (feedback != Feedback::default()).then_some(feedback)
}
