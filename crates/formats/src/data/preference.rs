//! `preference`: a better and a worse answer to one question, for DPO and its kin. In the layouts of TRL, LLaMA-Factory and
//! OpenAI.

use retort_json::{Text, Value};
use retort_model::{Item, ItemKind, LeftOut, Reason};

use super::carried::{COLUMNS, ShownAs};
use super::chat_columns::{
    IMAGES_NOTE, OPENAI as OPENAI_MESSAGES, messages, schema, write, write_openai, write_rest,
    write_tools,
};
use super::chat_messages::{Voice, speak};
use super::chat_row::ChatRow;
use super::format::{
    Attachments, DataFormat, Layout, Noted, Outcome, RecordLeftOut, RecordNotes, ShapeContext,
    ShapeOptions, TrainerColumns,
};
use super::record::Draft;
use super::schema::{Field, Schema, Sink, Type};
use super::siblings::{Answers, shape_answers};
use super::standard::{MEDIA_NOTE, MESSAGES as SHAREGPT, RULES, TAGS, message, role_of, say};
use super::turns::{Rules, Unlearnt};

/// The format.
pub(super) struct Preference;

const SHAREGPT_MESSAGE: Type =
    Type::Struct(&[Field::required("role", Type::Word), Field::required("content", Type::Text)]);

const LLAMA_FACTORY: [Field; 4] = [
    Field::required("messages", SHAREGPT),
    Field::required("chosen", SHAREGPT_MESSAGE),
    Field::required("rejected", SHAREGPT_MESSAGE),
    Field::required("tools", Type::Word),
];

const COLUMNS_OF_TRAINER: TrainerColumns = TrainerColumns {
    formatting: "sharegpt",
    ranking: true,
    columns: &[
        ("messages", "messages"),
        ("chosen", "chosen"),
        ("rejected", "rejected"),
        ("tools", "tools"),
    ],
    tags: TAGS,
};
static MEDIA_COLUMNS: TrainerColumns = TrainerColumns {
    columns: &[
        ("messages", "messages"),
        ("chosen", "chosen"),
        ("rejected", "rejected"),
        ("tools", "tools"),
        ("images", "images"),
        ("videos", "videos"),
        ("audios", "audios"),
    ],
    ..COLUMNS_OF_TRAINER
};

static OPENAI: Schema = Schema::of(&[
    Field::required(
        "input",
        Type::Struct(&[
            Field::required("messages", OPENAI_MESSAGES),
            Field::optional("tools", Type::Json),
        ]),
    ),
    Field::required("preferred_output", OPENAI_MESSAGES),
    Field::required("non_preferred_output", OPENAI_MESSAGES),
]);

