//! Tokenizers: how many tokens a text has, and how many of its learnt spans.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Names of the tokenizers that need no file.
pub const BUILT_IN: [&str; 2] = ["cl100k", "o200k"];

/// A tokenizer, as the trainers' own code counts with it.
pub struct Tokenizer(Kind);

enum Kind {
    HuggingFace(Box<tokenizers::Tokenizer>),
    OpenAi(&'static tiktoken::CoreBpe),
}

/// A text in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens of the whole text.
    pub all: usize,
    /// Those of them with a byte in a learnt span.
    pub learnt: usize,
}

impl TokenCount {
    /// The length of a text in characters instead.
    pub fn of_characters(text: &str, learnt: &[Range<usize>]) -> Self {
        let count = |text: &str| text.chars().count();
        let spans = learnt.iter().filter_map(|span| text.get(span.clone()));
        Self { all: count(text), learnt: spans.map(count).sum() }
    }
}

/// Why a tokenizer can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerError(String);

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tokenizer: {}", self.0)
    }
}

impl std::error::Error for TokenizerError {}

impl From<tokenizers::Error> for TokenizerError {
    fn from(error: tokenizers::Error) -> Self {
        Self(error.to_string())
    }
}

impl Tokenizer {
    /// One of [`BUILT_IN`]: OpenAI's `cl100k_base` (GPT-4) or `o200k_base` (GPT-4o and later). Special tokens in a text are
    /// read as text, as by `encode_ordinary` of tiktoken.
    pub fn built_in(name: &str) -> Option<Self> {
        let name = match name {
            "cl100k" => "cl100k_base",
            "o200k" => "o200k_base",
            _ => return None,
        };
        tiktoken::get_encoding(name).map(|encoding| Self(Kind::OpenAi(encoding)))
    }

    /// Counts the tokens of a text, without those that a tokenizer adds around it: a template prints them itself.
    ///
    /// # Errors
    /// A text that the tokenizer has no tokens for.
    pub fn count(&self, text: &str, learnt: &[Range<usize>]) -> Result<TokenCount, TokenizerError> {
        match &self.0 {
            Kind::HuggingFace(tokenizer) if learnt.is_empty() => {
                let tokens = tokenizer.encode_fast(text, false)?;
                Ok(TokenCount { all: tokens.len(), learnt: 0 })
            }
            Kind::HuggingFace(tokenizer) => {
                let tokens = tokenizer.encode(text, false)?;
                Ok(count(tokens.get_offsets().iter().map(|&(start, end)| start..end), learnt))
            }
            Kind::OpenAi(tokenizer) if learnt.is_empty() => {
                Ok(TokenCount { all: tokenizer.count(text), learnt: 0 })
            }
            Kind::OpenAi(tokenizer) => {
                let mut at = 0;
                let tokens = tokenizer.encode(text).into_iter().map(|token| {
                    let start = at;
                    at += tokenizer.decode(&[token]).len();
                    start..at
                });
                Ok(count(tokens, learnt))
            }
        }
    }
}

impl FromStr for Tokenizer {
    type Err = TokenizerError;

    /// Reads the text of a `tokenizer.json`.
    fn from_str(text: &str) -> Result<Self, TokenizerError> {
        let mut tokenizer: tokenizers::Tokenizer = text.parse()?;
        // A file may ask for both; they are of training, where the length is what counts.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None)?;
        Ok(Self(Kind::HuggingFace(Box::new(tokenizer))))
    }
}

/// Counts tokens and those that touch a learnt span. Both come in order.
fn count(tokens: impl Iterator<Item = Range<usize>>, learnt: &[Range<usize>]) -> TokenCount {
    let mut spans = learnt.iter().peekable();
    let mut counted = TokenCount::default();
    for token in tokens {
        counted.all += 1;
        while spans.next_if(|span| span.end <= token.start).is_some() {}
        if spans.peek().is_some_and(|span| span.start < token.end) {
            counted.learnt += 1;
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = r#"{
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [{"id": 3, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"?": 0, "hi": 1, "all": 2, "<|end|>": 3}, "unk_token": "?"}
    }"#;

    #[test]
    fn a_tokenizer_file_counts_the_whole_text_with_its_special_tokens() {
        let tokenizer: Tokenizer = WORDS.parse().unwrap();
        let text = "Hi all<|end|>é hi";
        assert_eq!(tokenizer.count(text, &[]).unwrap(), TokenCount { all: 5, learnt: 0 });
        // From inside `all` to the end of the special token.
        let learnt = 4..13;
        assert_eq!(tokenizer.count(text, &[learnt]).unwrap(), TokenCount { all: 5, learnt: 2 });
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_refused() {
        assert!("{}".parse::<Tokenizer>().is_err());
        assert!(Tokenizer::built_in("gpt2").is_none());
    }

    /// The counts are those of tiktoken with these ranks.
    #[test]
    fn openai_tokenizers_count_as_tiktoken_does() {
        let text =
            "The Ångström 東京 \u{1F600} costs 12,345.67 €; f(x) = x**2\n\n  def a():\treturn 'ok'";
        for (name, all) in [("cl100k", 34), ("o200k", 31)] {
            let tokenizer = Tokenizer::built_in(name).unwrap();
            assert_eq!(tokenizer.count(text, &[]).unwrap().all, all, "{name}");
            let learnt = 0..text.len();
            assert_eq!(
                tokenizer.count(text, &[learnt]).unwrap(),
                TokenCount { all, learnt: all },
                "{name}"
            );
            assert_eq!(tokenizer.count("", &[]).unwrap(), TokenCount::default());
        }
    }
}
