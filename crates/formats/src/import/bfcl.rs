//! The Berkeley Function-Calling Leaderboard's questions, a line each, and the answers that count as right
//! (`possible_answer`), in files of their own. Reference: `bfcl_eval/data` of `ShishirPatil/gorilla`.

use retort_json::{Kind, RawJson};

use super::fields;
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::openai;
use super::session;
use super::sniff::{Entry, Sniff};

/// The format.
pub(super) struct Bfcl;

/// Fields that set the scene of a question.
const KNOWN: [&str; 6] = [
    "ground_truth",
    "initial_config",
    "involved_classes",
    "path",
    "missed_function",
    "excluded_function",
];

impl ImportFormat for Bfcl {
    fn name(&self) -> &'static str {
        "bfcl"
    }

    fn about(&self) -> &'static str {
        "questions of the Berkeley Function-Calling Leaderboard, with their `possible_answer` files"
    }

    fn notes(&self) -> &'static str {
        "`BFCL_v*_*.json`, a question a line: its turns become the messages, `function` the tools. Give the folder \
         `possible_answer` with it, and the calls that count as right are kept as `ground_truth`, joined by the id. Questions have no \
         answer of a model; results of models are not read."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        is_question(sniff) || is_answer(sniff)
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        let order = u64::from(is_answer(&sniff));
        if (order == 1 || is_question(&sniff))
            && let Some(key) = sniff.word("id")
        {
            into.push(Fragment { key, order, text: text.into() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let (mut items, mut truth) = (Items::default(), None);
        let mut lines = session::lines(text, notes)?;
        for line in &mut lines {
            truth = truth.or_else(|| line.map.take(&["ground_truth"], fields::json));
        }
        for line in lines {
            let mut map = line.map;
            let Some(turns) = map.take(&["question"], fields::list) else { continue };
            let turns = turns.iter().map(|turn| fields::list(turn).ok_or_else(unknown));
            let turns: Vec<_> = turns.collect::<Result<_, _>>()?;
            let messages = RawJson::array(&turns.concat());
            if let Some(tools) = map.take(&["function"], fields::json) {
                map.put("tools", tools);
            }
            if let Some(truth) = &truth {
                map.put("ground_truth", truth.clone());
            }
            items.push(openai::with_messages(map.rest(), messages, &KNOWN, notes)?);
        }
        if items.is_empty() {
            let why = "an answer without its question: give the file of the questions with it";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        Ok(items)
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::BadField, 0, "a turn of `question` is no list of messages")
}

/// Whether its `question` is a list of turns, each a list of messages.
fn is_question(sniff: &Sniff<'_>) -> bool {
    sniff.has("id")
        && sniff.first_kind(&["question"]) == Some(Kind::Array)
        && sniff.first(&["question"]).is_some_and(|turn| {
            let first = fields::list(&turn).and_then(|list| list.into_iter().next());
            first.is_some_and(|raw| fields::map(&raw).is_some_and(|map| map.has(&["role"])))
        })
}

fn is_answer(sniff: &Sniff<'_>) -> bool {
    sniff.kind(&["ground_truth"]) == Some(Kind::Array)
        && sniff.has("id")
        && sniff.keys().iter().all(|key| key == "id" || key == "ground_truth")
}
