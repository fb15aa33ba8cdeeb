//! Keys, tokens and passwords: each begins with, or comes after, a text that is known.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use retort_model::Redaction;

use crate::text::{after, before, byte, joins, matched, run, run_back};

/// A text that a secret begins with, or that comes before one.
struct Literal {
    text: &'static str,
    kind: Redaction,
    shape: Shape,
}

/// What comes after a literal.
#[derive(Clone, Copy)]
enum Shape {
    /// At least so many characters of a class; the literal is part of the secret.
    Key(Class, usize),
    /// As `Key`, of which letters and digits have no order: parts of programs have names that begin so.
    Varied(Class, usize),
    /// As `Key`, with exactly so many characters.
    Exact(Class, usize),
    /// A signed token in its three parts.
    Jwt,
    /// A key in PEM.
    Pem,
    /// A token behind the name of its kind.
    Token,
    /// A user and a password before a host.
    Url,
    /// A signature behind its `=`.
    Signature,
    /// The token of a bot, with digits before it.
    Bot,
    /// A password behind its name.
    Password,
}

#[derive(Clone, Copy)]
enum Class {
    /// Letters and digits.
    Word,
    /// The same and `_`.
    Name,
    /// The same, `_` and `-`.
    Token,
    /// The same and `.`.
    Dotted,
    /// The same and `/`.
    Path,
    /// Upper-case letters and digits.
    Upper,
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
}

impl Class {
    fn has(self, one: u8) -> bool {
        match self {
            Self::Word => one.is_ascii_alphanumeric(),
            Self::Name => one.is_ascii_alphanumeric() || one == b'_',
            Self::Token => one.is_ascii_alphanumeric() || matches!(one, b'_' | b'-'),
            Self::Dotted => one.is_ascii_alphanumeric() || matches!(one, b'_' | b'-' | b'.'),
            Self::Path => one.is_ascii_alphanumeric() || matches!(one, b'_' | b'-' | b'/'),
            Self::Upper => one.is_ascii_uppercase() || one.is_ascii_digit(),
            Self::Hex => matches!(one, b'0'..=b'9' | b'a'..=b'f'),
            Self::Base64 => one.is_ascii_alphanumeric() || matches!(one, b'+' | b'/' | b'%'),
        }
    }
}

const fn key(text: &'static str, class: Class, least: usize) -> Literal {
    Literal { text, kind: Redaction::ApiKey, shape: Shape::Key(class, least) }
}

const fn varied(text: &'static str, least: usize) -> Literal {
    Literal { text, kind: Redaction::ApiKey, shape: Shape::Varied(Class::Token, least) }
}

const fn exact(text: &'static str, class: Class, length: usize) -> Literal {
    Literal { text, kind: Redaction::ApiKey, shape: Shape::Exact(class, length) }
}

const fn of(kind: Redaction, text: &'static str, shape: Shape) -> Literal {
    Literal { text, kind, shape }
}

const fn password(text: &'static str) -> Literal {
    of(Redaction::Password, text, Shape::Password)
}

