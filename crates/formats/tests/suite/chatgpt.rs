//! ChatGPT's data export.

use std::collections::BTreeMap;

use retort_formats::import::{Entry, ImportFormat, Items, Notes, Sniff, by_name, recognise};
use retort_model::{Conversation, Item, Role, Status};
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

use crate::understanding::paths;

/// A message of a node.
fn message(id: &str, role: &str, content: &Value, more: Value) -> Value {
    let mut message = json!({"id": id, "author": {"role": role, "name": null}, "content": content,
        "status": "finished_successfully", "weight": 1.0, "recipient": "all", "metadata": {}});
    if let (Value::Object(message), Value::Object(more)) = (&mut message, more) {
        message.extend(more);
    }
    message
}

fn text(text: &str) -> Value {
    json!({"content_type": "text", "parts": [text]})
}

/// A conversation of nodes: each with its parent and its message.
fn tree(nodes: &[(&str, &str, Value)], current: &str) -> Value {
    let mut mapping = serde_json::Map::new();
    for (id, parent, message) in nodes {
        let children: Vec<_> =
            nodes.iter().filter(|(_, above, _)| above == id).map(|(id, ..)| *id).collect();
        let parent = (!parent.is_empty()).then_some(*parent);
        let node = json!({"id": id, "parent": parent, "children": children, "message": message});
        mapping.insert((*id).to_owned(), node);
    }
    json!({"title": "T", "create_time": 1700000000.5, "update_time": 1700000100.25, "mapping": mapping,
        "current_node": current, "conversation_id": "c", "id": "c", "default_model_slug": "gpt-5",
        "is_starred": true, "is_archived": false})
}

fn items(text: &str) -> Vec<Conversation<'static>> {
    let sniff = Sniff::of(text);
    sniff.check().unwrap();
    let format = by_name("chatgpt").unwrap();
    assert!(text.starts_with('[') || recognise(&sniff).unwrap().name() == format.name());
    let items: Items<'_> = format.read_all(text, &mut Notes::default()).unwrap();
    items.into_iter().map(|item| item.into_conversation().unwrap().into_owned()).collect()
}

fn read(item: &Value) -> Conversation<'static> {
    let mut items = items(&item.to_string());
    assert_eq!(items.len(), 1);
    items.remove(0)
}

/// Each round after the one that it follows, with its messages.
fn told(conversation: &Conversation<'_>) -> Vec<String> {
    let round = |(at, round): (usize, &retort_model::Round<'_>)| {
        let above = conversation.parent_of(at).map_or("-".to_owned(), |above| above.to_string());
        let mut told = format!("{above}>{at}");
        for message in &round.messages {
            told.push_str(&format!(" {}", message.role));
            if let Some(id) = &message.tool_call_id {
                told.push_str(&format!("({})", id.decoded()));
            }
            if let Some(text) = &message.reasoning {
                told.push_str(&format!("<{}>", text.decoded().replace('\n', "|")));
            }
            if message.content.is_some() {
                told.push_str(&format!("={}", message.words().decoded()));
            }
            for part in message.attachments() {
                told.push_str(&format!("+{}", part.kind));
            }
            for call in &message.tool_calls {
                told.push_str(&format!(
                    "!{}:{}({})",
                    call.id.decoded(),
                    call.name.decoded(),
                    call.arguments.decoded()
                ));
            }
        }
        told
    };
    conversation.rounds.iter().enumerate().map(round).collect()
}

#[test]
fn regenerated_answers_and_edited_questions_are_sibling_rounds() {
    let answer = |id, model: &str| {
        message(id, "assistant", &text(id), json!({"metadata": {"model_slug": model}}))
    };
    let question = |id| message(id, "user", &text(id), json!({"create_time": 1700000001.0}));
    let nodes = [
        ("root", "", Value::Null),
        ("system", "root", message("system", "system", &text(""), json!({}))),
        ("q1", "system", question("q1")),
        ("a1", "q1", answer("a1", "gpt-4")),
        ("b1", "q1", answer("b1", "gpt-5")),
        ("q2", "b1", question("q2")),
        ("a2", "q2", answer("a2", "gpt-5")),
        ("e1", "system", question("e1")),
        ("f1", "e1", answer("f1", "gpt-5")),
    ];
    let conversation = read(&tree(&nodes, "a2"));
    assert_eq!(
        told(&conversation),
        [
            "->0 user=q1",
            "0>1 assistant=a1",
            "0>2 assistant=b1",
            "2>3 user=q2 assistant=a2",
            "->4 user=e1 assistant=f1"
        ]
    );
    assert_eq!(conversation.active_path(), [0, 2, 3]);
    assert_eq!(conversation.rounds[2].model.as_ref().unwrap().decoded(), "gpt-5");
    assert_eq!((conversation.status, &*conversation.id.decoded()), (Status::Favorite, "c"));
    assert_eq!(conversation.created_at.unwrap().to_string(), "2023-11-14T22:13:20.5Z");
    assert!(conversation.rounds[0].messages[0].created_at.is_some());
    assert!(paths(&conversation).is_empty());
    // Without a mark the last answer is shown.
    let mut unmarked = tree(&nodes[..7], "");
    unmarked.as_object_mut().unwrap().remove("current_node");
    assert_eq!(read(&unmarked).active_path(), [0, 2, 3]);
    // One that ends within a chain.
    let conversation = read(&tree(&nodes[..7], "q2"));
    assert_eq!(told(&conversation)[3..], ["2>3 user=q2", "3>4 assistant=a2"]);
    assert_eq!(conversation.active_path(), [0, 2, 3]);
}

