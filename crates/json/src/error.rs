//! What can be wrong with a JSON text.

use std::fmt;

/// Deepest nesting of JSON that is read. Trainers' own parsers stop near 1,000; real histories stay under 40.
pub const JSON_DEPTH: usize = 512;

/// What is wrong with a JSON text, and at which byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Bytes from the start of the text that was parsed.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// The kinds of fault that a JSON text can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text ended inside a value.
    Ended,
    /// Something else was due here.
    Expected(Due),
    /// A control character stands bare in a string.
    ControlCharacter,
    /// An escape that JSON does not have.
    Escape,
    /// A number that JSON does not allow.
    Number,
    /// More levels than [`JSON_DEPTH`].
    TooDeep,
    /// Something follows the value.
    Trailing,
}

/// What can be due in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are JSON's own")]
pub enum Due {
    Value,
    Object,
    Array,
    CommaOrBrace,
    CommaOrBracket,
    Key,
    Colon,
    String,
    Literal,
}

impl Due {
    fn words(self) -> &'static str {
        match self {
            Self::Value => "a value",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::CommaOrBrace => "`,` or `}`",
            Self::CommaOrBracket => "`,` or `]`",
            Self::Key => "a key in quotes",
            Self::Colon => "`:`",
            Self::String => "a string",
            Self::Literal => "`true`, `false` or `null`",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Ended => write!(f, "not valid JSON: it ends inside a value"),
            Problem::Expected(due) => write!(f, "not valid JSON: expected {}", due.words()),
            Problem::ControlCharacter => {
                write!(f, "not valid JSON: a control character in a string is not escaped")
            }
            Problem::Escape => write!(f, "not valid JSON: unknown escape in a string"),
            Problem::Number => write!(f, "not valid JSON: malformed number"),
            Problem::TooDeep => write!(f, "nested deeper than {JSON_DEPTH} levels"),
            Problem::Trailing => write!(f, "not valid JSON: something follows the value"),
        }
    }
}

impl std::error::Error for JsonError {}
