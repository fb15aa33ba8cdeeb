//! The query language of searches: words, phrases, exclusions, and fields.
//!
//! ```text
//! refund "late delivery" deliver* -spam question:invoice tool:search -tag:done turns:4..
//! ```
//!
//! All parts must match. A word is found wherever it stands: in messages, title, tags, names of tools, models, owner or id. A
//! phrase is words in a row. `*` stands for the rest of a word. `title:`, `question:`, `answer:` and `text:` say where; every
//! field of [`ConversationFilter`] says the same as in the filter itself, where one of several values has to match.

use std::str::FromStr;

use super::conversation::{ConversationFilter, Query};
use super::field::{Filter, FilterField, SEARCH, nearest, unknown};
use super::phrase::Phrase;
use crate::bounds::{QUERY_PARTS, QUERY_START, SEARCH_CHARACTERS};
use crate::words::{WordPart, words_sought};

const ANYWHERE: &[WordPart] = &[
    WordPart::Question,
    WordPart::Answer,
    WordPart::Other,
    WordPart::Title,
    WordPart::Tag,
    WordPart::Tool,
    WordPart::Name,
];

/// The fields of texts, and where they look.
const TEXTS: &[(&str, &[WordPart])] = &[
    ("title", &[WordPart::Title]),
    ("text", &[WordPart::Question, WordPart::Answer, WordPart::Other]),
    ("question", &[WordPart::Question]),
    ("answer", &[WordPart::Answer]),
];

/// Words that other query languages have for what is written otherwise here.
const OPERATORS: &[(&str, &str)] = &[
    ("OR", "for alternatives, use several queries"),
    ("AND", "all words must match anyway"),
    ("NOT", "write `-word` to exclude a word"),
];

/// A part of a query, as it is written.
struct Written<'t> {
    is_excluded: bool,
    field: Option<&'t str>,
    value: &'t str,
    is_quoted: bool,
    is_start: bool,
}

impl Query {
    /// The names of the fields that only queries have, each with where it looks.
    pub fn text_fields() -> impl Iterator<Item = &'static str> {
        TEXTS.iter().map(|(name, _)| *name)
    }

    /// The fields of filters that queries have as well.
    pub fn fields() -> impl Iterator<Item = &'static FilterField<ConversationFilter>> {
        ConversationFilter::conditions().filter(|field| field.name != SEARCH)
    }

    /// The query that may have been meant by a text that is none: with the names of fields that are there.
    pub fn suggested(text: &str) -> Option<String> {
        let mut rest = text.trim();
        let mut parts = Vec::new();
        let names = || Self::text_fields().chain(Self::fields().map(|field| field.name));
        while !rest.is_empty() {
            let (written, after) = next(rest).ok()?;
            let part = rest.get(..rest.len() - after.len())?.trim_end();
            let unknown = written.field.filter(|name| names().all(|known| known != *name));
            let meant = unknown.and_then(|name| Some((name, nearest(name, names())?)));
            parts.push(match meant {
                Some((name, meant)) => part.replacen(&format!("{name}:"), &format!("{meant}:"), 1),
                None => part.to_owned(),
            });
            rest = after.trim_start();
        }
        let suggested = parts.join(" ");
        (suggested != text.trim() && suggested.parse::<Self>().is_ok()).then_some(suggested)
    }

    fn add(&mut self, written: &Written<'_>) -> Result<(), String> {
        let Some(name) = written.field else { return self.add_phrase(ANYWHERE, written) };
        if let Some((_, parts)) = TEXTS.iter().find(|(text, _)| *text == name) {
            return self.add_phrase(parts, written);
        }
        let known = || Self::fields().map(|field| field.name);
        let is_named = |field: &&FilterField<ConversationFilter>| {
            field.name == name || field.former.contains(&name)
        };
        let Some(field) = Self::fields().find(is_named) else {
            let names = Self::text_fields().chain(known());
            let value = if written.value.is_empty() { "…" } else { written.value };
            return Err(format!(
                "{}; to search for the text, put it in quotes: `\"{name}:{value}\"`",
                unknown(name, names)
            ));
        };
        if written.is_start {
            return Err(format!("`{name}:` takes whole values; `*` is for words of texts"));
        }
        if written.value.is_empty() {
            return Err(format!("`{name}:` needs {}", field.values.words()));
        }
        if written.is_excluded {
            let mut one = ConversationFilter::default();
            field.set(&mut one, written.value)?;
            self.unwanted.push(one);
            return Ok(());
        }
        if !field.is_list && !field.values_in(&self.wanted).is_empty() {
            return Err(format!("`{name}:` is given twice"));
        }
        field.set(&mut self.wanted, written.value)
    }

    fn add_phrase(
        &mut self,
        parts: &'static [WordPart],
        written: &Written<'_>,
    ) -> Result<(), String> {
        let operator = OPERATORS.iter().find(|(word, _)| *word == written.value);
        if let Some((word, instead)) = operator.filter(|_| !written.is_quoted) {
            return Err(format!(
                "`{word}` is not an operator: {instead}; to search for the word, put it in quotes"
            ));
        }
        let (words, is_start) = words_sought(written.value);
        if words.is_empty() {
            return Err(format!("`{}` has no letters or digits to search for", written.value));
        }
        let letters = words.last().map_or(0, |word| word.chars().count());
        if written.is_start && !is_start && letters < QUERY_START {
            return Err(format!(
                "`{}*` needs at least {QUERY_START} letters before the `*`",
                written.value
            ));
        }
        let is_start = is_start || written.is_start;
        let phrase = Phrase { parts, words, is_start };
        if written.is_excluded { &mut self.none } else { &mut self.all }.push(phrase);
        Ok(())
    }
}

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("`search` is empty".into());
        }
        if text.chars().nth(SEARCH_CHARACTERS).is_some() {
            return Err(format!("a query has at most {SEARCH_CHARACTERS} characters"));
        }
        let mut query = Self {
            text: text.to_owned(),
            all: Vec::new(),
            none: Vec::new(),
            wanted: Box::default(),
            unwanted: Vec::new(),
        };
        let (mut rest, mut fields) = (text, 0);
        while !rest.is_empty() {
            let (written, after) = next(rest)?;
            query.add(&written)?;
            fields += usize::from(written.field.is_some());
            rest = after.trim_start();
        }
        let words = query.all.iter().chain(&query.none).map(|phrase| phrase.words.len());
        if words.sum::<usize>() + fields > QUERY_PARTS {
            return Err(format!("a query has at most {QUERY_PARTS} words and fields"));
        }
        Ok(query)
    }
}

