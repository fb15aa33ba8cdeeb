//! Files and items that people may take for histories: what they are, and what to do instead.

use super::sniff::Sniff;

/// Why an item that no format knows cannot be read, if it is known what it is.
pub fn why_unknown(sniff: &Sniff<'_>) -> Option<&'static str> {
    let kind = sniff.text(&["type"]).unwrap_or_default();
    if sniff.holds(&["log", "entries"]) && sniff.has("log") {
        return Some(
            "a HAR file, which is a recording of a browser; export the conversations in the product itself, or write \
             the request and response bodies as JSON Lines",
        );
    }
    if (kind == "thread.started" && sniff.has("thread_id"))
        || kind == "turn.started"
        || (kind == "turn.completed" && sniff.has("usage"))
        || (kind.starts_with("item.") && sniff.holds(&["item", "type"]))
    {
        return Some(
            "a line of `codex exec --json`, which does not contain the prompt; read the session below \
             `~/.codex/sessions` instead",
        );
    }
    None
}

/// What a file that is not JSON is by its name, if it is known.
pub fn what_text(name: &str) -> Option<&'static str> {
    let ends = |endings: &[&str]| {
        let name = name.to_ascii_lowercase();
        endings.iter().any(|ending| name.ends_with(ending))
    };
    if ends(&[".yaml", ".yml"]) {
        return Some("a YAML file, which is not read; convert it to JSON first");
    }
    if ends(&[".md", ".markdown"]) {
        return Some("a Markdown file, which is not read; export the conversation as JSON instead");
    }
    if ends(&[".html", ".htm"]) {
        return Some("an HTML page, which is not read; export the conversations as JSON instead");
    }
    None
}

/// Whether a line in a file of JSON is a comment, as some tools write them.
pub fn is_comment(name: &str, line: &str) -> bool {
    let line = line.trim_start();
    name.to_ascii_lowercase().contains(".json") && (line.starts_with("//") || line.starts_with('#'))
}