impl DataFormat for Preference {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn about(&self) -> &'static str {
        "a better and a worse answer to the same question, for DPO: TRL, LLaMA-Factory or OpenAI (`--layout`)"
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation, ItemKind::Run]
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        match options.layout {
            Layout::LlamaFactory if self.writes_files(options) => {
                Schema::chosen([&LLAMA_FACTORY[..], &COLUMNS].concat())
            }
            Layout::LlamaFactory => Schema::chosen(LLAMA_FACTORY),
            Layout::OpenAi => OPENAI.clone(),
            Layout::Trl => {
                let messages = messages(options);
                let fields = [
                    Field::required("prompt", messages),
                    Field::required("chosen", messages),
                    Field::required("rejected", messages),
                    Field::nullable("tools", Type::Json),
                ];
                schema(&fields, options)
            }
        }
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl", "parquet"]
    }

    fn is_for_training(&self) -> bool {
        true
    }

    fn trainer_columns(&self, options: &ShapeOptions, _flat: bool) -> Option<TrainerColumns> {
        (options.layout == Layout::LlamaFactory).then_some(match self.writes_files(options) {
            true => MEDIA_COLUMNS,
            false => COLUMNS_OF_TRAINER,
        })
    }

    fn carries_attachments(&self, options: &ShapeOptions) -> bool {
        // OpenAI tunes on preferences between answers to text alone.
        options.layout != Layout::OpenAi
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        let answers = |prompt: &Value<'_>, tools, names: [&str; 2]| {
            let chat =
                |name| ChatRow::of_messages(&[(prompt, false), (row.get(name)?, true)], tools);
            names.into_iter().map(chat).collect::<Option<Vec<_>>>()
        };
        if let Some(input) = row.get("input") {
            let names = ["preferred_output", "non_preferred_output"];
            return answers(input.get("messages")?, input.get("tools"), names);
        }
        let tools = row.get("tools");
        if let Some(prompt) = row.get("prompt") {
            return answers(prompt, tools, ["chosen", "rejected"]);
        }
        let Value::Array(messages) = row.get("messages")? else { return None };
        let with = |name| {
            let messages = messages.iter().chain(row.get(name)).cloned().collect();
            Some(ChatRow::standard(&Value::Array(messages), tools)?.learning_last())
        };
        ["chosen", "rejected"].into_iter().map(with).collect()
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let layout = match options.layout {
            Layout::Trl => "TRL and Axolotl read `prompt`, `chosen` and `rejected`.",
            Layout::LlamaFactory => {
                "LLaMA-Factory reads the folder through `dataset_info.json` (`ranking: true`)."
            }
            Layout::OpenAi => {
                "OpenAI reads `input`, `preferred_output` and `non_preferred_output`."
            }
        };
        let images = match (options.layout, self.writes_files(options)) {
            (_, false) => "",
            (Layout::LlamaFactory, true) => MEDIA_NOTE,
            (Layout::Trl | Layout::OpenAi, true) => IMAGES_NOTE,
        };
        format!(
            "Each row has two answers to one question, one of them known to be better. {layout} `ids.txt` names the \
             conversation of each row and, after `#`, the number of the worse answer; `extra.jsonl` has what a row \
             cannot hold.{images}"
        )
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        shape_answers(
            item,
            |answers, outcome| write_pairs(answers, context, outcome, out),
            || LeftOut::new(Reason::NoPair, "no question with several answers"),
        )
    }
}

fn write_pairs(
    answers: &Answers<'_>,
    context: &mut ShapeContext<'_>,
    outcome: &mut Outcome,
    out: &mut dyn Sink,
) {
    let (pairs, undecided) = answers.pairs(context.options.pairs);
    for pair in pairs {
        let rounds = [answers.unlabelled(pair.better), answers.unlabelled(pair.worse)];
        let better = answers.draft(pair.better, &rounds[0]);
        let worse = answers.draft(pair.worse, &rounds[1]);
        let worse = Draft { is_first: outcome.records.is_empty(), ..worse };
        let written = match context.options.layout {
            Layout::LlamaFactory => write_ranking(&better, &worse, context, out),
            Layout::Trl | Layout::OpenAi => {
                write_spoken(&better, &worse, context, &mut outcome.renamed_tools, out)
            }
        };
        outcome.take(&worse, written);
    }
    outcome.left_out.extend(
        undecided
            .into_iter()
            .map(|(number, why)| RecordLeftOut { part: Some(format!("answer {number}")), why }),
    );
}

/// Writes a pair as lists of messages.
fn write_spoken(
    better: &Draft<'_>,
    worse: &Draft<'_>,
    context: &mut ShapeContext<'_>,
    renamed_tools: &mut Vec<(String, String)>,
    out: &mut dyn Sink,
) -> Result<RecordNotes, LeftOut> {
    let options = context.options;
    let voice = Voice {
        may_ask: false,
        unlearnt: Unlearnt::Context,
        has_reasoning: options.layout == Layout::Trl,
        shown_as: match options.layout {
            Layout::Trl => ShownAs::Parts,
            Layout::LlamaFactory | Layout::OpenAi => ShownAs::Nothing,
        },
    };
    let chosen = speak(better, voice, context, renamed_tools)?;
    let rejected = speak(worse, voice, context, renamed_tools)?;
    let alike = chosen.messages.iter().zip(&rejected.messages);
    let alike = alike.take_while(|(one, other)| one == other).count();
    check_pair(alike, [chosen.messages.len(), rejected.messages.len()])?;
    if chosen.tools != rejected.tools {
        return Err(other_tools());
    }
    let (prompt, chosen_answer) = chosen.messages.split_at(alike);
    let rejected_answer = rejected.messages.get(alike..).unwrap_or_default();
    out.begin_row();
    if options.layout == Layout::OpenAi {
        out.open_struct();
        write_openai(prompt, out);
        write_tools(&chosen.tools, out);
        out.close_struct();
        write_openai(chosen_answer, out);
        write_openai(rejected_answer, out);
    } else {
        write(prompt, options, out);
        write(chosen_answer, options, out);
        write(rejected_answer, options, out);
        write_rest(&chosen, options, out);
    }
    out.end_row();
    Ok(joined(chosen.notes, rejected.notes))
}

