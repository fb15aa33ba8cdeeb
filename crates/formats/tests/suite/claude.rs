//! Claude's data export.

use retort_formats::import::{Notes, Sniff, recognise};
use retort_model::{Conversation, Item, Role};
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

use crate::support::spoken;

fn read(item: &Value) -> Conversation<'static> {
    let text = item.to_string();
    let format = recognise(&Sniff::of(&text)).unwrap();
    assert_eq!(format.name(), "claude");
    let item = format.read(&text, &mut Notes::default()).unwrap();
    item.into_conversation().unwrap().into_owned()
}

fn export(messages: Value) -> Value {
    json!({"uuid": "c", "name": "T", "summary": "two words", "created_at": "2025-01-02T03:04:05.678901Z",
        "updated_at": "2025-01-03T03:04:05Z", "account": {"uuid": "x"}, "chat_messages": messages})
}

/// The messages of each round.
fn told(conversation: &Conversation<'_>) -> Vec<String> {
    let message = |message: &retort_model::Message<'_>| {
        let mut told = spoken(message);
        if let Some(id) = &message.tool_call_id {
            told.push_str(&format!(
                "({}{})",
                id.decoded(),
                if message.error.is_some() { " failed" } else { "" }
            ));
        }
        told
    };
    let rounds = conversation.rounds.iter();
    rounds.map(|round| round.messages.iter().map(message).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn an_answer_with_calls_becomes_a_message_for_each_time_that_the_model_spoke() {
    let conversation = read(&export(json!([
        {"uuid": "1", "sender": "human", "text": "what?", "content": [{"type": "text", "text": "what?"}],
            "created_at": "2025-01-02T03:04:05Z",
            "attachments": [{"file_name": "a.txt", "file_size": 5, "extracted_content": "pasted"}],
            "files": [{"file_name": "b.png"}]},
        {"uuid": "2", "sender": "assistant", "text": "I look.\n```\nThis block is not supported\n```\nDone.", "content": [
            {"type": "thinking", "thinking": "Hm.", "summaries": [{"summary": "thinks a bit"}], "cut_off": false},
            {"type": "text", "text": "I look.", "start_timestamp": "t", "citations": []},
            {"type": "tool_use", "id": "k", "name": "web_search", "input": {"q": 1}, "message": "Searching the web"},
            {"type": "tool_result", "tool_use_id": "k", "name": "web_search", "is_error": true,
                "content": [{"type": "text", "text": "found", "uuid": "u"}], "display_content": {"text": "a b"}},
            {"type": "text", "text": "Done."}], "stop_reason": "end_turn"},
        {"uuid": "3", "sender": "human", "text": "thanks", "content": []},
    ])));
    assert_eq!(
        told(&conversation),
        [
            "user=pasted\nwhat?+file assistant=I look.<Hm.>!k:web_search:{\"q\":1} tool=found(k failed) assistant=Done.",
            "user=thanks"
        ]
    );
    let last = &conversation.rounds[0].messages[3];
    assert_eq!(last.finish_reason.as_ref().unwrap().decoded(), "end_turn");
    assert!(conversation.not_understood.is_empty(), "{:?}", conversation.not_understood);
    assert_eq!(
        (&*conversation.id.decoded(), conversation.title.unwrap().decoded()),
        ("c", "T".into())
    );
}

#[test]
fn voice_notes_and_files_whose_text_is_attached_are_text() {
    // osteele/claude-chat-viewer#5
    let conversation = read(&export(json!([
        {"uuid": "1", "sender": "human", "text": "", "content": [{"type": "voice_note", "title": "Voice note", "text": "what?"}],
            "attachments": [{"file_name": "a.txt", "extracted_content": "pasted"}], "files": [{"file_name": "a.txt"}]},
        {"uuid": "2", "sender": "assistant", "text": "That.", "content": [{"type": "text", "text": "That."}]},
    ])));
    assert_eq!(told(&conversation), ["user=pasted\nwhat? assistant=That."]);
    assert!(conversation.not_understood.is_empty(), "{:?}", conversation.not_understood);
}

#[test]
fn edited_questions_are_sibling_rounds() {
    let root = "00000000-0000-4000-8000-000000000000";
    let message = |id: &str, parent: &str, sender: &str| json!({"uuid": id, "parent_message_uuid": parent, "sender": sender, "text": id});
    let messages = json!([
        message("q", root, "human"),
        message("a", "q", "assistant"),
        message("b", "q", "assistant"),
        message("e", root, "human"),
        message("f", "e", "assistant")
    ]);
    let conversation = read(&export(messages.clone()));
    assert_eq!(told(&conversation), ["user=q", "assistant=a", "assistant=b", "user=e assistant=f"]);
    assert_eq!(conversation.active_path(), [3]);
    let mut marked = export(messages);
    marked["current_leaf_message_uuid"] = json!("b");
    assert_eq!(read(&marked).active_path(), [0, 2]);
    assert!(conversation.not_understood.is_empty());
}

#[test]
fn what_is_new_is_told_with_its_path() {
    let conversation = read(&export(json!([
        {"sender": "human", "content": [{"type": "hologram", "data": "x"}, {"type": "text", "text": 7}, {"type": "text", "text": null}]},
        {"sender": "assistant", "content": "plain", "aside": "two words"},
        {"text": "who?"},
    ])));
    let paths: Vec<_> = conversation.not_understood.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "chat_messages[0].content[0].type=hologram",
            "chat_messages[0].content[1].text",
            "chat_messages[1].aside",
            "chat_messages[2].sender=",
        ]
    );
}

