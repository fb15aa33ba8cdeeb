//! Rewrites a template's source where MiniJinja reads it in another way than Jinja2.
//!
//! The pass knows where code is: comments and text stay as they are, and so do strings inside code. It keeps the number of
//! lines, so that errors name the line of the user's file. What it rewrites:
//!
//! - line ends, which Jinja2 reads as `\n`;
//! - `{% generation %}` blocks, which become blocks that call [`GENERATION`];
//! - raw blocks, which become an expression that prints their text, as Jinja2 keeps the newline after `{% raw %}`;
//! - what is looped over, which goes through [`ITERABLE`], as Jinja2 refuses to loop over `none`;
//! - a method of a dict that is named and not called (`schema.items`), which becomes a lookup of [`METHOD`];
//! - the body of a macro or of a block that calls, which first reads every variable that the template sets: MiniJinja
//!   keeps for such a body those that it reads, and overlooks some (what is sliced, set from itself, or has an attribute
//!   set, and the `loop` in the head of a loop);
//! - a string in front of `%`, which becomes a call of the filter [`PERCENT`];
//! - in templates that use `safe` or `escape`, sums, which go through [`ADD`], as there a safe string escapes what is
//!   added to it.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Name of the function that a generation block calls.
pub(super) const GENERATION: &str = "__generation";

/// Name of the function that refuses what can't be looped over.
pub(super) const ITERABLE: &str = "__iterable";

/// Name of the function that adds as Python does.
pub(super) const ADD: &str = "__add";

/// Name of the filter that formats as `%` of a string does.
pub(super) const PERCENT: &str = "__percent";

/// Before a key: the method of this name, not the item.
pub(super) const METHOD: char = '\u{1}';

/// Methods that a dict has in Python. An attribute of one of these names is the method, even where the dict has an item
/// of that name.
const DICT_METHODS: [&str; 11] = [
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

/// Filters that make a string safe.
const SAFE_FILTERS: [&str; 4] = ["safe", "escape", "e", "forceescape"];

/// Words that end an operand of a sum.
const OPERATOR_WORDS: [&str; 6] = ["and", "or", "if", "else", "in", "not"];

/// Statements whose body is called, and keeps of the variables around it those that it reads.
const BODIES: [&str; 3] = ["macro", "call", "generation"];

/// Signs that end an operand of a sum.
const SEPARATORS: [&str; 9] = ["==", "!=", "<=", ">=", "<", ">", "=", ",", ":"];

/// Signs that end an operand of `%`, besides [`SEPARATORS`].
const ARITHMETIC: [&str; 6] = ["*", "/", "%", "+", "-", "~"];

/// A template's source as MiniJinja reads it.
pub(super) struct Prepared {
    pub(super) source: String,
    /// Whether a `{% generation %}` block marks what is learnt.
    pub(super) marks_learnt: bool,
}

/// Rewrites `source`.
pub(super) fn prepare(source: &str) -> Prepared {
    let source = unix_lines(source);
    let mut pass = Pass {
        source: &source,
        out: String::with_capacity(source.len() + source.len() / 8),
        at: 0,
        marks_learnt: false,
        has_safe_strings: uses_safe_strings(&source),
        variables: BTreeSet::from(["loop"]),
    };
    // The first time to learn which variables there are.
    for _ in 0..2 {
        pass.at = 0;
        pass.out.clear();
        while pass.text() {}
    }
    Prepared { source: pass.out, marks_learnt: pass.marks_learnt }
}

/// Jinja2 reads `\r\n` and `\r` as `\n`, in text and in strings.
fn unix_lines(source: &str) -> Cow<'_, str> {
    if source.contains('\r') {
        source.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        source.into()
    }
}

/// Whether a filter of the template makes strings safe. A bar in text that looks like one does no harm.
fn uses_safe_strings(source: &str) -> bool {
    source.split('|').skip(1).any(|rest| SAFE_FILTERS.contains(&word(rest.trim_start())))
}

struct Pass<'a> {
    source: &'a str,
    out: String,
    at: usize,
    marks_learnt: bool,
    has_safe_strings: bool,
    /// Variables that the template sets, and `loop`.
    variables: BTreeSet<&'a str>,
}

