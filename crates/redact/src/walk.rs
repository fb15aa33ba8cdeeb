//! Walks through JSON string by string.

use std::borrow::Cow;

use retort_json::{Parser, unescape_into, write_string};
use retort_model::Redaction;

use crate::action::Action;
use crate::numbers::is_card;
use crate::own::OwnRules;
use crate::replace::Role;
use crate::rules::{Redactor, Rule};
use crate::search::{DEPTH, Match};
use crate::secrets::{is_secret_name, is_worth_masking};

/// What was found in an item.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How often each rule found something.
    counts: Vec<(Rule, u64)>,
    /// A rule that leaves the item out.
    leaves_out: Option<Rule>,
    /// How many hits are to be listed.
    most_hits: usize,
    /// The first hits, where they are listed.
    pub hits: Vec<Hit>,
}

/// A place where a rule found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The rule.
    pub rule: Rule,
    /// The path of the field, such as `rounds[0].messages[1].content`.
    pub place: String,
    /// The text around it, with the replacement in its place.
    pub context: String,
}

/// Characters of context on each side of a hit.
const CONTEXT: usize = 32;

impl Found {
    /// One that lists up to so many hits.
    pub fn listing(most_hits: usize) -> Self {
        Self { most_hits, ..Self::default() }
    }

    /// How often each rule found something.
    pub fn counts(&self) -> impl Iterator<Item = (Rule, u64)> {
        self.counts.iter().copied()
    }

    /// The rule that leaves the item out, if one does.
    pub fn leaves_out(&self) -> Option<Rule> {
        self.leaves_out
    }

    pub(crate) fn first(&self) -> Option<Rule> {
        self.leaves_out.or(self.counts.first().map(|(rule, _)| *rule))
    }

    fn add(&mut self, rule: Rule, action: Action) {
        match self.counts.iter_mut().find(|(one, _)| *one == rule) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((rule, 1)),
        }
        if action == Action::LeaveOut {
            self.leaves_out.get_or_insert(rule);
        }
    }

    fn is_listing(&self) -> bool {
        self.hits.len() < self.most_hits
    }
}

/// Where the walk is.
struct Walk<'f> {
    found: &'f mut Found,
    /// Whether places matter.
    traces: bool,
    /// The steps to here: keys, and `[n]` for the elements of lists.
    path: Vec<String>,
    depth: usize,
}

/// An object or a list around the place of the walk.
struct Frame {
    /// For a list, the place of its element.
    element: Option<usize>,
    /// Steps of the path outside of it.
    outside: usize,
    /// The rule on the field that it is the value of.
    field: Option<Rule>,
    /// Whether it is a list that belongs to the name of a secret.
    is_secret: bool,
}

impl Redactor {
    /// A line of JSON with what the rules find replaced; none if they find nothing. The line must be valid.
    pub fn line(&self, line: &str, found: &mut Found) -> Option<String> {
        self.json(line, &mut self.begin(found, 0))
    }

    /// A decoded text at some depth of encodings.
    pub(crate) fn string_at(&self, text: &str, found: &mut Found, depth: usize) -> Option<String> {
        self.string(text, Role::Value, &mut self.begin(found, depth))
    }