/// Counted by other means than the reader's: the texts of every message in the JSON.
#[test]
fn every_text_of_exports_that_others_made_is_read() {
    let Some(folder) = real_data() else { return };
    let mut read = 0;
    for path in files_below(&folder) {
        let bytes = std::fs::read(&path).unwrap();
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let all = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        for one in all.iter().filter(|one| one["chat_messages"].is_array()) {
            let text = one.to_string();
            let format = recognise(&Sniff::of(&text)).unwrap();
            assert_eq!(format.name(), "claude", "{path:?}");
            let item = format.read(&text, &mut Notes::default());
            let Ok(Item::Conversation(conversation)) = item else { panic!("{path:?}") };
            look(one, &conversation, &path.display().to_string());
            read += 1;
        }
    }
    assert!(read >= 10, "{read}");
}

fn look(source: &Value, conversation: &Conversation<'_>, path: &str) {
    let all = |role: Role| {
        let messages = conversation.messages().filter(|message| message.role == role);
        messages.map(|one| one.words().decoded().into_owned()).collect::<Vec<_>>().join("\n")
    };
    let count = |role: Role| conversation.messages().filter(|one| one.role == role).count();
    let messages = source["chat_messages"].as_array().unwrap();
    for (sender, role) in [("human", Role::User), ("assistant", Role::Assistant)] {
        let of = || messages.iter().filter(|one| one["sender"] == sender);
        assert_eq!(count(role), of().count(), "{path} {sender}");
        for message in of() {
            let blocks: Vec<_> = message["content"].as_array().into_iter().flatten().collect();
            let texts = blocks.iter().filter_map(|one| one["text"].as_str());
            let texts: Vec<_> = texts.chain(message["content"].as_str()).collect();
            let texts = if texts.is_empty() {
                vec![message["text"].as_str().unwrap_or_default()]
            } else {
                texts
            };
            for text in texts {
                assert!(all(role).contains(text), "{path}: {text}");
            }
        }
    }
    let calls: usize = conversation.messages().map(|one| one.tool_calls.len()).sum();
    let blocks = messages.iter().flat_map(|one| one["content"].as_array().into_iter().flatten());
    assert_eq!(calls, blocks.filter(|one| one["type"] == "tool_use").count(), "{path}");
}