impl<'a> Pass<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Copies `bytes` of the source.
    fn copy(&mut self, bytes: usize) {
        let (copied, _) = self.rest().split_at(bytes);
        self.out.push_str(copied);
        self.at += bytes;
    }

    /// Copies text up to the next tag, and the tag. False at the end.
    fn text(&mut self) -> bool {
        let rest = self.rest();
        let Some(open) = memchr::memchr_iter(b'{', rest.as_bytes())
            .find(|&open| matches!(rest.as_bytes().get(open + 1), Some(b'{' | b'%' | b'#')))
        else {
            self.copy(rest.len());
            return false;
        };
        self.copy(open);
        let rest = self.rest();
        match rest.as_bytes().get(1) {
            Some(b'#') => self.copy(rest.find("#}").map_or(rest.len(), |end| end + 2)),
            Some(b'%') => {
                if !self.raw() {
                    self.code("%}");
                }
            }
            _ => self.code("}}"),
        }
        true
    }

    /// Rewrites a raw block: a condition that always holds, around an expression that prints the text. False if no raw
    /// block is here.
    fn raw(&mut self) -> bool {
        let rest = self.rest();
        let Some(open) = Tag::of(rest, "raw") else { return false };
        let body = rest.get(open.length..).unwrap_or_default();
        let close = body
            .match_indices("{%")
            .find_map(|(at, _)| Some((at, Tag::of(body.get(at..)?, "endraw")?)));
        let Some((end, close)) = close else { return false };
        let mut text = body.get(..end).unwrap_or_default();
        if open.after == "-" {
            text = text.trim_start();
        }
        match close.before {
            "-" => text = text.trim_end(),
            "" => text = without_indentation(text),
            _ => {}
        }
        let quoted = text.replace('\\', "\\\\").replace('\'', "\\'");
        let newlines =
            body.get(..end).unwrap_or_default().matches('\n').count() - text.matches('\n').count();
        let lines = "\n".repeat(newlines);
        self.out.push_str(&format!(
            "{{%{} if true +%}}{{{{ '{quoted}'{lines} }}}}{{%+ endif {}%}}",
            open.before, close.after
        ));
        self.at += open.length + end + close.length;
        true
    }

    /// Copies a tag, its code rewritten, up to and with `end`.
    fn code(&mut self, end: &str) {
        let rest = self.rest();
        let opening = 2 + usize::from(matches!(rest.as_bytes().get(2), Some(b'-' | b'+')));
        let (tokens, length) = tokens(rest, opening, end);
        let mut edits = Vec::new();
        let is_statement = end == "%}";
        if is_statement {
            self.statement(rest, &tokens, &mut edits);
        }
        attributes(rest, &tokens, &mut edits);
        percents(rest, &tokens, &mut edits);
        if self.has_safe_strings {
            sums(rest, tokens.get(usize::from(is_statement)..).unwrap_or_default(), &mut edits);
        }
        edits.sort_by_key(|edit| (edit.at, edit.order));
        let mut from = 0;
        for edit in edits {
            self.out.push_str(rest.get(from..edit.at).unwrap_or_default());
            self.out.push_str(&edit.text);
            from = edit.at + edit.removes;
        }
        self.out.push_str(rest.get(from..length).unwrap_or_default());
        self.at += length;
        if is_statement && tokens.first().is_some_and(|first| BODIES.contains(&first.text(rest))) {
            self.read_variables();
        }
    }

    /// After the tag that opens a body: a condition that reads the variables and prints nothing.
    fn read_variables(&mut self) {
        let Some(tag) = self.out.strip_suffix("%}") else { return };
        let sign = if tag.ends_with('-') {
            "-"
        } else if tag.ends_with('+') {
            "+"
        } else {
            ""
        };
        let length = tag.len() - sign.len();
        self.out.truncate(length);
        let names: Vec<&str> = self.variables.iter().copied().collect();
        self.out.push_str(&format!("+%}}{{%+ if {} +%}}{{%+ endif {sign}%}}", names.join(" or ")));
    }

    fn statement(&mut self, text: &'a str, tokens: &[Token], edits: &mut Vec<Edit>) {
        let Some((first, others)) = tokens.split_first() else { return };
        let Some(last) = tokens.last() else { return };
        self.variables.extend(set_variables(text, first.text(text), others));
        match first.text(text) {
            "generation" if others.is_empty() => {
                self.marks_learnt = true;
                edits.push(Edit::replace(first, format!("call {GENERATION}()")));
            }
            "endgeneration" if others.is_empty() => {
                edits.push(Edit::replace(first, "endcall".into()));
            }
            "for" => {
                let is_word = |token: &&Token, words: &[&str]| {
                    token.depth == 0 && words.contains(&token.text(text))
                };
                let Some(within) = others.iter().find(|token| is_word(token, &["in"])) else {
                    return;
                };
                let stop = others
                    .iter()
                    .filter(|token| token.start > within.start)
                    .find(|token| is_word(token, &["if", "recursive"]));
                edits.push(Edit::open(within.end, format!(" {ITERABLE}((")));
                edits.push(Edit::close(stop.map_or(last.end, |stop| stop.start), ")) ".into()));
            }
            _ => {}
        }
    }
}

