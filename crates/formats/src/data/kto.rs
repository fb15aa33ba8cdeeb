//! `kto`: answers that are known to be good or bad, each with its label, for KTO. In the layouts of TRL and LLaMA-Factory.

use std::collections::HashSet;

use retort_json::Value;
use retort_model::{Item, ItemKind, LeftOut, Reason};

use super::carried::{COLUMNS, ShownAs};
use super::chat_columns::{IMAGES_NOTE, messages, schema, voice, write, write_rest};
use super::chat_messages::speak;
use super::chat_row::ChatRow;
use super::format::{
    Attachments, DataFormat, Layout, Outcome, RecordNotes, ShapeContext, ShapeOptions,
    TrainerColumns,
};
use super::record::Draft;
use super::schema::{Field, Schema, Sink, Type};
use super::siblings::{Answers, Worth, shape_answers};
use super::standard::{MEDIA_NOTE, MESSAGES as SHAREGPT, RULES, TAGS, say};
use super::turns::{Rules, Unlearnt};

/// The format.
pub(super) struct Kto;

const LLAMA_FACTORY: [Field; 3] = [
    Field::required("messages", SHAREGPT),
    Field::required("label", Type::Bool),
    Field::required("tools", Type::Word),
];

const COLUMNS_OF_TRAINER: TrainerColumns = TrainerColumns {
    formatting: "sharegpt",
    ranking: false,
    columns: &[("messages", "messages"), ("kto_tag", "label"), ("tools", "tools")],
    tags: TAGS,
};
static MEDIA_COLUMNS: TrainerColumns = TrainerColumns {
    columns: &[
        ("messages", "messages"),
        ("kto_tag", "label"),
        ("tools", "tools"),
        ("images", "images"),
        ("videos", "videos"),
        ("audios", "audios"),
    ],
    ..COLUMNS_OF_TRAINER
};

impl DataFormat for Kto {
    fn name(&self) -> &'static str {
        "kto"
    }

    fn about(&self) -> &'static str {
        "answers labeled good or bad, for KTO: TRL or LLaMA-Factory (`--layout`)"
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
            Layout::Trl | Layout::OpenAi => {
                let messages = messages(options);
                let fields = [
                    Field::required("prompt", messages),
                    Field::required("completion", messages),
                    Field::required("label", Type::Bool),
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

    fn carries_attachments(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        let tools = row.get("tools");
        Some(vec![match row.get("prompt") {
            Some(prompt) => {
                ChatRow::of_messages(&[(prompt, false), (row.get("completion")?, true)], tools)?
            }
            None => ChatRow::standard(row.get("messages")?, tools)?.learning_last(),
        }])
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let layout = match options.layout {
            Layout::LlamaFactory => {
                "LLaMA-Factory reads the folder through `dataset_info.json` (`kto_tag`)."
            }
            Layout::Trl | Layout::OpenAi => "TRL reads `prompt`, `completion` and `label`.",
        };
        let images = match (options.layout, self.writes_files(options)) {
            (_, false) => "",
            (Layout::LlamaFactory, true) => MEDIA_NOTE,
            (Layout::Trl | Layout::OpenAi, true) => IMAGES_NOTE,
        };
        format!(
            "Each row holds one answer and whether it is good (`label`). {layout} `ids.txt` names the conversation of \
             each row and, after `#`, the number of the answer; `extra.jsonl` has what a row cannot hold.{images}"
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
            |answers, outcome| write_answers(answers, context, outcome, out),
            || LeftOut::new(Reason::NoLabel, "no label, rating or choice between answers"),
        )
    }
}

fn write_answers(
    answers: &Answers<'_>,
    context: &mut ShapeContext<'_>,
    outcome: &mut Outcome,
    out: &mut dyn Sink,
) {
    let (pairs, _) = answers.pairs(context.options.pairs);
    let better: HashSet<usize> = pairs.iter().map(|pair| pair.better.number).collect();
    let worse: HashSet<usize> = pairs.iter().map(|pair| pair.worse.number).collect();
    for sibling in answers.siblings() {
        let of_pairs = || {
            let is_better = better.contains(&sibling.number);
            // One between others is neither.
            (is_better != worse.contains(&sibling.number)).then_some(is_better)
        };
        let is_good = answers.worth(sibling).and_then(Worth::is_good).or_else(of_pairs);
        let Some(is_good) = is_good else { continue };
        let round = answers.unlabelled(sibling);
        let draft = answers.draft(sibling, &round);
        let draft = Draft { is_first: outcome.records.is_empty(), ..draft };
        let written = match context.options.layout {
            Layout::LlamaFactory => write_sharegpt(&draft, is_good, context, out),
            Layout::Trl | Layout::OpenAi => {
                write_spoken(&draft, is_good, context, &mut outcome.renamed_tools, out)
            }
        };
        outcome.take(&draft, written);
    }
}

fn write_spoken(
    draft: &Draft<'_>,
    is_good: bool,
    context: &mut ShapeContext<'_>,
    renamed_tools: &mut Vec<(String, String)>,
    out: &mut dyn Sink,
) -> Result<RecordNotes, LeftOut> {
    let speech = speak(draft, voice(Unlearnt::Context), context, renamed_tools)?;
    let last = speech.messages.len().saturating_sub(1);
    let (prompt, completion) = speech.messages.split_at(last);
    out.begin_row();
    write(prompt, context.options, out);
    write(completion, context.options, out);
    out.bool(is_good);
    write_rest(&speech, context.options, out);
    out.end_row();
    Ok(speech.notes)
}

fn write_sharegpt(
    draft: &Draft<'_>,
    is_good: bool,
    context: &mut ShapeContext<'_>,
    out: &mut dyn Sink,
) -> Result<RecordNotes, LeftOut> {
    let rules = Rules { unlearnt: Unlearnt::Context, ..RULES };
    let said = say(draft, context, rules, ShownAs::Marks)?;
    out.begin_row();
    said.write_messages(usize::MAX, out);
    out.bool(is_good);
    said.write_tools(context.options.check, out);
    if context.options.attachments == Attachments::Keep {
        said.media.write(out);
    }
    out.end_row();
    Ok(said.into_notes())
}
