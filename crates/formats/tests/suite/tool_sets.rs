//! Function-calling sets: xLAM, Glaive, MOSS, and the Berkeley Function-Calling Leaderboard.

use retort_model::Conversation;
use retort_testing::real_data;
use serde_json::{Value, json};

use crate::support::{read_files, told};

/// What a file holds, which is all of that format, with the paths that are not understood.
fn read(format: &str, files: &[(&str, &str)]) -> Vec<Conversation<'static>> {
    let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let read = read_files(&files);
    assert!(read.formats.iter().all(|one| *one == Some(format)), "{:?}", read.formats);
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    read.conversations
}

fn unplaced(conversation: &Conversation<'_>) -> Vec<String> {
    conversation.not_understood.iter().map(|one| one.path.to_string()).collect()
}

#[test]
fn answers_of_xlam_are_calls_whether_they_are_text_or_lists() {
    let tools = json!([{"name": "w", "description": "d", "parameters": {"city": {"type": "str", "description": "c",
        "default": ""}}}]);
    let answers = json!([{"name": "w", "arguments": {"city": "Rome"}}, {"name": "w", "arguments": {"city": "Oslo"}}]);
    let rows = json!([
        {"id": 0, "query": "Weather?", "tools": tools.to_string(), "answers": answers.to_string()},
        {"id": 1, "query": "Weather?", "tools": tools, "answers": answers},
        {"id": 2, "query": "A poem?", "tools": tools, "answers": "[]"}
    ]);
    let all = read("xlam", &[("x.json", &rows.to_string())]);
    let calls = "user=Weather? assistant=!:w:{\"city\":\"Rome\"}!:w:{\"city\":\"Oslo\"}";
    assert_eq!(
        all.iter().flat_map(|one| told(&one.rounds)).collect::<Vec<_>>(),
        [calls, calls, "user=A poem?"]
    );
    for one in &all {
        assert_eq!((one.rounds[0].tools.len(), unplaced(one)), (1, vec![]));
    }
    assert_eq!(all[1].id.decoded(), "1");
    let odd = json!({"query": "q", "tools": [], "answers": [{"name": "w", "zz": "do it now"}]});
    assert_eq!(unplaced(&read("xlam", &[("x.jsonl", &odd.to_string())])[0]), ["answers[0].zz"]);
}

const CHAT: &str = "USER: What is it in euros?\n\n\nASSISTANT: I look. <functioncall> {\"name\": \"rate\", \"arguments\": \
    '{\"from\": \"USD\", \"to\": \"EUR\"}'} <|endoftext|>\n\n\nFUNCTION RESPONSE: {\"rate\": 0.9}\n\n\nASSISTANT: It is \
    0.9.\nMore: none. <|endoftext|>\n\n\nUSER: Thanks\n\n\nASSISTANT: Bye <|endoftext|>\n";

#[test]
fn glaive_has_calls_results_and_tools_in_its_texts() {
    let system = "SYSTEM: You may use functions. Use them if required -\n{\n \"name\": \"rate\",\n \"parameters\": {}\n}\n\n{\"name\": \"b\"}\n";
    let row = json!({"system": system, "chat": CHAT});
    let one = &read("glaive", &[("x.jsonl", &row.to_string())])[0];
    assert_eq!(
        told(&one.rounds),
        [
            "system=You may use functions. Use them if required - user=What is it in euros? assistant=I look.!:rate:{\"from\": \
             \"USD\", \"to\": \"EUR\"} tool={\"rate\": 0.9} assistant=It is 0.9.\nMore: none.",
            "user=Thanks assistant=Bye"
        ]
    );
    assert_eq!((one.rounds[0].tools.len(), unplaced(one)), (2, vec![]));
}

#[test]
fn the_first_version_of_glaive_has_all_in_one_text() {
    let row =
        json!({"sample": format!("SYSTEM: You help with {{braces}} and no functions.\n{CHAT}")});
    let one = &read("glaive", &[("x.jsonl", &row.to_string())])[0];
    assert!(
        told(&one.rounds)[0]
            .starts_with("system=You help with {braces} and no functions. user=What")
    );
    assert!(one.rounds[0].tools.is_empty());
}

#[test]
fn a_call_of_glaive_that_cannot_be_read_is_not_understood() {
    let chat = "USER: q\n\n\nASSISTANT: <functioncall> rate(USD) <|endoftext|>";
    let row = json!({"system": "", "chat": chat});
    let one = &read("glaive", &[("x.jsonl", &row.to_string())])[0];
    assert_eq!(unplaced(one), ["chat.functioncall"]);
}