#[test]
fn calls_results_and_thoughts_are_read() {
    let thoughts = json!({"content_type": "thoughts", "thoughts": [
        {"summary": "Counting", "content": "I count.", "chunks": [], "finished": true}, {"summary": "S", "content": ""}]});
    let recap = json!({"content_type": "reasoning_recap", "content": "Thought for 2s"});
    let tool = |id, name: &str, content: Value| {
        message(id, "tool", &content, json!({"author": {"role": "tool", "name": name}}))
    };
    let code = json!({"content_type": "code", "language": "unknown", "text": "1+1"});
    let image =
        json!({"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1"});
    let said = json!({"content_type": "multimodal_text", "parts": [image, "what is it?",
        {"content_type": "audio_transcription", "text": "spoken"}]});
    let attached = json!({"metadata": {"attachments": [{"id": "file_1", "name": "a.png"}, {"id": "file_2", "name": "b.pdf"}]}});
    let page = json!({"content_type": "tether_quote", "url": "u", "domain": "d", "title": "a title", "text": "a page"});
    let context = json!({"content_type": "user_editable_context", "user_profile": "I am X.", "user_instructions": "Be brief."});
    let nodes = [
        ("c", "", message("c", "user", &context, json!({"weight": 0.0}))),
        ("q", "c", message("q", "user", &said, attached)),
        ("t", "q", message("t", "assistant", &thoughts, json!({}))),
        ("r", "t", message("r", "assistant", &recap, json!({}))),
        ("k", "r", message("k", "assistant", &code, json!({"recipient": "python"}))),
        ("o", "k", tool("o", "python", json!({"content_type": "execution_output", "text": "2"}))),
        ("p", "o", tool("p", "browser", page)),
        (
            "a",
            "p",
            message(
                "a",
                "assistant",
                &text("Two."),
                json!({"status": "finished_partial_completion",
            "metadata": {"finish_details": {"type": "max_tokens"}}}),
            ),
        ),
        ("z", "a", tool("z", "bio", text("Model set context updated."))),
    ];
    let conversation = read(&tree(&nodes, "z"));
    assert_eq!(
        told(&conversation),
        ["->0 system=I am X.\nBe brief. user=what is it?\nspoken+image+file \
             assistant<Counting||I count.||S>!k:python(1+1) tool(k)=2 tool(k)=a page assistant=Two. \
             tool=Model set context updated."]
    );
    let answer = &conversation.rounds[0].messages[5];
    assert_eq!(answer.finish_reason.as_ref().unwrap().decoded(), "finished_partial_completion");
    assert!(answer.is_cut_off());
    assert!(paths(&conversation).is_empty(), "{:?}", paths(&conversation));
}

#[test]
fn what_is_new_is_told_with_its_path() {
    let nodes = [
        (
            "q",
            "",
            message("q", "user", &json!({"content_type": "hologram", "beam": "x"}), json!({})),
        ),
        ("a", "q", message("a", "oracle", &text("hm"), json!({}))),
        (
            "b",
            "a",
            message(
                "b",
                "assistant",
                &json!({"content_type": "multimodal_text",
            "parts": [{"content_type": "smell", "of": "roses"}, 7]}),
                json!({"aside": "two words"}),
            ),
        ),
        ("d", "gone", message("d", "user", &text("where?"), json!({}))),
    ];
    let conversation = read(&tree(&nodes, "b"));
    assert_eq!(
        paths(&conversation),
        [
            "mapping.d.parent",
            "mapping.q.message.content.content_type=hologram",
            "mapping.a.message.author.role=oracle",
            "mapping.b.message.content.parts[0].content_type=smell",
            "mapping.b.message.aside",
        ]
    );
}

