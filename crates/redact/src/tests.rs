use super::*;

const ALL: RuleSets = RuleSets { secrets: true, pii: true };

fn redacted(text: &str) -> (String, Hits) {
    let mut hits = Vec::new();
    let text = Redactor::new(ALL).text(text, &mut hits).into_owned();
    (text, hits)
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
    for (rule, canary) in canaries() {
        for text in [
            canary.clone(),
            format!("See {canary}, please."),
            format!("({canary})"),
            format!("line\n{canary}\nline"),
            format!("é{{\"{canary}\"é"),
            format!("value=\"{canary}\""),
            format!("日本 {canary} 語"),
        ] {
            let (masked, hits) = redacted(&text);
            assert!(hits.contains(&rule), "{rule:?} in {text:?}: {hits:?} {masked}");
            assert!(!masked.contains(core(&canary)), "{masked}");
        }
    }
}

#[test]
fn every_canary_is_found_wherever_it_is_in_a_line() {
    let redactor = Redactor::new(ALL);
    let quoted = |text: &str| {
        let mut out = String::new();
        write_string(text, &mut out);
        out
    };
    for (rule, canary) in canaries() {
        let escaped: String =
            canary.chars().map(|one| format!("\\u{:04x}", u32::from(one))).collect();
        let inner = format!("{{\"to\":{},\"deep\":[{}]}}", quoted(&canary), quoted("\n\t\"x"));
        let deeper = quoted(&format!("{{\"a\":{}}}", quoted(&inner)));
        let in_base64 = STANDARD_NO_PAD.encode(format!("some text and {canary} and more"));
        for value in [
            quoted(&canary),
            format!("\"{escaped}\""),
            quoted(&format!("before\n{canary}\\n")),
            quoted(&inner),
            deeper,
            format!("{{{}:1}}", quoted(&canary)),
            quoted(&format!("data:text/plain;base64,{in_base64}=")),
            quoted(&in_base64),
        ] {
            let line =
                format!("{{\"retort\":1,\"n\":12.5,\"messages\":[{{\"content\":{value}}}]}}");
            let mut hits = Vec::new();
            let masked = redactor.line(&line, &mut hits).unwrap_or_default();
            assert!(hits.contains(&rule), "{rule:?} in {line}: {hits:?}");
            let mut parser = Parser::new(&masked);
            assert!(parser.skip().is_ok() && parser.end().is_ok(), "{masked}");
            // However it is written.
            let text = masked.replace('\\', "");
            let core = core(&canary).replace('\n', "n");
            assert!(!text.contains(&core) && !masked.contains(&escaped), "{masked}");
            assert_eq!(redactor.line(&masked, &mut hits), None, "again: {masked}");
        }
    }
}

#[test]
fn what_only_looks_alike_is_left_as_it_is() {
    for text in [
        "4111 1111 1111 1112 and 1234567890123456 and 0000000000000000",
        "DE00 3704 0044 0532 0130 00",
        "550e8400-e29b-41d4-a716-446655440000",
        "2024-01-02T03:04:05.123456Z and 12:30:45 and 1700000000000",
        "Chrome/120.0.0.0 and v1.2.3.4 and 1.2.3.4.5 and 127.0.0.1 and 300.1.2.3",
        "std::vec::Vec and a::b and fe::ed",
        "icon@2x.png and user@host and @decorator and a@b",
        "x = 3.14159265358979 and 0.4111111111111111",
        "task-list-of-things-to-do and sk-learn-is-a-library-for-python",
        "the password is required; password: string; password = os.environ['PW']",
        "secret: ${SECRET_VALUE} and api_key=<your-key-here>",
        "https://example.org:8080/path?x=1 and mailto:nobody",
        "bearer of good news and tokens are counted",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "+1 and +12 and 1+2345678901 and call 911",
        "000-12-3456 and 2024-12-2024 and 12-34-5678",
        "input_tokens: 12345678901",
        "[EMAIL] and [API_KEY]",
    ] {
        let (masked, hits) = redacted(text);
        assert_eq!((masked.as_str(), hits.as_slice()), (text, &[][..]));
    }
}

#[test]
fn passwords_are_found_beside_their_names() {
    let redactor = Redactor::new(ALL);
    for (text, expect) in [
        ("password: hunter2!x", "password: [PASSWORD]"),
        ("my api_key=\"a1b2c3d4e5\" works", "my api_key=\"[PASSWORD]\" works"),
        ("postgres://anna:s3cret@db.internal/x", "postgres://[CONNECTION_STRING]@db.internal/x"),
        ("Authorization: Bearer abcDEF123456abcDEF123456", "Authorization: Bearer [TOKEN]"),
    ] {
        assert_eq!(redactor.text(text, &mut Vec::new()), expect);
    }
    let line = r#"{"user":"anna","password":"correct horse","n":{"api-key":"abcd"},"token":3}"#;
    let expect =
        r#"{"user":"anna","password":"[PASSWORD]","n":{"api-key":"[PASSWORD]"},"token":3}"#;
    assert_eq!(redactor.line(line, &mut Vec::new()).unwrap(), expect);
}

#[test]
fn numbers_of_json_are_looked_at() {
    let redactor = Redactor::new(ALL);
    let line = r#"{"card":4111111111111111,"ratio":0.4111111111111111,"time":1700000000000}"#;
    let expect = r#"{"card":"[CARD]","ratio":0.4111111111111111,"time":1700000000000}"#;
    assert_eq!(redactor.line(line, &mut Vec::new()).unwrap(), expect);
}

#[test]
fn only_the_rules_that_are_asked_for_apply() {
    let text = "anna@example.org and password: hunter2!x";
    for (sets, expect) in [
        ("pii", "[EMAIL] and password: hunter2!x"),
        ("secrets", "anna@example.org and password: [PASSWORD]"),
        ("secrets,pii", "[EMAIL] and password: [PASSWORD]"),
    ] {
        let sets: RuleSets = sets.parse().unwrap();
        assert_eq!(Redactor::new(sets).text(text, &mut Vec::new()), expect);
    }
    assert!("names".parse::<RuleSets>().unwrap_err().contains("unknown rules `names`"));
}

#[test]
fn every_pattern_is_valid() {
    assert!(Rules::of(|_| true).are_valid());
}
