//! Finds everything in one text.

use std::ops::Range;

use retort_model::Redaction;

use crate::action::Action;
use crate::encoded::{Plain, each_base64};
use crate::rules::{Redactor, Rule};
use crate::walk::Found;
use crate::{addresses, identity, numbers};

/// How deep encodings, and strings that are JSON, may be in one another.
pub(crate) const DEPTH: usize = 12;

/// What was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) rule: Rule,
    pub(crate) range: Range<usize>,
}

/// What a byte can begin, for the pass that looks for personal data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Nothing,
    At,
    Digit,
    Colon,
}

static SIGNS: [Sign; 256] = {
    let mut table = [Sign::Nothing; 256];
    table[b'@' as usize] = Sign::At;
    table[b':' as usize] = Sign::Colon;
    let mut digit = b'0';
    while digit <= b'9' {
        table[digit as usize] = Sign::Digit;
        digit += 1;
    }
    table
};

impl Redactor {
    /// Everything that is found in a text, in its order and without overlaps.
    pub(crate) fn find(&self, text: &str, depth: usize) -> Vec<Match> {
        let mut found = Vec::new();
        let mut take = |rule, range| found.push(Match { rule, range });
        if let Some(own) = self.own() {
            own.each(text, &mut |place, range| take(Rule::Own(place), range));
        }
        self.literals.each(text, &mut |kind, range| take(Rule::BuiltIn(kind), range));
        if self.settings.sets.pii {
            each_personal(text, &mut |kind, range| take(Rule::BuiltIn(kind), range));
        }
        if depth < DEPTH {
            each_base64(text, &mut |range, decoded| {
                if let Some(rule) = self.rule_in(decoded, depth + 1) {
                    take(rule, range);
                }
            });
            if let Some(plain) = Plain::of(text) {
                for Match { rule, range } in self.find(&plain.text, depth + 1) {
                    if let Some(place) = plain.place(&range) {
                        take(rule, place);
                    }
                }
            }
        }
        self.joined(found)
    }

    /// Puts what was found in order. What overlaps is one: of the rule that begins first, or of one that leaves the item
    /// out.
    fn joined(&self, mut found: Vec<Match>) -> Vec<Match> {
        if found.len() < 2 {
            return found;
        }
        found.sort_by_key(|one| (one.range.start, std::cmp::Reverse(one.range.end)));
        let mut joined: Vec<Match> = Vec::with_capacity(found.len());
        for one in found {
            match joined.last_mut() {
                Some(last) if one.range.start < last.range.end => {
                    last.range.end = last.range.end.max(one.range.end);
                    if self.action_of(one.rule) == Action::LeaveOut {
                        last.rule = one.rule;
                    }
                }
                _ => joined.push(one),
            }
        }
        joined
    }

    /// What is found first in a decoded text, JSON or not.
    fn rule_in(&self, decoded: &str, depth: usize) -> Option<Rule> {
        let mut found = Found::default();
        self.string_at(decoded, &mut found, depth)?;
        found.first()
    }
}

/// Tells of personal data, in one pass.
fn each_personal(text: &str, take: &mut dyn FnMut(Redaction, Range<usize>)) {
    let bytes = text.as_bytes();
    let (mut at, mut end) = (0, 0);
    while let Some(step) =
        bytes.get(at..).and_then(|rest| rest.iter().position(|one| sign(*one) != Sign::Nothing))
    {
        at += step;
        let (found, next) = match bytes.get(at).map_or(Sign::Nothing, |one| sign(*one)) {
            Sign::At => (addresses::email(text, at).map(|range| (Redaction::Email, range)), at + 1),
            Sign::Colon => {
                let (found, next) = addresses::ipv6(text, at);
                (found.map(|range| (Redaction::IpAddress, range)), next)
            }
            Sign::Digit | Sign::Nothing => of_digits(text, at, end),
        };
        match found {
            Some((kind, range)) => {
                at = range.end.max(at + 1);
                end = at;
                take(kind, range);
            }
            None => at = next,
        }
    }
}

fn sign(one: u8) -> Sign {
    SIGNS.get(usize::from(one)).copied().unwrap_or(Sign::Nothing)
}

/// What the digits that begin here are, and where to go on. Most are too few for anything: dates, counts.
fn of_digits(text: &str, at: usize, found_to: usize) -> (Option<(Redaction, Range<usize>)>, usize) {
    let bytes = text.as_bytes();
    let rest = bytes.get(at..).unwrap_or_default();
    let length = rest.iter().take_while(|one| one.is_ascii_digit()).count();
    let next = at + length;
    // An account number begins with letters, and an address of version 6 may go on with some.
    let has_letters =
        at >= 2 && bytes.get(at - 2..at).is_some_and(|two| two.iter().all(u8::is_ascii_alphabetic));
    if !has_letters && !is_enough(rest, length) {
        return (None, next);
    }
    let is_new = |range: &Range<usize>| range.start >= found_to;
    let found = if has_letters {
        numbers::iban(text, at).map(|range| (Redaction::Iban, range))
    } else {
        None
    }
    .or_else(|| Some((Redaction::NationalId, identity::of_digits(text, at)?)))
    .or_else(|| Some((Redaction::Card, numbers::card(text, at)?)))
    .or_else(|| Some((Redaction::Phone, numbers::phone(text, at)?)))
    .or_else(|| Some((Redaction::IpAddress, addresses::ipv4(text, at)?)))
    .filter(|(_, range)| is_new(range));
    (found, next)
}

/// Whether digits, with what may stand between them, can be a number or an address: eight digits, or three dots.
fn is_enough(rest: &[u8], length: usize) -> bool {
    if length >= 8 {
        return true;
    }
    let (mut digits, mut dots, mut separators) = (0, 0, 0);
    for one in rest {
        match one {
            b'0'..=b'9' => (digits, separators) = (digits + 1, 0),
            b'.' if separators == 0 => (dots, separators) = (dots + 1, 1),
            b' ' | b'-' | b'/' | b'(' | b')' | b'.' if separators < 3 => separators += 1,
            _ => break,
        }
        if digits >= 9 || dots >= 3 {
            return true;
        }
    }
    false
}