/// A tag of one word, as `{%- raw -%}`.
struct Tag<'a> {
    /// The sign after the opening brace.
    before: &'a str,
    /// The sign in front of the closing brace.
    after: &'a str,
    /// Bytes of the whole tag.
    length: usize,
}

impl<'a> Tag<'a> {
    fn of(text: &'a str, name: &str) -> Option<Self> {
        let (before, rest) = sign(text.strip_prefix("{%")?);
        let rest = rest.trim_start().strip_prefix(name)?.trim_start();
        let (after, rest) = sign(rest);
        let rest = rest.strip_prefix("%}")?;
        Some(Self { before, after, length: text.len() - rest.len() })
    }
}

fn sign(text: &str) -> (&str, &str) {
    text.split_at(usize::from(text.starts_with(['-', '+'])))
}

/// Without the white space after the last newline, if there is nothing else.
fn without_indentation(text: &str) -> &str {
    let line = text.rfind('\n').map_or(0, |newline| newline + 1);
    let (before, last) = text.split_at(line);
    if line > 0 && last.trim_start().is_empty() { before } else { text }
}

/// A word, a string or a sign of code.
struct Token {
    start: usize,
    end: usize,
    /// Brackets around it.
    depth: usize,
}

impl Token {
    fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// The tokens of a tag that begins with `text`, its opening `opening` bytes long, and the length of the tag.
fn tokens(text: &str, opening: usize, end: &str) -> (Vec<Token>, usize) {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut at = opening;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let (_, unsigned) = sign(rest);
        if depth == 0 && (rest.starts_with(end) || unsigned.starts_with(end)) {
            return (tokens, text.len() - unsigned.len() + end.len());
        }
        if matches!(first, ')' | ']' | '}') {
            depth = depth.saturating_sub(1);
        }
        let length = match first {
            '\'' | '"' => string_length(rest, first),
            _ if is_word(first) => word(rest).len(),
            _ if SEPARATORS.iter().any(|sign| sign.len() == 2 && rest.starts_with(sign)) => 2,
            _ => first.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push(Token { start: at, end: at + length, depth });
        }
        if matches!(first, '(' | '[' | '{') {
            depth += 1;
        }
        at += length;
    }
    (tokens, text.len())
}

/// A change of a tag's text.
struct Edit {
    at: usize,
    /// Which comes first of several at one place: inner brackets close before outer ones, and open after them.
    order: u8,
    removes: usize,
    text: String,
}

impl Edit {
    fn close_inner(at: usize, text: String) -> Self {
        Self { at, order: 0, removes: 0, text }
    }

    fn close(at: usize, text: String) -> Self {
        Self { at, order: 1, removes: 0, text }
    }

    fn open(at: usize, text: String) -> Self {
        Self { at, order: 2, removes: 0, text }
    }

    fn open_inner(at: usize, text: String) -> Self {
        Self { at, order: 3, removes: 0, text }
    }

