//! `Content-Disposition`, as RFC 6266 says.

use axum::http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the `attr-char` of RFC 5987.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The header that saves an answer under a name. What could lead out of a folder, out of the header or the eye
/// astray becomes `_`.
pub fn attachment(file_name: &str) -> HeaderValue {
    let name: String = file_name.chars().map(|c| if misleads(c) { '_' } else { c }).collect();
    let name = if name.trim_matches(['.', ' ']).is_empty() { "download" } else { &name };
    // Some readers decode `%41` in the plain form, too.
    let plain: String =
        name.chars().map(|c| if c.is_ascii() && c != '%' { c } else { '_' }).collect();
    let mut header = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        header.push_str("; filename*=UTF-8''");
        header.extend(utf8_percent_encode(name, ENCODED));
    }
    HeaderValue::try_from(header).unwrap_or(HeaderValue::from_static("attachment"))
}

fn misleads(c: char) -> bool {
    let turns_around =
        matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '"' | '\\' | '/') || turns_around
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name_whatever_it_holds() {
        let table = [
            ("tickets.zip", r#"attachment; filename="tickets.zip""#),
            ("my tickets.zip", r#"attachment; filename="my tickets.zip""#),
            (
                "Žádost.zip",
                r#"attachment; filename="__dost.zip"; filename*=UTF-8''%C5%BD%C3%A1dost.zip"#,
            ),
            ("50%.zip", r#"attachment; filename="50_.zip"; filename*=UTF-8''50%25.zip"#),
            ("a\"; filename=\"b.exe", r#"attachment; filename="a_; filename=_b.exe""#),
            ("a\r\nSet-Cookie: b", r#"attachment; filename="a__Set-Cookie: b""#),
            ("../../etc/passwd", r#"attachment; filename=".._.._etc_passwd""#),
            ("..\\a", r#"attachment; filename=".._a""#),
            ("..", r#"attachment; filename="download""#),
            ("", r#"attachment; filename="download""#),
            ("a\u{202E}gpj.exe", r#"attachment; filename="a_gpj.exe""#),
            (
                "数据.zip",
                "attachment; filename=\"__.zip\"; filename*=UTF-8''%E6%95%B0%E6%8D%AE.zip",
            ),
        ];
        for (name, expect) in table {
            assert_eq!(attachment(name), expect, "{name:?}");
        }
    }
}
