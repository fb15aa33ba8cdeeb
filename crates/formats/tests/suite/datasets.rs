//! Rows of datasets as trainers and hubs have them: questions and answers in columns, preference data, a message a row,
//! lists in objects. Public reports are beside the cases that they led to.

use retort_formats::import::{Entry, FORMATS, Fragment, ImportFormat, Notes, Sniff, recognise};
use retort_model::{Conversation, Item, Label, Role};
use serde_json::{Value, json};

use crate::real::GENERAL;
use crate::support::{shape_conversation, shape_item};
use crate::understanding::{paths, told};

/// Reads an item with the one format that knows it, whole: what it holds is understood.
pub fn read_as(format: &str, item: &str) -> Vec<Conversation<'static>> {
    let sniff = Sniff::of(item);
    sniff.check().unwrap();
    let known = FORMATS.iter().filter(|one| one.recognises(&sniff));
    let known: Vec<_> = known.map(|one| one.name()).collect();
    let found = recognise(&sniff).map(ImportFormat::name);
    assert_eq!(found, Some(format), "{item}");
    assert!(
        known.iter().filter(|one| !GENERAL.contains(one)).count() <= 1,
        "{known:?} know {item}"
    );
    let reader = recognise(&sniff).unwrap();
    let items = reader.read_all(item, &mut Notes::default());
    let items = items.unwrap_or_else(|error| panic!("{error}: {item}"));
    items
        .into_iter()
        .map(|one| match one {
            Item::Conversation(one) => one.into_owned(),
            other => panic!("no conversation: {other:?}"),
        })
        .collect()
}

pub fn check_as(format: &str, item: Value, expected: &[&str]) -> Conversation<'static> {
    let text = item.to_string();
    let mut read = read_as(format, &text);
    assert_eq!(read.len(), 1, "{text}");
    let conversation = read.remove(0);
    assert_eq!(paths(&conversation), Vec::<&str>::new(), "{text}");
    assert_eq!(told(&conversation), expected, "{text}");
    conversation
}

