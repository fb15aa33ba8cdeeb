//! Words in a row, and how they are found in a conversation.

use crate::conversation::Conversation;
use crate::words::{WordPart, each_word_of, words_sought};

/// Words in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// Where they have to stand: in any of these parts.
    pub parts: &'static [WordPart],
    /// The words, by the rule of [`Words`](crate::Words).
    pub words: Vec<String>,
    /// Whether the last word is only the start of one.
    pub is_start: bool,
}

impl Phrase {
    /// The words of a tag; none if it has none. Other tags may have them as well.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let (words, is_start) = words_sought(tag);
        if words.is_empty() {
            None
        } else {
            Some(Self { parts: &[WordPart::Tag], words, is_start })
        }
    }

    fn stands_in(&self, part: WordPart, words: &[String]) -> bool {
        let Some((last, before)) = self.words.split_last() else { return false };
        self.parts.contains(&part)
            && words.windows(self.words.len()).any(|window| {
                window.split_last().is_some_and(|(end, start)| {
                    start == before
                        && (end == last || self.is_start && end.starts_with(last.as_str()))
                })
            })
    }
}

/// Whether a conversation has all of these phrases, and none of those.
pub(super) fn finds(all: &[Phrase], none: &[Phrase], conversation: &Conversation<'_>) -> bool {
    if all.is_empty() && none.is_empty() {
        return true;
    }
    let mut found = vec![false; all.len()];
    let mut excluded = false;
    let mut words: Vec<String> = Vec::new();
    each_word_of(conversation, &mut |part, word| match word {
        Some(word) => words.push(word.to_owned()),
        None => {
            let stands = |phrase: &Phrase| phrase.stands_in(part, &words);
            for (phrase, found) in all.iter().zip(&mut found) {
                *found |= stands(phrase);
            }
            excluded |= none.iter().any(stands);
            words.clear();
        }
    });
    !excluded && found.iter().all(|found| *found)
}
