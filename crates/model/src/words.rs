//! The words of conversations: what full-text search finds, by one rule for files, SQLite and PostgreSQL.
//!
//! A word is a run of letters, digits and marks, in lower case, without accents and other marks above or below letters,
//! and with compatibility forms (full-width letters, ligatures) replaced. Scripts that do not put spaces between words
//! (Chinese, Japanese, Korean, Thai and others) have a word for each two neighbouring characters, and one for the last
//! character of a run: `東京都` has `東京`, `京都` and `都`. Any part of such a run is then a phrase of words or, if it is
//! one character, the start of one.
//!
//! A store's index is made by this rule. A change of the rule needs a step of the store's schema that makes the index again.

use retort_json::Value;
use unicode_normalization::char::decompose_compatible;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::bounds::{WORD_BYTES, WORD_CHARACTERS};
use crate::conversation::Conversation;
use crate::message::{Message, Role};

/// A part of a conversation in which words are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordPart {
    /// What the user wrote.
    Question,
    /// What the model wrote, without its reasoning.
    Answer,
    /// Everything else in messages: instructions, reasoning, arguments and results of tools, errors, comments.
    Other,
    /// The title.
    Title,
    /// A tag.
    Tag,
    /// The name of a tool that was called.
    Tool,
    /// The id, the owner, or a model.
    Name,
}

impl WordPart {
    /// The parts that are not text of messages.
    pub const NAMES: [Self; 4] = [Self::Title, Self::Tag, Self::Tool, Self::Name];

    /// What comes before each word of the part in an index: a character that no word has. Empty for text of messages.
    pub fn marker(self) -> &'static str {
        match self {
            Self::Question | Self::Answer | Self::Other => "",
            Self::Title => "\u{e001}",
            Self::Tag => "\u{e002}",
            Self::Tool => "\u{e003}",
            Self::Name => "\u{e004}",
        }
    }
}

/// Stands in an index where a text ends and the next one begins, so that no phrase reaches across.
pub const BREAK: &str = "\u{e000}";

/// The words of a conversation as an index takes them: separated by spaces, each with the marker of its part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// What the user wrote.
    pub question: String,
    /// What the model wrote.
    pub answer: String,
    /// Everything else in messages.
    pub other: String,
    /// Tools, models, owner and id.
    pub names: String,
}

impl Words {
    /// Those of a conversation, without its title and tags, which may be edited apart from it ([`Self::of_head`]).
    pub fn of(conversation: &Conversation<'_>) -> Self {
        let mut words = Self::default();
        each_body_word(conversation, &mut |part, word| {
            let out = match part {
                WordPart::Question => &mut words.question,
                WordPart::Answer => &mut words.answer,
                WordPart::Other => &mut words.other,
                _ => &mut words.names,
            };
            push(out, part, word);
        });
        words
    }

    /// Those of a title and tags.
    pub fn of_head<'t>(title: Option<&str>, tags: impl IntoIterator<Item = &'t str>) -> String {
        let mut out = String::new();
        each_head_word(title, tags, &mut |part, word| push(&mut out, part, word));
        out
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        [&self.question, &self.answer, &self.other, &self.names].iter().all(|text| text.is_empty())
    }
}

fn push(out: &mut String, part: WordPart, word: Option<&str>) {
    if !out.is_empty() {
        out.push(' ');
    }
    match word {
        Some(word) => {
            out.push_str(part.marker());
            out.push_str(word);
        }
        None => out.push_str(BREAK),
    }
}

/// Hands over the words of a conversation with its title and tags, each with its part; none where a text ends.
pub(crate) fn each_word_of(
    conversation: &Conversation<'_>,
    take: &mut dyn FnMut(WordPart, Option<&str>),
) {
    let title = conversation.title.as_ref().map(|title| title.decoded());
    let tags: Vec<_> = conversation.tags.iter().map(|tag| tag.decoded()).collect();
    each_head_word(title.as_deref(), tags.iter().map(|tag| &**tag), take);
    each_body_word(conversation, take);
}

