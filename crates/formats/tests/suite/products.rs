//! Exports of chat products.

use crate::real::GENERAL;
use crate::support::spoken;
use crate::understanding::paths;
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{Entry, FORMATS, Notes, Sniff, by_name, recognise};
use retort_model::{Conversation, Item, Message, Status};
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

/// What the named format makes of an item.
fn read(format: &str, item: &Value) -> Vec<Conversation<'static>> {
    let text = item.to_string();
    let found = recognise(&Sniff::of(&text)).expect("a format");
    assert_eq!(found.name(), format);
    let items = found.read_all(&text, &mut Notes::default()).unwrap().into_iter();
    items.map(|item| item.into_conversation().unwrap().into_owned()).collect()
}

fn one(format: &str, item: &Value) -> Conversation<'static> {
    let mut all = read(format, item);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// A message as [`spoken`] puts it, with `(id)` of results, `*rating` and `#error`.
fn word(message: &Message<'_>) -> String {
    let mut told = spoken(message);
    if let Some(id) = &message.tool_call_id {
        told.push_str(&format!("({})", id.decoded()));
    }
    if let Some(feedback) = &message.feedback {
        let rating = feedback.rating.as_ref().map_or("", |raw| raw.as_str());
        told.push_str(&format!("*{rating}"));
    }
    if let Some(error) = &message.error {
        told.push_str(&format!("#{}", error.decoded()));
    }
    told
}

/// Each round after the one that it follows, and `@` the one that is shown last.
fn told(conversation: &Conversation<'_>) -> Vec<String> {
    let round = |(at, round): (usize, &retort_model::Round<'_>)| {
        let above = conversation.parent_of(at).map_or("-".to_owned(), |above| above.to_string());
        let words: Vec<_> = round.messages.iter().map(word).collect();
        format!("{above}>{at} {}", words.join(" | "))
    };
    let rounds = conversation.rounds.iter().enumerate().map(round);
    rounds.chain(conversation.current.map(|at| format!("@{at}"))).collect()
}

fn open_webui(messages: &[Value], current: &str) -> Value {
    let mut by_id = serde_json::Map::new();
    for message in messages {
        by_id.insert(message["id"].as_str().unwrap().to_owned(), message.clone());
    }
    json!({"id": "c", "user_id": "u", "title": "T", "created_at": 1700000000, "updated_at": 1700000100,
        "meta": {"tags": ["a", "b"]}, "pinned": false, "folder_id": null,
        "chat": {"title": "T", "models": ["m"], "params": {"system": "S"}, "messages": [],
            "history": {"currentId": current, "messages": by_id}}})
}

#[test]
fn open_webui_answers_are_taken_from_their_items() {
    let conversation = one(
        "open-webui",
        &open_webui(
            &[
                json!({"id": "q", "parentId": null, "childrenIds": ["a", "b"], "role": "user", "content": "what?",
                    "timestamp": 1700000000, "files": [{"type": "image", "url": "data:x"}, {"type": "file", "name": "f"}]}),
                json!({"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "model": "m",
                    "content": "<details type=\"tool_calls\" done=\"true\" id=\"k\" name=\"f\" arguments=\"x\">\n<summary>Tool Executed</summary>\n&quot;r&quot;\n</details>\nDone.",
                    "sources": [{"source": {"name": "s"}, "document": ["passage"]}],
                    "annotation": {"rating": 1, "reason": "accurate", "comment": "good", "tags": ["t"]},
                    "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "done": true, "output": [
                    {"type": "reasoning", "summary": null, "content": [{"type": "output_text", "text": "Hm."}]},
                    {"type": "function_call", "id": "fc", "call_id": "k", "name": "f", "arguments": "{\"a\":1}", "status": "completed"},
                    {"type": "function_call_output", "call_id": "k", "output": [{"type": "input_text", "text": "r"}]},
                    {"type": "open_webui:code_interpreter", "id": "ci", "code": "print(1)", "lang": "python", "output": {"stdout": "1"}},
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}]}),
                json!({"id": "b", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "Other.", "done": false}),
            ],
            "a",
        ),
    );
    assert_eq!(
        told(&conversation),
        [
            "->0 system=S | user=what?+image+file",
            "0>1 assistant=<Hm.>!k:f:{\"a\":1} | tool=r(k) | assistant=!ci:code_interpreter:{\"code\":\"print(1)\"} \
             | tool={\"stdout\":\"1\"}(ci) | assistant=Done.*1",
            "0>2 assistant=Other.",
            "@1"
        ]
    );
    assert_eq!(paths(&conversation), [""; 0]);
    let round = &conversation.rounds[1];
    assert_eq!((round.usage.input_tokens, round.usage.output_tokens), (Some(3), Some(4)));
    let last = round.messages.last().unwrap();
    assert_eq!(last.contexts.len(), 1);
    assert_eq!(last.feedback.as_ref().unwrap().label.as_ref().unwrap().decoded(), "accurate");
    assert!(conversation.rounds[2].messages[0].is_cut_off());
    let tags: Vec<_> = conversation.tags.iter().map(|tag| tag.decoded()).collect();
    assert_eq!(tags, ["a", "b"]);
}

