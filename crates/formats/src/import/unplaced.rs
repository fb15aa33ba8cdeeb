//! What a reader met and could not place. A reader takes the fields that it knows; whatever is left of a message, a
//! part, a call or a result is looked at here, in one place for all of them:
//!
//! - A field is *bookkeeping* by its name (ids, times, counts, models, metadata, citations, …): it is kept, and that is
//!   all.
//! - Any other field *says something* if there is a text in it: a list or an object with any text inside, or a string
//!   that is more than one word, more than ASCII or longer than an address ([`Least::Prose`]). Where the place for text
//!   stayed empty, a single word says something, too ([`Least::Word`]), as it may be what was looked for.
//!
//! What says something and has no place is *not understood*: it is kept where it was, told with its path, and nothing is
//! trained on the item.

use retort_json::{JsonError, Kind, Parser, RawJson, Text};
use retort_model::bounds::NOT_UNDERSTOOD;
use retort_model::{Fields, NotUnderstood};

use super::fields;
use super::format::Notes;

impl Notes {
    /// Tells of something that the reader could not place, by its path from the part of the item that is being read.
    pub(super) fn unplaced(&mut self, path: impl Into<String>, raw: &RawJson<'_>) {
        if self.unplaced.len() < NOT_UNDERSTOOD {
            self.unplaced.push(NotUnderstood { path: path.into(), raw: raw.clone().into_owned() });
        }
    }

    /// Where the next to be told of stands: what is told from here on can be put [`under`](Self::under) a path.
    pub(super) fn mark(&self) -> usize {
        self.unplaced.len()
    }

    /// Puts what was told of since the mark under a path: `content` under `messages[2]` is `messages[2].content`.
    pub(super) fn under(&mut self, mark: usize, above: impl Fn() -> String) {
        for one in self.unplaced.iter_mut().skip(mark) {
            let above = above();
            one.path = match one.path.as_str() {
                "" => above,
                below if below.starts_with('[') || above.is_empty() => format!("{above}{below}"),
                below => format!("{above}.{below}"),
            };
        }
    }

    /// Puts what was told of since the mark under another name than it was read by.
    pub(super) fn rename(&mut self, mark: usize, from: &str, to: &str) {
        for one in self.unplaced.iter_mut().skip(mark) {
            if let Some(below) = one.path.strip_prefix(from)
                && (below.is_empty() || below.starts_with(['.', '[']))
            {
                one.path = format!("{to}{below}");
            }
        }
    }

    /// Gives what was told of since the mark, where it concerns one of several items.
    pub(super) fn since(&mut self, mark: usize) -> Vec<NotUnderstood<'static>> {
        self.unplaced.split_off(mark.min(self.unplaced.len()))
    }

    /// Forgets what was noted at this path since the mark, because it has a place after all.
    pub(super) fn place(&mut self, mark: usize, path: &str) {
        let mut at = 0;
        self.unplaced.retain(|one| {
            at += 1;
            at <= mark || one.path != path
        });
    }

    /// Forgets what was told of since the mark, where another way of reading is tried.
    pub(super) fn forget(&mut self, mark: usize) {
        self.unplaced.truncate(mark);
    }

    /// Tells of every field that is left and says something.
    pub(super) fn unplaced_fields(&mut self, fields: &Fields<'_>, known: &[&str], least: Least) {
        for (key, raw) in fields {
            let key = key.decoded();
            let is_known = known.contains(&&*key) || is_bookkeeping(&key) || is_header(&key, raw);
            if !is_known && says(raw, least) {
                self.unplaced(short(&key), raw);
            }
        }
    }

    /// Records every remaining field that is a text of more than one word.
    pub(super) fn unplaced_texts(&mut self, fields: &Fields<'_>) {
        for (key, raw) in fields {
            let key = key.decoded();
            let is_text = raw.as_text().is_some_and(|text| is_prose(&text.into()));
            if is_text && !is_bookkeeping(&key) {
                self.unplaced(short(&key), raw);
            }
        }
    }

    pub(super) fn take_unplaced(&mut self) -> Vec<NotUnderstood<'static>> {
        std::mem::take(&mut self.unplaced)
    }
}

/// What a text must be at least to say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    /// Any word.
    Word,
    /// More than a word or an address.
    Prose,
}

/// Whether there is a text in a value that says something.
pub(super) fn says(raw: &RawJson<'_>, least: Least) -> bool {
    value_says(&mut Parser::new(raw.as_str()), least).unwrap_or(true)
}

