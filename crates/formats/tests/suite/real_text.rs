//! Text beside calls in histories that others made (`RETORT_REAL_DATA`): rows hold all that the assistant said.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use crate::support::*;
use retort_formats::data::ShapeOptions;
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{Notes, Sniff, recognise};
use retort_model::{Conversation, Item, Role};
use retort_testing::{files_below, real_data};

/// Calls with every conversation of a file that a reader knows.
fn each_conversation(path: &Path, look: &mut dyn FnMut(&Conversation<'_>)) {
    let bytes = std::fs::read(path).unwrap();
    let mut splitter = Splitter::new(Cursor::new(&bytes[..]));
    while let Ok(Some(batch)) = splitter.next(Batch::default()) {
        for span in &batch.items {
            let Ok(item) = std::str::from_utf8(batch.item(span)) else { continue };
            let Some(format) = recognise(&Sniff::of(item)) else {
                continue;
            };
            if let Ok(Item::Conversation(conversation)) = format.read(item, &mut Notes::default()) {
                look(&conversation);
            }
        }
    }
}

/// The texts that the assistant wrote, in those rounds that are written.
fn said(conversation: &Conversation<'_>) -> Vec<String> {
    let path = conversation.active_path();
    path.iter()
        .flat_map(|&position| &conversation.rounds[position].messages)
        .filter(|message| message.role == Role::Assistant)
        .map(|message| message.words().into_cow().into_owned())
        .filter(|text| !text.trim().is_empty())
        .collect()
}

#[test]
fn rows_of_conversations_with_tools_hold_all_that_the_assistant_said() {
    let Some(folder) = real_data() else { return };
    let is_json = |path: &PathBuf| path.extension().is_some_and(|e| e == "json" || e == "jsonl");
    let (mut conversations, mut characters) = (0, 0);
    for path in files_below(&folder).into_iter().filter(is_json) {
        each_conversation(&path, &mut |conversation| {
            let has_calls = conversation.messages().any(|message| !message.tool_calls.is_empty());
            if !has_calls {
                return;
            }
            let shaped = shape_conversation(conversation, "openai", ShapeOptions::default());
            if shaped.rows.is_empty() {
                return;
            }
            let mut written: String = shaped
                .rows
                .iter()
                .flat_map(|row| row["messages"].as_array().unwrap())
                .filter(|message| message["role"] == "assistant")
                .map(|message| message["content"].as_str().unwrap())
                .collect::<Vec<_>>()
                .join("\n");
            // What was cut is told, and kept beside the row.
            for record in &shaped.outcome.records {
                let cuts =
                    record.repairs.iter().any(|repair| repair.kind.as_str().starts_with("cut-"));
                if let Some(extra) = record.extra.as_deref().filter(|_| cuts) {
                    let extra: serde_json::Value = serde_json::from_str(extra).unwrap();
                    for cut in extra["cut"].as_array().into_iter().flatten() {
                        written.push('\n');
                        written.push_str(cut["content"].as_str().unwrap());
                    }
                }
            }
            for text in said(conversation) {
                assert!(
                    written.contains(&text),
                    "{}: {} lacks {text:?}",
                    path.display(),
                    conversation.id.decoded()
                );
                characters += text.chars().count();
            }
            conversations += 1;
        });
    }
    println!("{conversations} conversations with calls, {characters} characters of the assistant");
    assert!(conversations > 0, "no conversation with calls was read");
}