#[test]
fn questions_of_bfcl_have_the_calls_that_count_as_right() {
    let question = json!({"id": "parallel_0", "question": [[{"role": "user", "content": "Play both"}],
        [{"role": "user", "content": "Now stop"}]], "function": [{"name": "play", "description": "d",
        "parameters": {"type": "dict", "properties": {}}}]});
    let truth = json!({"id": "parallel_0", "ground_truth": [{"play": {"artist": ["A"]}}]});
    let (question, truth) = (question.to_string(), truth.to_string());
    let files =
        [("BFCL_v4_parallel.json", &*question), ("possible_answer/BFCL_v4_parallel.json", &*truth)];
    for files in [files, [files[1], files[0]]] {
        let all = read("bfcl", &files);
        assert_eq!(
            (all.len(), told(&all[0].rounds)),
            (1, vec!["user=Play both user=Now stop".to_owned()])
        );
        assert_eq!(
            all[0].metadata.get("ground_truth").unwrap().as_str(),
            "[{\"play\":{\"artist\":[\"A\"]}}]"
        );
        assert_eq!((all[0].rounds[0].tools.len(), unplaced(&all[0])), (1, vec![]));
    }
}

#[test]
fn an_answer_of_bfcl_alone_is_refused() {
    let truth = json!({"id": "x", "ground_truth": [["cd(folder='a')"]]}).to_string();
    let read = read_files(&[("a.json", truth.as_bytes())]);
    assert!(read.refused[0].contains("give the file of the questions"), "{:?}", read.refused);
}

fn question(id: &str, turns: Value) -> String {
    let tool = json!({"name": "rain", "description": "d", "parameters": {"type": "dict", "properties": {}}});
    json!({"id": id, "question": turns, "function": [tool]}).to_string()
}

/// One answer for each of two models, of which one could only write text, and one that failed.
#[test]
fn answers_of_models_to_questions_of_bfcl_are_conversations() {
    let question = question("parallel_0", json!([[{"role": "user", "content": "Rain in both?"}]]));
    let truth =
        json!({"id": "parallel_0", "ground_truth": [{"rain": {"in": ["Oslo"]}}]}).to_string();
    let called = json!({"id": "parallel_0", "result": [{"rain": "{\"in\": \"Oslo\"}"}, {"rain": "{\"in\": \"Rome\"}"}],
        "reasoning_content": "Two.", "input_token_count": 390, "output_token_count": 16, "latency": 4.7});
    let wrote = json!({"id": "parallel_0", "result": "[rain(in='Oslo')]", "latency": 1.0});
    let failed = json!({"id": "parallel_0", "result": "Error during inference: 429", "traceback": "Traceback"});
    let results = [called, wrote, failed].map(|result| result.to_string());
    let all = read(
        "bfcl",
        &[
            ("BFCL_v4_parallel.json", &question),
            ("possible_answer/BFCL_v4_parallel.json", &truth),
            ("result/a-FC/non_live/BFCL_v4_parallel_result.json", &results[0]),
            ("result/b/non_live/BFCL_v4_parallel_result.json", &results[1]),
            ("c/BFCL_v4_parallel_result.json", &results[2]),
        ],
    );
    let about = |one: &Conversation<'_>| {
        let model = one.model.as_ref().unwrap().decoded().into_owned();
        format!("{} {model} {}", one.id.decoded(), told(&one.rounds).join(" | "))
    };
    assert_eq!(
        all.iter().map(about).collect::<Vec<_>>(),
        [
            "a-FC/parallel_0 a-FC user=Rain in both? assistant=<Two.>!:rain:{\"in\": \"Oslo\"}!:rain:{\"in\": \"Rome\"}",
            "b/parallel_0 b user=Rain in both? assistant=[rain(in='Oslo')]",
            "c/parallel_0 c user=Rain in both? assistant=~Error during inference: 429",
        ]
    );
    for one in &all {
        assert_eq!((one.rounds[0].tools.len(), unplaced(one)), (1, vec![]));
        assert!(one.metadata.get("ground_truth").is_some());
    }
    assert_eq!(all[0].rounds[0].usage.input_tokens, Some(390));
}

/// The log of several turns has all that was said; what it notes beside that is kept.
#[test]
fn the_log_of_several_turns_of_bfcl_needs_no_questions() {
    let log = json!([
        [{"role": "state_info", "class_name": "Weather", "content": {"rain": "none"}}],
        {"begin_of_turn_query": [{"role": "user", "content": "Rain?"}],
            "step_0": [{"role": "assistant", "content": [{"rain": "{}"}], "reasoning_content": "Ask."},
                {"role": "handler_log", "content": "Successfully decoded model response."},
                {"role": "tool", "content": "{\"mm\": 0}"}],
            "step_1": [{"role": "assistant", "content": "No."}]},
        {"begin_of_turn_query": [{"role": "user", "content": "Sure?"}], "step_0": [{"role": "assistant", "content": "Yes."}]},
    ]);
    let result = json!({"id": "multi_turn_base_0", "result": [[[{"rain": "{}"}], "No."], ["Yes."]],
        "input_token_count": [[1, 2], [3]], "inference_log": log});
    let all =
        read("bfcl", &[("multi_turn/BFCL_v4_multi_turn_base_result.json", &result.to_string())]);
    assert_eq!(
        told(&all[0].rounds),
        [
            "user=Rain? assistant=<Ask.>!:rain:{} tool={\"mm\": 0} assistant=No.",
            "user=Sure? assistant=Yes.",
        ]
    );
    assert_eq!((all[0].id.decoded(), unplaced(&all[0])), ("multi_turn_base_0".into(), vec![]));
    let rest = all[0].metadata.get("inference_log").unwrap().as_str();
    assert!(
        rest.contains("state_info") && rest.contains("handler_log") && !rest.contains("Sure?"),
        "{rest}"
    );

    let alone = json!({"id": "x", "result": [{"rain": "{}"}], "latency": 1}).to_string();
    let refused = read_files(&[("r.json", alone.as_bytes())]).refused;
    assert!(refused[0].contains("a model's answer without its question"), "{refused:?}");
    let odd =
        json!({"id": "x", "result": [{"rain": "{}", "snow": "{}"}], "latency": 1}).to_string();
    let asked = question("x", json!([[{"role": "user", "content": "q"}]]));
    assert_eq!(unplaced(&read("bfcl", &[("q.json", &asked), ("r.json", &odd)])[0]), ["result"]);
    let other = json!({"id": "x", "result": "done", "state": "ok"}).to_string();
    assert_eq!(read_files(&[("r.json", other.as_bytes())]).formats, [None]);
}

