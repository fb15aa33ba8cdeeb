use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use retort_json::{Parser, write_string};

use std::sync::Arc;

use retort_model::Redaction;

use super::*;

fn redactor(sets: &str, action: Action, own: Option<&str>) -> Redactor {
    let sets = sets.parse().unwrap();
    let own = own.map(|text| Arc::new(OwnRules::parse(text).unwrap()));
    Redactor::new(Settings { sets, own, action, key: Key::new([7; 32]) }).unwrap()
}

fn all() -> Redactor {
    redactor("secrets,pii", Action::Mask, None)
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

/// A text as the value of a line, after redaction, with what was found.
fn redacted_by(redactor: &Redactor, text: &str) -> (String, Vec<Rule>) {
    let mut found = Found::default();
    let line = quoted(text);
    let out = redactor.line(&line, &mut found).unwrap_or(line);
    let text = serde_json_string(&out);
    (text, found.counts().map(|(rule, _)| rule).collect())
}

fn serde_json_string(json: &str) -> String {
    let mut text = String::new();
    retort_json::unescape_into(&json[1..json.len() - 1], &mut text);
    text
}

fn redacted(text: &str) -> (String, Vec<Rule>) {
    redacted_by(&all(), text)
}

/// Parts of keys are joined here, so that nobody who looks for keys finds one in this file.
fn canaries() -> Vec<(Redaction, String)> {
    let letters = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4fGh7jKl0n";
    let take = |count: usize| letters[..count].to_owned();
    let mut all: Vec<(Redaction, String)> = [
        (Redaction::Email, "anna.schmidt+news@mail.example.org"),
        (Redaction::Phone, "+49 170 1234567"),
        (Redaction::Phone, "+1 (415) 555-0132"),
        (Redaction::Phone, "(415) 555-0132"),
        (Redaction::Phone, "0049 30 901820"),
        (Redaction::Iban, "DE89 3704 0044 0532 0130 00"),
        (Redaction::Iban, "GB82WEST12345698765432"),
        (Redaction::Iban, "NO9386011117947"),
        (Redaction::Card, "4111 1111 1111 1111"),
        (Redaction::Card, "5500005555555559"),
        (Redaction::Card, "3782-822463-10005"),
        (Redaction::NationalId, "123-45-6789"),
        (Redaction::NationalId, "529.982.247-25"),
        (Redaction::NationalId, "11010519491231002X"),
        (Redaction::NationalId, "1 85 07 75 116 001 91"),
        (Redaction::NationalId, "12345678Z"),
        (Redaction::IpAddress, "203.0.113.77"),
        (Redaction::IpAddress, "2001:db8:85a3::8a2e:370:7334"),
    ]
    .map(|(rule, text)| (rule, text.to_owned()))
    .into();
    let keys = [
        format!("sk-proj-{}", take(40)),
        format!("sk-ant-{}", take(40)),
        format!("AKIA{}", "Q7R2M5X8T3V6B9N4"),
        format!("ghp_{}", take(36)),
        format!("github_pat_{}", take(40)),
        format!("glpat-{}", take(20)),
        format!("xoxb-{}-{}", "123456789012", take(24)),
        format!("AIza{}", take(35)),
        format!("sk_live_{}", take(24)),
        format!("hf_{}", take(34)),
        format!("npm_{}", take(36)),
        format!("SG.{}.{}", take(22), take(40)),
        format!("gsk_{}", take(40)),
    ];
    all.extend(keys.map(|key| (Redaction::ApiKey, key)));
    let jwt = format!("eyJ{}.eyJ{}.{}", take(20), take(30), take(30));
    all.push((Redaction::Token, jwt));
    let pem = |end: &str| {
        format!(
            "-----BEGIN RSA PRIVATE {0}-----\nMIIEow{1}\n{1}\n-----END RSA PRIVATE {0}-----{end}",
            "KEY",
            take(40)
        )
    };
    all.push((Redaction::PrivateKey, pem("")));
    all
}

/// What must not be left of a canary: its longest word.
fn core(canary: &str) -> &str {
    canary.split_whitespace().max_by_key(|word| word.len()).unwrap()
}

#[test]
fn every_canary_is_found_in_prose() {
    for (kind, canary) in canaries() {
        for text in [
            canary.clone(),
            format!("See {canary}, please."),
            format!("({canary})"),
            format!("line\n{canary}\nline"),
            format!("é{{\"{canary}\"é"),
            format!("value=\"{canary}\""),
            format!("日本 {canary} 語"),
            format!("日本{canary}語"),
            format!("12, {canary}, 34"),
            format!("**{canary}**"),
        ] {
            let (masked, hits) = redacted(&text);
            assert!(hits.contains(&Rule::BuiltIn(kind)), "{kind:?} in {text:?}: {hits:?} {masked}");
            assert!(!masked.contains(core(&canary)), "{masked}");
        }
    }
}

fn percent_encoded(text: &str, every: bool) -> String {
    let is_plain = |one: u8| !every && (one.is_ascii_alphanumeric() || b"-._~".contains(&one));
    text.bytes()
        .map(|one| if is_plain(one) { char::from(one).to_string() } else { format!("%{one:02X}") })
        .collect()
}

#[test]
fn every_canary_is_found_wherever_it_is_in_a_line() {
    let redactor = all();
    for (kind, canary) in canaries() {
        let escaped: String =
            canary.chars().map(|one| format!("\\u{:04x}", u32::from(one))).collect();
        let inner = format!("{{\"to\":{},\"deep\":[{}]}}", quoted(&canary), quoted("\n\t\"x"));
        let deeper = quoted(&format!("{{\"a\":{}}}", quoted(&inner)));
        let text = format!("some text and {canary} and more");
        let (in_base64, in_url_base64) = (STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text));
        let lines: Vec<&str> = in_base64
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let url = |every| {
            format!("see https://example.org/a?q={}&z=1 there", percent_encoded(&canary, every))
        };
        for value in [
            quoted(&canary),
            format!("\"{escaped}\""),
            quoted(&format!("before\n{canary}\\n")),
            quoted(&inner),
            deeper,
            format!("{{{}:1}}", quoted(&canary)),
            quoted(&format!("data:text/plain;base64,{in_base64}")),
            quoted(&in_base64),
            quoted(&STANDARD.encode(&inner)),
            quoted(&format!("the file is {in_base64} as sent")),
            quoted(&format!("token={in_url_base64}&x=1")),
            quoted(&lines.join("\n")),
            quoted(&url(false)),
            quoted(&url(true)),
            quoted(&format!("log: {{\"q\": \"{escaped}\"}}")),
        ] {
            let line =
                format!("{{\"retort\":1,\"n\":12.5,\"messages\":[{{\"content\":{value}}}]}}");
            let mut found = Found::default();
            let masked = redactor.line(&line, &mut found).unwrap_or_default();
            let hits: Vec<Rule> = found.counts().map(|(rule, _)| rule).collect();
            assert!(hits.contains(&Rule::BuiltIn(kind)), "{kind:?} in {line}: {hits:?}");
            let mut parser = Parser::new(&masked);
            assert!(parser.skip().is_ok() && parser.end().is_ok(), "{masked}");
            // However it is written.
            let text = masked.replace('\\', "");
            let core = core(&canary).replace('\n', "n");
            for left in
                [&*core, &escaped, &in_base64, &in_url_base64, &percent_encoded(&core, true)]
            {
                assert!(!text.contains(left) && !masked.contains(left), "{left}: {masked}");
            }
            assert_eq!(redactor.line(&masked, &mut Found::default()), None, "again: {masked}");
        }
    }
}

