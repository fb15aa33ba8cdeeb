//! The language that a conversation is in.

use crate::conversation::Conversation;
use crate::message::Role;

/// Bytes of text that are looked at: more would hardly change the result, and would take a quarter of an import.
const ENOUGH_BYTES: usize = 1000;

/// What begins and ends code in Markdown.
const FENCE: &str = "```";

/// The language in which users and assistants write, apart from code, as its two-letter code of ISO 639, or the three-letter
/// code if it has no other. None if the text is too short or too mixed to detect it.
pub fn language_of(conversation: &Conversation<'_>) -> Option<&'static str> {
    let path = conversation.active_path();
    let rounds = path.into_iter().filter_map(|place| conversation.rounds.get(place));
    let messages = rounds.flat_map(|round| &round.messages);
    let mut text = String::new();
    for message in messages.filter(|message| matches!(message.role, Role::User | Role::Assistant)) {
        add_prose(&message.words().decoded(), &mut text);
        if text.len() >= ENOUGH_BYTES {
            break;
        }
    }
    language_of_text(&text)
}

/// Appends the lines of a text that are not code, as far as there is room.
fn add_prose(text: &str, out: &mut String) {
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with(FENCE) {
            is_code = !is_code;
        } else if !is_code {
            let room = ENOUGH_BYTES.saturating_sub(out.len());
            out.extend(line.chars().take(room));
            out.push('\n');
        }
        if out.len() >= ENOUGH_BYTES {
            return;
        }
    }
}

/// The code of a text's language.
fn language_of_text(text: &str) -> Option<&'static str> {
    let found = whatlang::detect(text).filter(whatlang::Info::is_reliable)?;
    let code = found.lang().code();
    let short = SHORT.iter().find(|(long, _)| *long == code);
    Some(short.map_or(code, |(_, short)| *short))
}

/// Three-letter and two-letter codes.
const SHORT: &[(&str, &str)] = &[
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("aze", "az"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ind", "id"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nob", "nb"),
    ("ori", "or"),
    ("pan", "pa"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sna", "sn"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("yid", "yi"),
    ("zul", "zu"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Round;
    use crate::message::Message;

    fn said(question: &str, answer: &str) -> Option<&'static str> {
        let message = |role, text: &str| Message::text(role, text.to_owned());
        let messages = vec![
            message(Role::System, "This prompt is in English, whatever is said after it."),
            message(Role::User, question),
            message(Role::Assistant, answer),
        ];
        let round = Round { messages, ..Round::default() };
        language_of(&Conversation { rounds: vec![round], ..Conversation::default() })
    }

    #[test]
    fn a_language_is_detected_from_what_users_and_assistants_say() {
        let english = "You can call the function with a second argument, which says that the largest numbers come first.";
        let code = format!(
            "Nimm die zweite Liste, sie ist schon sortiert:\n```\n# {english}\n```\nViel Erfolg!"
        );
        for (question, answer, expect) in [
            ("How do I sort a list?", english, Some("en")),
            ("Wie kann ich eine Liste von Zahlen sortieren?", &*code, Some("de")),
            (
                "Comment trier une liste de nombres sans la modifier, s'il vous plaît ?",
                "",
                Some("fr"),
            ),
            ("如何在不更改列表的情况下对数字进行排序？", "", Some("zh")),
            ("リストを変更せずに数字を並べ替えるにはどうすればよいですか？", "", Some("ja")),
            (
                "Как отсортировать список чисел?",
                "Вызовите функцию со вторым аргументом, который говорит, что большие числа идут первыми.",
                Some("ru"),
            ),
            ("42", "", None),
            ("", "", None),
        ] {
            assert_eq!(said(question, answer), expect, "{question}");
        }
    }
}