    fn replace(token: &Token, text: String) -> Self {
        Self { at: token.start, order: 4, removes: token.end - token.start, text }
    }
}

/// The variables that a statement sets.
fn set_variables<'a>(text: &'a str, statement: &str, tokens: &[Token]) -> Vec<&'a str> {
    let (from, until): (usize, &[&str]) = match statement {
        "set" => (0, &["=", "|"]),
        "for" => (0, &["in"]),
        "with" => (0, &[]),
        // After the name of the macro.
        "macro" => (1, &[]),
        _ => return Vec::new(),
    };
    let targets = tokens
        .iter()
        .skip(from)
        .map(|token| token.text(text))
        .take_while(|word| !until.contains(word));
    targets
        .filter(|word| word.starts_with(|first| is_word(first) && !char::is_numeric(first)))
        .collect()
}

/// Makes lookups of methods that are not called.
fn attributes(text: &str, tokens: &[Token], edits: &mut Vec<Edit>) {
    for (index, pair) in tokens.windows(2).enumerate() {
        let [dot, name] = pair else { continue };
        let is_called = tokens.get(index + 2).is_some_and(|next| next.text(text) == "(");
        if dot.text(text) == "." && DICT_METHODS.contains(&name.text(text)) && !is_called {
            let lookup = format!("['{METHOD}{}']", name.text(text));
            edits.push(Edit::replace(&Token { end: name.end, ..*dot }, lookup));
        }
    }
}

/// Makes filters of `%` after a string.
fn percents(text: &str, tokens: &[Token], edits: &mut Vec<Edit>) {
    for (index, pair) in tokens.windows(2).enumerate() {
        let [string, percent] = pair else { continue };
        if percent.text(text) != "%" || !string.text(text).starts_with(['\'', '"']) {
            continue;
        }
        let operand = tokens.get(index + 2..).unwrap_or_default();
        let length = operand
            .iter()
            .enumerate()
            .position(|(place, token)| {
                let word = token.text(text);
                token.depth < percent.depth
                    || token.depth == percent.depth
                        && place > 0
                        && (SEPARATORS.contains(&word)
                            || ARITHMETIC.contains(&word)
                            || OPERATOR_WORDS.contains(&word))
            })
            .unwrap_or(operand.len());
        let Some(last) = operand.get(..length).and_then(<[Token]>::last) else { continue };
        edits.push(Edit::replace(percent, format!("|{PERCENT}(")));
        edits.push(Edit::close_inner(last.end, ")".into()));
    }
}

/// A sum at one depth of brackets, while it is read.
#[derive(Default)]
struct Sum {
    start: Option<usize>,
    /// Whether the operand that is read ends a call.
    is_added: bool,
    /// Whether the last token may end an operand, so that a sign after it stands between two.
    is_complete: bool,
    /// Whether the next word is the name of a test, as after `is`.
    is_test: bool,
    end: usize,
}

impl Sum {
    fn close_operand(&mut self, edits: &mut Vec<Edit>) {
        if std::mem::take(&mut self.is_added) {
            edits.push(Edit::close_inner(self.end, ")".into()));
        }
    }

    fn take(&mut self, text: &str, token: &Token, edits: &mut Vec<Edit>) {
        let word = token.text(text);
        let is_operator = OPERATOR_WORDS.contains(&word) && !self.is_test;
        if is_operator || SEPARATORS.contains(&word) {
            self.close_operand(edits);
            *self = Self::default();
            return;
        }
        self.is_test = word == "is" || self.is_test && word == "not";
        if self.is_complete && matches!(word, "+" | "-") {
            self.close_operand(edits);
            if let (Some(start), "+") = (self.start, word) {
                edits.push(Edit::open_inner(start, format!("{ADD}(")));
                edits.push(Edit::replace(token, ",".into()));
                self.is_added = true;
            }
            self.is_complete = false;
            return;
        }
        self.start.get_or_insert(token.start);
        self.is_complete =
            word.ends_with(|last| is_word(last) || matches!(last, ')' | ']' | '}' | '\'' | '"'));
        self.end = token.end;
    }
}

