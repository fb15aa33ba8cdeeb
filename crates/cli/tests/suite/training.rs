//! `docs/training.md`: every command of the page runs as it is printed, and writes a package that matches its receipt.

use serde_json::json;

use crate::support::*;

const PAGE: &str = include_str!("../../../../docs/training.md");

/// A place with the files that the page names.
fn place() -> Place {
    let place = Place::new();
    let call = json!([{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}}]);
    let chat = json!({"id": "c", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!", "weight": 0},
        {"role": "user", "content": "Rain in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": call},
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
        {"role": "assistant", "content": "No.", "reasoning_content": "The sun shines."},
    ]});
    let plain = json!({"id": "d", "messages": [
        {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]});
    place.file("chats.jsonl", lines([chat, plain]));
    let rated = json!({"id": "r", "messages": [{"role": "user", "content": "Capital of Peru?"}],
        "chosen": {"role": "assistant", "content": "Lima."}, "rejected": {"role": "assistant", "content": "Quito."}});
    place.file("rated.jsonl", lines([rated]));
    place.file(
        "model/chat_template.jinja",
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
    );
    place
}

#[test]
fn the_commands_of_the_page_run_as_they_are_printed() {
    let blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(commands.len() > 10, "{commands:?}");
    // Each section begins anew, as outputs have the same names.
    for section in PAGE.split("\n## ") {
        let place = place();
        for command in commands.iter().filter(|command| section.contains(**command)) {
            let words: Vec<&str> = command.split_whitespace().collect();
            assert_eq!(words[0], "retort", "{command}");
            place.ok(&words[1..]);
            if let Some(at) = words.iter().position(|word| *word == "-o") {
                place.ok(&["verify", words[at + 1]]);
            }
        }
    }
}