#[test]
fn every_real_question_of_bfcl_is_read_with_its_answer() {
    let Some(data) = real_data() else { return };
    for name in ["multi_turn_base", "live_simple", "parallel"] {
        let file = |folder: &str| {
            std::fs::read_to_string(data.join(format!("bfcl/{folder}BFCL_v4_{name}.json")))
                .expect("a file")
        };
        let (questions, answers) = (file(""), file("possible_answer/"));
        let all = read("bfcl", &[("q.json", &questions), ("possible_answer/q.json", &answers)]);
        let asked: Vec<Value> =
            questions.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(all.len(), asked.len());
        for (one, asked) in all.iter().zip(&asked) {
            let turns = asked["question"].as_array().unwrap();
            let said: Vec<_> = turns.iter().flat_map(|turn| turn.as_array().unwrap()).collect();
            let read: Vec<_> =
                one.messages().map(|message| message.words().decoded().into_owned()).collect();
            assert_eq!(
                read,
                said.iter().map(|one| one["content"].as_str().unwrap()).collect::<Vec<_>>()
            );
            assert!(one.metadata.get("ground_truth").is_some());
            assert_eq!(unplaced(one), Vec::<String>::new(), "{}", one.id.decoded());
        }
    }
}

/// A turn of MOSS: what each text is, without its marks.
fn turn(human: &str, thoughts: &str, commands: &str, results: &str, answer: &str) -> Value {
    json!({
        "Human": format!("<|Human|>: {human}<eoh>\n"),
        "Inner Thoughts": format!("<|Inner Thoughts|>: {thoughts}<eot>\n"),
        "Commands": format!("<|Commands|>: {commands}<eoc>\n"),
        "Tool Responses": format!("<|Results|>: {results}<eor>\n"),
        "MOSS": format!("<|MOSS|>: {answer}<eom>\n"),
    })
}

#[test]
fn commands_of_moss_are_calls_and_its_marks_go() {
    let commands = "Search(\"rain, \"heavy\" in Oslo\"), Calculate(\"1+1\")";
    let results =
        "Search(\"rain, \"heavy\" in Oslo\") =>\n<|1|>: It rains.\nCalculate(\"1+1\") =>\n2";
    let row = json!({
        "conversation_id": 7, "meta_instruction": "You are MOSS.\n", "num_turns": 2,
        "chat": {
            "turn_1": turn("Rain?", "I search.", commands, results, "Yes.<sup><|1|></sup>"),
            "turn_2": turn("Thanks", "None", "None", "None", "Welcome."),
        },
    });
    let one = &read("moss", &[("x.jsonl", &row.to_string())])[0];
    assert_eq!(one.id.decoded(), "7");
    assert_eq!(
        told(&one.rounds),
        [
            "system=You are MOSS.\n user=Rain? assistant=<I search.>!turn_1.0:Search:{\"input\":\"rain, \\\"heavy\\\" in \
             Oslo\"}!turn_1.1:Calculate:{\"input\":\"1+1\"} tool=<|1|>: It rains.(turn_1.0) tool=2(turn_1.1) assistant=Yes.<sup><|1|></sup>",
            "user=Thanks assistant=Welcome."
        ]
    );
    assert_eq!(unplaced(one), [] as [&str; 0]);
}

#[test]
fn a_turn_of_moss_that_cannot_be_read_is_not_understood() {
    for odd in [
        turn("q", "None", "look around", "None", "a"),
        turn("q", "None", "Search(\"x\")", "None", "a"),
        turn("q", "None", "Search(\"x\")", "Other(\"x\") =>\n1", "a"),
        turn("q", "None", "None", "Search(\"x\") =>\n1", "a"),
        json!({"Human": "q", "MOSS": "a", "Image": "a cat on a mat"}),
    ] {
        let row = json!({"chat": {"turn_1": odd, "turn_2": turn("Thanks", "None", "None", "None", "Welcome.")}});
        let one = &read("moss", &[("x.jsonl", &row.to_string())])[0];
        assert_eq!(
            (told(&one.rounds), unplaced(one)),
            (vec!["user=Thanks assistant=Welcome.".into()], vec!["chat.turn_1".into()]),
            "{odd}"
        );
    }
}