#[test]
fn what_only_looks_alike_is_left_as_it_is() {
    for text in [
        "4111 1111 1111 1112 and 1234567890123456 and 0000000000000000",
        "1234 4111 1111 1111 1111 2345 are columns",
        "DE00 3704 0044 0532 0130 00",
        "550e8400-e29b-41d4-a716-446655440000",
        "2024-01-02T03:04:05.123456Z and 12:30:45 and 1700000000000",
        "Chrome/120.0.0.0 and v1.2.3.4, version 1.2.3.4 and 1.2.3.4.5 and 127.0.0.1 and 300.1.2.3 and 192.168.0.17",
        "std::vec::Vec and a::b and fe::ed",
        "icon@2x.png and user@host and @decorator and a@b and git@github.com:some/thing.git",
        "x = 3.14159265358979 and 0.4111111111111111 and +1.4155550132",
        "task-list-of-things-to-do and sk-learn-is-a-library-for-python",
        "the password is required; password: string; password = os.environ['PW']",
        "secret: ${SECRET_VALUE} and api_key=<your-key-here> and password=your_password1",
        "https://example.org:8080/path?x=1 and mailto:nobody and http://localhost:3000/@vite/client",
        "bearer of good news and tokens are counted",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "+1 and +12 and 1+2345678901 and call 911",
        "000-12-3456 and 2024-12-2024 and 12-34-5678",
        "110105194912310021 and 12345678A and 1 85 07 75 116 001 30",
        "input_tokens: 12345678901 and 8.8.8.0/24 and +123456789012345 and 4212883012996",
        "carried via@agent.tool to it",
        "[EMAIL] and [API_KEY] and [EMAIL_abcdefghijklmnop]",
        "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4",
        "100%25 of 50%",
    ] {
        let (masked, hits) = redacted(text);
        assert_eq!((masked.as_str(), hits.as_slice()), (text, &[][..]));
    }
}

