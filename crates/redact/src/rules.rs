//! The rules: what each one looks like, and the check that what looks so has to pass.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};
use retort_model::Redaction;

/// One pattern of a rule.
struct Pattern {
    rule: Redaction,
    regex: &'static str,
    /// What of a match is masked; none if it is none after all.
    check: fn(&str, Range<usize>) -> Option<Range<usize>>,
}

const fn pattern(
    rule: Redaction,
    regex: &'static str,
    check: fn(&str, Range<usize>) -> Option<Range<usize>>,
) -> Pattern {
    Pattern { rule, regex, check }
}

/// All patterns; of those that match at one place, the first counts.
static PATTERNS: &[Pattern] = &[
    // Everything up to the end of the text if the end of the key is missing.
    pattern(
        Redaction::PrivateKey,
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
        whole,
    ),
    pattern(Redaction::ApiKey, r"github_pat_[A-Za-z0-9_]{22,}", alone),
    pattern(Redaction::ApiKey, r"gh[pousr]_[A-Za-z0-9]{36,}", alone),
    pattern(Redaction::ApiKey, r"glpat-[A-Za-z0-9_-]{20,}", alone),
    pattern(
        Redaction::ApiKey,
        r"sk-(?:proj-|svcacct-|admin-|ant-|or-v1-|lf-)?[A-Za-z0-9_-]{20,}",
        varied,
    ),
    pattern(Redaction::ApiKey, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", alone),
    pattern(Redaction::ApiKey, r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}", alone),
    pattern(
        Redaction::ApiKey,
        r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
        whole,
    ),
    pattern(
        Redaction::ApiKey,
        r"https://(?:discord|discordapp)\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]{20,}",
        whole,
    ),
    pattern(Redaction::ApiKey, r"AIza[0-9A-Za-z_-]{35}", alone),
    pattern(Redaction::ApiKey, r"ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28}", alone),
    pattern(
        Redaction::ApiKey,
        r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}",
        alone,
    ),
    pattern(
        Redaction::ApiKey,
        r"hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}",
        alone,
    ),
    pattern(Redaction::ApiKey, r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", alone),
    pattern(
        Redaction::ApiKey,
        r"(?:gsk|r8|nvapi|xai|pplx|tvly|fw|lin_api|sq0atp|shpat|dop_v1|dp\.pt)[_-][A-Za-z0-9_-]{24,}",
        varied,
    ),
    pattern(Redaction::ApiKey, r"dapi[0-9a-f]{32}|SK[0-9a-f]{32}|key-[0-9a-f]{32}", alone),
    pattern(Redaction::ApiKey, r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", alone),
    pattern(
        Redaction::Token,
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        alone,
    ),
    pattern(Redaction::Token, r"(?i:bearer|basic|token)[ \t]+[A-Za-z0-9._~+/-]{20,}={0,2}", token),
    pattern(
        Redaction::ConnectionString,
        r#"[A-Za-z][A-Za-z0-9+.-]+://[^\s:/@"'<>`]*:[^\s@/"'<>`]+@"#,
        user_and_password,
    ),
    pattern(
        Redaction::ConnectionString,
        r"(?i:AccountKey|SharedAccessKey|sig)=[A-Za-z0-9+/%]{40,}={0,2}",
        after_sign,
    ),
    pattern(
        Redaction::Password,
        r#"(?i:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token|client[_-]?secret)["'`]?[ \t]*(?:[:=]{1,2}>?|is)[ \t]*["'`]?[^\s"'`,;<>(){}\[\]&]{6,}"#,
        password,
    ),
    pattern(Redaction::Email, r"[A-Za-z0-9._%+-]+(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}", email),
    pattern(
        Redaction::Iban,
        r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?",
        iban,
    ),
    pattern(
        Redaction::NationalId,
        r"[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}",
        national_id,
    ),
    pattern(Redaction::Card, r"[0-9](?:[ -]?[0-9]){12,}", card),
    pattern(
        Redaction::Phone,
        r"(?:\+|00)[1-9][0-9]{0,2}[ .\-/]{0,2}(?:\(0?[0-9]{1,4}\)[ .\-/]{0,2})?[0-9](?:[ .\-/]?[0-9]){5,}",
        phone,
    ),
    pattern(
        Redaction::Phone,
        r"\([0-9]{3}\) ?[0-9]{3}[-. ][0-9]{4}|[0-9]{3}[-.][0-9]{3}[-.][0-9]{4}",
        phone,
    ),
    pattern(Redaction::IpAddress, r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", ipv4),
    pattern(
        Redaction::IpAddress,
        r"[0-9A-Fa-f]{1,4}:(?:[0-9A-Fa-f]{0,4}:){2,6}[0-9A-Fa-f]{0,4}",
        ipv6,
    ),
];

/// The patterns of some rules, searched at once.
pub(crate) struct Rules {
    /// All at once; none if there are no rules.
    regex: Option<Regex>,
    /// Each by itself, to ask the others where the first that matches fails its check.
    alone: Vec<Regex>,
    patterns: Vec<&'static Pattern>,
}

impl Rules {
    pub(crate) fn of(is_wanted: impl Fn(Redaction) -> bool) -> Self {
        let patterns: Vec<&Pattern> =
            PATTERNS.iter().filter(|pattern| is_wanted(pattern.rule)).collect();
        let texts: Vec<&str> = patterns.iter().map(|pattern| pattern.regex).collect();
        // A test holds that each pattern is valid.
        let regex = Regex::new_many(&texts).ok().filter(|_| !texts.is_empty());
        let alone = texts.iter().filter_map(|text| Regex::new(text).ok()).collect();
        Self { regex, alone, patterns }
    }

    /// Whether all patterns could be compiled.
    pub(crate) fn are_valid(&self) -> bool {
        self.alone.len() == self.patterns.len()
            && (self.regex.is_some() || self.patterns.is_empty())
    }

    /// Tells of all that is found, from the left, where nothing is found twice.
    pub(crate) fn each(&self, text: &str, take: &mut dyn FnMut(Redaction, Range<usize>)) {
        let Some(regex) = &self.regex else { return };
        let mut at = 0;
        while let Some(found) = regex.search(&Input::new(text).span(at..text.len())) {
            let first = found.pattern().as_usize();
            let passed = self.checked(text, first, found.range()).or_else(|| {
                let after = self.alone.iter().enumerate().skip(first + 1);
                after
                    .filter_map(|(pattern, regex)| {
                        self.matched(text, pattern, regex, found.start())
                    })
                    .next()
            });
            match passed {
                Some((rule, range)) => {
                    at = range.end.max(found.start() + 1);
                    take(rule, range);
                }
                None => at = found.start() + 1,
            }
            while !text.is_char_boundary(at) {
                at += 1;
            }
        }
    }

    /// What a pattern finds at a place, if that passes its check.
    fn matched(
        &self,
        text: &str,
        pattern: usize,
        regex: &Regex,
        start: usize,
    ) -> Option<(Redaction, Range<usize>)> {
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
        self.checked(text, pattern, regex.search(&input)?.range())
    }

    fn checked(
        &self,
        text: &str,
        pattern: usize,
        range: Range<usize>,
    ) -> Option<(Redaction, Range<usize>)> {
        let pattern = self.patterns.get(pattern)?;
        Some((pattern.rule, (pattern.check)(text, range)?))
    }
}

fn matched<'t>(text: &'t str, range: &Range<usize>) -> &'t str {
    text.get(range.clone()).unwrap_or_default()
}

fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

fn after(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

/// Whether the match is no part of a longer word or number.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let joins = |character: Option<char>| {
        character.is_some_and(|character| character.is_alphanumeric() || character == '_')
    };
    !joins(before(text, range.start)) && !joins(after(text, range.end))
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|character| character.to_digit(10)).collect()
}