fn each_head_word<'t>(
    title: Option<&str>,
    tags: impl IntoIterator<Item = &'t str>,
    take: &mut dyn FnMut(WordPart, Option<&str>),
) {
    let titles = title.into_iter().map(|title| (WordPart::Title, title));
    for (part, text) in titles.chain(tags.into_iter().map(|tag| (WordPart::Tag, tag))) {
        each_word(text, &mut |word, _| take(part, Some(word)));
        take(part, None);
    }
}

/// Counts down the bytes of words that a conversation may still have in an index.
struct Budget<'t> {
    left: usize,
    take: &'t mut dyn FnMut(WordPart, Option<&str>),
}

impl Budget<'_> {
    fn text(&mut self, part: WordPart, text: &str) {
        if text.is_empty() || self.left == 0 {
            return;
        }
        each_word(text, &mut |word, _| {
            self.left = self.left.saturating_sub(word.len() + 1);
            if self.left > 0 {
                (self.take)(part, Some(word));
            }
        });
        self.left = self.left.saturating_sub(BREAK.len() + 1);
        (self.take)(part, None);
    }
}

/// The words of everything but title and tags: names first, then questions, answers and the rest, as far as there is room.
fn each_body_word(conversation: &Conversation<'_>, take: &mut dyn FnMut(WordPart, Option<&str>)) {
    let mut budget = Budget { left: WORD_BYTES, take };
    budget.text(WordPart::Name, &conversation.id.decoded());
    let rounds = conversation.tasks.iter().flat_map(|task| &task.rounds);
    let rounds = conversation.rounds.iter().chain(rounds);
    let models = conversation.model.iter().chain(rounds.filter_map(|round| round.model.as_ref()));
    let mut seen = Vec::new();
    for name in conversation.owner.iter().chain(models).map(|name| name.decoded()) {
        if !seen.contains(&name) {
            budget.text(WordPart::Name, &name);
            seen.push(name);
        }
    }
    let mut seen = Vec::new();
    for call in conversation.messages().flat_map(|message| &message.tool_calls) {
        let name = call.name.decoded();
        if !seen.contains(&name) {
            budget.text(WordPart::Tool, &name);
            seen.push(name);
        }
    }
    for (role, part) in [(Role::User, WordPart::Question), (Role::Assistant, WordPart::Answer)] {
        for message in conversation.messages().filter(|message| message.role == role) {
            budget.text(part, &message.words().decoded());
        }
    }
    for message in conversation.messages() {
        each_other(message, &mut budget);
    }
}

fn each_other(message: &Message<'_>, budget: &mut Budget<'_>) {
    if !matches!(message.role, Role::User | Role::Assistant) {
        budget.text(WordPart::Other, &message.words().decoded());
    }
    let comment = message.feedback.as_ref().and_then(|feedback| feedback.comment.as_ref());
    for text in [message.reasoning.as_ref(), message.error.as_ref(), comment].into_iter().flatten()
    {
        budget.text(WordPart::Other, &text.decoded());
    }
    for call in &message.tool_calls {
        let arguments = call.arguments.decoded();
        match Value::parse(&arguments) {
            Ok(value) => each_string(&value, budget, 0),
            Err(_) => budget.text(WordPart::Other, &arguments),
        }
    }
}

/// Arguments deeper than this are not looked into.
const DEPTH: usize = 32;

/// The texts and numbers within JSON, without its keys.
fn each_string(value: &Value<'_>, budget: &mut Budget<'_>, depth: usize) {
    match value {
        Value::String(text) | Value::Number(text) => budget.text(WordPart::Other, text),
        Value::Array(items) if depth < DEPTH => {
            items.iter().for_each(|item| each_string(item, budget, depth + 1));
        }
        Value::Object(fields) if depth < DEPTH => {
            fields.iter().for_each(|(_, item)| each_string(item, budget, depth + 1));
        }
        _ => {}
    }
}

/// How a word came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// A run of letters and digits, or two neighbouring characters of a script without spaces.
    Whole,
    /// The last character of a run of such a script, which has others before it.
    Last,
    /// The only character of such a run.
    Only,
}

/// The words of a text that is searched for, and whether the last one is only the start of a word.
pub(crate) fn words_sought(text: &str) -> (Vec<String>, bool) {
    let mut words = Vec::new();
    let mut last = WordKind::Whole;
    each_word(text, &mut |word, kind| {
        words.push(word.to_owned());
        last = kind;
    });
    if last == WordKind::Last {
        words.pop();
    }
    (words, last == WordKind::Only)
}