static LITERALS: &[Literal] = &[
    of(Redaction::PrivateKey, "-----BEGIN ", Shape::Pem),
    key("AGE-SECRET-KEY-1", Class::Upper, 50),
    key("github_pat_", Class::Name, 22),
    key("ghp_", Class::Word, 36),
    key("gho_", Class::Word, 36),
    key("ghu_", Class::Word, 36),
    key("ghs_", Class::Word, 36),
    key("ghr_", Class::Word, 36),
    key("glpat-", Class::Dotted, 20),
    key("gldt-", Class::Token, 20),
    key("glrt-", Class::Token, 20),
    varied("sk-", 20),
    exact("AKIA", Class::Upper, 16),
    exact("ASIA", Class::Upper, 16),
    exact("ABIA", Class::Upper, 16),
    exact("ACCA", Class::Upper, 16),
    key("xoxa-", Class::Token, 10),
    key("xoxb-", Class::Token, 10),
    key("xoxe-", Class::Token, 10),
    key("xoxe.", Class::Dotted, 10),
    key("xoxo-", Class::Token, 10),
    key("xoxp-", Class::Token, 10),
    key("xoxr-", Class::Token, 10),
    key("xoxs-", Class::Token, 10),
    key("xapp-", Class::Token, 10),
    key("hooks.slack.com/services/", Class::Path, 20),
    key("hooks.slack.com/workflows/", Class::Path, 20),
    key("discord.com/api/webhooks/", Class::Path, 20),
    key("discordapp.com/api/webhooks/", Class::Path, 20),
    key("AIza", Class::Token, 35),
    key("ya29.", Class::Dotted, 20),
    key("GOCSPX-", Class::Token, 20),
    key("sk_live_", Class::Word, 16),
    key("sk_test_", Class::Word, 16),
    key("rk_live_", Class::Word, 16),
    key("rk_test_", Class::Word, 16),
    key("pk_live_", Class::Word, 16),
    key("pk_test_", Class::Word, 16),
    key("whsec_", Class::Base64, 24),
    key("hf_", Class::Word, 30),
    key("npm_", Class::Word, 36),
    key("pypi-", Class::Token, 50),
    key("dckr_pat_", Class::Token, 20),
    key("SG.", Class::Dotted, 34),
    varied("gsk_", 24),
    varied("r8_", 24),
    varied("nvapi-", 24),
    varied("xai-", 24),
    varied("pplx-", 24),
    varied("tvly-", 20),
    varied("fw_", 24),
    varied("lin_api_", 24),
    varied("sq0atp-", 20),
    varied("shpat_", 24),
    varied("dop_v1_", 24),
    varied("dp.pt.", 24),
    varied("hvs.", 24),
    varied("glsa_", 24),
    varied("figd_", 24),
    varied("lsv2_pt_", 24),
    varied("lsv2_sk_", 24),
    varied("pk-lf-", 24),
    varied("ATATT3", 40),
    varied("sntrys_", 40),
    varied("rubygems_", 40),
    varied("sbp_", 36),
    exact("dapi", Class::Hex, 32),
    exact("SK", Class::Hex, 32),
    exact("key-", Class::Hex, 32),
    of(Redaction::ApiKey, ":AA", Shape::Bot),
    of(Redaction::Token, "eyJ", Shape::Jwt),
    of(Redaction::Token, "bearer ", Shape::Token),
    of(Redaction::Token, "basic ", Shape::Token),
    of(Redaction::Token, "token ", Shape::Token),
    of(Redaction::ConnectionString, "://", Shape::Url),
    of(Redaction::ConnectionString, "AccountKey=", Shape::Signature),
    of(Redaction::ConnectionString, "SharedAccessKey=", Shape::Signature),
    of(Redaction::ConnectionString, "sig=", Shape::Signature),
    password("password"),
    password("passwort"),
    password("kennwort"),
    password("passwd"),
    password("passphrase"),
    password("pwd"),
    password("secret"),
    password("apikey"),
    password("api_key"),
    password("api-key"),
    password("api key"),
    password("accesskey"),
    password("access_key"),
    password("access-key"),
    password("auth_token"),
    password("auth-token"),
    password("authtoken"),
    password("access_token"),
    password("access-token"),
    password("accesstoken"),
    password("refresh_token"),
    password("client_secret"),
    password("clientsecret"),
    password("private_key"),
];

/// How far a key, a token or a user with a password may reach; so no text takes more time than its length.
const KEY: usize = 4096;
const TOKEN: usize = 16_384;
const PASSWORD: usize = 256;

/// Finds all literals at once.
#[derive(Debug)]
pub(crate) struct Literals(Option<AhoCorasick>);

impl Literals {
    /// Of no rules, it finds nothing.
    pub(crate) fn of(is_wanted: bool) -> Result<Self, String> {
        if !is_wanted {
            return Ok(Self(None));
        }
        let texts = LITERALS.iter().map(|literal| literal.text);
        let found = AhoCorasick::builder().ascii_case_insensitive(true).build(texts);
        found.map(|found| Self(Some(found))).map_err(|error| format!("the built-in rules: {error}"))
    }

