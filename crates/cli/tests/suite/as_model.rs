//! Records as the model sees them.

use serde_json::{Value, json};

use crate::support::keeping::Keep;
use crate::support::{Place, rows};

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}\
    {% for c in m.tool_calls %}{{ c.function.arguments|tojson }}{% endfor %}<end>\n{% endfor %}\
    {% if add_generation_prompt %}<assistant>{% endif %}";

/// A place with one conversation and a template.
fn place() -> Place {
    let place = Place::new();
    let conversation = json!({"messages": [
        {"role": "user", "content": "Rain in Oslo?"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "type": "function",
            "function": {"name": "weather", "arguments": "{\"city\": \"Ås\"}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "sun"},
        {"role": "assistant", "content": "No."},
    ]});
    place.file("in.jsonl", format!("{conversation}\n"));
    place.file("m/chat_template.jinja", TEMPLATE);
    place.file("m/tokenizer_config.json", r#"{"bos_token": {"content": "<s>"}}"#);
    place
}

#[test]
fn a_preview_shows_what_the_model_sees_and_learns() {
    let place = place();
    let shown = ["preview", "in.jsonl", "--as-model", "--template", "m"];
    for format in ["standard", "openai"] {
        let ran = place.ok(&[&shown[..], &["--to", format]].concat());
        let text = "  <s><user>Rain in Oslo?<end>\n  <assistant>⟦{\"city\": \"Ås\"}<end>\n  ⟧<tool>sun<end>\n  <assistant>⟦No.<end>\n  ⟧\n";
        assert!(ran.out.contains(text), "{format}: {}", ran.out);
        assert!(ran.out.contains("characters, trained on "), "{}", ran.out);
    }
    let record = |more: &[&str]| -> Value {
        rows(&place.ok(&[&shown[..], &["--to", "prompt-completion", "--lines"], more].concat()).out)
            .remove(0)
    };
    let in_characters = record(&[]);
    assert_eq!(in_characters["unit"], "characters");
    assert_eq!(in_characters["learnt_length"], "No.<end>\n".len());
    let in_tokens = record(&["--tokenizer", "o200k"]);
    assert_eq!(in_tokens["unit"], "tokens");
    assert_eq!(in_tokens["text"], in_characters["text"]);
    assert!(in_tokens["length"].as_u64() < in_characters["length"].as_u64());
}

#[test]
fn a_package_is_shown_as_the_model_sees_it_too() {
    let place = place();
    place.ok(&["convert", "in.jsonl", "-q", "--to", "openai", "-o", "o"]);
    let of_package = place.ok(&["preview", "o", "--as-model", "--template", "m", "--lines"]).out;
    let of_input = place
        .ok(&["preview", "in.jsonl", "--to", "openai", "--as-model", "--template", "m", "--lines"])
        .out;
    assert_eq!(of_package, of_input);
}

#[test]
fn what_a_template_raises_is_told_for_each_record_and_the_rest_is_shown() {
    let place = place();
    place.file("bad.jinja", "{{ raise_exception('tools are not supported') }}");
    let ran = place.ok(&["preview", "in.jsonl", "--as-model", "--template", "bad.jinja"]);
    assert!(
        ran.out.contains("not rendered: line 1 of the template: tools are not supported"),
        "{}",
        ran.out
    );
}

#[test]
fn templates_and_tokenizers_that_are_none_are_refused() {
    let place = place();
    place.file("broken.jinja", "{% if x %}");
    let shown = ["preview", "in.jsonl", "--as-model", "--template"];
    let refused = |more: &[&str], words: &str| place.refused(&[&shown[..], more].concat(), words);
    refused(&["broken.jinja"], "`broken.jinja`: line 1 of the template: unexpected end of input");
    refused(&["m#rag"], "no template `rag`; choose one of: default");
    refused(&["nowhere.jinja"], "cannot read `nowhere.jinja`");
    refused(&["m", "--tokenizer", "gpt2"], "no tokenizer `gpt2`");
    refused(&["m", "--tokenizer", "m/tokenizer_config.json"], "tokenizer: ");
    refused(&["m", "--to", "history"], "a chat template cannot render rows of `history`");
    place.refused(&["preview", "in.jsonl", "--as-model"], "--template");
}

#[test]
fn a_conversion_leaves_out_what_is_too_long_for_the_model() {
    fn convert<'a>(more: &[&'a str], output: &'a str) -> Vec<&'a str> {
        let shared = ["convert", "in.jsonl", "-q", "--to", "openai", "--template", "m", "-o"];
        [&shared[..], &[output], more].concat()
    }
    let place = place();
    place.ok(&convert(&["--tokenizer", "o200k", "--max-tokens", "1000"], "fits"));
    let refused = |more: &[&str], output, words: &str| place.refused(&convert(more, output), words);
    refused(&["--tokenizer", "o200k", "--max-tokens", "5"], "long", "longer than the limit");
    refused(&["--max-tokens", "5"], "without", "--tokenizer");
    refused(&["--over-long", "split"], "without", "`--over-long split` needs `--max-tokens`");
    let preview = ["preview", "in.jsonl", "--to", "openai", "--lines", "--max-characters"];
    assert_eq!(place.ok(&[&preview[..], &["5"]].concat()).out, "");
    assert_ne!(place.ok(&[&preview[..], &["500"]].concat()).out, "");
}

#[test]
fn an_export_from_the_store_takes_the_same_template_and_limits() {
    let (place, keep) = (place(), Keep::sqlite());
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    keep.ok(&["import", &path("in.jsonl")]);
    let model = path("m");
    let export = |name: &str, more: &[&str]| {
        let shared = ["export", name, "--to", "openai", "--template", &model];
        keep.run(&[&shared[..], more].concat())
    };
    let fits = export("fits", &["--tokenizer", "o200k", "--max-tokens", "1000"]);
    assert_eq!(fits.code, Some(0), "{}", fits.err);
    let long = export("long", &["--max-characters", "5"]);
    assert!(long.code != Some(0) && long.err.contains("longer than the limit"), "{}", long.err);
    let wrong = export("wrong", &["--max-tokens", "5"]);
    assert!(wrong.err.contains("`--max-tokens` needs `--tokenizer`"), "{}", wrong.err);
}
