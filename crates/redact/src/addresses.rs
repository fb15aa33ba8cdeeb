//! E-mail addresses, and addresses of machines.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::text::{after, before, byte, joins, matched, run, run_back};

/// Endings of file names that look like the end of a domain.
const FILES: [&str; 18] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "js", "jsx", "ts", "tsx", "css", "json", "py",
    "html", "md", "txt", "rs", "yaml",
];

/// Top-level domains of more than two letters that most addresses have, and those that are reserved for examples.
const TOPS: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "name",
    "pro",
    "mobi",
    "asia",
    "jobs",
    "tel",
    "cat",
    "aero",
    "coop",
    "museum",
    "travel",
    "post",
    "xxx",
    "app",
    "dev",
    "page",
    "cloud",
    "online",
    "site",
    "website",
    "web",
    "store",
    "shop",
    "blog",
    "tech",
    "digital",
    "agency",
    "email",
    "mail",
    "company",
    "group",
    "team",
    "work",
    "works",
    "live",
    "life",
    "world",
    "global",
    "news",
    "media",
    "space",
    "fun",
    "xyz",
    "top",
    "club",
    "vip",
    "win",
    "icu",
    "one",
    "link",
    "click",
    "systems",
    "solutions",
    "services",
    "software",
    "network",
    "engineering",
    "consulting",
    "academy",
    "school",
    "university",
    "institute",
    "foundation",
    "health",
    "care",
    "clinic",
    "legal",
    "law",
    "bank",
    "finance",
    "money",
    "capital",
    "ventures",
    "partners",
    "international",
    "eus",
    "gal",
    "bzh",
    "berlin",
    "hamburg",
    "koeln",
    "bayern",
    "nrw",
    "wien",
    "london",
    "paris",
    "amsterdam",
    "tokyo",
    "nyc",
    "africa",
    "example",
    "test",
    "invalid",
    "local",
    "internal",
    "intranet",
    "corp",
    "home",
    "lan",
];

/// Longest part before the `@` (RFC 5321).
const LOCAL: usize = 64;
/// Longest domain.
const DOMAIN: usize = 253;

/// The e-mail address whose `@` is here.
pub(crate) fn email(text: &str, at: usize) -> Option<Range<usize>> {
    let is_local = |character: char| {
        character.is_ascii_alphanumeric()
            || matches!(
                character,
                '.' | '_' | '%' | '+' | '-' | '\'' | '!' | '#' | '&' | '*' | '=' | '~'
            )
            || (character.is_alphabetic() && character < '\u{250}')
    };
    let is_domain = |character: char| {
        character.is_ascii_alphanumeric()
            || matches!(character, '.' | '-')
            || (character.is_alphabetic() && character < '\u{250}')
    };
    let front = text.get(..at)?;
    let local: usize =
        front.chars().rev().take(LOCAL).take_while(|one| is_local(*one)).map(char::len_utf8).sum();
    let local = front.get(at - local..)?;
    // What an address may have, but seldom begins with.
    let local = local.trim_start_matches(|one: char| !joins(one));
    // `user=anna@example.org` is a name and its value.
    let local = local.rsplit(['=', '&']).next()?;
    let rest = text.get(at + 1..)?;
    let domain: usize =
        rest.chars().take(DOMAIN).take_while(|one| is_domain(*one)).map(char::len_utf8).sum();
    let domain = rest.get(..domain)?.trim_end_matches(['.', '-']);
    let (name, top) = domain.rsplit_once('.')?;
    let start = at - local.len();
    let is_address = !local.is_empty()
        && !is_in_url(text, start)
        && (is_known(top) || is_marked(text, start))
        && !local.ends_with('.')
        && (2..=24).contains(&top.len())
        && top.chars().all(char::is_alphabetic)
        && !name.split('.').any(|label| label.is_empty() || label.starts_with('-'))
        && !FILES.contains(&&*top.to_ascii_lowercase())
        // The account through which everyone uses a host of repositories.
        && !(local == "git" && matches!(byte(text, at + 1 + domain.len()), Some(b':' | b'/')));
    is_address.then_some(start..at + 1 + domain.len())
}