#[allow(clippy::unnecessary_wraps, reason = "one of the checks")]
fn whole(_text: &str, range: Range<usize>) -> Option<Range<usize>> {
    Some(range)
}

fn alone(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    stands_alone(text, &range).then_some(range)
}

/// Keys that begin with a short word are of letters and digits in no order: names of parts of programs are not.
fn varied(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let has = |is: fn(&u8) -> bool| found.bytes().skip(3).filter(is).count();
    let is_key = has(u8::is_ascii_digit) >= 2 && has(u8::is_ascii_alphabetic) >= 6;
    alone(text, range).filter(|_| is_key)
}

/// The token behind `Bearer` and the like.
fn token(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let token = found.rsplit([' ', '\t']).next()?;
    let is_token = token.bytes().any(|byte| byte.is_ascii_digit())
        && token.bytes().any(|byte| byte.is_ascii_alphabetic())
        && before(text, range.start).is_none_or(|before| !before.is_alphanumeric());
    is_token.then(|| range.end - token.len()..range.end)
}

/// The user and password of a URL.
fn user_and_password(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let (scheme, rest) = found.split_once("://")?;
    let (_, password) = rest.trim_end_matches('@').split_once(':')?;
    // A placeholder of documentation, such as `${PASSWORD}`, is none.
    let is_password = !password.starts_with(['$', '{', '<', '[']);
    is_password.then(|| range.start + scheme.len() + 3..range.end - 1)
}