#[test]
fn columns_of_questions_and_answers_are_messages() {
    let is = |item: Value, expected: &[&str]| drop(check_as("question-answer", item, expected));
    // InternScience/GraphGen#43
    is(
        json!({"instruction": "Count", "input": "a b", "output": "2"}),
        &["user Count\na b", "assistant 2"],
    );
    is(
        json!({"instruction": "Greet", "input": "", "output": "Hi"}),
        &["user Greet", "assistant Hi"],
    );
    is(json!({"instruction": "", "input": "Who?", "output": "I"}), &["user Who?", "assistant I"]);
    is(
        json!({"instruction": "q2", "output": "a2", "system": "S", "history": [["q1", "a1"]]}),
        &["system S", "user q1", "assistant a1", "user q2", "assistant a2"],
    );
    is(
        json!({"query": "q2", "response": "a2", "history": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
        &["user q", "assistant a", "user q2", "assistant a2"],
    );
    is(json!({"question": "1+1?", "answer": "2", "id": 7}), &["user 1+1?", "assistant 2"]);
    is(json!({"Question": "1+1?", "ANSWER": "2"}), &["user 1+1?", "assistant 2"]);
    // Guanaco's rows, and those that a template has already made into a text.
    is(
        json!({"text": "### Human: q### Assistant: a### Human: r### Assistant: b"}),
        &["user q", "assistant a", "user r", "assistant b"],
    );
    is(
        json!({"text": "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"}),
        &["system S", "user q", "assistant a"],
    );
    for text in [
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\na<|eot_id|>",
        "<|begin_of_text|><|header_start|>system<|header_end|>\n\nS<|eot|><|header_start|>user<|header_end|>\n\nq<|eot|><|header_start|>assistant<|header_end|>\n\na<|eot|>",
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nq [/INST] a </s>",
        "<|system|>\nS<|end|>\n<|user|>\nq<|end|>\n<|assistant|>\na<|end|>\n<|endoftext|>",
        "<|system|>\nS</s>\n<|user|>\nq</s>\n<|assistant|>\na</s>",
        "<｜begin▁of▁sentence｜>S<｜User｜>q<｜Assistant｜>a<｜end▁of▁sentence｜>",
    ] {
        is(json!({"text": text}), &["system S", "user q", "assistant a"]);
    }
    is(
        json!({"text": "<bos><start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\na<end_of_turn>\n"}),
        &["user q", "assistant a"],
    );
    is(
        json!({"text": "<s>[INST] q [/INST] a</s><s>[INST] r [/INST] b</s>"}),
        &["user q", "assistant a", "user r", "assistant b"],
    );
    // A prompt that a template made, and its answer.
    is(json!({"prompt": "<s>[INST] q [/INST]", "completion": "a"}), &["user q", "assistant a"]);
    is(
        json!({"text": "Below is an instruction that describes a task.\n\n### Instruction:\nq\n\n### Response:\na</s>"}),
        &["system Below is an instruction that describes a task.", "user q", "assistant a"],
    );
    // Marks around calls, and words about marks.
    for text in [
        "<s>[INST] q [/INST] [TOOL_CALLS] [{\"name\": \"f\"}]</s>",
        "<|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<|python_tag|>f()<|eom_id|>",
        "<|user|>q<|observation|>r<|assistant|>a",
        "A text that mentions <|user|> and <|assistant|>.",
        "Write [INST] before a question.",
    ] {
        let item = json!({"text": text}).to_string();
        assert!(recognise(&Sniff::of(&item)).is_none(), "{text}");
    }
    is(
        json!({"conversation": [{"query": "q", "answer": "a", "sources": [{"url": "u"}], "stars": null}]}),
        &["user q", "assistant a"],
    );
    // Names of FLAN, Firefly, Vertex AI, AI Studio, MaxKB, LangChain.
    is(json!({"inputs": "q", "targets": "a"}), &["user q", "assistant a"]);
    is(json!({"kind": "NLI", "input": "q", "target": "a"}), &["user q", "assistant a"]);
    is(json!({"input_text": "q", "output_text": "a"}), &["user q", "assistant a"]);
    is(json!({"text_input": "q", "output": "a"}), &["user q", "assistant a"]);
    is(json!({"problem_text": "q", "answer_text": "a"}), &["user q", "assistant a"]);
    is(
        json!({"input": "r", "chat_history": [["q", "a"]], "output": "b"}),
        &["user q", "assistant a", "user r", "assistant b"],
    );
    is(json!({"问题": "几?", "答案": "二"}), &["user 几?", "assistant 二"]);
    is(
        json!({"instruction": "Sum up", "context": "Long.", "response": "Short.", "category": "summarization"}),
        &["user Sum up\nLong.", "assistant Short."],
    );
    is(
        json!({"Question": "q", "Complex_CoT": "h", "Response": "a"}),
        &["user q", "assistant (h) a"],
    );
    is(json!({"problem": "p", "solution": "so 4", "answer": "4"}), &["user p", "assistant so 4"]);
    is(
        json!({"system_prompt": "S", "user_input": "q", "model_output": "a"}),
        &["system S", "user q", "assistant a"],
    );
    // ms-swift and UltraChat keep all of a conversation in one column.
    is(
        json!({"system": "S", "conversation": [{"human": "q", "assistant": "a"}, {"human": "r", "assistant": "b"}]}),
        &["system S", "user q", "assistant a", "user r", "assistant b"],
    );
    is(
        json!({"conversation": [{"system": "S", "input": "q", "output": "a"}, {"input": "r", "output": "b"}]}),
        &["system S", "user q", "assistant a", "user r", "assistant b"],
    );
    is(
        json!({"id": "1", "data": ["q", "a", "r", "b"]}),
        &["user q", "assistant a", "user r", "assistant b"],
    );
    // A part is missing.
    is(json!({"instruction": "Only", "input": "asked"}), &["user Only\nasked"]);
    is(json!({"question": "q", "id": 1}), &["user q"]);
    is(json!({"response": "only said"}), &["assistant only said"]);
}

#[test]
fn what_rows_say_beside_is_kept_or_not_understood() {
    let row = json!({"question": "q", "answer": "a", "source": "s", "truth": 1});
    let conversation = check_as("question-answer", row, &["user q", "assistant a"]);
    assert_eq!(conversation.metadata.get("truth").unwrap().as_str(), "1");
    // Two answers that say different things.
    let row = json!({"prompt": "q", "completion": "yes", "response": "no"}).to_string();
    let conversation = &read_as("question-answer", &row)[0];
    assert_eq!(paths(conversation), ["completion"]);
    let row = json!({"prompt": "q", "completion": "a", "label": false});
    let conversation = check_as("question-answer", row, &["user q", "assistant a"]);
    let shaped = shape_conversation(&conversation, "openai", Default::default());
    assert_eq!(shaped.findings(), "left-out:not-to-learn");
    for other in [
        json!({"text": "a corpus"}),
        json!({"input_ids": [1], "labels": [1]}),
        json!({"question": "q", "choices": ["x", "y"], "answer": 1}),
        json!({"prompt": "a picture of a cat", "model": "sd", "seed": 1, "url": "u"}),
        json!({"question_id": 1, "category": "c", "turns": ["q", "r"]}),
    ] {
        let text = other.to_string();
        assert!(recognise(&Sniff::of(&text)).is_none(), "{text}");
    }
}

#[test]
fn transcripts_are_messages() {
    let is = |item: Value, expected: &[&str]| drop(check_as("question-answer", item, expected));
    is(
        json!({"prompt": "Human: Stocks?\nAssistant:", "completion": "A market."}),
        &["user Stocks?", "assistant A market."],
    );
    is(
        json!({"prompt": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\nAssistant: is a word\n\nAssistant:", "completion": "b"}),
        &["user q", "assistant a", "user r\nAssistant: is a word", "assistant b"],
    );
    // Not one: nobody answers.
    is(
        json!({"prompt": "Human: a species", "completion": "yes"}),
        &["user Human: a species", "assistant yes"],
    );
}

#[test]
fn preference_data_of_any_shape_has_a_sibling_that_is_rejected() {
    let hh = |last: &str| format!("\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: {last}");
    let both = |row: Value, path: &[&str], rejected: &str| {
        let conversation = check_as("preference", row, path);
        let others = conversation.rounds.iter().flat_map(|round| &round.messages);
        let mut others = others.filter(|one| one.label == Some(Label::Rejected));
        assert_eq!(others.next().unwrap().words().decoded(), rejected);
        assert!(others.next().is_none());
    };
    both(
        json!({"chosen": hh("b"), "rejected": hh("no")}),
        &["user q", "assistant a", "user r", "assistant b"],
        "no",
    );
    both(
        json!({"system": "S", "question": "q", "chosen": "a", "rejected": "no"}),
        &["system S", "user q", "assistant a"],
        "no",
    );
    both(
        json!({"prompt": "q", "chosen": "a", "rejected": "no", "chosen_score": 5}),
        &["user q", "assistant a"],
        "no",
    );
    both(
        json!({"instruction": "do", "input": "it", "chosen": "a", "rejected": "no"}),
        &["user do\nit", "assistant a"],
        "no",
    );
    let list = |last: &str| json!([{"role": "user", "content": [{"type": "text", "value": "q"}]}, {"role": "assistant", "content": [{"type": "text", "value": last}]}]);
    both(
        json!({"chosen_messages": list("a"), "rejected_messages": list("no")}),
        &["user q", "assistant a"],
        "no",
    );
    both(
        json!({"prompt": "q", "response_a": "no", "response_b": "a", "winner": "model_b"}),
        &["user q", "assistant a"],
        "no",
    );
    // PKU-SafeRLHF counts from 0; HelpSteer3 says by a number how much better the second is.
    both(
        json!({"prompt": "q", "response_0": "no", "response_1": "a", "better_response_id": 1}),
        &["user q", "assistant a"],
        "no",
    );
    both(
        json!({"context": [{"role": "user", "content": "q"}], "response1": "a", "response2": "no", "overall_preference": -2}),
        &["user q", "assistant a"],
        "no",
    );
    both(
        json!({"question_id": "1", "model_a": "x", "model_b": "y", "conversation_a": list("a"), "conversation_b": list("no"), "winner": "model_a"}),
        &["user q", "assistant a"],
        "no",
    );
    // Which is better is not said, so neither is learnt.
    for row in [
        json!({"prompt": "q", "answer1": "a", "answer2": "b"}),
        json!({"prompt": "q", "response_a": "a", "response_b": "b", "winner": "tie"}),
    ] {
        let conversation = check_as("preference", row, &["user q"]);
        assert_eq!(conversation.rounds.len(), 3);
        let shaped = shape_conversation(&conversation, "openai", Default::default());
        assert_eq!(shaped.findings(), "left-out:no-answer");
    }
}

#[test]
fn a_prompt_of_messages_may_stand_alone_or_beside_text() {
    let is = |item: Value, expected: &[&str]| drop(check_as("prompt-completion", item, expected));
    let prompt = json!([{"role": "user", "content": "q"}]);
    is(
        json!({"prompt": prompt, "reward_model": {"style": "rule", "ground_truth": "4"}}),
        &["user q"],
    );
    is(json!({"prompt": prompt, "completion": "a"}), &["user q", "assistant a"]);
    is(
        json!({"prompt": "q", "completion": [{"role": "assistant", "content": "a"}]}),
        &["user q", "assistant a"],
    );
    is(json!({"prompt": prompt, "completion": null}), &["user q"]);
}

/// Joins rows as the engine does, and reads what comes of it.
pub fn joined(rows: &[Value], path: &str) -> Vec<Conversation<'static>> {
    let texts: Vec<_> = rows.iter().map(ToString::to_string).collect();
    let format = recognise(&Sniff::of(&texts[0])).unwrap();
    let mut fragments: Vec<Fragment<'_>> = Vec::new();
    for text in &texts {
        let before = fragments.len();
        format.fragments(text, Entry { path }, &mut fragments);
        assert_eq!(fragments.len(), before + 1, "{text}");
    }
    let mut keys: Vec<String> = Vec::new();
    fragments.iter().for_each(|one| {
        if !keys.contains(&one.key) {
            keys.push(one.key.clone());
        }
    });
    let item = |key: &String| {
        let mut own: Vec<_> = fragments.iter().filter(|one| one.key == *key).collect();
        own.sort_by_key(|one| one.order);
        let list: Vec<_> = own.iter().map(|one| &*one.text).collect();
        let list = format!("[{}]", list.join(","));
        let read = format.read(&list, &mut Notes::default()).unwrap();
        read.into_conversation().unwrap().into_owned()
    };
    keys.iter().map(item).collect()
}

#[test]
fn rows_of_a_message_each_are_joined() {
    let read = joined(
        &[
            json!({"role": "user", "content": "hi"}),
            json!({"role": "assistant", "content": "hello"}),
        ],
        "a/b.jsonl",
    );
    assert_eq!(read.len(), 1);
    assert_eq!(told(&read[0]), ["user hi", "assistant hello"]);
    let read = joined(
        &[
            json!({"id": 1, "session_id": "x", "sender": "human", "message": "q", "created_at": "2025-01-02 03:04:05"}),
            json!({"id": 2, "session_id": "y", "sender": "human", "message": "r", "created_at": "2025-01-02 03:04:06"}),
            json!({"id": 4, "session_id": "x", "sender": "ai", "message": "a", "created_at": "2025-01-02 03:04:08"}),
            json!({"id": 3, "session_id": "y", "sender": "ai", "message": "b", "created_at": "2025-01-02 03:04:07"}),
        ],
        "",
    );
    assert_eq!(
        read.iter().map(|one| one.id.decoded().into_owned()).collect::<Vec<_>>(),
        ["x", "y"]
    );
    assert_eq!(told(&read[0]), ["user q", "assistant a"]);
    assert_eq!(told(&read[1]), ["user r", "assistant b"]);
    assert!(paths(&read[0]).is_empty());
    let read = joined(
        &[
            json!({"conversation_id": 5, "turn": 2, "role": "assistant", "content": "a", "title": "T"}),
            json!({"conversation_id": 5, "turn": 1, "role": "user", "content": "q", "title": "T"}),
        ],
        "",
    );
    assert_eq!(told(&read[0]), ["user q", "assistant a"]);
    assert_eq!((&*read[0].id.decoded(), read[0].title.clone().unwrap()), ("5", "T".into()));
    // LangChain's tables, as n8n keeps them.
    let read = joined(
        &[
            json!({"id": 1, "session_id": "s", "message": {"type": "human", "content": "q", "additional_kwargs": {}}}),
            json!({"id": 2, "session_id": "s", "message": "{\"type\":\"ai\",\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"args\":{},\"id\":\"k\"}]}"}),
            json!({"id": 3, "session_id": "s", "message": {"type": "tool", "data": {"content": "r", "tool_call_id": "k"}}}),
        ],
        "",
    );
    assert_eq!(told(&read[0]), ["user q", "assistant  <f {}>", "tool k r"]);
    // And its documents in MongoDB.
    let stored = |id: &str, text: &str, kind: &str| {
        let message =
            json!({"type": kind, "data": {"type": kind, "content": text, "additional_kwargs": {}}});
        json!({"_id": {"$oid": id}, "SessionId": "s", "History": message.to_string()})
    };
    let read = joined(&[stored("5f", "q", "human"), stored("60", "a", "ai")], "");
    assert_eq!(
        (&*read[0].id.decoded(), told(&read[0])),
        ("s", vec!["user q".into(), "assistant a".into()])
    );
    assert!(paths(&read[0]).is_empty(), "{:?}", paths(&read[0]));
    // Sessions of OpenAI's Agents SDK, whose messages are items of the Responses API.
    let stored = |id: u64, item: Value| json!({"id": id, "session_id": "s", "message_data": item.to_string(), "created_at": "2025-01-01 00:00:00"});
    let read = joined(
        &[
            stored(1, json!({"role": "user", "content": "q"})),
            stored(
                2,
                json!({"type": "function_call", "call_id": "k", "name": "f", "arguments": "{}", "id": "fc", "status": "completed"}),
            ),
            stored(3, json!({"type": "function_call_output", "call_id": "k", "output": "r"})),
            stored(
                4,
                json!({"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": [{"type": "output_text", "text": "a", "annotations": []}]}),
            ),
        ],
        "",
    );
    assert_eq!(told(&read[0]), ["user q", "assistant <f {}>", "tool k r", "assistant a"]);
    assert!(paths(&read[0]).is_empty(), "{:?}", paths(&read[0]));
}

#[test]
fn flat_messages_of_oasst_are_a_tree() {
    let row = |id: &str, parent: Option<&str>, role: &str, rank: Option<u32>| {
        json!({"message_id": id, "parent_id": parent, "message_tree_id": "t", "role": role, "text": id, "rank": rank,
            "lang": "en", "deleted": false, "emojis": {"name": ["+1"], "count": [1]}})
    };
    let rows = [
        row("q", None, "prompter", None),
        row("second", Some("q"), "assistant", Some(1)),
        row("best", Some("q"), "assistant", Some(0)),
        row("r", Some("best"), "prompter", None),
    ];
    let read = joined(&rows, "");
    assert_eq!(told(&read[0]), ["user q", "assistant best", "user r"]);
    assert_eq!((read[0].rounds.len(), &*read[0].id.decoded()), (4, "t"));
    assert!(paths(&read[0]).is_empty());
    let orphan = [row("q", None, "prompter", None), row("a", Some("gone"), "assistant", None)];
    assert_eq!(paths(&joined(&orphan, "")[0]), ["parent_id"]);
}

#[test]
fn replies_of_oasst_that_were_deleted_or_failed_review_are_beside_the_path() {
    let row = |id: &str, parent: Option<&str>, role: &str, more: Value| {
        let mut row = json!({"message_id": id, "parent_id": parent, "message_tree_id": "t", "role": role, "text": id,
            "deleted": false, "review_result": true});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    for bad in [json!({"deleted": true, "rank": 0}), json!({"review_result": false, "rank": 0})] {
        let rows = json!([
            row("q", None, "prompter", json!({})),
            row("bad", Some("q"), "assistant", bad),
            row("good", Some("q"), "assistant", json!({"rank": 1}))
        ]);
        let format = FORMATS.iter().find(|format| format.name() == "oasst").unwrap();
        let text = rows.to_string();
        let item = format.read(&text, &mut Notes::default()).unwrap();
        let one = item.into_conversation().unwrap();
        let path: Vec<_> = one
            .active_path()
            .into_iter()
            .map(|at| one.rounds[at].messages[0].words().decoded().into_owned())
            .collect();
        assert_eq!(path, ["q", "good"]);
        let bad =
            one.rounds.iter().flat_map(|round| &round.messages).find(|one| one.words() == *"bad");
        assert_eq!(bad.unwrap().train, Some(false));
    }
}

#[test]
fn the_first_moment_of_go_is_no_date() {
    let with = |date: &str| {
        json!({"created_at": date, "messages": [{"role": "user", "content": "q"}]}).to_string()
    };
    let date = |text: &str| {
        let mut notes = Notes::default();
        let reader = recognise(&Sniff::of(text)).unwrap();
        let one = reader.read(text, &mut notes).unwrap().into_conversation().unwrap();
        (one.created_at.is_some(), notes.unread_times)
    };
    assert_eq!(date(&with("0001-01-01T00:00:00Z")), (false, 0));
    assert_eq!(date(&with("2026-01-01T00:00:00Z")), (true, 0));
    assert_eq!(date(&with("some day")), (false, 1));
}

#[test]
fn messages_of_autogen_are_understood() {
    let read = joined(
        &[
            json!({"type": "TextMessage", "source": "user", "content": "Rain?", "models_usage": null}),
            json!({"type": "ThoughtEvent", "source": "weather", "content": "I ask."}),
            json!({"type": "ToolCallRequestEvent", "source": "weather", "content": [{"id": "k", "name": "rain", "arguments": "{\"in\":\"Oslo\"}"}]}),
            json!({"type": "ToolCallExecutionEvent", "source": "weather", "content": [{"content": "no", "name": "rain", "call_id": "k", "is_error": false}]}),
            json!({"type": "TextMessage", "source": "weather", "content": "No.", "models_usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
        ],
        "run.jsonl",
    );
    let expected =
        ["user Rain?", "assistant (I ask.) <rain {\"in\":\"Oslo\"}>", "tool k no", "assistant No."];
    assert_eq!(told(&read[0]), expected);
    assert!(paths(&read[0]).is_empty());
    check_as(
        "autogen",
        json!({"stop_reason": "done", "messages": [
            {"id": "1", "type": "MultiModalMessage", "source": "user", "content": ["What?", {"data": "aGk="}]},
            {"id": "2", "type": "MemoryQueryEvent", "source": "a", "content": []},
            {"id": "3", "type": "StopMessage", "source": "a", "content": "A cat."}]}),
        &["user What?", "assistant A cat."],
    );
    let odd = json!({"messages": [{"type": "TextMessage", "source": "user", "content": "q"}, {"type": "NewEvent", "source": "a", "content": "x"}]});
    assert_eq!(paths(&read_as("autogen", &odd.to_string())[0]), ["messages[1].type=NewEvent"]);
}

#[test]
fn tasks_of_label_studio_hold_conversations() {
    let task = json!({"id": 1, "data": {"dialogue": [{"author": "user", "text": "hi"}, {"author": "bot", "text": "hello"}]},
        "annotations": [{"id": 2, "result": [{"type": "choices", "value": {"choices": ["good"]}}]}]});
    check_as("label-studio", task, &["user hi", "assistant hello"]);
    let task = json!({"id": 1, "data": {"prompt": "q", "response": "a"}, "predictions": []});
    check_as("label-studio", task, &["user q", "assistant a"]);
    let task = json!({"id": 1, "data": {"prompt": "q", "answer1": "a", "answer2": "b"}, "annotations": []});
    check_as("label-studio", task, &["user q"]);
    let task = json!({"id": 1, "data": {"image": "x.png"}, "annotations": []}).to_string();
    assert!(recognise(&Sniff::of(&task)).is_none());
}

#[test]
fn items_are_found_in_columns_under_ids_in_lines_of_logs_and_in_texts() {
    let read = |item: Value| {
        let read = read_as("wrapped", &item.to_string());
        assert!(read.iter().all(|one| paths(one).is_empty()), "{item}");
        read.iter().map(told).collect::<Vec<_>>()
    };
    let chat = |q: &str| json!({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": "a"}]});
    let is = |q: &str| vec![format!("user {q}"), "assistant a".to_owned()];
    for item in [
        // `to_dict` of datasets, and pandas' `to_json` as it is and with `orient="split"`.
        json!({"instruction": ["q", "r"], "output": ["a", "a"]}),
        json!({"instruction": {"0": "q", "1": "r"}, "output": {"0": "a", "1": "a"}}),
        json!({"columns": ["instruction", "output"], "index": [0, 1], "data": [["q", "a"], ["r", "a"]]}),
        json!({"messages": [chat("q")["messages"], chat("r")["messages"]]}),
        json!({"one": chat("q"), "two": chat("r")}),
        json!({"one": chat("q")["messages"], "two": chat("r")["messages"]}),
        json!({"took": 1, "_shards": {"total": 1}, "hits": {"total": {"value": 2}, "hits": [{"_id": "1", "_source": chat("q")}, {"_id": "2", "_source": chat("r")}]}}),
        json!({"data": {"conversations": [chat("q"), chat("r")]}}),
    ] {
        assert_eq!(read(item), [is("q"), is("r")]);
    }
    for item in [
        json!(chat("q").to_string()),
        json!({"_index": "i", "_id": "1", "_source": chat("q")}),
        json!({"timestamp": 1_700_000_000_000_u64, "message": chat("q").to_string(), "ingestionTime": 1}),
        json!({"log": format!("{}\n", chat("q")), "stream": "stdout", "time": "2024-01-01T00:00:00Z"}),
    ] {
        assert_eq!(read(item), [is("q")]);
    }
    let named = read_as("wrapped", &json!({"one": chat("q")}).to_string());
    assert_eq!(named[0].id.decoded(), "one");
    let logged = json!({"level": "two words", "message": chat("q").to_string()}).to_string();
    assert!(read_as("wrapped", &logged)[0].metadata.get("level").is_some());
    // A cell that the datasets server cut off.
    let cut = json!({"rows": [{"row": chat("q"), "truncated_cells": ["messages"]}]}).to_string();
    assert_eq!(paths(&read_as("wrapped", &cut)[0]), ["rows[0].truncated_cells"]);
    for other in [
        json!({"one": chat("q"), "two": {"steps": ["x"]}}),
        json!({"instruction": ["q"], "output": ["a", "b"]}),
        json!({"message": "two words", "level": "info"}),
        json!({"columns": ["a"], "data": [["q"]]}),
        json!("two words"),
    ] {
        assert!(recognise(&Sniff::of(&other.to_string())).is_none(), "{other}");
    }
}

#[test]
fn lists_in_objects_are_read_element_by_element() {
    let read = |item: Value| {
        let read = read_as("wrapped", &item.to_string());
        assert!(read.iter().all(|one| paths(one).is_empty()), "{item}");
        read.iter().map(told).collect::<Vec<_>>()
    };
    let chat = |q: &str| json!({"id": q, "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": "a"}]});
    let is = |q: &str| vec![format!("user {q}"), "assistant a".to_owned()];
    assert_eq!(read(json!({"data": [chat("q"), chat("r")], "total": 2})), [is("q"), is("r")]);
    assert_eq!(
        read(
            json!({"rows": [{"row_idx": 0, "row": {"instruction": "q", "output": "a"}}], "features": [{"name": "instruction"}]})
        ),
        [is("q")]
    );
    assert_eq!(
        read(json!({"version": "1.0", "train": [chat("q")], "test": [chat("r")]})),
        [is("q"), is("r")]
    );
    assert_eq!(read(json!({"conversations": [chat("q")]})), [is("q")]);
    let rows = json!({"data": [{"session_id": 1, "role": "user", "content": "q"}, {"session_id": 1, "role": "assistant", "content": "a"}]});
    assert_eq!(read(rows), [is("q")]);
    // What is beside the list and says something is not lost.
    let odd = json!({"data": [chat("q")], "notes": "two words"}).to_string();
    assert_eq!(paths(&read_as("wrapped", &odd)[0]), ["notes"]);
    let odd = json!({"data": [chat("q"), {"what": "is this"}]}).to_string();
    assert_eq!(paths(&read_as("wrapped", &odd)[0]), ["data[1]"]);
    for other in [json!({"data": [1, 2]}), json!({"data": [chat("q")], "plan": {"steps": ["x"]}})] {
        assert!(recognise(&Sniff::of(&other.to_string())).is_none(), "{other}");
    }
    let line =
        shape_item(&read_as("wrapped", &odd)[0].clone().into(), "retort", Default::default());
    assert_eq!(line.rows[0]["source"], "openai");
}

/// The answers to the last question in the order of their rounds, each with its label.
fn labelled(conversation: &Conversation<'_>) -> Vec<(String, Option<Label>)> {
    let answers = conversation.messages().filter(|one| one.role == Role::Assistant);
    answers.map(|one| (one.words().decoded().into_owned(), one.label)).collect()
}

#[test]
fn the_best_of_ranked_answers_is_the_answer() {
    let answers = json!([
        {"answer": "second", "model": "m", "rank": 2.0}, {"answer": "first", "model": "n", "rank": 1.0},
        {"answer": "third", "model": "o", "rank": 3.0}
    ]);
    let nectar = json!({"prompt": "\n\nHuman: q\n\nAssistant: ", "answers": answers, "turns": 1, "num_responses": 3,
        "source": ["sharegpt"], "good_natured": true});
    let read = check_as("ranked", nectar, &["user q", "assistant first"]);
    let (good, bad) = (Some(Label::Preferred), Some(Label::Rejected));
    let expected = [("first".into(), good), ("second".into(), bad), ("third".into(), bad)];
    assert_eq!(labelled(&read), expected);
    let models: Vec<_> = read.messages().filter_map(|one| one.metadata.get("model")).collect();
    assert_eq!(
        models.iter().map(|raw| raw.as_str()).collect::<Vec<_>>(),
        ["\"n\"", "\"m\"", "\"o\""]
    );
    let rows = shape_conversation(&read, "preference", Default::default()).rows;
    let pairs: Vec<_> = rows.iter().map(|row| row["rejected"][0]["content"].clone()).collect();
    assert_eq!(
        (pairs, &rows[0]["chosen"][0]["content"]),
        (vec![json!("second"), json!("third")], &json!("first"))
    );

    let completion = |text: &str, score: Value| {
        json!({"response": text, "overall_score": score, "critique": format!("{text} it is"), "model": "m",
            "annotations": {"honesty": {"Rating": "4", "Rationale": "It is so"}}, "principle": "honesty",
            "custom_system_prompt": "Be honest."})
    };
    let feedback = json!({"source": "evol", "instruction": "q", "models": ["m"], "correct_answers": ["None"],
        "completions": [completion("low", json!("2.5")), completion("best", json!(8)), completion("also", json!(8.0))]});
    let read = check_as("ranked", feedback, &["user q", "assistant best"]);
    assert_eq!(
        labelled(&read),
        [("best".into(), good), ("also".into(), good), ("low".into(), bad)]
    );
    let told = read.messages().nth(1).unwrap().feedback.as_ref().unwrap();
    assert_eq!(told.comment.as_ref().unwrap().decoded(), "best it is");
    assert_eq!(told.rating.as_ref().unwrap().as_str(), "8");
    let rows = shape_conversation(&read, "preference", Default::default()).rows;
    assert_eq!((rows.len(), &rows[0]["rejected"][0]["content"]), (1, &json!("low")));

    let exchange = json!({"qid": 1, "question": "q", "answers": [{"answer_id": 2, "author": "x", "author_id": 3,
        "pm_score": 4, "selected": true, "text": "a"}, {"answer_id": 4, "pm_score": 1, "selected": false, "text": "b"}]});
    check_as("ranked", exchange, &["user q", "assistant a"]);
}

#[test]
fn answers_without_a_best_one_are_not_trained_on() {
    let scored = |scores: &[Value]| {
        let answers: Vec<_> = (scores.iter().enumerate())
            .map(|(at, score)| json!({"text": format!("a{at}"), "score": score}))
            .collect();
        json!({"question": "q", "answers": answers})
    };
    for scores in [[json!(1), json!(1)], [json!(1), Value::Null], [json!(1), json!("good")]] {
        let item = scored(&scores);
        let read = check_as("ranked", item.clone(), &["user q"]);
        assert_eq!(labelled(&read), [("a0".into(), None), ("a1".into(), None)], "{item}");
        let shaped = shape_conversation(&read, "openai", Default::default());
        assert_eq!(shaped.rows, Vec::<Value>::new(), "{item}");
    }
    // What is no answer is not understood; an answer without a score leaves all undecided.
    let text = json!({"question": "q", "answers": [{"text": "a", "score": 1}, {"score": 2, "image": "a cat"}]});
    let read = read_as("ranked", &text.to_string()).remove(0);
    assert_eq!(paths(&read), ["answers[1]"]);
    for other in [
        json!({"question": "q", "answers": {"text": ["a"], "answer_start": [1]}}),
        json!({"question": "q", "answers": [{"text": "a", "answer_start": 1}]}),
    ] {
        let text = other.to_string();
        let found = recognise(&Sniff::of(&text)).map(ImportFormat::name);
        assert!(found != Some("ranked"), "{other}");
    }
}

#[test]
fn two_answers_are_compared_by_what_their_row_says() {
    let first = [("a".into(), Some(Label::Preferred)), ("b".into(), Some(Label::Rejected))];
    let second = [("b".into(), Some(Label::Preferred)), ("a".into(), Some(Label::Rejected))];
    let shp = |labels: u8| json!({"post_id": "p", "domain": "d", "history": "q", "human_ref_A": "a", "human_ref_B": "b", "labels": labels, "score_A": 1});
    let arena = |one: u8, other: u8, tie: u8| {
        json!({"id": 1, "model_a": "m", "model_b": "n", "prompt": "[\"q\"]", "response_a": "[\"a\"]", "response_b": "[\"b\"]",
            "winner_model_a": one, "winner_model_b": other, "winner_tie": tie})
    };
    for (item, expected) in [
        (shp(1), &first),
        (shp(0), &second),
        (json!({"qid": 1, "question": "q", "response_j": "a", "response_k": "b"}), &first),
        (arena(1, 0, 0), &first),
        (arena(0, 1, 0), &second),
        (
            json!({"prompt": "q", "response_1": "a", "response_2": "b", "preference_strength": -2}),
            &first,
        ),
        (
            json!({"prompt": "q", "response_1": "a", "response_2": "b", "preference_strength": 1}),
            &second,
        ),
    ] {
        let best = format!("assistant {}", expected[0].0);
        let read = check_as("preference", item.clone(), &["user q", &best]);
        assert_eq!(labelled(&read), *expected, "{item}");
    }
    let tie = check_as("preference", arena(0, 0, 1), &["user q"]);
    assert_eq!(labelled(&tie), [("a".into(), None), ("b".into(), None)]);
    // Two questions, of which the second follows another answer in each.
    let long = json!({"prompt": ["q", "r"], "response_a": ["a", "c"], "response_b": ["b", "d"], "winner_model_a": 1, "winner_model_b": 0});
    check_as("preference", long, &["user q", "assistant a", "user r", "assistant c"]);
}

#[test]
fn values_that_name_their_types_are_read_as_json() {
    let expected = &["user q", "assistant a"];
    let dynamo = json!({"role": {"S": "assistant"}, "content": {"S": "a"}, "n": {"N": "3"}, "ok": {"BOOL": true}, "x": {"NULL": true},
        "e": {"M": {}}, "l": {"L": []}});
    let dynamo = json!({"id": {"S": "x"}, "messages": {"L": [{"M": {"role": {"S": "user"}, "content": {"S": "q"}}}, {"M": dynamo}]}});
    let history = json!({"SessionId": {"S": "x"}, "History": {"L": [
        {"M": {"type": {"S": "human"}, "data": {"M": {"content": {"S": "q"}, "type": {"S": "human"}}}}},
        {"M": {"type": {"S": "ai"}, "data": {"M": {"content": {"S": "a"}, "type": {"S": "ai"}}}}}]}});
    let said = |role: &str, text: &str| json!({"mapValue": {"fields": {"role": {"stringValue": role}, "content": {"stringValue": text}}}});
    let fields = json!({"messages": {"arrayValue": {"values": [said("user", "q"), said("assistant", "a")]}}, "empty": {"arrayValue": {}}});
    let firestore = json!({"name": "projects/p/databases/(default)/documents/chats/x", "fields": fields, "createTime": "2024-01-02T03:04:05Z"});
    for item in [
        json!({"Item": dynamo}),
        json!({"Items": [dynamo], "Count": 1, "ScannedCount": 1}),
        json!({"Keys": {"id": {"S": "x"}}, "NewImage": dynamo}),
        json!({"Item": history}),
        firestore.clone(),
        json!({"documents": [firestore]}),
        json!({"document": firestore, "readTime": "2024-01-02T03:04:05Z"}),
    ] {
        let read = check_as("wrapped", item.clone(), expected);
        assert_eq!(read.id.decoded(), "x", "{item}");
    }
    // A value of a type that is not known is not guessed.
    let odd = json!({"Item": {"messages": {"L": [{"Q": "q"}]}}}).to_string();
    assert!(recognise(&Sniff::of(&odd)).is_none());
}

#[test]
fn an_item_may_be_the_text_of_another() {
    let inner = json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]});
    check_as("wrapped", json!(inner.to_string()), &["user q", "assistant a"]);
}

#[test]
fn rows_of_well_known_sets_are_understood() {
    // Llama-Nemotron's post-training rows: `reasoning` is how the model was asked.
    let asked = json!([{"role": "user", "content": "q"}]);
    for (reasoning, output, expected) in
        [("on", "<think>h</think>a", "assistant <think>h</think>a"), ("off", "a", "assistant a")]
    {
        let row = json!({"input": asked, "output": output, "category": "math", "license": "l", "reasoning": reasoning,
            "generator": "g", "used_in_training": "yes", "version": "v1", "system_prompt": "S"});
        check_as("question-answer", row, &["system S", "user q", expected]);
    }
    // HelpSteer3: an answer that was edited, and edits that follow the feedback or do not.
    let context = json!([{"role": "user", "content": "q"}]);
    let row = json!({"domain": "general", "language": "english", "context": context, "original_response": "b",
        "edited_response": "a", "feedback": ["too short"], "change_summary": "longer"});
    let edited = check_as("preference", row, &["user q", "assistant a"]);
    assert_eq!(
        labelled(&edited),
        [("a".into(), Some(Label::Preferred)), ("b".into(), Some(Label::Rejected))]
    );
    let row = json!({"domain": "general", "language": "english", "context": context, "original_response": "c",
        "good_edited_response": "a", "bad_edited_response": "b", "feedback": ["too short"]});
    check_as("preference", row, &["user q", "assistant a"]);
    // Vertex AI's preference tuning.
    let answer = |score: f64, text: &str| json!({"score": score, "completion": {"role": "model", "parts": [{"text": text}]}});
    let row = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}], "completions": [answer(0.0, "b"), answer(1.0, "a")]});
    let ranked = check_as("ranked", row, &["user q", "assistant a"]);
    assert_eq!(
        labelled(&ranked),
        [("a".into(), Some(Label::Preferred)), ("b".into(), Some(Label::Rejected))]
    );
    // An object around a table is no conversation of its rows.
    let table =
        json!({"data": [{"prompt": "q", "completion": "a"}, {"prompt": "r", "completion": "b"}]})
            .to_string();
    assert!(
        !FORMATS
            .iter()
            .any(|one| one.name() == "question-answer" && one.recognises(&Sniff::of(&table)))
    );
    // FineVision.
    let row = json!({"images": [], "texts": [{"user": "q", "assistant": "a"}, {"user": "r", "assistant": "b"}], "source": "s",
        "relevance_ratings": [4, 5], "relevance_min": 4});
    check_as("question-answer", row, &["user q", "assistant a", "user r", "assistant b"]);
    // Nebius' trajectories of SWE-agent.
    let step = |role: &str, system: &str, text: &str| json!({"cutoff_date": "", "mask": role == "ai", "role": role, "system_prompt": system, "text": text});
    let row = json!({"instance_id": "i", "model_name": "m", "target": true, "exit_status": "submitted", "generated_patch": "p",
        "eval_logs": "l", "trajectory": [step("system", "S", ""), step("user", "", "q"), step("ai", "", "a")]});
    let read = check_as("swe-agent", row, &["system S", "user q", "assistant a"]);
    assert!(read.messages().all(|one| one.train.is_none()));
}
