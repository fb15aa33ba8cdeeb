//! Finds secrets and personal data in the JSON text of an item, and masks them.
//!
//! An item is searched as its canonical line, so no field of the model can be forgotten. [`Redactor::line`] walks
//! through the line string by string, keys included (`walk`). Each string is decoded first, so no escape hides
//! anything, and no replacement can break an escape. Strings that are JSON themselves, as the arguments of calls and
//! many results are, are walked through in the same way.
//!
//! `search` finds what is in one string. Each kind has something cheap to look for – an `@`, digits, a prefix such as
//! `ghp_` – and a check that every candidate has to pass: a checksum, a length, the characters before and after. A
//! candidate is checked within a bounded distance, so the time is linear in the length of the text whatever it holds.
//! Base64 and percent-encoded text is decoded and searched as well (`encoded`).

mod action;
mod addresses;
mod encoded;
mod identity;
mod numbers;
mod own;
mod program;
mod replace;
mod rules;
mod search;
mod secrets;
mod text;
mod walk;

pub use self::action::{Action, Key};
pub use self::own::{OwnRules, is_rules_file};
pub use self::program::{Named, Recogniser, RecogniserProgram};
pub use self::rules::{Redactor, Rule, RuleSets, Settings};
pub use self::walk::{Found, Hit};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod precision;