/// Hands over the words of a text.
pub(crate) fn each_word(text: &str, take: &mut dyn FnMut(&str, WordKind)) {
    let mut cutter = Cutter { word: String::new(), length: 0, run: None, take };
    for character in text.chars() {
        cutter.character(character);
    }
    cutter.end();
}

/// Cuts a text into words.
struct Cutter<'t> {
    word: String,
    /// Characters of the word, of which only the first are in it.
    length: usize,
    /// The last character of a run without spaces, and whether there is one before it.
    run: Option<(char, bool)>,
    take: &'t mut dyn FnMut(&str, WordKind),
}

impl Cutter<'_> {
    fn character(&mut self, character: char) {
        if character.is_ascii() {
            if character.is_ascii_alphanumeric() {
                self.letter(character.to_ascii_lowercase());
            } else {
                self.end();
            }
        } else if is_without_spaces(character) {
            self.neighbour(character);
        } else {
            decompose_compatible(character, |part| self.part(part));
        }
    }

    /// A character without the marks that were one with it.
    fn part(&mut self, character: char) {
        if is_dropped(character) {
            return;
        }
        if is_without_spaces(character) {
            return self.neighbour(character);
        }
        if !is_of_word(character) {
            return self.end();
        }
        // One letter has one form within and at the end of words.
        let character = if character == 'ς' { 'σ' } else { character };
        for lower in character.to_lowercase().filter(|lower| !is_dropped(*lower)) {
            self.letter(lower);
        }
    }

    fn letter(&mut self, lower: char) {
        self.end_run();
        if self.length < WORD_CHARACTERS {
            self.word.push(lower);
        }
        self.length += 1;
    }

    fn neighbour(&mut self, character: char) {
        self.end_word();
        if let Some((before, _)) = self.run {
            self.word.extend([before, character]);
            (self.take)(&self.word, WordKind::Whole);
            self.word.clear();
        }
        self.run = Some((character, self.run.is_some()));
    }

    fn end(&mut self) {
        self.end_word();
        self.end_run();
    }

    fn end_word(&mut self) {
        if self.length > 0 {
            (self.take)(&self.word, WordKind::Whole);
            self.word.clear();
            self.length = 0;
        }
    }

    fn end_run(&mut self) {
        if let Some((last, has_others)) = self.run.take() {
            let kind = if has_others { WordKind::Last } else { WordKind::Only };
            (self.take)(last.encode_utf8(&mut [0; 4]), kind);
        }
    }
}

/// Marks that readers and writers of a language leave out or write in several ways.
fn is_dropped(character: char) -> bool {
    matches!(character,
        // Accents, points of Hebrew, vowel signs of Arabic and the stroke that lengthens its words, joiners.
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{640}'
        | '\u{200c}' | '\u{200d}' | '\u{ad}')
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character.general_category_group() == GeneralCategoryGroup::Mark
}