#[test]
fn passwords_are_found_beside_their_names() {
    let redactor = all();
    for (text, expect) in [
        ("password: hunter2!x", "password: [PASSWORD]"),
        ("Password is hunter2!x.", "Password is [PASSWORD]."),
        ("**Password:** hunter2!x", "**Password:** [PASSWORD]"),
        ("my api_key=\"a1b2c3d4e5\" works", "my api_key=\"[PASSWORD]\" works"),
        (
            "{\"db\": 1} \"password\": \"correct horse 1\", x",
            "{\"db\": 1} \"password\": \"[PASSWORD]\", x",
        ),
        ("postgres://anna:s3cret@db.internal/x", "postgres://[CONNECTION_STRING]@db.internal/x"),
        ("postgres://anna:s3@cret@db.internal/x", "postgres://[CONNECTION_STRING]@db.internal/x"),
        ("Authorization: Bearer abcDEF123456abcDEF123456", "Authorization: Bearer [TOKEN]"),
    ] {
        assert_eq!(redacted_by(&redactor, text).0, expect);
    }
    let line = r#"{"user":"anna","password":"correct horse","n":{"api-key":["abcd",1234]},"token":3,"pwd":123456}"#;
    let expect = r#"{"user":"anna","password":"[PASSWORD]","n":{"api-key":["[PASSWORD]","[PASSWORD]"]},"token":3,"pwd":"[PASSWORD]"}"#;
    assert_eq!(redactor.line(line, &mut Found::default()).unwrap(), expect);
}

#[test]
fn numbers_of_json_are_looked_at() {
    let line = r#"{"card":4111111111111111,"ratio":0.4111111111111111,"time":1700000000000}"#;
    let expect = r#"{"card":"[CARD]","ratio":0.4111111111111111,"time":1700000000000}"#;
    assert_eq!(all().line(line, &mut Found::default()).unwrap(), expect);
}

#[test]
fn only_the_rules_that_are_asked_for_apply() {
    let text = "anna@example.org and password: hunter2!x";
    for (sets, expect) in [
        ("pii", "[EMAIL] and password: hunter2!x"),
        ("secrets", "anna@example.org and password: [PASSWORD]"),
        ("secrets,pii", "[EMAIL] and password: [PASSWORD]"),
        ("", text),
    ] {
        assert_eq!(redacted_by(&redactor(sets, Action::Mask, None), text).0, expect);
    }
    assert!("names".parse::<RuleSets>().unwrap_err().contains("unknown redaction rules `names`"));
}

#[test]
fn a_pseudonym_is_the_same_for_the_same_text_and_another_with_another_key() {
    let redactor = redactor("pii", Action::Pseudonym, None);
    let (text, _) = redacted_by(&redactor, "anna@example.org, Anna@Example.org, ben@example.org");
    let names: Vec<&str> = text.split(", ").collect();
    assert!(names[0] == names[1] && names[0] != names[2], "{text}");
    assert!(names[0].starts_with("[EMAIL_") && names[0].len() == 24, "{text}");
    let (again, hits) = redacted_by(&redactor, &text);
    assert_eq!((&again, hits.len()), (&text, 0));
    let settings =
        Settings { key: Key::of_file(b"another key of 24 bytes\n").unwrap(), ..redactor.settings };
    let other = Redactor::new(settings).unwrap();
    assert_ne!(redacted_by(&other, "anna@example.org").0, names[0]);
    assert!(Key::of_file(b"short\n").unwrap_err().contains("at least 16 bytes"));
}