fn is_known(top: &str) -> bool {
    let top = top.to_lowercase();
    top.chars().count() == 2 || !top.is_ascii() || TOPS.contains(&&*top)
}

/// Whether something before an address says that it is one: a decorator of a program, `@app.tool`, has nothing.
fn is_marked(text: &str, start: usize) -> bool {
    before(text, start)
        .is_none_or(|one| matches!(one, '<' | '"' | '\'' | '(' | '[' | ':' | '=' | ','))
}

/// Whether what begins here is the user, or the password, before the host of a URL.
fn is_in_url(text: &str, start: usize) -> bool {
    let is_part = |one: u8| {
        one.is_ascii_alphanumeric()
            || matches!(one, b':' | b'.' | b'_' | b'-' | b'%' | b'+' | b'@' | b'!' | b'$')
    };
    let begin = run_back(text, start, DOMAIN, is_part);
    text.get(..begin).is_some_and(|front| front.ends_with("//"))
        && text.get(..begin.saturating_sub(2)).is_some_and(|front| front.ends_with(':'))
}

/// The address of version 4 that begins with the digit here.
pub(crate) fn ipv4(text: &str, start: usize) -> Option<Range<usize>> {
    let end = run(text, start, 15, |one| one.is_ascii_digit() || one == b'.');
    let end = run_back_dot(text, end);
    let address: Ipv4Addr = text.get(start..end)?.parse().ok()?;
    let is_part = |character: Option<char>| character.is_some_and(|one| joins(one) || one == '-');
    // Versions of programs look the same: `Chrome/120.0.0.0`, `version 1.2.3.4`, `1.2.3.4.5`.
    let in_front = text.get(..start)?;
    let is_version = in_front.ends_with('.')
        || in_front.strip_suffix('/').is_some_and(|name| name.ends_with(char::is_alphanumeric))
        || in_front.strip_suffix(' ').is_some_and(|word| word.ends_with("ersion"))
        || is_digit_behind_dot(text, end);
    // A network, such as `10.0.0.0/8`, is no machine.
    let is_network = byte(text, end) == Some(b'/')
        && byte(text, end + 1).is_some_and(|one| one.is_ascii_digit());
    let says_nothing = address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_private()
        || address.is_link_local()
        || matches!(address.octets(), [_, 0, 0, 0] | [255, ..] | [0, ..]);
    let is_address = !is_part(before(text, start)) && !is_part(after(text, end));
    (is_address && !is_version && !is_network && !says_nothing).then_some(start..end)
}

fn run_back_dot(text: &str, end: usize) -> usize {
    run_back(text, end, 1, |one| one == b'.')
}

fn is_digit_behind_dot(text: &str, end: usize) -> bool {
    byte(text, end) == Some(b'.') && byte(text, end + 1).is_some_and(|one| one.is_ascii_digit())
}

/// Bytes of the longest address of version 6.
const IPV6: usize = 45;

/// The address of version 6 around the colon here, and where the next one can begin.
pub(crate) fn ipv6(text: &str, colon: usize) -> (Option<Range<usize>>, usize) {
    let is_part = |one: u8| one.is_ascii_hexdigit() || one == b':';
    let start = run_back(text, colon, 4, |one| one.is_ascii_hexdigit());
    let end = run(text, start, IPV6, is_part);
    let found = matched(text, &(start..end)).trim_end_matches(':');
    let found = if text.get(start..end).is_some_and(|all| all.ends_with("::")) {
        text.get(start..end).unwrap_or_default()
    } else {
        found
    };
    let end_of_found = start + found.len();
    let groups = found.split(':').filter(|group| !group.is_empty()).count();
    let is_address = groups >= 3
        && found.len() >= 9
        && found.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_loopback())
        && !before(text, start).is_some_and(|one| joins(one) || one == ':')
        && !after(text, end_of_found).is_some_and(|one| joins(one) || one == ':');
    (is_address.then_some(start..end_of_found), end.max(colon + 1))
}
