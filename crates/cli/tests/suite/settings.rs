//! How the store is found: by a file, the environment, and flags.

use crate::support::*;

#[test]
fn a_flag_weighs_more_than_the_environment_and_that_more_than_the_file() {
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    place.file(
        "config/retort/config.toml",
        format!("store = {:?}\nproject = \"filed\"\n", path("by-file")),
    );
    let import = |variables: &[(&str, &str)], flags: &[&str]| {
        let ran = place.run_with(variables, &[&["import", "-q", "in.jsonl"], flags].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    };
    import(&[], &[]);
    assert!(place.path("by-file").exists());
    import(&[("RETORT_STORE", &path("by-variable"))], &[]);
    assert!(place.path("by-variable").exists());
    import(&[("RETORT_STORE", &path("by-variable"))], &["--store", "by-flag"]);
    assert!(place.path("by-flag").exists());
    for (variables, flags, found) in [
        (&[][..], &[][..], true),
        (&[("RETORT_PROJECT", "varied")], &[], false),
        (&[("RETORT_PROJECT", "varied")], &["--project", "filed"], true),
    ] {
        let ran = place.run_with(variables, &[&["list", "--count"], flags].concat());
        assert_eq!(ran.code == Some(0), found, "{variables:?} {flags:?}: {}", ran.err);
    }
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let place = Place::new();
    place.file("c.toml", "# a comment\ntreads = 3\n");
    let ran = place.refused(&["list", "--config", "c.toml"], "`c.toml`, line 2");
    assert!(ran.err.contains("treads") && ran.err.contains("threads"), "{}", ran.err);
    place.file("c.toml", "threads = \"many\"\n");
    place.refused(&["list", "--config", "c.toml"], "`c.toml`, line 1");
    place.refused(&["list", "--config", "nowhere.toml"], "cannot read `nowhere.toml`");
    for name in ["THREADS", "PART_MEGABYTES", "LEASE_SECONDS", "PATIENCE_SECONDS"] {
        let name = format!("RETORT_{name}");
        let ran = place.run_with(&[(&name, "many")], &["list"]);
        assert_eq!(ran.err, format!("error: `{name}` must be a whole number, not `many`\n"));
    }
}

#[test]
fn no_error_shows_a_password() {
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    for url in [
        "postgres://ann:hush@127.0.0.1:1/db",
        "postgres://ann:hu@hush@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=ann&password=hush",
        "postgres://ann:hush@127.0.0.1:port/db",
        "postgres://ann:hush@127.0.0.1:1/db?no_such=option",
    ] {
        place.file("c.toml", format!("store = {url:?}\n"));
        place.file("wrong.toml", format!("stoer = {url:?}\n"));
        for args in [
            &["import", "in.jsonl"][..],
            &["import", "--dry-run", "in.jsonl"],
            &["list"],
            &["migrate"],
            &["doctor"],
            &["backup", "b"],
            &["worker", "--once"],
        ] {
            for how in [&["--store", url][..], &["--config", "c.toml"], &["--config", "wrong.toml"]]
            {
                let ran = place.run(&[args, how].concat());
                assert_eq!(ran.code, Some(1), "{args:?} {how:?}");
                assert!(
                    !format!("{}{}", ran.out, ran.err).contains("hush"),
                    "{args:?}: {}",
                    ran.err
                );
            }
        }
        let ran = place.run_with(&[("RETORT_STORE", url)], &["list", "--help"]);
        assert!(!ran.out.contains("hush"), "{}", ran.out);
    }
}

#[test]
fn what_is_no_store_is_told_and_left_alone() {
    let place = Place::new();
    let text = "this is no database, but it is long enough to be taken for one. ".repeat(40);
    place.file("notes.txt", &text);
    place.refused(&["list", "--store", "notes.txt"], "not a Retort store");
    place.refused(&["migrate", "--store", "notes.txt"], "not a Retort store");
    place.refused(
        &["import", "--dry-run", "notes.txt", "--store", "notes.txt"],
        "not a Retort store",
    );
    assert_eq!(place.bytes("notes.txt"), text.as_bytes());
    place.file("empty.sqlite", "");
    place.refused(&["list", "--store", "empty.sqlite"], "run `retort migrate`");
    let before = place.bytes("empty.sqlite");
    let ran = place.ok(&["migrate", "--store", "empty.sqlite", "--dry-run"]);
    assert!(ran.err.starts_with("would upgrade the store from schema 0 to "), "{}", ran.err);
    assert_eq!(place.bytes("empty.sqlite"), before);
    let ran = place.ok(&["migrate", "--store", "empty.sqlite"]);
    assert!(ran.err.starts_with("upgraded the store from schema 0 to "), "{}", ran.err);
    let again = place.printed(&["migrate", "--store", "empty.sqlite", "--json"]);
    assert_eq!(again["from"], again["to"]);
    place.refused(&["migrate", "--store", "nowhere.sqlite"], "there is no such file");
    assert!(!place.path("nowhere.sqlite").exists());
}