#[test]
fn ids_and_keys_stay_apart_when_they_are_masked() {
    let redactor = all();
    let line = r#"{"id":"anna@example.org","rounds":{"ben@example.org":1,"eve@example.org":2},"owner":"anna@example.org"}"#;
    let masked = redactor.line(line, &mut Found::default()).unwrap();
    assert!(masked.ends_with(r#""owner":"[EMAIL]"}"#), "{masked}");
    let names: std::collections::HashSet<&str> =
        masked.split('"').filter(|part| part.starts_with("[EMAIL_")).collect();
    assert_eq!(names.len(), 3, "{masked}");
    // The name of a file is the same id wherever it is told.
    assert!(masked.contains(&*redactor.name("anna@example.org")));
}

const OWN: &str = r#"
[[rule]]
name = "staff-number"
regex = '\bEMP-\d{6}\b|^4\d{5}$'

[[rule]]
name = "projects"
words = ["Bluebird", "Blue bird"]
action = "pseudonym"

[[rule]]
name = "health"
fields = ["customer.*.diagnosis", "is_pregnant"]
action = "leave-out"
"#;

#[test]
fn own_rules_find_what_they_say() {
    let redactor = redactor("", Action::Mask, Some(OWN));
    let (text, _) = redacted_by(&redactor, "EMP-123456 of BLUEBIRD, bluebirds and blue\nbird");
    assert!(text.starts_with("[STAFF_NUMBER] of [PROJECTS_"), "{text}");
    assert!(text.contains(", bluebirds and [PROJECTS_"), "{text}");
    let mut found = Found::listing(10);
    let line = r#"{"customer":[{"anna":{"diagnosis":{"main":"flu"}}},{"diagnosis":"none"}],"args":"{\"is_pregnant\":true}","n":[1,412345]}"#;
    let out = redactor.line(line, &mut found).unwrap();
    assert_eq!(
        out,
        r#"{"customer":[{"anna":{"diagnosis":{"main":"[HEALTH]"}}},{"diagnosis":"none"}],"args":"{\"is_pregnant\":\"[HEALTH]\"}","n":[1,"[STAFF_NUMBER]"]}"#
    );
    assert_eq!(found.leaves_out(), Some(Rule::Own(2)));
    let places: Vec<&str> = found.hits.iter().map(|hit| hit.place.as_str()).collect();
    assert_eq!(places, ["customer[0].anna.diagnosis.main", "args.is_pregnant", "n[1]"]);
}

#[test]
fn a_rule_that_cannot_run_is_named_with_its_line() {
    let rule = |body: &str| format!("# own\n[[rule]]\nname = \"x\"\n{body}\n");
    for (text, expect) in [
        (rule("regex = '('"), "line 2: rule `x`: the regular expression does not compile: "),
        (rule("regex = 'a*'"), "line 2: rule `x`: `a*` matches an empty string"),
        (rule("regex = '(?:(?:a{1000}){1000}){1000}'"), "rule `x`: the regular expression"),
        (rule("words = []"), "rule `x`: `words` has 1 to"),
        (rule("fields = ['a..b']"), "rule `x`: `a..b` is not a path"),
        (rule("action = 'hide'\nregex = 'a'"), "rule `x`: unknown redaction action `hide`"),
        (rule(""), "rule `x`: a rule has exactly one of"),
        (rule("regexp = 'a'"), "line 4: unknown field `regexp`"),
        (rule("regex = 'a'").replace("\"x\"", "\"email\""), "a built-in rule has this name"),
        (rule("regex = 'a'").replace("\"x\"", "\"X y\""), "a rule's name is 1 to"),
        (format!("{0}{0}", rule("regex = 'a'")), "line 6: rule `x`: the name is used twice"),
        (String::new(), "there are no rules"),
        ("[[rule]\n".into(), "line 1: "),
    ] {
        let error = OwnRules::parse(&text).unwrap_err();
        assert!(error.contains(expect), "{text}: {error}");
    }
}

#[test]
fn hits_are_listed_with_their_place_and_never_the_secret() {
    let redactor = all();
    let mut found = Found::listing(2);
    let long = "word ".repeat(20);
    let line = format!(
        r#"{{"rounds":[{{"messages":[{{"content":"hi"}},{{"content":"{long}anna@example.org, {long}"}}]}}],"a":"+49 170 1234567","b":"+49 170 1234567"}}"#
    );
    redactor.line(&line, &mut found).unwrap();
    let hits: Vec<(&str, &str)> =
        found.hits.iter().map(|hit| (hit.place.as_str(), hit.context.as_str())).collect();
    assert_eq!(hits.len(), 2);
    assert_eq!(hits[0].0, "rounds[0].messages[1].content");
    assert!(hits[0].1.starts_with('…') && hits[0].1.contains("word [EMAIL], word"), "{hits:?}");
    assert_eq!(hits[1], ("a", "[PHONE]"));
    assert_eq!(found.counts().map(|(_, count)| count).sum::<u64>(), 3);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it measures time")]
fn hostile_texts_take_time_by_their_length_alone() {
    let redactor = redactor("secrets,pii", Action::Mask, Some(OWN));
    for piece in [
        "a",
        "1",
        "1 ",
        "@",
        ":",
        "a@",
        "sk-",
        "eyJ",
        "eyJa.",
        "://a:",
        "password=",
        "bearer ",
        "sig=A",
        "%41",
        "\\u0041",
        "AAAA",
        "1.1.1.",
        "+1 ",
        "-----BEGIN PRIVATE KEY-----",
        "QUFB\n",
        "[",
        "{\"a\":",
        "\\\"",
        "(4",
        "ghp_",
        "SG.",
        "00",
        "DE89",
        "4111 ",
    ] {
        let line = quoted(&piece.repeat(300_000 / piece.len()));
        let start = std::time::Instant::now();
        redactor.line(&line, &mut Found::default());
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 10.0, "{piece:?}: {seconds} s for {} bytes", line.len());
    }
}