    /// Tells of each secret in a text.
    pub(crate) fn each(&self, text: &str, take: &mut dyn FnMut(Redaction, Range<usize>)) {
        let Some(literals) = &self.0 else { return };
        let mut end = 0;
        // Where the run of characters ends in which a literal of a kind failed: others of it in there fail as well.
        let mut failed = [0; LITERALS.len()];
        for candidate in literals.find_overlapping_iter(text) {
            let place = candidate.pattern().as_usize();
            let (Some(literal), Some(failed)) = (LITERALS.get(place), failed.get_mut(place)) else {
                continue;
            };
            if candidate.start() < end || candidate.start() < *failed {
                continue;
            }
            match literal.secret(text, candidate.range()) {
                Ok(found) => {
                    end = found.end;
                    take(literal.kind, found);
                }
                Err(until) => *failed = until,
            }
        }
    }
}

impl Literal {
    /// The secret at a literal; else up to where no other of its kind has to be looked for.
    fn secret(&self, text: &str, at: Range<usize>) -> Result<Range<usize>, usize> {
        let is_written_so = matched(text, &at) == self.text;
        let is_free = !before(text, at.start).is_some_and(joins);
        let none = Err(at.start);
        match self.shape {
            Shape::Key(..) | Shape::Varied(..) | Shape::Exact(..) if !is_written_so || !is_free => {
                none
            }
            Shape::Key(class, least) => key_behind(text, &at, class, least, |_| true),
            Shape::Varied(class, least) => key_behind(text, &at, class, least, is_varied),
            Shape::Exact(class, length) => {
                let end = run(text, at.end, length + 1, |one| class.has(one));
                let is_key = end == at.end + length && !after(text, end).is_some_and(joins);
                if is_key { Ok(at.start..end) } else { none }
            }
            Shape::Jwt if is_written_so && is_free => jwt(text, at.start),
            Shape::Jwt => none,
            Shape::Pem => pem(text, &at).ok_or(at.start),
            Shape::Token => token(text, &at).filter(|_| is_free).ok_or(at.start),
            Shape::Url => user_and_password(text, &at).ok_or(at.start),
            Shape::Signature => {
                let end = run(text, at.end, KEY, |one| Class::Base64.has(one));
                if end - at.end >= 40 {
                    Ok(at.end..run(text, end, 2, |one| one == b'='))
                } else {
                    Err(end)
                }
            }
            Shape::Bot => bot(text, &at).filter(|_| is_written_so).ok_or(at.start),
            Shape::Password => behind_name(text, &at).ok_or(at.start),
        }
    }
}

fn key_behind(
    text: &str,
    at: &Range<usize>,
    class: Class,
    least: usize,
    is_key: impl Fn(&str) -> bool,
) -> Result<Range<usize>, usize> {
    let end = run(text, at.end, KEY, |one| class.has(one));
    let end = end
        - matched(text, &(at.end..end))
            .bytes()
            .rev()
            .take_while(|one| matches!(one, b'.' | b'-'))
            .count();
    let is_whole = end - at.end >= least && !after(text, end).is_some_and(joins);
    if is_whole && is_key(matched(text, &(at.end..end))) { Ok(at.start..end) } else { Err(end) }
}

/// Whether letters and digits have no order, as those of names of parts of programs have.
fn is_varied(key: &str) -> bool {
    let count = |is: fn(&u8) -> bool| key.bytes().filter(is).count();
    count(u8::is_ascii_digit) >= 2 && count(u8::is_ascii_alphabetic) >= 6
}

/// Three parts with points between, of which the first two are JSON.
fn jwt(text: &str, start: usize) -> Result<Range<usize>, usize> {
    let part_end = |from: usize| run(text, from, TOKEN, |one| Class::Token.has(one));
    let head = part_end(start);
    if byte(text, head) != Some(b'.') {
        // Nothing that begins in it goes on either.
        return Err(head);
    }
    let body = head + 1;
    if head - start < 10 || !text.get(body..).is_some_and(|rest| rest.starts_with("eyJ")) {
        return Err(start);
    }
    let body_end = part_end(body);
    let end = part_end(body_end + 1);
    let is_token =
        byte(text, body_end) == Some(b'.') && body_end - body >= 10 && end - body_end > 10;
    if is_token { Ok(start..end) } else { Err(start) }
}