/// Whether a character is of a script that puts no spaces between words, or as good as none.
fn is_without_spaces(character: char) -> bool {
    matches!(character,
        // Thai, Lao, Myanmar, Khmer.
        '\u{e01}'..='\u{e3a}' | '\u{e40}'..='\u{e4e}' | '\u{e80}'..='\u{ecf}'
        | '\u{1000}'..='\u{103f}' | '\u{1780}'..='\u{17d3}'
        // Hangul.
        | '\u{1100}'..='\u{11ff}' | '\u{3131}'..='\u{318e}' | '\u{ac00}'..='\u{d7a3}'
        // Kana and bopomofo.
        | '\u{3041}'..='\u{3096}' | '\u{3099}' | '\u{309a}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'..='\u{30ff}' | '\u{3105}'..='\u{312f}' | '\u{31f0}'..='\u{31ff}'
        // Han.
        | '\u{2e80}'..='\u{2fd5}' | '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Round;
    use crate::message::ToolCall;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text, &mut |word, _| words.push(word.to_owned()));
        words
    }

    #[test]
    fn a_text_has_the_same_words_however_it_is_written() {
        for (text, expect) in [
            ("Refund, please! A_b-c 12.5", &["refund", "please", "a", "b", "c", "12", "5"][..]),
            (
                "Ärger ΠΛΗΡΩΜΉΣ πληρωμής İstanbul ﬁn",
                &["arger", "πληρωμησ", "πληρωμησ", "istanbul", "fin"],
            ),
            ("e\u{301}té été", &["ete", "ete"]),
            ("Straße Ёлка ёлка", &["straße", "елка", "елка"]),
            // Vowel signs, the forms of alif, and the lengthening stroke.
            ("مُدَرِّس مدرس أحمد احمد كـتاب", &["مدرس", "مدرس", "احمد", "احمد", "كتاب"]),
            ("שָׁלוֹם", &["שלום"]),
            // Vowel signs of Devanagari belong to their words.
            ("हिन्दी में", &["हिन्दी", "में"]),
            ("東京都 ABC模型。", &["東京", "京都", "都", "abc", "模型", "型"]),
            ("ＡＢＣ ｶﾅ", &["abc", "カナ", "ナ"]),
            ("環", &["環"]),
            ("한국어", &["한국", "국어", "어"]),
            ("ไทย", &["ไท", "ทย", "ย"]),
            ("می\u{200c}خواهم", &["میخواهم"]),
            ("\u{e001}x 🦀 -", &["x"]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expect, "{text}");
        }
        assert_eq!(words(&"é".repeat(100))[0].len(), WORD_CHARACTERS);
    }

    #[test]
    fn a_part_of_a_run_without_spaces_is_a_phrase() {
        for (text, expect, is_start) in [
            ("東京都", &["東京", "京都"][..], false),
            ("京", &["京"], true),
            ("模型 gpt", &["模型", "型", "gpt"], false),
            ("gpt 模", &["gpt", "模"], true),
        ] {
            assert_eq!(
                words_sought(text),
                (expect.iter().map(|&w| w.to_owned()).collect(), is_start)
            );
        }
    }

    #[test]
    fn each_part_of_a_conversation_has_its_words() {
        let call = ToolCall {
            name: "get_weather".into(),
            arguments: r#"{"city":"Os\nlo","days":[3]}"#.into(),
            ..ToolCall::default()
        };
        let answer = Message {
            tool_calls: vec![call.clone(), call],
            reasoning: Some("Hmm".into()),
            ..Message::text(Role::Assistant, "Cold.")
        };
        let messages = vec![
            Message::text(Role::System, "Be brief"),
            Message::text(Role::User, "How cold?"),
            answer,
            Message::text(Role::Tool, "-3"),
            Message::text(Role::User, "Thanks"),
        ];
        let conversation = Conversation {
            id: "c-1".into(),
            owner: Some("ann@x.org".into()),
            rounds: vec![Round { messages, model: Some("gpt-4o".into()), ..Round::default() }],
            ..Conversation::default()
        };
        let words = Words::of(&conversation);
        let plain = |text: &str| text.replace(BREAK, "|").replace(['\u{e003}', '\u{e004}'], "~");
        assert_eq!(plain(&words.question), "how cold | thanks |");
        assert_eq!(plain(&words.answer), "cold |");
        assert_eq!(plain(&words.other), "be brief | hmm | os lo | 3 | os lo | 3 | 3 |");
        assert_eq!(plain(&words.names), "~c ~1 | ~ann ~x ~org | ~gpt ~4o | ~get ~weather |");
        let head = Words::of_head(Some("My trip"), ["to do"]);
        assert_eq!(head, "\u{e001}my \u{e001}trip \u{e000} \u{e002}to \u{e002}do \u{e000}");
    }

    #[test]
    fn a_large_conversation_has_bounded_words() {
        let text = "word ".repeat(WORD_BYTES);
        let messages = vec![Message::text(Role::Tool, text), Message::text(Role::User, "asked")];
        let rounds = vec![Round { messages, ..Round::default() }];
        let words = Words::of(&Conversation { rounds, ..Conversation::default() });
        assert_eq!(words.question, "asked \u{e000}");
        assert!(words.other.len() <= WORD_BYTES && words.other.len() > WORD_BYTES - 100);
    }
}