#[test]
fn nodes_in_a_circle_and_nodes_without_links_are_read() {
    let node =
        |id, parent: &str| (id, parent.to_owned(), message(id, "user", &text(id), json!({})));
    let circle = [node("a", "b"), node("b", "a"), node("c", "")];
    let circle: Vec<_> =
        circle.iter().map(|(id, up, one)| (*id, up.as_str(), one.clone())).collect();
    let conversation = read(&tree(&circle, "c"));
    let words: Vec<_> =
        conversation.messages().map(|one| one.words().decoded().into_owned()).collect();
    assert_eq!(words, ["c", "a", "b"]);
    assert_eq!(paths(&conversation), ["mapping.a.parent"]);
    let loose = json!({"title": "t", "mapping": {"1": {"message": {"author": {"role": "user"}, "content": {"parts": ["x"]}}},
        "2": {"message": {"author": {"role": "assistant"}, "content": {"parts": ["y"]}}}}});
    assert_eq!(told(&read(&loose)), ["->0 user=x assistant=y"]);
}

#[test]
fn feedback_is_joined_and_one_text_may_hold_several_conversations() {
    let one = tree(
        &[
            ("q", "", message("q", "user", &text("q"), json!({}))),
            ("a", "q", message("m", "assistant", &text("a"), json!({}))),
        ],
        "a",
    );
    let rating = json!({"message_id": "m", "conversation_id": "c", "rating": "thumbs_down",
        "content": "{\"tags\":[\"not-true\",\"lazy\"],\"text\":\"no\"}"});
    let format = by_name("chatgpt").unwrap();
    let mut fragments = Vec::new();
    let (one_text, rating_text) = (one.to_string(), rating.to_string());
    format.fragments(&one_text, Entry { path: "conversations.json" }, &mut fragments);
    format.fragments(&rating_text, Entry { path: "message_feedback.json" }, &mut fragments);
    assert_eq!(fragments[0].key, fragments[1].key);
    let [joined] = &items(&json!([one, rating]).to_string())[..] else { panic!("one item") };
    let feedback = joined.rounds[0].messages[1].feedback.as_ref().unwrap();
    assert_eq!(feedback.rating.as_ref().unwrap().as_str(), "\"thumbs_down\"");
    assert_eq!(feedback.label.as_ref().unwrap().decoded(), "not-true, lazy");
    assert_eq!(feedback.comment.as_ref().unwrap().decoded(), "no");
    let both = items(&json!({"conversations": [one, one]}).to_string());
    assert_eq!(both.len(), 2);
    let corrupted = r#"{"title":"t","create_time":1,"id":"x"}"#;
    assert!(format.read_all(corrupted, &mut Notes::default()).is_err());
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
        for one in all.iter().filter(|one| one["mapping"].is_object()) {
            let text = one.to_string();
            assert_eq!(recognise(&Sniff::of(&text)).map(ImportFormat::name), Some("chatgpt"));
            let item = by_name("chatgpt").unwrap().read(&text, &mut Notes::default());
            let Ok(Item::Conversation(conversation)) = item else { panic!("{path:?}") };
            assert_eq!(counted(&conversation), expected(one), "{path:?}");
            assert!(conversation.not_understood.is_empty(), "{path:?}");
            read += 1;
        }
    }
    assert!(read >= 20, "{read}");
}

type Counts = BTreeMap<(String, String), usize>;

fn counted(conversation: &Conversation<'_>) -> Counts {
    let mut counts = Counts::new();
    for message in conversation.messages() {
        let role = match message.role {
            // The person's instructions.
            Role::System if message.source_role.is_some() => "user",
            role => role.as_str(),
        };
        *counts.entry((role.into(), message.words().decoded().into_owned())).or_default() += 1;
    }
    counts
}

fn expected(conversation: &Value) -> Counts {
    let mut counts = Counts::new();
    for message in
        conversation["mapping"].as_object().unwrap().values().map(|node| &node["message"])
    {
        let content = &message["content"];
        let mut texts: Vec<_> = ["user_profile", "user_instructions"]
            .iter()
            .filter_map(|name| content[name].as_str())
            .collect();
        texts.extend(content["parts"].as_array().into_iter().flatten().filter_map(Value::as_str));
        texts.retain(|text| !text.is_empty());
        let role = message["author"]["role"].as_str().unwrap_or_default();
        if role != "system" && !message.is_null() || !texts.is_empty() {
            *counts.entry((role.into(), texts.join("\n"))).or_default() += 1;
        }
    }
    counts
}