/// Makes calls of sums: `a + b - c + d` becomes `add(add(a, b) - c, d)`.
fn sums(text: &str, tokens: &[Token], edits: &mut Vec<Edit>) {
    let mut open = vec![Sum::default()];
    for token in tokens {
        while open.len() > token.depth + 1 {
            if let Some(mut inner) = open.pop() {
                inner.close_operand(edits);
            }
        }
        open.resize_with(token.depth + 1, Sum::default);
        if let Some(sum) = open.last_mut() {
            sum.take(text, token, edits);
        }
    }
    for mut sum in open {
        sum.close_operand(edits);
    }
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

/// The name or number that `text` begins with.
fn word(text: &str) -> &str {
    text.split(|char| !is_word(char)).next().unwrap_or_default()
}

/// Bytes of the string literal that `text` begins with.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if char == '\\' {
            escaped = true;
        } else if char == quote {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::prepare;

    #[track_caller]
    fn check(source: &str, expect: &str) {
        assert_eq!(prepare(source).source, expect);
    }

    #[test]
    fn a_generation_block_becomes_a_call_block_with_the_same_control_of_white_space() {
        check(
            "{%- generation -%}a{%endgeneration-%}",
            "{%- call __generation() +%}{%+ if loop +%}{%+ endif -%}a{%endcall-%}",
        );
        assert!(prepare("{% generation %}{% endgeneration %}").marks_learnt);
    }

    #[test]
    fn text_comments_and_strings_stay_as_they_are() {
        for source in [
            "generation {# {% generation %} #} {",
            "{{ '{% generation %} .items \\' %}' }}",
            "{% if generation %}{% set generation = 1 %}{% endif %}",
            "{{ {'a': {'b': 1}}['a'].items() }}",
            "{# never closed",
            "{% raw %}never closed",
            "{{ 'never closed",
        ] {
            check(source, source);
            assert!(!prepare(source).marks_learnt, "{source}");
        }
    }

    #[test]
    fn a_raw_block_becomes_its_text() {
        check(
            "  {%- raw %}\n{% generation %}'{{ a.items }}\\\n  {% endraw -%} b",
            "  {%- if true +%}{{ '\n{% generation %}\\'{{ a.items }}\\\\\n' }}{%+ endif -%} b",
        );
    }

    #[test]
    fn what_is_looped_over_is_checked() {
        check(
            "{%- for k, v in a[b if c] if d -%}{% for x in y recursive %}{% for x in y%}",
            "{%- for k, v in __iterable(( a[b if c] )) if d -%}{% for x in __iterable(( y )) recursive %}{% for x in __iterable(( y)) %}",
        );
    }

    #[test]
    fn a_body_reads_the_variables_of_the_template() {
        check(
            "{%- macro f(a) -%}{% set ns.b = c %}{% endmacro %}",
            "{%- macro f(a) +%}{%+ if a or b or loop or ns +%}{%+ endif -%}{% set ns.b = c %}{% endmacro %}",
        );
    }

    #[test]
    fn a_method_that_is_not_called_is_looked_up_as_such() {
        check("{{ a.items or b . keys (1) }}", "{{ a['\u{1}items'] or b . keys (1) }}");
        check("{{ 1.5 }}{{ a.item }}", "{{ 1.5 }}{{ a.item }}");
    }

    #[test]
    fn a_string_is_formatted_by_a_filter() {
        check("{{ '%s' % (a, b) + c % d }}", "{{ '%s' |__percent( (a, b)) + c % d }}");
    }

    #[test]
    fn sums_are_calls_where_strings_may_be_safe() {
        check(
            "{{ a|safe }}{{ a+b - -c + d[e + f] is not string and g + h }}",
            "{{ a|safe }}{{ __add(__add(a,b) - -c , d[__add(e , f)] is not string) and __add(g , h) }}",
        );
        check("{% for a in b|e+c%}", "{% for a in __iterable(( __add(b|e,c))) %}");
        check("{{ a + b }}", "{{ a + b }}");
    }

    #[test]
    fn line_ends_become_those_of_unix() {
        check("a\r\n{{ 'b\r\n' }}\rc", "a\n{{ 'b\n' }}\nc");
    }
}