/// Everything up to the end of the text if the end of the key is missing.
fn pem(text: &str, at: &Range<usize>) -> Option<Range<usize>> {
    let head = run(text, at.end, 64, |one| {
        one.is_ascii_uppercase() || one.is_ascii_digit() || one == b' '
    });
    let name = matched(text, &(at.end..head));
    let is_key = name.ends_with("PRIVATE KEY") || name.ends_with("PRIVATE KEY BLOCK");
    let rest = text.get(head..).filter(|rest| is_key && rest.starts_with("-----"))?;
    let end = rest.find("-----END ").map_or(text.len(), |end| {
        let tail = head + end + "-----END ".len();
        let name = run(text, tail, 64, |one| {
            one.is_ascii_uppercase() || one.is_ascii_digit() || one == b' '
        });
        run(text, name, 5, |one| one == b'-')
    });
    Some(at.start..end)
}

/// The token behind `Bearer` and the like.
fn token(text: &str, at: &Range<usize>) -> Option<Range<usize>> {
    let start = run(text, at.end, 8, |one| matches!(one, b' ' | b'\t'));
    let is_part = |one: u8| Class::Dotted.has(one) || matches!(one, b'~' | b'+' | b'/');
    let end = run(text, start, TOKEN, is_part);
    let found = matched(text, &(start..end)).trim_end_matches('.');
    let is_token = found.len() >= 20
        && found.bytes().any(|one| one.is_ascii_digit())
        && found.bytes().any(|one| one.is_ascii_alphabetic());
    let end = run(text, start + found.len(), 2, |one| one == b'=');
    is_token.then_some(start..end)
}

/// The user and password of a URL.
fn user_and_password(text: &str, at: &Range<usize>) -> Option<Range<usize>> {
    let scheme = run_back(text, at.start, 32, |one| {
        one.is_ascii_alphanumeric() || matches!(one, b'+' | b'.' | b'-')
    });
    let is_end = |one: u8| {
        one.is_ascii_whitespace()
            || matches!(one, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'?' | b'#')
    };
    let end = run(text, at.end, 2 * PASSWORD, |one| !is_end(one));
    let rest = text.get(at.end..end)?;
    // A slash in a password is percent-encoded.
    let rest = rest.split('/').next()?;
    let (user, _) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    // A placeholder of documentation, such as `${PASSWORD}`, is none.
    let is_password = !password.is_empty() && !password.starts_with(['$', '{', '<', '[', '*']);
    (is_password && scheme < at.start).then_some(at.end..at.end + user.len())
}

fn bot(text: &str, at: &Range<usize>) -> Option<Range<usize>> {
    let start = run_back(text, at.start, 11, |one| one.is_ascii_digit());
    let end = run(text, at.end, 34, |one| Class::Token.has(one));
    let is_bot = (8..=10).contains(&(at.start - start))
        && end == at.end + 33
        && !before(text, start).is_some_and(joins);
    is_bot.then_some(start..end)
}

/// What comes after a word such as `password`, if it looks like one.
fn behind_name(text: &str, at: &Range<usize>) -> Option<Range<usize>> {
    let is_blank = |one: u8| matches!(one, b' ' | b'\t');
    let is_mark = |one: u8| matches!(one, b'"' | b'\'' | b'`' | b'*' | b'\\');
    let end = run(text, run(text, at.end, 4, is_mark), 4, is_blank);
    let sign = run(text, end, 3, |one| matches!(one, b':' | b'=' | b'>'));
    let between = if sign > end {
        sign
    } else {
        let word = ["is", "ist", "lautet"].iter().find(|word| {
            text.get(end..).is_some_and(|rest| {
                rest.strip_prefix(**word).is_some_and(|rest| rest.starts_with([' ', ':', '\t']))
            })
        });
        let word = word.filter(|_| end > at.end)?;
        run(text, end + word.len(), 1, |one| one == b':')
    };
    let start = run(text, run(text, between, 4, |one| is_blank(one) || one == b'*'), 4, |one| {
        is_mark(one) && one != b'*'
    });
    let quote = byte(text, start.checked_sub(1)?).filter(|one| matches!(one, b'"' | b'\'' | b'`'));
    let value = value(text, start, quote)?;
    let is_call = byte(text, value.end) == Some(b'(');
    (!is_call && is_password(matched(text, &value), quote.is_some())).then_some(value)
}