fn after_sign(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let sign = matched(text, &range).find('=')?;
    Some(range.start + sign + 1..range.end)
}

/// What stands behind a word such as `password`, if it looks like one.
fn password(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let is_between =
        |character: char| matches!(character, ' ' | '\t' | '"' | '\'' | '`' | ':' | '=' | '>');
    let value = found.rsplit(is_between).next()?;
    let has = |is: fn(char) -> bool| value.chars().any(is);
    let is_secret = value.len() >= 6
        && has(|one| {
            one.is_ascii_digit()
                || one.is_ascii_punctuation() && !matches!(one, '.' | '_' | '-' | '/')
        })
        && has(char::is_alphabetic)
        && !value.starts_with(['$', '%', '*', '#'])
        && after(text, range.end) != Some('(');
    is_secret.then(|| range.end - value.len()..range.end)
}

/// Endings of file names that look like the end of a domain.
const FILES: [&str; 14] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "json", "py", "html", "md",
    "txt",
];

fn email(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let (local, domain) = found.split_once('@').or_else(|| found.split_once("%40"))?;
    let top = domain.rsplit('.').next()?.to_ascii_lowercase();
    let local = local.trim_start_matches(['.', '-', '%', '+']);
    let is_address = !local.is_empty()
        && !local.ends_with('.')
        && top.len() <= 24
        && domain.len() <= 253
        && !domain.split('.').any(|label| label.is_empty() || label.starts_with('-'))
        && !FILES.contains(&&*top);
    let start = range.start + found.find(local)?;
    is_address.then_some(start..range.end)
}

/// Lengths of account numbers by country (the registry of SWIFT).
const IBANS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
                     EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 \
                     JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 \
                     NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 \
                     TL23 TN24 TR26 UA29 VA22 VG24 XK20";

fn iban(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let country = found.get(..2)?;
    let lengths = IBANS.split_whitespace().find(|one| one.starts_with(country))?;
    let length: usize = lengths.get(2..)?.parse().ok()?;
    // A word may stand behind it.
    let mut taken = 0;
    let end = found.char_indices().find_map(|(at, character)| {
        taken += usize::from(character.is_ascii_alphanumeric());
        (taken == length).then_some(at + 1)
    })?;
    let range = range.start..range.start + end;
    let number: String =
        matched(text, &range).chars().filter(char::is_ascii_alphanumeric).collect();
    let rest = number.chars().skip(4).chain(number.chars().take(4)).try_fold(0, |rest, one| {
        let value = one.to_digit(36)?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    })?;
    (rest == 1 && stands_alone(text, &range)).then_some(range)
}

fn card(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let is_part = |character: Option<char>| {
        character.is_some_and(|one| one.is_alphanumeric() || matches!(one, '-' | '_' | '+'))
    };
    let is_fraction = before(text, range.start) == Some('.')
        || text.get(range.end..).is_some_and(|rest| {
            rest.strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|one: char| one.is_ascii_digit()))
        });
    let is_alone = !is_part(before(text, range.start)) && !is_part(after(text, range.end));
    (is_alone && !is_fraction && is_card(matched(text, &range))).then_some(range)
}