    /// A text that is no item: the name of a file, an id, a message. What is found in it becomes a pseudonym, whatever
    /// the action, so different names stay different.
    pub fn name<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.string(text, Role::Name, &mut self.begin(&mut Found::default(), 0))
            .map_or(Cow::Borrowed(text), Cow::Owned)
    }

    fn begin<'f>(&self, found: &'f mut Found, depth: usize) -> Walk<'f> {
        let has_fields = self.own().is_some_and(OwnRules::has_fields);
        Walk { traces: has_fields || found.most_hits > 0, found, path: Vec::new(), depth }
    }

    fn json(&self, json: &str, walk: &mut Walk<'_>) -> Option<String> {
        let outside = walk.path.len();
        let mut cursor = Cursor::new(json, outside);
        while let Some(&byte) = json.as_bytes().get(cursor.at) {
            match byte {
                b'"' => self.pass_string(&mut cursor, walk),
                b'-' | b'0'..=b'9' | b't' | b'f' => self.pass_literal(&mut cursor, walk),
                b'{' | b'[' => cursor.enter(byte == b'[', walk),
                b'}' | b']' => cursor.leave(walk),
                b',' => cursor.go_on(walk),
                _ => cursor.at += 1,
            }
        }
        walk.path.truncate(outside);
        cursor.finish()
    }

    /// A key or a string.
    fn pass_string(&self, cursor: &mut Cursor<'_>, walk: &mut Walk<'_>) {
        let (bytes, start) = (cursor.json.as_bytes(), cursor.at);
        let end = end_of_string(bytes, start + 1);
        let decoded = decoded(cursor.json.get(start + 1..end).unwrap_or_default());
        let text = if is_followed_by_colon(bytes, end + 1) {
            self.key(&decoded, cursor, walk)
        } else {
            self.value(&decoded, cursor.next, walk)
        };
        cursor.pass(end + 1, text.as_deref());
    }

    /// A key: what it says of its value, and what takes its place.
    fn key(&self, key: &str, cursor: &mut Cursor<'_>, walk: &mut Walk<'_>) -> Option<String> {
        let replaced = self.string(key, Role::Name, walk);
        let frame = cursor.frames.last();
        let mut field = frame.and_then(|frame| frame.field);
        if walk.traces {
            walk.path.truncate(frame.map_or(0, |frame| frame.outside));
            walk.path.push(replaced.as_deref().unwrap_or(key).to_owned());
            field = field.or_else(|| self.rule_on_field(&walk.path));
        }
        let role = if is_id(key) { Role::Name } else { Role::Value };
        let is_secret = self.settings.sets.secrets && is_secret_name(key);
        cursor.next = Next { field, is_secret, role };
        replaced
    }

    /// A string that is a value.
    fn value(&self, text: &str, next: Next, walk: &mut Walk<'_>) -> Option<String> {
        let rule = next.rule(is_worth_masking(text));
        match rule.filter(|_| !text.is_empty()) {
            Some(rule) => Some(self.replace_all(rule, text, next.role, walk)),
            None => self.string(text, next.role, walk),
        }
    }

    /// A number, `true` or `false`.
    fn pass_literal(&self, cursor: &mut Cursor<'_>, walk: &mut Walk<'_>) {
        let start = cursor.at;
        let rest = cursor.json.as_bytes().iter().skip(start);
        let end = start + rest.take_while(|byte| is_literal(**byte)).count().max(1);
        let literal = cursor.json.get(start..end).unwrap_or_default();
        let is_number = !literal.starts_with(['t', 'f']);
        let next = cursor.next;
        let text = match next.rule(is_number && literal.len() >= 4) {
            Some(rule) => Some(self.replace_all(rule, literal, next.role, walk)),
            None if is_number => self.number(literal, walk),
            None => None,
        };
        cursor.pass(end, text.as_deref());
    }

    /// A number. Only cards are looked for among the built-in rules: other numbers have no checksum that tells.
    fn number(&self, number: &str, walk: &mut Walk<'_>) -> Option<String> {
        if self.settings.sets.pii
            && number.len() >= 14
            && number.bytes().all(|one| one.is_ascii_digit())
            && is_card(number)
        {
            return Some(self.replace_all(
                Rule::BuiltIn(Redaction::Card),
                number,
                Role::Value,
                walk,
            ));
        }
        let mut rule = None;
        self.own()?.each(number, &mut |place, _| rule = rule.or(Some(Rule::Own(place))));
        Some(self.replace_all(rule?, number, Role::Value, walk))
    }

    fn rule_on_field(&self, path: &[String]) -> Option<Rule> {
        let keys: Vec<String> =
            path.iter().filter(|step| !step.starts_with('[')).cloned().collect();
        self.own()?.of_field(&keys).map(Rule::Own)
    }

    fn replace_all(&self, rule: Rule, text: &str, role: Role, walk: &mut Walk<'_>) -> String {
        let text = self.replacement(rule, text, role);
        self.count(rule, walk, || text.clone());
        text
    }

    fn count(&self, rule: Rule, walk: &mut Walk<'_>, context: impl FnOnce() -> String) {
        walk.found.add(rule, self.action_of(rule));
        if walk.found.is_listing() {
            let hit = Hit { rule, place: place(&walk.path), context: context() };
            walk.found.hits.push(hit);
        }
    }

    /// A decoded string; none if nothing was found in it.
    fn string(&self, text: &str, role: Role, walk: &mut Walk<'_>) -> Option<String> {
        if walk.depth < DEPTH && is_json(text) {
            walk.depth += 1;
            let replaced = self.json(text, walk);
            walk.depth -= 1;
            return replaced;
        }
        let found = self.find(text, walk.depth);
        if found.is_empty() {
            return None;
        }
        let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
        let mut replaced = Vec::with_capacity(found.len());
        for Match { rule, range } in found {
            out.push_str(text.get(copied..range.start).unwrap_or_default());
            let start = out.len();
            out.push_str(&self.replacement(
                rule,
                text.get(range.clone()).unwrap_or_default(),
                role,
            ));
            replaced.push((rule, start..out.len()));
            copied = range.end;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        for (rule, range) in replaced {
            self.count(rule, walk, || context(&out, range));
        }
        Some(out)
    }
}

/// What a key says of its value.
#[derive(Clone, Copy)]
struct Next {
    /// The user's rule on the field.
    field: Option<Rule>,
    /// Whether the key names a secret.
    is_secret: bool,
    role: Role,
}