/// Up to the quote that ends it, or to where a word ends.
fn value(text: &str, start: usize, quote: Option<u8>) -> Option<Range<usize>> {
    let most = PASSWORD;
    if let Some(quote) = quote {
        let end = run(text, start, most, |one| one != quote && !matches!(one, b'\n' | b'\\'));
        if byte(text, end).is_some_and(|one| one == quote || one == b'\\') {
            return Some(start..end);
        }
    }
    let is_end = |one: u8| {
        one.is_ascii_whitespace()
            || matches!(
                one,
                b'"' | b'\''
                    | b'`'
                    | b','
                    | b';'
                    | b'<'
                    | b'>'
                    | b'('
                    | b')'
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b'&'
                    | b'\\'
            )
    };
    let end = run(text, start, most, |one| !is_end(one));
    let kept =
        matched(text, &(start..end)).trim_end_matches(['.', ':', '?']).trim_end_matches("**");
    Some(start..start + kept.len())
}

/// Whether a value looks like a password rather than a word, a name in a program or a placeholder.
fn is_password(value: &str, is_quoted: bool) -> bool {
    let has = |is: fn(char) -> bool| value.chars().any(is);
    let is_sign =
        |one: char| one.is_ascii_punctuation() && !matches!(one, '.' | '_' | '-' | '/' | ':');
    let is_mixed = has(|one| one.is_ascii_lowercase())
        && has(|one| one.is_ascii_uppercase())
        && is_quoted
        && !value.contains(' ');
    value.len() >= 6
        && (has(|one| one.is_ascii_digit()) || value.chars().any(is_sign) || is_mixed)
        && has(char::is_alphabetic)
        && !value.starts_with(['$', '%', '*', '#', '<', '{', '['])
        && !value.contains("://")
        && !is_placeholder(value)
        // A sentence in quotes tells of a password, and is none.
        && value.split(' ').count() <= 4
}

/// Whether a value stands for a secret that someone is to fill in.
fn is_placeholder(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    ["your", "example", "xxxx", "****", "....", "changeme", "placeholder", "redacted"]
        .iter()
        .any(|one| value.contains(one))
}

/// Whether a value that belongs to the name of a secret in JSON is one.
pub(crate) fn is_worth_masking(value: &str) -> bool {
    value.len() >= 4
        && !value.starts_with(['[', '{', '<', '*'])
        && !value.starts_with("${")
        && !is_placeholder(value)
        && !matches!(
            value,
            "string"
                | "true"
                | "false"
                | "null"
                | "none"
                | "None"
                | "required"
                | "optional"
                | "text"
                | "number"
                | "boolean"
                | "object"
                | "array"
                | "integer"
        )
}

/// Whether a key of an object names a secret.
pub(crate) fn is_secret_name(key: &str) -> bool {
    if key.len() > 64 {
        return false;
    }
    let name: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(
        name.to_ascii_lowercase().as_str(),
        "password"
            | "passwd"
            | "pwd"
            | "passphrase"
            | "passwort"
            | "secret"
            | "secretkey"
            | "clientsecret"
            | "apikey"
            | "accesskey"
            | "secretaccesskey"
            | "awssecretaccesskey"
            | "accesstoken"
            | "refreshtoken"
            | "authtoken"
            | "idtoken"
            | "sessiontoken"
            | "privatekey"
            | "authorization"
            | "xapikey"
            | "connectionstring"
            | "dbpassword"
            | "userpassword"
    )
}