/// Whether digits are the number of a payment card: its issuer, its length and its checksum.
pub(crate) fn is_card(number: &str) -> bool {
    let digits = digits(number);
    let begins = |count: usize| digits.iter().take(count).fold(0, |all, digit| all * 10 + digit);
    let is_issued = match digits.len() {
        13 => begins(1) == 4,
        14 => matches!(begins(3), 300..=305) || matches!(begins(2), 36 | 38 | 39),
        15 => matches!(begins(2), 34 | 37),
        16 => {
            begins(1) == 4
                || matches!(begins(2), 51..=55 | 62 | 65)
                || matches!(begins(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(begins(3), 644..=649)
        }
        19 => matches!(begins(1), 4) || matches!(begins(2), 62),
        _ => false,
    };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    is_issued && sum.is_multiple_of(10) && digits.iter().any(|digit| Some(digit) != digits.first())
}

fn national_id(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = digits(matched(text, &range));
    let number = |from: usize, count: usize| {
        found.iter().skip(from).take(count).fold(0, |all, digit| all * 10 + digit)
    };
    let is_valid = match found.len() {
        // Social security numbers of the United States.
        9 => !matches!(number(0, 3), 0 | 666 | 900..) && number(3, 2) != 0 && number(5, 4) != 0,
        // The CPF of Brazil.
        _ => [9, 10].into_iter().all(|count| {
            let weights = (2..).take(count).collect::<Vec<u32>>();
            let sum: u32 =
                found.iter().take(count).zip(weights.iter().rev()).map(|(a, b)| a * b).sum();
            found.get(count) == Some(&(sum * 10 % 11 % 10))
        }),
    };
    let is_joined = before(text, range.start).is_some_and(|one| matches!(one, '-' | '.'))
        || after(text, range.end) == Some('-');
    (is_valid && !is_joined && stands_alone(text, &range)).then_some(range)
}

fn phone(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let count = digits(found).len();
    let is_part = |character: Option<char>| {
        character
            .is_some_and(|one| one.is_alphanumeric() || matches!(one, '_' | '+' | '-' | '.' | '/'))
    };
    let ends = |character: Option<char>| {
        character.is_none_or(|one| !one.is_alphanumeric() && !matches!(one, '_' | '+' | '*' | '='))
    };
    // `00` without anything between may begin any number.
    let is_dialled = !found.starts_with("00") || found.contains([' ', '-', '/', '(']);
    // A number in groups that begins before is no telephone number.
    let goes_on = text
        .get(..range.start)
        .and_then(|front| front.strip_suffix([' ', '-']))
        .is_some_and(|front| front.ends_with(|one: char| one.is_ascii_digit()));
    let is_alone = !goes_on && !is_part(before(text, range.start)) && ends(after(text, range.end));
    ((9..=15).contains(&count) && is_dialled && is_alone).then_some(range)
}

fn ipv4(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let address: Ipv4Addr = matched(text, &range).parse().ok()?;
    let is_part = |character: Option<char>| {
        character.is_some_and(|one| one.is_alphanumeric() || matches!(one, '_' | '-'))
    };
    // Versions of programs look the same: `Chrome/120.0.0.0`, `v1.2.3.4`, `1.2.3.4.5`.
    let in_front = text.get(..range.start)?;
    let is_version = in_front.ends_with('.')
        || in_front.strip_suffix('/').is_some_and(|name| name.ends_with(char::is_alphanumeric))
        || text.get(range.end..).is_some_and(|rest| {
            rest.strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|one: char| one.is_ascii_digit()))
        });
    let says_nothing = address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || matches!(address.octets(), [_, 0, 0, 0] | [255, ..]);
    let is_address = !is_part(before(text, range.start)) && !is_part(after(text, range.end));
    (is_address && !is_version && !says_nothing).then_some(range)
}

fn ipv6(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let found = matched(text, &range);
    let address: Ipv6Addr = found.parse().ok()?;
    let groups = found.split(':').filter(|group| !group.is_empty()).count();
    let is_alone = !before(text, range.start)
        .is_some_and(|one| one.is_alphanumeric() || one == ':')
        && !after(text, range.end).is_some_and(|one| one.is_alphanumeric() || one == ':');
    (groups >= 3 && found.len() >= 9 && is_alone && !address.is_loopback()).then_some(range)
}

/// Whether a key of an object names a secret.
pub(crate) fn is_secret_name(key: &str) -> bool {
    let name: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(
        name.to_ascii_lowercase().as_str(),
        "password"
            | "passwd"
            | "pwd"
            | "passphrase"
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
    )
}