#[test]
fn open_webui_answers_of_older_versions_are_taken_from_their_blocks() {
    let content = "<details type=\"reasoning\" done=\"true\" duration=\"1\">\n<summary>Thought for 1 seconds</summary>\n&gt; a &lt; b\n&gt; c\n</details>\n\
        I look.\n<details type=\"tool_calls\" done=\"true\" id=\"k\" name=\"f\" arguments=\"&quot;{\\&quot;a\\&quot;: 1}&quot;\" result=\"&quot;r&quot;\" files=\"\">\n<summary>Tool Executed</summary>\n</details>\n\
        <details type=\"code_interpreter\" done=\"true\" output=\"{&quot;result&quot;: 2}\">\n<summary>Analyzed</summary>\n```python\n1 + 1\n```\n</details>\nTwo.";
    let messages = [
        json!({"id": "q", "parentId": null, "childrenIds": ["a"], "role": "user", "content": "<details type=\"x\">"}),
        json!({"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "content": content}),
    ];
    let conversation = one("open-webui", &open_webui(&messages, "a"));
    assert_eq!(
        told(&conversation),
        [
            "->0 system=S | user=<details type=\"x\"> | assistant=I look.<a < b\nc>!k:f:{\"a\": 1} | tool=r(k) | \
             assistant=!code_interpreter-3:code_interpreter:{\"code\":\"1 + 1\",\"lang\":\"python\"} | \
             tool={\"result\": 2}(code_interpreter-3) | assistant=Two."
        ]
    );
    assert_eq!(paths(&conversation), [""; 0]);
}

#[test]
fn what_open_webui_shows_and_nobody_knows_is_not_understood() {
    let content =
        "<details type=\"hologram\" x=\"1\">\n<summary>S</summary>\nlight\n</details>\nDone.";
    let edited = json!({"id": "b", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "Changed.",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}]});
    let messages = [
        json!({"id": "q", "parentId": null, "childrenIds": ["a"], "role": "user", "content": "q"}),
        json!({"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "content": content}),
        edited,
        json!({"id": "z", "parentId": "gone", "childrenIds": [], "role": "wizard", "content": "z", "merged": {"content": "two words"}}),
    ];
    let conversation = one("open-webui", &open_webui(&messages, "a"));
    assert_eq!(
        paths(&conversation),
        [
            "chat.history.messages.a.content",
            "chat.history.messages.b.content",
            "chat.history.messages.z.role=wizard",
            "chat.history.messages.z.merged",
            "chat.history.messages.z.parentId",
        ]
    );
}

#[test]
fn ratings_of_open_webui_are_of_the_answer_in_their_snapshot() {
    let messages = [
        json!({"id": "q", "parentId": null, "childrenIds": ["a"], "role": "user", "content": "q"}),
        json!({"id": "a", "parentId": "q", "childrenIds": [], "role": "assistant", "content": "a"}),
    ];
    let row = |message: &str, snapshot: Value| {
        json!({"id": "f", "user_id": "u", "version": 0, "type": "rating",
        "data": {"rating": -1, "model_id": "m", "sibling_model_ids": ["n"], "reason": "r", "comment": "c"},
        "meta": {"arena": false, "chat_id": "c", "message_id": message, "tags": []},
        "snapshot": snapshot, "created_at": 1700000000, "updated_at": 1700000000})
    };
    let snapshot = json!({"chat": open_webui(&messages, "a")});
    let conversation = one("open-webui", &row("a", snapshot.clone()));
    assert_eq!(conversation.id, *"c");
    assert_eq!(told(&conversation), ["->0 system=S | user=q | assistant=a*-1"]);
    assert_eq!(paths(&conversation), [""; 0]);
    assert_eq!(paths(&one("open-webui", &row("gone", snapshot))), ["meta.message_id"]);
    let text = row("a", Value::Null).to_string();
    let error = recognise(&Sniff::of(&text)).unwrap().read_all(&text, &mut Notes::default());
    assert_eq!(error.unwrap_err().message, "a rating without the snapshot of its chat");
}

#[test]
fn rows_of_open_webuis_database_hold_the_chat_as_text() {
    let message =
        json!({"id": "q", "parentId": null, "childrenIds": [], "role": "user", "content": "q"});
    let mut row = open_webui(&[message], "q");
    row["chat"] = json!(row["chat"].to_string());
    row["meta"] = json!(row["meta"].to_string());
    let conversation = one("open-webui", &row);
    assert_eq!(told(&conversation), ["->0 system=S | user=q"]);
    assert_eq!(conversation.tags.len(), 2);
}

fn librechat(messages: Value) -> Value {
    json!({"conversationId": "c", "endpoint": "openAI", "title": "T", "exportAt": "20:33:31 GMT-0400 (Eastern Daylight Time)",
        "branches": true, "recursive": false, "options": {"model": "m", "promptPrefix": "S"}, "messages": messages})
}

#[test]
fn librechat_messages_are_a_tree_flat_or_nested() {
    let message = |id: &str, parent: &str, asks: bool, day: u8| {
        json!({"messageId": id, "parentMessageId": parent,
        "conversationId": "c", "isCreatedByUser": asks, "sender": if asks { "User" } else { "GPT-4" }, "text": id,
        "model": if asks { Value::Null } else { json!("gpt") }, "error": false, "unfinished": false,
        "createdAt": format!("2024-05-0{day}T10:00:00.000Z"), "updatedAt": "2024-05-09T10:00:00.000Z"})
    };
    let root = "00000000-0000-0000-0000-000000000000";
    let all =
        [("q", root, true, 1), ("a", "q", false, 2), ("b", "q", false, 4), ("r", "a", true, 3)]
            .map(|(id, parent, asks, day)| message(id, parent, asks, day));
    let expected = ["->0 system=S | user=q", "0>1 assistant=a", "1>2 user=r", "0>3 assistant=b"];
    let flat = one("librechat", &librechat(json!(all)));
    assert_eq!(told(&flat), expected);
    // The rows of LibreChat's database.
    let joined = json!(all).to_string();
    let reader = by_name("librechat").unwrap();
    let rows = reader.read(&joined, &mut Notes::default()).unwrap().into_conversation().unwrap();
    assert_eq!((&told(&rows)[1..], &*rows.id.decoded()), (&expected.map(str::to_owned)[1..], "c"));
    let mut fragments = Vec::new();
    let row = all[0].to_string();
    let reader = recognise(&Sniff::of(&row)).unwrap();
    reader.fragments(&row, Entry::default(), &mut fragments);
    assert_eq!((reader.name(), &*fragments[0].key), ("librechat", "c"));
    // Where only the question has a time, the answer is newer.
    let mut untimed = all.clone();
    untimed
        .iter_mut()
        .skip(1)
        .for_each(|one| drop(one.as_object_mut().unwrap().remove("createdAt")));
    let flat = one("librechat", &librechat(json!(untimed[..2])));
    assert_eq!(told(&flat), ["->0 system=S | user=q | assistant=a"]);
    let [mut q, mut a, b, r] = all;
    a["children"] = json!([r]);
    q["children"] = json!([a, b]);
    let nested = one("librechat", &librechat(json!([q])));
    assert_eq!(told(&nested), expected);
    assert_eq!(nested.rounds[3].model.as_ref().unwrap().decoded(), "gpt");
    assert_eq!(paths(&nested), [""; 0]);
}

#[test]
fn librechat_parts_become_calls_results_and_reasoning() {
    let conversation = one(
        "librechat",
        &librechat(json!([
            {"messageId": "q", "parentMessageId": null, "isCreatedByUser": true, "text": "q", "files": [{"type": "image/png", "filepath": "x"}]},
            {"messageId": "a", "parentMessageId": "q", "isCreatedByUser": false, "text": "", "content": [
                {"type": "think", "think": "Hm."},
                {"type": "text", "text": {"value": "I look."}},
                {"type": "tool_call", "tool_call": {"id": "k", "name": "f", "args": "{\"a\":1}", "output": "r", "type": "tool_call", "progress": 1}},
                {"type": "text", "text": "Done."}], "finish_reason": "stop",
                "feedback": {"rating": "thumbsUp", "tag": "accurate", "text": "good"}},
            {"messageId": "r", "parentMessageId": "a", "isCreatedByUser": true, "text": "r"},
            {"messageId": "b", "parentMessageId": "r", "isCreatedByUser": false, "error": true, "text": ":::thinking\nWhy\n:::\n\nQuota"},
            {"messageId": "s", "parentMessageId": "b", "isCreatedByUser": true, "text": "s", "content": [{"type": "hologram", "x": "y"}]},
            {"messageId": "t", "parentMessageId": "gone", "text": "t", "aside": "two words"},
        ])),
    );
    assert_eq!(
        told(&conversation),
        [
            "->0 system=S | user=q+image | assistant=I look.<Hm.>!k:f:{\"a\":1} | tool=r(k) | assistant=Done.*\"thumbsUp\"",
            "0>1 user=r | assistant=Quota<Why>#failed",
            "1>2 user=s+other",
            "->3 system=S | other=t",
        ]
    );
    assert_eq!(
        paths(&conversation),
        [
            "messages[4].content[0].type=hologram",
            "messages[5].isCreatedByUser",
            "messages[5].aside",
            "messages[5].parentMessageId",
        ]
    );
}

#[test]
fn grok_responses_are_read_with_their_thoughts_and_searches() {
    let items = read(
        "grok",
        &json!({"conversations": [
        {"conversation": {"conversation_id": "c", "title": "T", "create_time": "2025-06-21T19:28:21.177720Z",
            "modify_time": "2025-06-21T19:30:01Z", "starred": true, "leaf_response_id": null, "summary": ""},
         "responses": [
            {"response": {"response_id": "1", "message": "q", "sender": "human", "parent_response_id": null,
                "create_time": {"$date": {"$numberLong": "1700000000000"}}, "file_attachments": ["f"]}, "share_link": null},
            {"response": {"response_id": "2", "message": "a", "sender": "ASSISTANT", "parent_response_id": "1", "model": "grok-3",
                "thinking_trace": "", "steps": [{"text": ["one ", "two"]}], "web_search_results": [{"url": "u", "preview": "p p"}]}},
            {"response": {"response_id": "3", "message": "b", "sender": "assistant", "parent_response_id": "1", "partial": true,
                "thinking_trace": "Hm."}}]},
        {"conversation": {"title": "U"}, "responses": [{"sender": "wizard", "message": "x", "create_time": "2025-06-21T19:28:21Z"}]},
    ], "projects": [], "tasks": []}),
    );
    assert_eq!(items.len(), 2);
    assert_eq!(
        told(&items[0]),
        ["->0 user=q+file", "0>1 assistant=a<one two>", "0>2 assistant=b<Hm.>"]
    );
    assert_eq!(items[0].rounds[1].messages[0].contexts.len(), 1);
    assert_eq!(items[0].rounds[1].model.as_ref().unwrap().decoded(), "grok-3");
    assert!(items[0].rounds[0].messages[0].created_at.is_some());
    assert_eq!(
        (paths(&items[0]), paths(&items[1])),
        (vec![], vec!["conversations[1].responses[0].sender=wizard"])
    );
}

#[test]
fn ai_studios_chunks_are_joined_to_messages() {
    let conversation = one(
        "ai-studio",
        &json!({"id": "p", "displayName": "T", "runSettings": {"model": "models/gemini", "temperature": 1},
        "systemInstruction": {"parts": [{"text": "S"}]}, "chunkedPrompt": {"chunks": [
            {"role": "user", "driveDocument": {"id": "d"}, "tokenCount": 3},
            {"role": "user", "text": "q", "createTime": "2025-02-01T12:00:02Z"},
            {"role": "model", "text": "Hm.", "isThought": true, "parts": [{"text": "H", "thought": true}, {"text": "m.", "thought": true}]},
            {"role": "model", "executableCode": {"language": "PYTHON", "code": "1+1"}},
            {"role": "model", "codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
            {"role": "model", "text": "Two.", "finishReason": "STOP", "tokenCount": 5},
            {"role": "user", "inlineImage": {"mimeType": "image/png", "data": "x"}},
            {"role": "model", "text": "Cut", "errorMessage": "Stream interrupted", "hologram": {"a": "b"}}],
        "pendingInputs": [{"role": "user", "text": ""}]}}),
    );
    assert_eq!(
        told(&conversation),
        [
            "->0 system=S | user=q+file | assistant=<Hm.>!executableCode-3:code_execution:{\"code\":\"1+1\",\"language\":\"PYTHON\"} \
             | tool=2(executableCode-3) | assistant=Two.",
            "0>1 user=+image | assistant=Cut#Stream interrupted"
        ]
    );
    assert_eq!(paths(&conversation), ["chunkedPrompt.chunks[7].hologram"]);
    assert_eq!(conversation.model.unwrap().decoded(), "models/gemini");
}

#[test]
fn deepseeks_fragments_are_questions_thoughts_and_answers() {
    let node = |id: &str, parent: Value, fragments: Value| {
        json!({"id": id, "parent": parent, "children": [], "message": {
        "files": [], "model": "deepseek-reasoner", "inserted_at": "2025-04-29T11:59:13.202000+08:00", "fragments": fragments}})
    };
    let conversation = one(
        "deepseek",
        &json!({"id": "c", "title": "T", "inserted_at": "2025-04-29T11:59:11.635000+08:00",
        "updated_at": "2025-04-29T12:44:11.402000+08:00", "mapping": {
            "root": {"id": "root", "parent": null, "children": ["1"], "message": null},
            "1": node("1", json!("root"), json!([{"type": "REQUEST", "content": "q"}])),
            "2": node("2", json!("1"), json!([{"type": "THINK", "content": "Hm."}, {"type": "RESPONSE", "content": "a"}])),
            "3": node("3", json!("1"), json!([{"type": "SEARCH", "results": [{"url": "u", "snippet": "s s"}]}, {"type": "RESPONSE", "content": "b"}])),
            "4": node("4", json!("3"), json!([{"type": "HOLOGRAM", "content": "x"}]))}}),
    );
    assert_eq!(
        told(&conversation),
        ["->0 user=q", "0>1 assistant=a<Hm.>", "0>2 assistant=b | other="]
    );
    assert_eq!(conversation.rounds[2].messages[0].contexts.len(), 1);
    assert_eq!(
        paths(&conversation),
        ["mapping.4.message.fragments[0].type=HOLOGRAM", "mapping.4.message.role="]
    );
}

#[test]
fn chatbot_uis_history_holds_several_conversations() {
    let items = read(
        "chatbot-ui",
        &json!({"version": 4, "folders": [], "prompts": [], "history": [
        {"id": "a", "name": "A", "model": {"id": "gpt-4", "name": "GPT-4"}, "prompt": "S", "temperature": 1, "folderId": null,
            "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        {"id": "b", "name": "B", "messages": [{"role": "user", "content": "q", "aside": "two words"}]}]}),
    );
    assert_eq!(told(&items[0]), ["->0 system=S | user=q | assistant=a"]);
    assert_eq!(items[0].model.as_ref().unwrap().decoded(), "gpt-4");
    assert_eq!(
        (paths(&items[0]), paths(&items[1])),
        (vec![], vec!["history[1].messages[0].aside"])
    );
}

#[test]
fn next_chats_tools_ran_before_the_answer() {
    let items = read(
        "next-chat",
        &json!({"chat-next-web-store": {"currentSessionIndex": 0, "sessions": [
        {"id": "a", "topic": "T", "memoryPrompt": "so far", "lastUpdate": 1700000000000_i64, "messages": [
            {"id": "1", "role": "user", "date": "1/2/2024, 3:04:05 PM", "content": "q"},
            {"id": "2", "role": "assistant", "date": "", "content": "Done.", "model": "m", "streaming": false, "tools": [
                {"id": "k", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}, "content": "r", "isError": false}]},
            {"id": "3", "role": "user", "content": [{"type": "text", "text": "r"}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"id": "4", "role": "assistant", "content": "Oh", "isError": true}],
         "mask": {"name": "M", "context": [{"role": "system", "content": "S"}], "modelConfig": {"model": "n"}}}]}}),
    );
    assert_eq!(
        told(&items[0]),
        [
            "->0 system=S | user=q | assistant=!k:f:{} | tool=r(k) | assistant=Done.",
            "0>1 user=r+image | assistant=Oh#failed"
        ]
    );
    assert_eq!(paths(&items[0]), [""; 0]);
    assert_eq!(items[0].rounds[0].model.as_ref().unwrap().decoded(), "m");
}

#[test]
fn chatbox_sessions_have_threads_and_forks() {
    let items = read(
        "chatbox",
        &json!({"chat-sessions-list": [{"id": "s", "name": "S"}], "settings": {"theme": 1}, "session:s": {
        "id": "s", "name": "N", "type": "chat", "starred": true, "messages": [
            {"id": "1", "role": "system", "contentParts": [{"type": "text", "text": "S"}], "timestamp": 1700000000000_i64},
            {"id": "2", "role": "user", "contentParts": [{"type": "text", "text": "q"}, {"type": "image", "storageKey": "k"}],
                "files": [{"id": "f", "name": "f.pdf", "fileType": "application/pdf"}]},
            {"id": "3", "role": "assistant", "model": "m", "usage": {"inputTokens": 3, "outputTokens": 4}, "finishReason": "stop", "contentParts": [
                {"type": "reasoning", "text": "Hm.", "startTime": 1}, {"type": "info", "text": "Chatbox says this"},
                {"type": "tool-call", "state": "result", "toolCallId": "k", "toolName": "f", "args": {"a": 1}, "result": {"b": 2}},
                {"type": "text", "text": "Done."}]}],
        "threads": [{"id": "t", "name": "older", "createdAt": 1700000000000_i64, "messages": [{"id": "9", "role": "user", "content": "old"}]}],
        "messageForksHash": {"2": {"position": 0, "createdAt": 1, "lists": [
            {"id": "l", "messages": [{"id": "4", "role": "assistant", "contentParts": [{"type": "text", "text": "Before."}]}]},
            {"id": "m", "messages": []}]}}}}),
    );
    assert_eq!(items.len(), 2);
    assert_eq!(
        told(&items[0]),
        [
            "->0 system=S | user=q+file+image",
            "0>1 assistant=<Hm.>!k:f:{\"a\":1} | tool={\"b\":2}(k) | assistant=Done.",
            "0>2 assistant=Before.",
            "@1"
        ]
    );
    assert_eq!(
        (&*items[1].id.decoded(), told(&items[1])),
        ("s#t", vec!["->0 user=old".to_owned()])
    );
    assert_eq!(paths(&items[0]), [""; 0]);
}

#[test]
fn typing_minds_chats_are_read_with_their_system_message() {
    let chat = json!({"id": "1", "chatID": "c", "chatTitle": "T", "model": "m", "createdAt": "2024-01-02T03:04:05Z",
        "chatParams": {"systemMessage": "S"}, "messages": [{"uuid": "1", "role": "user", "content": [{"type": "text", "text": "q"}],
            "createdAt": "2024-01-02T03:04:05Z"}, {"uuid": "2", "role": "assistant", "content": "a"}]});
    for whole in
        [json!({"data": {"chats": [chat], "folders": []}}), json!({"chats": [chat]}), chat.clone()]
    {
        let conversation = one("typing-mind", &whole);
        assert_eq!(told(&conversation), ["->0 system=S | user=q | assistant=a"]);
        assert!(conversation.rounds[0].messages[1].created_at.is_some());
        assert_eq!((&*conversation.id.decoded(), paths(&conversation)), ("c", vec![]));
    }
}

#[test]
fn lm_studios_versions_are_siblings() {
    let user = |text: &str| json!({"type": "singleStep", "role": "user", "content": [{"type": "text", "text": text}]});
    let block = |text: &str, style: Value| json!({"type": "contentBlock", "content": [{"type": "text", "text": text}], "style": style});
    let answer = |text: &str| {
        json!({"type": "multiStep", "role": "assistant", "steps": [
        block("Hm.", json!({"type": "thinking", "ended": true, "title": "Thought for 1 seconds"})),
        {"type": "contentBlock", "content": [{"type": "toolCallRequest", "toolCallRequestId": "k", "name": "f", "parameters": {"a": 1}}]},
        {"type": "contentBlock", "content": [{"type": "toolCallResult", "toolCallRequestId": "k", "content": "r"}]},
        block(text, Value::Null), {"type": "debugInfoBlock", "debugInfo": "x y"}]})
    };
    let conversation = one(
        "lm-studio",
        &json!({"name": "T", "pinned": false, "createdAt": 1700000000000_i64, "systemPrompt": "S", "messages": [
        {"versions": [user("q")], "currentlySelected": 0},
        {"versions": [answer("one"), answer("two")], "currentlySelected": 0},
        {"versions": [user("r")], "currentlySelected": 0},
        {"versions": [{"role": "assistant", "steps": [{"type": "hologram", "x": "y"}]}], "currentlySelected": 0}]}),
    );
    let said =
        |text: &str| format!("assistant=<Hm.>!k:f:{{\"a\":1}} | tool=r(k) | assistant={text}");
    assert_eq!(
        told(&conversation),
        [
            "->0 system=S | user=q".to_owned(),
            format!("0>1 {}", said("one")),
            "1>2 user=r | assistant=".to_owned(),
            format!("0>3 {}", said("two")),
            "@2".to_owned()
        ]
    );
    assert_eq!(paths(&conversation), ["messages[3].versions[0].steps[0].type=hologram"]);
}

#[test]
fn lobe_chats_tables_are_brought_together() {
    let message = |id: &str, role: &str, content: &str, at: i64| {
        json!({"id": id, "role": role, "content": content, "topicId": "t",
        "sessionId": "s", "createdAt": 1_700_000_000_000_i64 + at, "updatedAt": 1_700_000_000_000_i64})
    };
    let mut answer = message("2", "assistant", "", 2);
    answer["tools"] = json!([{"id": "k", "identifier": "p", "apiName": "f", "type": "default", "arguments": "{}"}]);
    answer["reasoning"] = json!({"content": "Hm.", "duration": 5});
    answer["model"] = json!("m");
    let mut result = message("3", "tool", "r", 3);
    result["plugin"] = json!({"apiName": "f", "identifier": "p", "arguments": "{}"});
    result["tool_call_id"] = json!("k");
    let mut other = message("9", "user", "x", 0);
    other["topicId"] = Value::Null;
    let tables = json!({
        "messages": [message("4", "assistant", "Done.", 4), other, message("1", "user", "q", 1), answer, result],
        "topics": [{"id": "t", "title": "T", "favorite": true, "createdAt": 1_700_000_000_000_i64}],
        "sessions": [{"id": "s", "meta": {"title": "S"}, "config": {"systemRole": "Be", "model": "n"}}]});
    let state = json!({"exportType": "all", "version": 7, "state": tables});
    let items = read("lobe-chat", &state);
    assert_eq!(
        told(&items[0]),
        ["->0 system=Be | user=q | assistant=<Hm.>!k:f:{} | tool=r(k) | assistant=Done."]
    );
    assert_eq!((&*items[0].id.decoded(), items[0].status), ("t", Status::Favorite));
    assert_eq!(items[0].rounds[0].model.as_ref().unwrap().decoded(), "m");
    assert_eq!(
        (told(&items[1]), items[1].title.as_ref().unwrap().decoded()),
        (vec!["->0 system=Be | user=x".to_owned()], "S".into())
    );
    assert_eq!(paths(&items[0]), [""; 0]);
    // Newer backups name parents, and keep agents and plugins in tables of their own.
    let node = |id: &str, parent: Value, role: &str| {
        json!({"id": id, "parentId": parent, "role": role, "content": id, "sessionId": "s",
        "createdAt": "2024-01-02T03:04:05Z"})
    };
    let tables = json!({"messages": [node("q", Value::Null, "user"), node("a", json!("q"), "assistant"), node("b", json!("q"), "assistant")],
        "sessions": [{"id": "s", "title": "S"}], "agents": [{"id": "g", "systemRole": "Be"}], "agentsToSessions": [{"agentId": "g", "sessionId": "s"}]});
    let items = read("lobe-chat", &json!({"mode": "postgres", "data": tables}));
    assert_eq!(told(&items[0]), ["->0 system=Be | user=q", "0>1 assistant=a", "0>2 assistant=b"]);
}

#[test]
fn silly_taverns_lines_are_one_chat_with_its_swipes() {
    let lines = json!([
        {"user_name": "U", "character_name": "C", "create_date": "2024-01-02T03:04:05Z", "chat_metadata": {"note_prompt": "be kind"}},
        {"name": "C", "is_user": false, "mes": "Hello.", "send_date": "2024-01-02T03:04:05Z", "extra": {}},
        {"name": "U", "is_user": true, "mes": "q", "send_date": "January 2, 2024 3:04pm"},
        {"name": "C", "is_user": false, "mes": "b", "swipe_id": 1, "swipes": ["a", "b", "c"], "extra": {"reasoning": "Hm.", "model": "m"}},
        {"name": "C", "is_user": false, "is_system": true, "mes": "hidden", "aside": "two words"},
        {"user_name": "U", "character_name": "D"},
        {"name": "U", "is_user": true, "mes": "x"}]);
    let items = read("silly-tavern", &lines);
    assert_eq!(
        told(&items[0]),
        [
            "->0 assistant=Hello.",
            "0>1 user=q",
            "1>2 assistant=b<Hm.> | assistant=hidden",
            "1>3 assistant=a",
            "1>4 assistant=c",
            "@2"
        ]
    );
    assert_eq!(items[0].rounds[2].messages[1].train, Some(false));
    assert_eq!(items[0].title.as_ref().unwrap().decoded(), "C");
    assert_eq!(told(&items[1]), ["->0 user=x"]);
}

#[test]
fn difys_rows_are_questions_with_their_answers() {
    let row = |id: &str, parent: Value, more: Value| {
        let mut row = json!({"id": id, "conversation_id": "c", "parent_message_id": parent, "inputs": {"name": "Jo Do"}, "query": format!("q{id}"),
            "answer": format!("a{id}"), "created_at": 1705569239, "feedback": null, "retriever_resources": [], "agent_thoughts": [], "message_files": []});
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        row
    };
    let page = json!({"limit": 20, "has_more": false, "data": [
        row("1", json!("00000000-0000-0000-0000-000000000000"), json!({"feedback": {"rating": "like", "content": "good"},
            "retriever_resources": [{"content": "t", "document_name": "d"}], "message": [{"role": "system", "text": "S"}, {"role": "user", "text": "q1"}],
            "message_files": [{"type": "image", "belongs_to": "user", "url": "u"}], "message_tokens": 3, "answer_tokens": 4})),
        row("2", json!("1"), json!({"agent_thoughts": [
            {"id": "k", "thought": "Hm.", "tool": "f", "tool_input": "{\"a\":1}", "observation": "r"},
            {"id": "l", "thought": "a2", "tool": "", "tool_input": "", "observation": ""}]})),
        row("3", json!("1"), json!({"status": "error", "error": "quota", "answer": ""}))]});
    let conversation = one("dify", &page);
    assert_eq!(
        told(&conversation),
        [
            "->0 system=S | user=q1+image | assistant=a1*\"like\"",
            "0>1 user=q2 | assistant=<Hm.>!k:f:{\"a\":1} | tool=r(k) | assistant=a2",
            "0>2 user=q3 | assistant=#quota"
        ]
    );
    assert_eq!(conversation.rounds[0].messages[2].contexts.len(), 1);
    assert_eq!(paths(&conversation), [""; 0]);
    // A log has the rows of several conversations, one a line.
    let (text, page) = (row("1", Value::Null, json!({})).to_string(), page.to_string());
    let mut fragments = Vec::new();
    let format = recognise(&Sniff::of(&text)).unwrap();
    format.fragments(&text, Default::default(), &mut fragments);
    format.fragments(&page, Default::default(), &mut fragments);
    assert_eq!(
        (fragments.len(), &*fragments[0].key, fragments[0].order),
        (4, "c", 1_705_569_239_000_000)
    );
}

#[test]
fn geminis_activity_is_a_prompt_with_its_answer() {
    let activity = |title: &str, html: Value| {
        json!({"header": "Gemini Apps", "title": title, "time": "2025-01-02T03:04:05.678Z",
        "products": ["Gemini Apps"], "activityControls": ["Gemini Apps Activity"], "safeHtmlItem": html, "imageFile": "x.png"})
    };
    let conversation =
        one("gemini-activity", &activity("Prompted what?", json!([{"html": "<p>This.</p>"}])));
    assert_eq!(told(&conversation), ["->0 user=what?+image | assistant=<p>This.</p>"]);
    assert_eq!(paths(&conversation), [""; 0]);
    let text = activity("Gave feedback: Good response", json!([])).to_string();
    let error = recognise(&Sniff::of(&text)).unwrap().read_all(&text, &mut Notes::default());
    assert_eq!(error.unwrap_err().message, "an activity that is not a prompt");
}

/// Where the fixtures are of which format, how many conversations are in each, and the keys under which what was said is.
const REAL: &[(&str, &str, usize, &[&str])] = &[
    ("librechat-transcribed/openwebui-export.json", "open-webui", 3, &["content", "text"]),
    ("openwebui-importer/examples/webui-json.json", "open-webui", 1, &["content"]),
    ("openwebui-importer/tests/expected/chatgpt_output.json", "open-webui", 1, &["content"]),
    (
        "openwebui-importer/tests/expected/claude_thinking_output.json",
        "open-webui",
        1,
        &["content"],
    ),
    (
        "openwebui-importer/tests/expected/invalid_unicode_output.json",
        "open-webui",
        1,
        &["content"],
    ),
    ("librechat/librechat-tree.json", "librechat", 1, &["text"]),
    ("librechat/librechat-linear.json", "librechat", 1, &["text"]),
    ("librechat-transcribed/vestai-linear.json", "librechat", 1, &["text"]),
    ("openwebui-importer/examples/grok_example.json", "grok", 1, &["message"]),
    ("chat-structurer/example_grok.json", "grok", 1, &["message"]),
    ("polylogue/fixtures/origin-capability/grok-export.json", "grok", 1, &["message"]),
    ("polylogue/fixtures/origin-capability/aistudio-drive.json", "ai-studio", 1, &["text"]),
    ("polylogue/fixtures/origin-capability/aistudio-drive-hinted.json", "ai-studio", 1, &["text"]),
    ("polylogue/data/gemini_chunked_prompt", "ai-studio", 7, &["text", "code", "output"]),
    ("librechat/chatbotui-export.json", "chatbot-ui", 2, &["content"]),
    ("librechat/chatgpt-tree.json", "chatgpt", 1, &[]),
    ("librechat-transcribed/chatgpt-modern-export.json", "chatgpt", 2, &[]),
    ("chat-structurer/example_chatgpt.json", "chatgpt", 1, &[]),
];

/// Counted by other means than the readers': items, and the texts under keys of the JSON.
#[test]
fn every_text_of_products_exports_that_others_made_is_read() {
    let Some(folder) = real_data() else { return };
    for &(path, format, count, keys) in REAL {
        let mut found = 0;
        let place = folder.join(path);
        let files = if place.is_dir() { files_below(&place) } else { vec![place] };
        for file in files {
            for text in texts(&std::fs::read(&file).unwrap()) {
                let value: Value = serde_json::from_str(&text).unwrap();
                let sniff = Sniff::of(&text);
                let Some(reader) = recognise(&sniff) else { continue };
                assert_eq!(reader.name(), format, "{file:?}");
                let others = FORMATS.iter().filter(|one| one.recognises(&sniff));
                let others =
                    others.filter(|one| one.name() != format && !GENERAL.contains(&one.name()));
                assert_eq!(others.count(), 0, "{file:?} is of several formats");
                let items = reader.read_all(&text, &mut Notes::default()).unwrap();
                let mut said = Vec::new();
                gather(&value, keys, &mut said);
                let mut read = String::new();
                for item in items {
                    found += 1;
                    let Item::Conversation(conversation) = item else { panic!("{file:?}") };
                    assert_eq!(paths(&conversation), [""; 0], "{file:?}");
                    for message in conversation.messages() {
                        read.push_str(&word(message));
                    }
                }
                let read = plain(&read);
                for text in said {
                    assert!(read.contains(&plain(&text)), "{file:?}: {text:?} was not read");
                }
            }
        }
        assert_eq!(found, count, "conversations in {path}");
    }
}

/// Texts without white space, without the quotes of JSON and without the blocks of HTML that Open WebUI shows.
fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    while let (Some(start), Some(end)) = (text.find("<details"), text.find("</details>")) {
        text.replace_range(start..end + "</details>".len(), "");
    }
    text.replace("\\n", "").replace('\\', "").chars().filter(|c| !c.is_whitespace()).collect()
}

fn texts(bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut splitter = Splitter::new(bytes);
    while let Some(batch) = splitter.next(Batch::default()).unwrap() {
        for span in &batch.items {
            texts.push(std::str::from_utf8(batch.item(span)).unwrap().to_owned());
        }
    }
    texts
}

fn gather(value: &Value, keys: &[&str], into: &mut Vec<String>) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| gather(one, keys, into)),
        Value::Object(fields) => {
            // Saved prompts are no conversations.
            for (key, value) in fields.iter().filter(|(key, _)| *key != "prompts") {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => into.push(text.clone()),
                    _ => gather(value, keys, into),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn requests_of_poe_are_the_conversation_so_far() {
    let message = |role: &str, content: &str, at: u64| json!({"role": role, "content": content, "content_type": "text/markdown", "timestamp": at, "message_id": format!("m-{at}")});
    let mut question = message("user", "What is in it?", 1_678_299_819_427_621);
    question["attachments"] = json!([{"url": "https://p/f.txt", "content_type": "text/plain", "name": "f.txt", "parsed_content": "Milk"},
        {"url": "https://p/f.png", "content_type": "image/png", "name": "f.png"}]);
    let mut answer = message("bot", "Milk.", 1_678_299_820_000_000);
    answer["feedback"] = json!([{"type": "dislike", "reason": "too short"}]);
    let request = json!({"version": "1.2", "type": "query", "query": [message("system", "Be kind.", 0), question, answer,
        message("user", "Thanks", 1_678_299_830_000_000)], "user_id": "u-1", "conversation_id": "c-1", "message_id": "m-9",
        "access_key": "secret", "temperature": 0.7, "skip_system_prompt": false, "stop_sequences": [], "metadata": ""});
    let read = one("poe", &request);
    let words: Vec<_> = read.messages().map(word).collect();
    assert_eq!(
        words,
        [
            "system=Be kind.",
            "user=Milk\nWhat is in it?+image",
            "assistant=Milk.*\"dislike\"",
            "user=Thanks"
        ]
    );
    let owner = read.owner.as_ref().unwrap().decoded().into_owned();
    assert_eq!((&*read.id.decoded(), &*owner), ("c-1", "u-1"));
    assert_eq!(
        read.messages().nth(1).unwrap().created_at.unwrap().to_string(),
        "2023-03-08T18:23:39.427621Z"
    );
    assert!(paths(&read).is_empty() && !format!("{:?}", read.metadata).contains("secret"));

    let mut odd = request.clone();
    odd["query"][1]["voice"] = json!("said in another way");
    odd["query"][2]["role"] = json!("narrator");
    assert_eq!(paths(&one("poe", &odd)), ["query[1].voice", "query[2].role=narrator"]);
    let other = json!({"version": "1.2", "type": "report_feedback", "conversation_id": "c-1", "message_id": "m-1", "feedback_type": "like"});
    assert!(super::products::read("poe", &other).is_empty());
    let settings = json!({"version": "1.2", "type": "settings"});
    assert!(recognise(&Sniff::of(&settings.to_string())).is_none());
}