/// Takes the first part off a query that does not start with a space.
fn next(text: &str) -> Result<(Written<'_>, &str), String> {
    let (is_excluded, rest) = match text.strip_prefix('-') {
        Some(rest) if rest.starts_with(|first: char| !first.is_whitespace()) => (true, rest),
        _ => (false, text),
    };
    let (field, rest) = match rest.split_once(':') {
        // An address has no spaces around its colon, either.
        Some((name, value)) if is_field_name(name) && !value.starts_with("//") => {
            (Some(name), value)
        }
        _ => (None, rest),
    };
    let mut written = Written { is_excluded, field, value: "", is_quoted: false, is_start: false };
    if let Some(quoted) = rest.strip_prefix('"') {
        let (value, after) = quoted
            .split_once('"')
            .ok_or_else(|| format!("the quote before `{}` is not closed", quoted.trim()))?;
        let start = after.strip_prefix('*');
        (written.value, written.is_quoted, written.is_start) = (value, true, start.is_some());
        return Ok((written, start.unwrap_or(after)));
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (value, after) = rest.split_at(end);
    let start = value.strip_suffix('*').filter(|value| !value.is_empty());
    (written.value, written.is_start) = (start.unwrap_or(value), start.is_some());
    Ok((written, after))
}

fn is_field_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
}