/// Writes a pair as LLaMA-Factory reads it: the answers as one message each.
fn write_ranking(
    better: &Draft<'_>,
    worse: &Draft<'_>,
    context: &mut ShapeContext<'_>,
    out: &mut dyn Sink,
) -> Result<RecordNotes, LeftOut> {
    let rules = Rules { unlearnt: Unlearnt::Context, ..RULES };
    let chosen = say(better, context, rules, ShownAs::Marks)?;
    let rejected = say(worse, context, rules, ShownAs::Marks)?;
    let sides = chosen.turns.turns.iter().zip(&rejected.turns.turns);
    let alike = chosen.contents.iter().zip(&rejected.contents).zip(sides);
    let is_alike = |((one, other), (turn, twin)): &((&Text<'_>, &Text<'_>), (&_, &_))| {
        one == other && role_of(turn) == role_of(twin)
    };
    let alike =
        if chosen.system == rejected.system { alike.take_while(is_alike).count() } else { 0 };
    check_pair(alike, [chosen.contents.len(), rejected.contents.len()])?;
    let check = context.options.check;
    let definitions = |said: &super::standard::Said<'_>| said.tools.to_json(|tool| &tool.completed);
    if definitions(&chosen) != definitions(&rejected) {
        return Err(other_tools());
    }
    out.begin_row();
    chosen.write_messages(alike, out);
    for said in [&chosen, &rejected] {
        if let (Some(turn), Some(content)) = (said.turns.turns.get(alike), said.contents.get(alike))
        {
            message(out, &role_of(turn), content);
        }
    }
    chosen.write_tools(check, out);
    if context.options.attachments == Attachments::Keep {
        chosen.media.write(out);
    }
    out.end_row();
    Ok(joined(chosen.into_notes(), rejected.into_notes()))
}

/// Whether two answers, the messages up to whose ends are counted, are one message each behind the same prompt.
fn check_pair(alike: usize, counts: [usize; 2]) -> Result<(), LeftOut> {
    let [chosen, rejected] = counts.map(|count| count - alike);
    match (chosen, rejected) {
        _ if alike == 0 => {
            Err(LeftOut::new(Reason::NoPair, "the answers follow different prompts"))
        }
        (1, 1) => Ok(()),
        (0, _) | (_, 0) => {
            Err(LeftOut::new(Reason::NoPair, "one answer is the beginning of the other"))
        }
        _ => {
            let detail =
                format!("the answers differ in their last {chosen} and {rejected} messages");
            Err(LeftOut::new(Reason::SeveralMessages, detail))
        }
    }
}

fn other_tools() -> LeftOut {
    LeftOut::new(Reason::NoPair, "the answers were given with different tools")
}

/// What was found in both answers: each kind once.
fn joined(better: RecordNotes, worse: RecordNotes) -> RecordNotes {
    fn join<K: PartialEq + Copy>(mut these: Vec<Noted<K>>, those: Vec<Noted<K>>) -> Vec<Noted<K>> {
        for one in those {
            if !these.iter().any(|known| known.kind == one.kind) {
                these.push(one);
            }
        }
        these
    }
    let extra = match (better.extra, worse.extra) {
        (None, None) => None,
        (better, worse) => {
            let text = |extra: Option<String>| extra.unwrap_or_else(|| "{}".to_owned());
            Some(format!(r#"{{"chosen":{},"rejected":{}}}"#, text(better), text(worse)))
        }
    };
    RecordNotes {
        repairs: join(better.repairs, worse.repairs),
        unrepaired: join(better.unrepaired, worse.unrepaired),
        unfit: better.unfit.or(worse.unfit),
        warnings: join(better.warnings, worse.warnings),
        extra,
        files: better.files,
        ..RecordNotes::default()
    }
}