fn value_says(parser: &mut Parser<'_>, least: Least) -> Result<bool, JsonError> {
    let mut says = false;
    match parser.kind()? {
        Kind::String => {
            let text = parser.string()?;
            says = !text.is_empty() && (least == Least::Word || is_prose(&text));
        }
        Kind::Array => {
            parser.array()?;
            while parser.next_element()? {
                says |= value_says(parser, Least::Word)?;
            }
        }
        Kind::Object => {
            parser.object()?;
            while let Some(key) = parser.next_key()? {
                if is_bookkeeping(&key) {
                    parser.skip()?;
                } else {
                    says |= value_says(parser, Least::Word)?;
                }
            }
        }
        Kind::Null | Kind::Bool | Kind::Number => parser.skip()?,
    }
    Ok(says)
}

/// Whether it is what a browser sent with a question, as WildChat's turns have it.
fn is_header(key: &str, raw: &RawJson<'_>) -> bool {
    let is_of_http = |key: &Text<'_>| {
        let key = key.decoded().to_ascii_lowercase();
        key.starts_with("accept") || key == "user-agent"
    };
    matches!(key, "header" | "headers")
        && fields::map(raw).is_some_and(|map| map.fields().iter().all(|(key, _)| is_of_http(key)))
}

/// The most that a word or an address of the web has, as a rule.
const ADDRESS: usize = 200;

fn is_prose(text: &Text<'_>) -> bool {
    let text = text.decoded();
    text.len() > ADDRESS
        || text.starts_with(['{', '['])
        || text.bytes().any(|byte| byte.is_ascii_whitespace() || !byte.is_ascii())
}

/// What a field beside the messages says that belongs among them: the texts of messages in it, and with `words` its own
/// under a name that stands for what is said.
pub(super) fn texts_of(key: &str, raw: &RawJson<'_>, words: bool) -> Vec<String> {
    let mut texts = Vec::new();
    // The id of a conversation is not what was said in it.
    let is_id = key == "conversation" && raw.as_text().is_some_and(|text| !is_prose(&text.into()));
    let is_spoken = words && is_spoken(key) && !is_id;
    if !is_bookkeeping(key) || is_spoken {
        let _ = gather(&mut Parser::new(raw.as_str()), is_spoken, &mut texts);
    }
    texts
}

/// Whether a list or an object contains texts, and they add up to the text of a message.
pub(super) fn repeats(raw: &RawJson<'_>, said: &str) -> bool {
    let mut texts = Vec::new();
    gather(&mut Parser::new(raw.as_str()), true, &mut texts).is_ok()
        && !texts.is_empty()
        && texts.concat().trim() == said.trim()
}

fn is_spoken(key: &str) -> bool {
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    matches!(
        plain.as_str(),
        "system"
            | "systemprompt"
            | "prompt"
            | "question"
            | "query"
            | "instruction"
            | "instructions"
            | "input"
            | "answer"
            | "response"
            | "completion"
            | "output"
            | "reply"
            | "history"
            | "conversation"
            | "dialog"
            | "dialogue"
            | "transcript"
            | "turns"
            | "chat"
            | "request"
    ) || ["chosen", "rejected", "messages"].iter().any(|word| {
        // A key such as `chosen_model` names a model and contains no text.
        plain
            .split_once(word)
            .is_some_and(|(before, behind)| !is_bookkeeping(before) && !is_bookkeeping(behind))
    })
}

/// Gathers the texts of messages; with `all` every text.
fn gather(parser: &mut Parser<'_>, all: bool, into: &mut Vec<String>) -> Result<(), JsonError> {
    match parser.kind()? {
        Kind::String => {
            let text = parser.string()?;
            if all && !text.is_blank() {
                into.push(text.into_cow().into_owned());
            }
        }
        Kind::Array => {
            parser.array()?;
            while parser.next_element()? {
                gather(parser, all, into)?;
            }
        }
        Kind::Object => {
            let mut ahead = parser.clone();
            let (mut speaks, mut says) = (false, false);
            ahead.object()?;
            while let Some(key) = ahead.next_key()? {
                speaks |= matches!(&*key, "role" | "from" | "sender" | "author" | "speaker");
                says |= matches!(&*key, "content" | "value" | "text" | "parts" | "message");
                ahead.skip()?;
            }
            let is_message = speaks && says;
            parser.object()?;
            while let Some(key) = parser.next_key()? {
                let is_said = matches!(&*key, "content" | "value" | "text" | "parts" | "message");
                if (is_message || all) && is_bookkeeping(&key) {
                    parser.skip()?;
                } else {
                    gather(parser, if is_message { is_said } else { all }, into)?;
                }
            }
        }
        Kind::Null | Kind::Bool | Kind::Number => parser.skip()?,
    }
    Ok(())
}