impl Next {
    /// The rule that replaces the whole value.
    fn rule(self, is_worth_masking: bool) -> Option<Rule> {
        let is_password = self.is_secret && is_worth_masking;
        self.field.or(is_password.then_some(Rule::BuiltIn(Redaction::Password)))
    }
}

/// A place in JSON, and what was written of it so far.
struct Cursor<'j> {
    json: &'j str,
    at: usize,
    out: String,
    copied: usize,
    frames: Vec<Frame>,
    next: Next,
}

impl<'j> Cursor<'j> {
    fn new(json: &'j str, outside: usize) -> Self {
        let next = Next { field: None, is_secret: false, role: Role::Value };
        let frames = vec![Frame { element: None, outside, field: None, is_secret: false }];
        Self { json, at: 0, out: String::new(), copied: 0, frames, next }
    }

    /// Goes on behind a value, in whose place a string is written if there is one.
    fn pass(&mut self, end: usize, text: Option<&str>) {
        if let Some(text) = text {
            self.out.push_str(self.json.get(self.copied..self.at).unwrap_or_default());
            write_string(text, &mut self.out);
            self.copied = end;
        }
        self.at = end;
    }

    fn enter(&mut self, is_list: bool, walk: &mut Walk<'_>) {
        let Next { field, is_secret, .. } = self.next;
        let is_secret = is_secret && is_list;
        self.frames.push(Frame {
            element: is_list.then_some(0),
            outside: walk.path.len(),
            field,
            is_secret,
        });
        self.next = Next { field, is_secret, role: Role::Value };
        if walk.traces && is_list {
            walk.path.push("[0]".into());
        }
        self.at += 1;
    }

    fn leave(&mut self, walk: &mut Walk<'_>) {
        if let Some(frame) = self.frames.pop() {
            walk.path.truncate(frame.outside);
        }
        self.at += 1;
    }

    fn go_on(&mut self, walk: &mut Walk<'_>) {
        self.at += 1;
        let Some(frame) = self.frames.last_mut() else { return };
        self.next = Next { field: frame.field, is_secret: frame.is_secret, role: Role::Value };
        if let Some(element) = &mut frame.element {
            *element += 1;
            if walk.traces {
                walk.path.truncate(frame.outside);
                walk.path.push(format!("[{element}]"));
            }
        }
    }

    /// The whole text; none if nothing was replaced.
    fn finish(mut self) -> Option<String> {
        if self.copied == 0 {
            return None;
        }
        self.out.push_str(self.json.get(self.copied..).unwrap_or_default());
        Some(self.out)
    }
}

/// Whether a key names an id, which must not become the same as another.
fn is_id(key: &str) -> bool {
    matches!(key, "id" | "parent" | "thread" | "uuid")
        || key.ends_with("_id")
        || key.ends_with("Id")
}

/// A path as people write it.
fn place(path: &[String]) -> String {
    let mut place = String::new();
    for step in path {
        if !place.is_empty() && !step.starts_with('[') {
            place.push('.');
        }
        place.push_str(step);
    }
    place
}

/// The replacement at a range with some of the text around it.
fn context(text: &str, range: std::ops::Range<usize>) -> String {
    let front = text.get(..range.start).unwrap_or_default();
    let rest = text.get(range.end..).unwrap_or_default();
    let start = front.char_indices().rev().nth(CONTEXT - 1).map_or(0, |(at, _)| at);
    let end = rest.char_indices().nth(CONTEXT).map_or(rest.len(), |(at, _)| at);
    let mark = |is_cut| if is_cut { "…" } else { "" };
    format!(
        "{}{}{}{}{}",
        mark(start > 0),
        front.get(start..).unwrap_or_default(),
        text.get(range).unwrap_or_default(),
        rest.get(..end).unwrap_or_default(),
        mark(end < rest.len())
    )
}

/// Where the string ends whose inside begins here: at its quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(step) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += step;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

fn is_followed_by_colon(bytes: &[u8], at: usize) -> bool {
    let mut rest = bytes.iter().skip(at).skip_while(|byte| byte.is_ascii_whitespace());
    rest.next() == Some(&b':')
}

fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn decoded(body: &str) -> Cow<'_, str> {
    if !body.contains('\\') {
        return body.into();
    }
    let mut text = String::with_capacity(body.len());
    unescape_into(body, &mut text);
    text.into()
}

fn is_json(text: &str) -> bool {
    let text = text.trim();
    let is_enclosed = (text.starts_with('{') && text.ends_with('}'))
        || (text.starts_with('[') && text.ends_with(']'))
        || (text.len() > 1 && text.starts_with('"') && text.ends_with('"'));
    if !is_enclosed {
        return false;
    }
    let mut parser = Parser::new(text);
    parser.skip().is_ok() && parser.end().is_ok()
}