/// A condition as a query has it: `name:value`, with quotes where they are needed. None if a query cannot hold the value.
pub fn condition(name: &str, value: &str) -> Option<String> {
    let is_plain = !value.is_empty()
        && !value.starts_with('"')
        && !value.ends_with('*')
        && !value.starts_with("//")
        && !value.contains(char::is_whitespace);
    if is_plain {
        return Some(format!("{name}:{value}"));
    }
    (!value.contains('"')).then(|| format!("{name}:\"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_may_have_been_meant_is_suggested() {
        for (text, expect) in [
            ("refund tol:search -tga:\"to do\"", Some("refund tool:search -tag:\"to do\"")),
            ("modell:gpt-4o", Some("model:gpt-4o")),
            ("tool:search", None),
            ("nothing:like", None),
            ("tol:search OR x", None),
            ("\"open", None),
        ] {
            assert_eq!(Query::suggested(text).as_deref(), expect, "{text}");
        }
    }
    use crate::conversation::{Conversation, Round, Status};
    use crate::message::{Message, Role};

    fn conversation() -> Conversation<'static> {
        let messages = vec![
            Message::text(Role::System, "You help with invoices."),
            Message::text(Role::User, "Where is my refund? It is a late delivery to 東京都."),
            Message::text(Role::Assistant, "It was sent on Monday. Delivery takes days."),
        ];
        Conversation {
            id: "c-17".into(),
            owner: Some("ann@example.org".into()),
            title: Some("Money back".into()),
            tags: vec!["to review".into(), "done".into()],
            status: Status::Favorite,
            rounds: vec![Round { messages, model: Some("gpt-4o".into()), ..Round::default() }],
            ..Conversation::default()
        }
    }

    #[test]
    fn a_query_finds_words_phrases_and_fields() {
        let conversation = conversation();
        for (query, found) in [
            ("REFUND monday", true),
            ("refund tuesday", false),
            ("\"late delivery\"", true),
            ("\"delivery late\"", false),
            // No phrase reaches from one message into the next.
            ("\"都 it\"", false),
            ("\"monday delivery\"", true),
            ("deliv*", true),
            ("deliv", false),
            ("\"late deliv\"*", true),
            ("-refund", false),
            ("-tuesday", true),
            ("-\"late delivery\" refund", false),
            ("question:refund answer:monday", true),
            ("answer:refund", false),
            ("text:invoices", true),
            ("question:invoices", false),
            ("title:money", true),
            ("title:refund", false),
            ("-title:refund", true),
            ("東京", true),
            ("京", true),
            ("京都東", false),
            ("review", true),
            ("gpt-4o", true),
            ("ann@example.org", true),
            ("c-17", true),
            ("model:gpt-4o tag:done", true),
            ("model:gpt-4", false),
            ("tag:nope tag:done", true),
            ("tag:\"to review\"", true),
            ("-tag:done", false),
            ("-tag:nope turns:1..", true),
            ("turns:2", false),
            ("status:favorite", true),
            ("-status:favorite", false),
            ("http://refund", false),
            ("id:c-17 owner:ann@example.org", true),
        ] {
            let parsed: Query = query.parse().unwrap();
            assert_eq!(parsed.is_match(&conversation), found, "{query}");
            assert_eq!(parsed.to_string(), query);
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_what_to_write_instead() {
        for (query, expect) in [
            ("", "empty"),
            ("tga:done", "unknown field `tga`; did you mean `tag`?"),
            ("Tool:x", "did you mean `tool`?"),
            ("note:this", "put it in quotes: `\"note:this\"`"),
            ("search:x", "unknown field `search`"),
            ("limit:3", "unknown field `limit`"),
            ("\"open", "the quote before `open` is not closed"),
            ("tag:", "`tag:` needs a text"),
            ("tag:do*", "`tag:` takes whole values"),
            ("turns:many", "is not a range of whole numbers"),
            ("type:poem", "unknown type of conversation"),
            ("turns:1 turns:2", "`turns:` is given twice"),
            ("a OR b", "`OR` is not an operator: for alternatives"),
            ("!!", "`!!` has no letters or digits"),
            ("-", "`-` has no letters or digits"),
            ("ab*", "`ab*` needs at least 3 letters"),
            (&"a ".repeat(101), "at most 100 words"),
            (&"tag:a ".repeat(101), "at most 100 words"),
            (&"a".repeat(1001), "at most 1000 characters"),
        ] {
            let error = query.parse::<Query>().unwrap_err();
            assert!(error.contains(expect), "{query}: {error}");
        }
    }

    #[test]
    fn a_condition_is_read_as_it_is_written() {
        for value in ["done", "to do", "a:b", "-x", "a*", "//x", "*", "東"] {
            let text = condition("tag", value).unwrap();
            let query: Query = text.parse().unwrap();
            assert_eq!(query.wanted.tags, [value], "{text}");
        }
        assert_eq!(condition("tag", "a \"b\""), None);
    }
}