/// A name or word as it is in a path.
pub(super) fn short(word: &str) -> String {
    const MOST: usize = 40;
    let mut short: String = word.chars().take(MOST).collect();
    if short.len() < word.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

/// Whether a field of that name only keeps the books, whatever it holds.
fn is_bookkeeping(key: &str) -> bool {
    let ends = |endings: &[&str]| endings.iter().any(|ending| key.ends_with(ending));
    if ends(&[
        "_id", "Id", "_ids", "Ids", "_at", "At", "_time", "Time", "imestamp", "_ms", "_count",
        "_tokens",
    ]) {
        return true;
    }
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    matches!(
        plain.as_str(),
        // Which one it is, and where it belongs.
        "id" | "uuid" | "oid" | "guid" | "index" | "idx" | "order" | "turn" | "step" | "round" | "depth" | "path"
            | "parent" | "object" | "type" | "kind" | "version" | "schema" | "hash" | "checksum"
            // When.
            | "date" | "time" | "ts" | "created" | "updated" | "start" | "end" | "latency" | "duration"
            // What made it, and at which price.
            | "model" | "models" | "modelname" | "modelslug"
            | "modelinfo"
            | "metainfo" | "provider" | "deployment" | "engine" | "usage"
            | "usagemetadata" | "modelsusage" | "tokens" | "tokencount" | "tokencounts" | "cost" | "costs" | "price"
            | "status" | "state" | "systemfingerprint" | "servicetier" | "generationconfig" | "temperature"
            | "logprobs" | "tokenids" | "prompttokenids" | "seed" | "cachecontrol" | "cachepoint" | "signature"
            | "thoughtsignature" | "thinkingsignature" | "signatureprovider" | "encryptedcontent" | "phase" | "caller" | "fingerprint"
            // What systems keep beside a text.
            | "metadata" | "meta" | "extra" | "extras" | "extrainfo" | "extracontent" | "responsemetadata"
            | "providermetadata" | "provideroptions" | "providerspecificfields" | "callprovidermetadata" | "additionalproperties"
            | "annotation"
            | "annotations" | "citations" | "citationmetadata" | "groundingmetadata" | "references" | "sources" | "source"
            | "safetyratings" | "tags" | "lang" | "language" | "locale" | "country" | "timezone" | "avatar" | "icon"
            | "artifact" | "vectors" | "embedding" | "embeddings"
            // What was thought of it.
            | "rank" | "score" | "scores" | "reward" | "rewards" | "labels" | "emojis" | "votes" | "quality" | "review"
            | "toxicity" | "detoxify" | "moderation" | "evaluation" | "evaluations" | "metrics"
            // Who.
            | "hashedip" | "user" | "userid" | "username" | "email" | "recipient" | "channel" | "agent" | "agentname"
            | "sender" | "author" | "node" | "nodename"
            // Pictures, sound and files, which are told of as attachments.
            | "imagepaths" | "imageurls" | "images" | "image" | "videos" | "audios" | "files" | "attachments"
            | "experimentalattachments"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str, least: Least) -> Vec<String> {
        let mut notes = Notes::default();
        let mut fields = Fields::new();
        let mut parser = Parser::new(json);
        parser.object().unwrap();
        while let Some(key) = parser.next_key().unwrap() {
            fields.put(key.into(), parser.raw().unwrap());
        }
        notes.unplaced_fields(&fields, &["known"], least);
        notes.take_unplaced().into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn fields_that_say_something_are_told_of() {
        let json = r#"{"known":"two words","message_id":"two words","usage":{"detail":"two words"},"a":"word",
            "b":"two words","c":"Grüße","d":[{"e":1}],"f":[{"id":"x","type":"y"}],"g":{"h":["z"]},"i":true,"j":null,
            "k":"","l":"{\"a\":1}"}"#;
        assert_eq!(told(json, Least::Prose), ["b", "c", "g", "l"]);
        assert_eq!(told(json, Least::Word), ["a", "b", "c", "g", "l"]);
    }

    #[test]
    fn paths_grow_from_within() {
        let mut notes = Notes::default();
        let raw = RawJson::null();
        notes.unplaced("before", &raw);
        let mark = notes.mark();
        for path in ["", "type=x", "[1].y"] {
            notes.unplaced(path, &raw);
        }
        notes.under(mark, || "content".into());
        notes.under(mark, || "messages[3]".into());
        let paths: Vec<_> = notes.take_unplaced().into_iter().map(|one| one.path).collect();
        let under = "messages[3].content";
        assert_eq!(paths, ["before", under, &format!("{under}.type=x"), &format!("{under}[1].y")]);
    }

    #[test]
    fn what_is_told_of_one_item_is_bounded() {
        let mut notes = Notes::default();
        for _ in 0..10 * NOT_UNDERSTOOD {
            notes.unplaced("x", &RawJson::null());
        }
        assert_eq!(notes.take_unplaced().len(), NOT_UNDERSTOOD);
    }
}
