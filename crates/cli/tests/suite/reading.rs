//! Reading what others write: bytes, containers and types as they are found in the wild. Tests that stand for a public
//! report name it.

use crate::support::*;
use serde_json::{Value, json};

/// The count of a finding in a list of the receipt, and the ids that it names.
fn finding(list: &Value, kind: &str) -> (u64, Vec<String>) {
    let found = list.as_array().into_iter().flatten().find(|one| one["kind"] == kind);
    found.map_or((0, Vec::new()), |one| {
        let ids = one["first_ids"].as_array().into_iter().flatten();
        (one["count"].as_u64().unwrap(), ids.map(|id| id.as_str().unwrap().to_owned()).collect())
    })
}

#[test]
fn numbers_that_are_not_finite_are_read_as_null_and_counted() {
    // Report json-nan: Python writes NaN by default.
    let place = Place::new();
    let line = chat("c1").to_string();
    let line = line.replacen('{', r#"{"score":NaN,"scores":[Infinity,-Infinity,1],"#, 1);
    place.file("nan.jsonl", format!("{line}\n{}\n", chat("c2")));
    place.ok(&["convert", "nan.jsonl", "-d", "retort", "-o", "out"]);
    let manifest = place.json("out/manifest.json");
    assert_balanced(&manifest);
    assert_eq!(manifest["records"]["written"], 2);
    let warnings = &manifest["records"]["warnings"];
    assert_eq!(finding(warnings, "non-finite-number"), (1, vec!["c1".into()]));
    let text = place.rows("out/conversations.jsonl")[0].to_string();
    assert!(text.contains(r#"[null,null,1]"#), "{text}");
}

#[test]
fn dates_are_read_in_every_unit_and_spelling_and_those_not_understood_are_told() {
    // Reports time-microseconds and time-with-utc-word.
    let place = Place::new();
    let times = [
        json!(1_704_164_645_678_901_i64),
        json!(1_704_164_645_678_901_234_i64),
        json!("2024-01-02 03:04:05.678901 UTC"),
        json!("Tue, 02 Jan 2024 03:04:05 +0000"),
        json!({"seconds": 1_704_164_645, "nanos": 5}),
        json!("02.01.2024"),
        json!(null),
        json!("2023-01-01"),
    ];
    let items = times
        .into_iter()
        .enumerate()
        .map(|(n, time)| with(chat(&format!("c{n}")), "created_at", time));
    place.file("in.jsonl", lines(items));
    let args = ["convert", "in.jsonl", "-o", "out", "--created-from", "2024-01-01"];
    let ran = place.ok(&args);
    let manifest = place.json("out/manifest.json");
    assert_eq!(manifest["conversations"]["selected"], 5, "{}", ran.err);
    let warnings = &manifest["records"]["warnings"];
    assert_eq!(finding(warnings, "unread-time"), (1, vec!["c5".into()]));
    assert_eq!(finding(warnings, "undated"), (2, vec!["c5".into(), "c6".into()]));
    assert!(ran.err.contains("dates or times that could not be read"), "{}", ran.err);
    let report = place.printed(&["import", "in.jsonl", "--json"]);
    assert_eq!(finding(&report["warnings"], "unread-time"), (1, vec!["c5".into()]));
}

/// One conversation as a line, by its id.
fn line(id: &str) -> Vec<u8> {
    format!("{}\n", chat(id)).into_bytes()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// What an archive says of one of its entries.
#[derive(Clone, Copy)]
struct Entry<'e> {
    name: &'e str,
    method: u16,
    flags: u16,
    body: &'e [u8],
    /// What it unpacks to.
    data: &'e [u8],
}

impl<'e> Entry<'e> {
    fn stored(name: &'e str, data: &'e [u8]) -> Self {
        Self { name, method: 0, flags: 0, body: data, data }
    }
}

/// A ZIP archive, byte by byte: `places` gives the entries of the directory, each with the entry that it points to.
fn raw_zip(entries: &[Entry<'_>], places: &[(&str, usize)]) -> Vec<u8> {
    fn header(entry: &Entry<'_>) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(entry.data);
        let mut out = Vec::new();
        for number in [20, entry.flags, entry.method, 0, 0x21] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [crc.sum() as usize, entry.body.len(), entry.data.len()] {
            out.extend_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out
    }
    let mut out = Vec::new();
    let mut starts = Vec::new();
    for entry in entries {
        starts.push(u32::try_from(out.len()).unwrap());
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&header(entry));
        out.extend_from_slice(entry.name.as_bytes());
        out.extend_from_slice(entry.body);
    }
    let directory = out.len();
    for (name, place) in places {
        let entry = &Entry { name, ..entries[*place] };
        out.extend_from_slice(b"PK\x01\x02\x14\0");
        out.extend_from_slice(&header(entry));
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&starts[*place].to_le_bytes());
        out.extend_from_slice(entry.name.as_bytes());
    }
    let length = u32::try_from(out.len() - directory).unwrap();
    let count = u16::try_from(places.len()).unwrap().to_le_bytes();
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count);
    out.extend_from_slice(&count);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&u32::try_from(directory).unwrap().to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

/// The ids of the conversations that are read from a file, and the refused items by reason.
fn read(place: &Place, input: &str) -> (Vec<String>, Value, String) {
    let ran = place.run(&["convert", input, "-d", "retort", "-o", "out", "--force"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{input}: {:?} {}", ran.code, ran.err);
    let manifest = place.json("out/manifest.json");
    assert_balanced(&manifest);
    let rows = place.rows("out/conversations.jsonl");
    let ids = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    (ids, manifest["read"].clone(), ran.err)
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn every_packing_and_encoding_that_people_use_is_read() {
    // Reports bzip2-file, gzip-zero-padding, utf16-le-bom, bom-in-the-middle, concatenated-objects, tar-gz, zip-in-zip.
    let place = Place::new();
    let xz = "fd377a585a000004e6d6b4460200210116000000742fe5a3e0005900475d003d88892681935385d84561a9d4f6b83106ea19a983c5d6\
              2b96c3428da78122122067352bf2eec789c45a102e4f77dda90b21cd80003ce50d645ae51fd95bc1ff55720da3820c000000c75f35c9\
              9082052d0001635aa535e8e51fb6f37d010000000004595a";
    let bzip2 = "425a68393141592653597479448100002a5b80001010042010000a2ea7be4a20004868d440f51ea03ca3d41a9a64046260352a6312\
                 eaaf2c185292147bc3a6d44261639ea53c81617896caff069fc0c6070390813d49b0f558841e39aeaa0fc5dc914e14241d1e512040";
    let lzma = "5d00008000ffffffffffffffff003d88892681935385d84561a9d4f6b83106ea19a983c5d62b96c3428da78122122067352bf2eec789c4\
                5a102e4f77dda90b21cd80003ce50d645ae51fd95bc1ff55720da5934ee153ff12708000";
    let two = [line("a"), line("b")].concat();
    let tar = tar(&[("x/a.jsonl", &line("a")), ("x/b.jsonl.gz", &gzip(&line("b")))]);
    let utf16 = |mark: bool, big: bool| -> Vec<u8> {
        let text = String::from_utf8(two.clone()).unwrap();
        let text = if mark { format!("\u{feff}{text}") } else { text };
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    };
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("x.jsonl.xz", unhex(&xz.replace(' ', "")), &["x1"]),
        ("x.jsonl.lzma", unhex(&lzma.replace(' ', "")), &["x1"]),
        ("x.jsonl.bz2", unhex(&bzip2.replace(' ', "")), &["x1"]),
        (
            "padded.jsonl.gz",
            [gzip(&line("a")), vec![0; 512], gzip(&line("b")), vec![0; 9]].concat(),
            &["a", "b"],
        ),
        ("le.jsonl", utf16(true, false), &["a", "b"]),
        ("be.jsonl", utf16(true, true), &["a", "b"]),
        ("bare-le.jsonl", utf16(false, false), &["a", "b"]),
        ("bare-be.jsonl", utf16(false, true), &["a", "b"]),
        (
            "joined.jsonl",
            [b"\xef\xbb\xbf".to_vec(), line("a"), b"\xef\xbb\xbf".to_vec(), line("b")].concat(),
            &["a", "b"],
        ),
        ("one-line.json", format!("{}{}", chat("a"), chat("b")).into(), &["a", "b"]),
        (
            "some-lines.json",
            format!("{}\n{}{}\n", chat("a"), chat("b"), chat("c")).into(),
            &["a", "b", "c"],
        ),
        (
            "commas.json",
            format!("{},\n{},\n{}", chat("a"), chat("b"), chat("c")).into(),
            &["a", "b", "c"],
        ),
        (
            "sequence.json",
            format!("\u{1e}{}\n\u{1e}{}\n", chat("a"), chat("b")).into(),
            &["a", "b"],
        ),
        ("room.jsonl", [line("a"), vec![0; 4096]].concat(), &["a"]),
        ("x.tar", tar.clone(), &["a", "b"]),
        ("x.tar.gz", gzip(&tar), &["a", "b"]),
        ("x.tgz", gzip(&tar), &["a", "b"]),
        (
            "nested.zip",
            zip(&[("in.zip", &zip(&[("a.jsonl", &line("a"))])), ("z.tar.gz", &gzip(&tar))]),
            &["a", "b"],
        ),
        ("windows.zip", zip(&[("x\\a.jsonl", &line("a"))]), &["a"]),
    ];
    for (name, bytes, expect) in cases {
        place.file(name, bytes);
        let (mut ids, read, _) = read(&place, name);
        ids.dedup();
        assert_eq!(ids, expect, "{name}");
        assert_eq!(read["refused"], json!([]), "{name}");
    }
}

#[test]
fn an_archive_of_a_product_is_read_with_its_side_files() {
    // Report not-offered-chatgpt-export: its archive has a dozen other files.
    let place = Place::new();
    let node = |id: &str, parent: &str, role: &str| {
        let message = json!({"id": id, "author": {"role": role}, "content": {"content_type": "text", "parts": [id]}});
        json!({"id": id, "parent": parent, "children": [], "message": message})
    };
    let mapping = json!({"r": {"id": "r", "parent": null, "children": ["q"], "message": null},
        "q": node("q", "r", "user"), "a": node("a", "q", "assistant")});
    let chat = |id: &str| json!({"conversation_id": id, "title": "T", "mapping": mapping, "current_node": "a"});
    let files = [
        ("chat.html", "<html></html>".to_owned()),
        ("conversations.json", json!([chat("1"), chat("2")]).to_string()),
        ("file-abc.png", "\u{89}PNG".to_owned()),
        (
            "message_feedback.json",
            json!([{"message_id": "a", "conversation_id": "2", "rating": "thumbs_up"},
            {"message_id": "a", "conversation_id": "9", "rating": "thumbs_up"}])
            .to_string(),
        ),
        ("user.json", json!({"id": "u", "email": "someone@example.com"}).to_string()),
    ];
    let bytes: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    place.file("export.zip", zip(&bytes));
    let inner = zip(&bytes);
    place.file("mail.zip", zip(&[("export.zip", &inner)]));
    for (name, text) in &files {
        place.file(&format!("export/{name}"), text);
    }
    let named: Vec<_> = files.iter().map(|(name, _)| format!("export/{name}")).collect();
    let named = named.iter().filter(|name| name.ends_with("json")).map(String::as_str);
    for inputs in [vec!["export.zip"], vec!["export"], vec!["mail.zip"], named.collect()] {
        let args = [&["convert"], &inputs[..], &["-d", "retort", "-o", "out", "--force"]].concat();
        place.ok(&args);
        let manifest = place.json("out/manifest.json");
        assert_balanced(&manifest);
        let read = &manifest["read"];
        assert_eq!((&read["items"], &read["refused"]), (&json!(2), &json!([])), "{inputs:?}");
        let side_files = if inputs.len() > 1 { 1 } else { 2 };
        assert_eq!(finding(&read["passed_over"], "side-file").0, side_files, "{inputs:?} {read}");
        assert_eq!(finding(&read["passed_over"], "no-item").0, 1, "{inputs:?} {read}");
        let rows = place.rows("out/conversations.jsonl");
        let ratings: Vec<_> = rows
            .iter()
            .map(|row| row["rounds"][0]["messages"][1]["feedback"]["rating"].clone())
            .collect();
        assert_eq!(ratings, [json!(null), json!("thumbs_up")], "{inputs:?}");
    }
}

#[test]
fn parquet_and_archives_are_read_inside_archives() {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.ok(&["convert", "in.jsonl", "-f", "parquet", "-o", "rows"]);
    let rows = std::fs::read(place.path("rows/conversations.parquet")).unwrap();
    let nested = zip(&[("deep.zip", &zip(&[("rows.parquet", &rows)])), ("a.jsonl", &line("a"))]);
    for (name, bytes) in [
        ("rows.zip", zip(&[("x/rows.parquet", &rows)])),
        ("rows.tar.gz", gzip(&tar(&[("rows.parquet", &rows)]))),
        ("tar-in.zip", zip(&[("in.tar", &tar(&[("rows.parquet", &rows)]))])),
        ("zip-in.tar", tar(&[("in.zip", &nested)])),
    ] {
        place.file(name, bytes);
        let (ids, read, _) = read(&place, name);
        assert_eq!(read["refused"], json!([]), "{name}");
        assert_eq!(ids.len(), if name == "zip-in.tar" { 4 } else { 3 }, "{name}: {ids:?}");
    }
}

#[test]
fn lines_may_be_the_json_text_of_items() {
    let place = Place::new();
    let chat = |id: &str| {
        let asked = json!({"role": "user", "content": "q"});
        json!({"id": id, "messages": [asked, {"role": "assistant", "content": id}]})
    };
    let lines = [
        json!(chat("one").to_string()),
        chat("two"),
        json!("{not JSON"),
        json!("words"),
        json!(format!(" {}", chat("three"))),
    ];
    place.file("in.jsonl", lines.map(|line| line.to_string()).join("\n"));
    let (ids, found, told) = read(&place, "in.jsonl");
    assert_eq!(
        (ids, &found["items"]),
        (vec!["one".into(), "two".into(), "three".into()], &json!(5))
    );
    assert!(told.contains("refused    2 of no known format"), "{told}");
}

#[test]
fn what_cannot_be_read_is_refused_alone_and_the_rest_is_read() {
    // Reports one-cut-gzip-among-many, one-unreadable-parquet-among-many, zip-deflate64.
    let place = Place::new();
    let many = chats(12).into_bytes();
    let mut cut = gzip(&many);
    cut.truncate(cut.len() - 40);
    let mut cut_zip = zip(&[("a.jsonl", &line("in-zip"))]);
    cut_zip.truncate(cut_zip.len() - 30);
    let files: &[(&str, &[u8], &str)] = &[
        ("a-cut.jsonl.gz", &cut, "damaged"),
        ("b-cut.zip", &cut_zip, "damaged"),
        ("c.parquet", b"PAR1 and nothing more PAR1", "damaged"),
        ("d.7z.json", b"7z\xbc\xaf\x27\x1c rest", "not-supported"),
        ("e.sqlite.json", b"SQLite format 3\0", "damaged"),
        (
            "lfs.jsonl",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 1\n",
            "not-supported",
        ),
        ("page.json", b"\n<!DOCTYPE html><html>Sign in</html>", "not-supported"),
        ("f.jsonl.gz", &[gzip(&line("before")), b"no gzip".to_vec()].concat(), "damaged"),
        ("g.jsonl.bz2", b"BZh91AY&SYbroken", "damaged"),
        ("z.jsonl", &line("whole"), ""),
    ];
    for (name, bytes, _) in files {
        place.file(&format!("in/{name}"), bytes);
    }
    let (ids, read, err) = read(&place, "in");
    assert!(ids.contains(&"whole".into()) && ids.contains(&"before".into()), "{ids:?}");
    for reason in ["damaged", "not-supported"] {
        let expect = files.iter().filter(|(_, _, one)| *one == reason).count() as u64;
        assert_eq!(finding(&read["refused"], reason).0, expect, "{reason}: {read}");
    }
    assert!(err.contains("the rest cannot be read"), "{err}");
    let lfs = std::fs::read_to_string(place.path("out/rejects.jsonl")).unwrap();
    assert!(lfs.contains("Git LFS pointer (`git lfs pull` gets the file)"), "{lfs}");
    // The same by the other ways in.
    let report = place.printed(&["import", "in", "--json"]);
    assert_eq!(
        (report["new"].as_u64(), finding(&report["refused"], "not-supported").0),
        (Some(ids.len() as u64), 3)
    );
    let shown = place.run(&["preview", "in", "--json"]);
    assert!(shown.out.contains("\"damaged\": 6"), "{}", shown.out);

    let deflate64 = [b"\x01".to_vec(), le(line("d64").len()), line("d64")].concat();
    let stored = line("b");
    let (locked, strange, data) = (line("locked"), line("strange"), line("d64"));
    let entries = [
        Entry { method: 9, ..Entry { body: &deflate64, ..Entry::stored("a.jsonl", &data) } },
        Entry::stored("b.jsonl", &stored),
        Entry { flags: 1, ..Entry::stored("c.jsonl", &locked) },
        Entry { method: 98, ..Entry::stored("d.jsonl", &strange) },
    ];
    place.file("odd.zip", raw_zip(&entries, &[0, 1, 2, 3].map(|at| (entries[at].name, at))));
    let (ids, read, err) = self::read(&place, "odd.zip");
    assert_eq!(ids, ["d64", "b"]);
    assert_eq!(finding(&read["refused"], "not-supported").0, 2, "{read}");
    assert!(err.contains("it is encrypted"), "{err}");
}

/// The length of a stored block of Deflate, and the same the other way round.
fn le(length: usize) -> Vec<u8> {
    let length = u16::try_from(length).unwrap();
    [length.to_le_bytes(), (!length).to_le_bytes()].concat()
}

#[test]
fn archives_are_bounded_as_a_whole() {
    // Finding 5b of the attack: entries that share their bytes.
    let place = Place::new();
    let (one, two) = (line("a"), line("b"));
    let entries = [Entry::stored("a.jsonl", &one), Entry::stored("b.jsonl", &two)];
    place.file("shared.zip", raw_zip(&entries, &[("a.jsonl", 0), ("c.jsonl", 0), ("b.jsonl", 1)]));
    let (ids, read, _) = read(&place, "shared.zip");
    assert_eq!(ids, ["b"], "{read}");
    assert_eq!(finding(&read["refused"], "refused-entry").0, 2, "{read}");
    // The same name twice: the last one is read, and the first is told.
    let entries = [Entry::stored("a.jsonl", &one), Entry::stored("a.jsonl", &two)];
    place.file("twice.zip", raw_zip(&entries, &[("a.jsonl", 0), ("a.jsonl", 1)]));
    let (ids, read, _) = self::read(&place, "twice.zip");
    assert_eq!(
        (ids, finding(&read["passed_over"], "repeated-entry").0),
        (vec!["b".into()], 1),
        "{read}"
    );
}

#[test]
fn a_wide_window_is_refused_with_advice_and_read_with_a_flag() {
    // Report zstd-window-31.
    let place = Place::new();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    std::io::Write::write_all(&mut encoder, &line("wide")).unwrap();
    place.file("wide.jsonl.zst", encoder.finish().unwrap());
    place.file("narrow.jsonl", [line("a"), line("b")].concat());
    let ran = place.ok(&["convert", "wide.jsonl.zst", "narrow.jsonl", "-o", "out"]);
    assert!(ran.err.contains("--max-window 269"), "{}", ran.err);
    let args = ["convert", "wide.jsonl.zst", "narrow.jsonl", "-o", "all", "--max-window", "269"];
    place.ok(&args);
    assert_eq!(place.json("all/manifest.json")["records"]["written"], 3);
    // A dictionary of 512 MiB.
    let xz = "fd377a585a000004e6d6b44602002101220000008240acdce0005900475d003d88892681935385d84561a9d4f6b83106ea19a983c5d6\
              2b96c3428da78122122067352bf2eec789c45a102e4f77dda90b21cd80003ce50d645ae51fd95bc1ff55720da3820c000000c75f35c9\
              9082052d0001635aa535e8e51fb6f37d010000000004595a";
    place.file("wide.jsonl.xz", unhex(&xz.replace(' ', "")));
    let ran = place.run(&["convert", "wide.jsonl.xz", "-o", "xz"]);
    assert!(ran.err.contains("LZMA dictionary") && ran.err.contains("--max-window"), "{}", ran.err);
    place.ok(&["convert", "wide.jsonl.xz", "-o", "xz", "--max-window", "537"]);
    assert_eq!(place.json("xz/manifest.json")["records"]["written"], 1);
}

#[test]
fn in_a_folder_histories_are_known_by_their_content_and_the_rest_is_told() {
    // Report folder-of-odd-endings.
    let place = Place::new();
    for (name, id) in [
        ("a.JSONL", "a"),
        ("b.json.txt", "b"),
        ("c.jsonlines", "c"),
        ("d.ndjson", "d"),
        ("e", "e"),
        ("k.jsonl.1", "k"),
        ("l.log", "l"),
        ("m.jsonl.bak", "m"),
        ("deep/er/n.json", "n"),
    ] {
        place.file(&format!("in/{name}"), line(id));
    }
    place.file("in/f.gz.1", gzip(&line("f")));
    for (name, bytes) in [
        ("notes.txt", &b"{not json"[..]),
        ("README.md", b"# hello"),
        ("code.py", b"x = {}"),
        ("data.yml", b"a: 1"),
        ("book.xlsx", &zip(&[("xl/sheet.xml", b"<x/>")])),
        ("settings.cfg", b"{\"a\": 1}"),
        ("empty", b""),
        ("old.7z", b"7z\xbc\xaf\x27\x1c rest"),
        (".hidden.jsonl", &line("hidden")),
        ("._a.JSONL", b"\0\x05\x16\x07"),
        ("__MACOSX/a.jsonl", b"\0\x05\x16\x07"),
    ] {
        place.file(&format!("in/{name}"), bytes);
    }
    place.ok(&["convert", "in/deep", "-o", "in/earlier"]);
    place.file("in/mac.zip", zip(&[("__MACOSX/._z.jsonl", b"x"), ("z.jsonl", &line("z"))]));
    let (mut ids, read, err) = read(&place, "in");
    ids.sort();
    assert_eq!(ids.concat(), "abcdefklmnz");
    assert_eq!(read["refused"], json!([]), "{read}");
    for (reason, count) in [
        ("not-a-history", 7),
        ("hidden", 1),
        ("not-supported", 1),
        ("macos-metadata", 3),
        ("retort-package", 1),
    ] {
        assert_eq!(finding(&read["passed_over"], reason).0, count, "{reason}: {read}");
    }
    assert_eq!(finding(&read["passed_over"], "retort-package").1, ["earlier"]);
    assert!(err.contains("not read   13 files"), "{err}");
    let report = place.printed(&["import", "in", "--json"]);
    assert_eq!(report["files_passed_over"], 13);
    assert_eq!(finding(&report["passed_over"], "not-a-history").0, 7);
    // What is named is read, whatever it is called.
    let (ids, _, _) = self::read(&place, "in/.hidden.jsonl");
    assert_eq!(ids, ["hidden"]);
    let (ids, _, _) = self::read(&place, "in/earlier");
    assert_eq!(ids.len(), 1);
    let ran = place.refused(&["convert", "in/settings.cfg", "-o", "none"], "has the keys `a`");
    assert!(ran.err.contains("settings.cfg, item 1, line 1, byte 0"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn links_inside_the_folder_and_to_blobs_are_followed_and_others_are_told() {
    // Report hub-cache-links.
    use std::os::unix::fs::symlink;
    let place = Place::new();
    place.file("hub/blobs/abc", line("blob"));
    place.file("hub/snapshots/1/plain.jsonl", line("plain"));
    place.file("elsewhere.jsonl", line("outside"));
    let snapshot = place.path("hub/snapshots/1");
    symlink("../../blobs/abc", snapshot.join("train.jsonl")).unwrap();
    symlink("../../../elsewhere.jsonl", snapshot.join("out.jsonl")).unwrap();
    symlink("plain.jsonl", snapshot.join("same.jsonl")).unwrap();
    symlink("nothing.jsonl", snapshot.join("broken.jsonl")).unwrap();
    symlink(".", snapshot.join("loop")).unwrap();
    for folder in ["hub/snapshots/1", "hub"] {
        let (mut ids, read, _) = read(&place, folder);
        ids.sort();
        assert_eq!(ids, ["blob", "plain"], "{folder}");
        let passed_over = &read["passed_over"];
        for reason in ["link-outside", "same-file", "broken-link", "link-loop"] {
            assert_eq!(finding(passed_over, reason).0, 1, "{folder}, {reason}: {read}");
        }
    }
}

#[test]
fn a_run_in_which_most_is_refused_says_so_first_and_strict_runs_fail() {
    let place = Place::new();
    place.file("bad.jsonl", [b"{\"a\":1}\n[1\n".to_vec(), line("a")].concat());
    let ran = place.run(&["convert", "bad.jsonl", "-o", "out", "--rejects", "rejects.jsonl"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.starts_with("warning: 2 of 3 items could not be read"), "{}", ran.err);
    assert!(ran.err.contains("line 1, byte 0: an item that has the keys `a`"), "{}", ran.err);
    assert_eq!(place.rows("rejects.jsonl").len(), 2);
    assert_eq!(place.run(&["preview", "bad.jsonl", "--rejects", "shown.jsonl"]).code, Some(3));
    assert_eq!(place.rows("shown.jsonl").len(), 2);
    assert_eq!(place.run(&["import", "bad.jsonl"]).code, Some(3));
    place.file("good.jsonl", [b"{\"a\":1}\n".to_vec(), line("a"), line("b")].concat());
    place.ok(&["convert", "good.jsonl", "-o", "good"]);
    let ran = place.refused(&["convert", "good.jsonl", "-o", "strict", "--strict"], "--strict");
    assert!(ran.err.contains("good.jsonl, item 1"), "{}", ran.err);
    assert!(!place.path("strict").exists());
    place.refused(&["import", "good.jsonl", "--strict"], "1 item could not be read");
    let rejects = "dry.jsonl";
    place.ok(&["import", "good.jsonl", "--dry-run", "--rejects", rejects]);
    assert_eq!(place.rows(rejects).len(), 1);
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_refused_and_the_rest_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.file("in/a.jsonl", line("a"));
    let locked = place.file("in/locked.jsonl", line("locked"));
    let folder = place.file("in/folder/b.jsonl", line("b"));
    let folder = folder.parent().unwrap();
    let allow = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&locked, 0);
    allow(folder, 0);
    let is_refused = std::fs::File::open(&locked).is_err();
    if is_refused {
        let (ids, read, _) = read(&place, "in");
        assert_eq!(
            (ids, finding(&read["refused"], "unreadable").0),
            (vec!["a".into()], 2),
            "{read}"
        );
    } else {
        eprintln!("passed over: this user may read everything");
    }
    allow(folder, 0o700);
}

/// The data file of a package.
fn data_of(place: &Place, package: &str) -> String {
    let manifest = place.json(&format!("{package}/manifest.json"));
    let files = manifest["files"].as_array().unwrap();
    let data = files.iter().find(|file| file.get("records").is_some()).unwrap();
    format!("{package}/{}", data["path"].as_str().unwrap())
}

/// Role and text of each message, as Retort's own lines have them.
fn said(row: &Value) -> Vec<(String, String)> {
    let rounds = row["rounds"].as_array().into_iter().flatten();
    let messages = rounds.flat_map(|round| round["messages"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    messages.map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

#[test]
fn every_row_that_retort_writes_is_read_back() {
    // Reports own-rows-not-read and csv-guards.
    let place = Place::new();
    let items = [
        with(chat("plain"), "title", json!("=SUM(A1)")),
        json!({"id": "=guarded", "created_at": "2024-01-02T03:04:05Z", "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "=1+1, \"quoted\"; and\tmore\nlines"},
            {"role": "assistant", "content": "-2 'x' {\"a\": 1}"},
            {"role": "user", "content": "[1]"},
            {"role": "assistant", "content": "+3"}]}),
    ];
    place.file("in.jsonl", lines(items));
    let original = |place: &Place| -> Vec<Vec<(String, String)>> {
        place.ok(&["convert", "in.jsonl", "-d", "retort", "-o", "original", "--force"]);
        place.rows("original/conversations.jsonl").iter().map(said).collect()
    };
    let expect = original(&place);
    for format in ["standard", "openai", "prompt-completion", "history"] {
        for (file, dialect) in
            [("jsonl", "plain"), ("csv", "plain"), ("csv", "spreadsheet"), ("parquet", "plain")]
        {
            for output in ["out", "out.zip"] {
                let case = format!("{format} as {file} ({dialect}) in {output}");
                let mut args =
                    vec!["convert", "in.jsonl", "-d", format, "-f", file, "-o", output, "--force"];
                args.extend(["--csv", dialect].iter().filter(|_| file == "csv"));
                place.ok(&args);
                let ran = place.run(&["convert", output, "-d", "retort", "-o", "back", "--force"]);
                assert_eq!(ran.code, Some(0), "{case}: {}", ran.err);
                let rows = place.rows("back/conversations.jsonl");
                let back: Vec<_> = rows.iter().map(said).collect();
                assert_eq!(back, expect, "{case}");
                let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
                if format != "prompt-completion" {
                    assert_eq!(ids, ["plain", "=guarded"], "{case}");
                }
                let read = place.json("back/manifest.json")["read"].clone();
                assert_eq!(read["refused"], json!([]), "{case}: {read}");
            }
        }
    }
}

#[test]
fn tables_of_runs_that_retort_writes_are_read_back() {
    let place = Place::new();
    let run = |n: usize| {
        json!({"request_id": format!("r{n}"), "recipe_id": "x", "question": "=q", "answer": "a\n\"b\"",
            "status": "success", "started_at": "2024-01-02T03:04:05Z",
            "nodes": [{"node": "n", "prompt": "{x}", "variables": {"x": n}, "output": {"n": n}}]})
    };
    place.file("runs.jsonl", lines((0..3).map(run)));
    for file in ["jsonl", "csv", "parquet"] {
        place.ok(&["convert", "runs.jsonl", "-d", "runs", "-f", file, "-o", "out", "--force"]);
        place.ok(&["convert", "out", "-d", "retort", "-o", "back", "--force"]);
        let rows = place.rows(&data_of(&place, "back"));
        let told = rows.iter().map(|row| {
            let output = row["nodes"][0]["output"].clone();
            (row["request_id"].clone(), row["question"].clone(), output)
        });
        let told: Vec<_> = told.collect();
        let expect = (0..3).map(|n| (json!(format!("r{n}")), json!("=q"), json!({"n": n})));
        assert_eq!(told, expect.collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn messages_stand_as_json_text_in_tables_and_columns_and_any_delimiter_is_found_out() {
    // Report parquet-messages-as-json-text.
    let place = Place::new();
    let messages = chat("x")["messages"].to_string();
    let quoted = messages.replace('"', "\"\"");
    for delimiter in [",", ";", "\t"] {
        place.file("t.csv", format!("id{delimiter}messages\r\nc1{delimiter}\"{quoted}\"\r\n"));
        assert_eq!(read(&place, "t.csv").0, ["c1"], "{delimiter:?}");
        // Without a name that says so, by its content.
        let table = place.bytes("t.csv");
        let ran = place.run_on(&["convert", "-", "-d", "retort", "-o", "piped", "--force"], table);
        assert_eq!(
            (ran.code, place.rows(&data_of(&place, "piped")).len()),
            (Some(0), 1),
            "{}",
            ran.err
        );
    }
    // Excel's line for the delimiter, and what pandas writes of lists of dicts, with numpy's arrays too.
    for (text, expect) in [
        (format!("sep=;\r\nid;messages\r\nc1;\"{quoted}\"\r\n"), "c1"),
        ("id,messages\nc2,\"[{'role': 'user', 'content': \"\"it's\"\"}, {'role': 'assistant', 'content': 'a', 'name': None}]\"\n".into(), "c2"),
        ("id,messages\nc3,\"[{'role': 'user', 'content': 'q'}\n {'role': 'assistant', 'content': 'a'}]\"\n".into(), "c3"),
    ] {
        place.file("t.csv", text);
        assert_eq!(read(&place, "t.csv").0, [expect]);
    }
    for (key, named) in [("messages", "a"), ("conversations", "b"), ("prompt", "c")] {
        let mut row = json!({"id": named, key: messages});
        if key == "prompt" {
            row["completion"] = json!("[{\"role\":\"assistant\",\"content\":\"more\"}]");
        }
        place.file("text.jsonl", lines([row]));
        assert_eq!(read(&place, "text.jsonl").0, [named]);
    }
    place.file("other.csv", "name,age\r\nx,1\r\ny,2\r\n");
    let ran = place.refused(&["convert", "other.csv", "-o", "none"], "columns `name`, `age`");
    assert!(ran.err.contains("1 could not be read"), "{}", ran.err);
}

#[test]
fn what_the_rows_of_a_package_cannot_hold_comes_back_with_them() {
    let place = Place::new();
    let calls =
        json!([{"id": "k1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let items = [
        chat("a"),
        json!({"id": "b", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "k1", "content": "r"},
        {"role": "assistant", "content": "a"}]}),
        chat("c"),
    ];
    place.file("in.jsonl", lines(items));
    for output in ["out", "out.zip"] {
        place.ok(&["convert", "in.jsonl", "-d", "openai", "-o", output]);
        place.ok(&["convert", output, "-d", "retort", "-o", "back", "--force"]);
        let rows = place.rows("back/conversations.jsonl");
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", "b", "c"], "{output}");
        assert!(rows[1].to_string().contains("hm"), "{output}: {}", rows[1]);
        assert!(!rows[0].to_string().contains("hm") && !rows[2].to_string().contains("hm"));
    }
}

#[test]
fn embeddings_are_read_from_text_and_base64_and_no_key_stands_twice() {
    // Reports embedding-as-text, embedding-ragged and history-name-twice.
    let place = Place::new();
    let chunk = |id: &str, embedding: Value| json!({"document_id": id, "text": "t", "chunk_index": 0, "embedding": embedding});
    place.file(
        "docs.jsonl",
        lines([
            chunk("text", json!("[0.1,0.2]")),
            chunk("base64", json!("zczMPc3MTD4=")),
            chunk("word", json!("none")),
        ]),
    );
    place.ok(&["convert", "docs.jsonl", "-d", "documents", "-o", "out"]);
    let text = String::from_utf8(place.bytes(&data_of(&place, "out"))).unwrap();
    assert_eq!(text.matches("\"embedding\":[0.1,0.2]").count(), 2, "{text}");
    assert_eq!(text.matches("\"embedding\":").count(), 3, "{text}");
    assert_eq!(text.matches("\"source_embedding\":\"none\"").count(), 1, "{text}");
    let ragged = json!({"id": "d", "readable_filename": "d", "contexts": [
        {"text": "a", "embedding": [1, 2, 3]}, {"text": "b", "embedding": [1, 2]}]});
    place.file("ragged.jsonl", lines([ragged]));
    let ran = place.ok(&["convert", "ragged.jsonl", "-d", "chunks", "-f", "jsonl", "-o", "ragged"]);
    assert!(ran.err.contains("differ in length"), "{}", ran.err);
    let mut named = with(chat("n"), "title", json!("My title"));
    named["name"] = json!("trace name");
    place.file("name.jsonl", lines([named]));
    place.ok(&["convert", "name.jsonl", "-d", "history", "-o", "history"]);
    let text = String::from_utf8(place.bytes("history/conversations.jsonl")).unwrap();
    assert_eq!(text.matches("\"name\":").count(), 1, "{text}");
    assert!(text.contains("\"source_name\":\"trace name\""), "{text}");
}

#[test]
fn an_item_past_the_bound_is_refused_with_what_raises_it() {
    let place = Place::new();
    let mut large = chat("large");
    large["messages"][0]["content"] = json!("x".repeat(1_500_000));
    let text = format!("{large}\n{}\n", chat("small"));
    place.file("in.jsonl", &text);
    place.file("in.json", format!("[{}]", text.trim().replace('\n', ",")));
    for input in ["in.jsonl", "in.json"] {
        place.ok(&["convert", input, "-o", "out", "--force"]);
        assert_eq!(place.json("out/manifest.json")["conversations"]["selected"], 2);
        let ran = place.ok(&["convert", input, "-o", "out", "--force", "--max-item", "1"]);
        assert_eq!(place.json("out/manifest.json")["conversations"]["selected"], 1, "{}", ran.err);
        let rejects = std::fs::read_to_string(place.path("out/rejects.jsonl")).unwrap();
        assert!(rejects.contains("larger than the item size limit of 1 MB"), "{rejects}");
        assert!(rejects.contains("`--max-item`"), "{rejects}");
    }
    let report = place.printed(&["import", "in.jsonl", "--max-item", "1", "--json"]);
    assert_eq!(finding(&report["refused"], "too-large").0, 1, "{report}");
    let report = place.printed(&["import", "in.jsonl", "--json"]);
    assert_eq!((&report["new"], &report["same"]), (&json!(1), &json!(1)), "{report}");
}

#[test]
fn json_columns_come_back_as_json_from_every_file_format() {
    let place = Place::new();
    let run = |number: u32| {
        json!({"request_id": format!("r{number}"), "copilot_id": "p", "question": "q", "inputs": {"a": [1, "x"]}, "answer": "a",
            "contexts": [{"text": "t", "page": 3}, "plain"], "feedback": {"rating": 1},
            "nodes": [{"node": "n", "kind": "model-call", "input": {"k": number}, "output": ["o", 2],
                "variables": {"v": "1"}, "metadata": {"m": {"deep": true}}}],
            "metadata": {"where": {"city": "Oslo"}, "score": 0.5}})
    };
    place.file("runs.jsonl", lines((0..3).map(run)));
    place.ok(&["convert", "runs.jsonl", "-d", "runs", "-f", "jsonl", "-o", "first"]);
    let first = place.rows(&data_of(&place, "first"));
    for file in ["jsonl", "csv", "parquet"] {
        place.ok(&["convert", "first", "-d", "runs", "-f", file, "-o", file]);
        let back = format!("{file}-back");
        place.ok(&["convert", file, "-d", "runs", "-f", "jsonl", "-o", &back]);
        assert_eq!(place.rows(&data_of(&place, &back)), first, "{file}");
    }
}

#[test]
fn rows_for_evaluation_are_read_back_as_runs_from_every_file_format() {
    let place = Place::new();
    let run = |number: u32| {
        json!({"request_id": format!("r{number}"), "recipe_id": "p", "version": "2", "question": format!("q{number}"), "answer": "a",
            "ground_truth": "b", "started_at": "2024-01-02T03:04:05Z", "finished_at": "2024-01-02T03:04:06Z",
            "contexts": ["c"],
            "nodes": [{"node": "n", "kind": "model-call", "prompt": "P {v}", "variables": {"v": "1"},
                "input": format!("i{number}"), "output": "o", "model": "m"}]})
    };
    place.file("runs.jsonl", lines((0..3).map(run)));
    for (data, question, answer) in [
        ("recipe-evaluation", "q", "a"),
        ("node-evaluation", "i", "o"),
        ("node-optimization", "i", "o"),
    ] {
        for file in ["jsonl", "csv", "parquet"] {
            let out = format!("{data}-{file}");
            let node: &[&str] = if data.starts_with("node") { &["--node", "n"] } else { &[] };
            let args = ["convert", "runs.jsonl", "-d", data, "-f", file, "-o", &out];
            place.ok(&[&args, node].concat());
            let back = format!("{out}-back");
            place.ok(&["convert", &out, "-d", "runs", "-f", "jsonl", "-o", &back]);
            let rows = place.rows(&data_of(&place, &back));
            for (number, row) in rows.iter().enumerate() {
                assert_eq!(row["request_id"], format!("r{number}"), "{out}");
                assert_eq!(row["question"], format!("{question}{number}"), "{out}: {row}");
                assert_eq!(row["answer"], answer, "{out}: {row}");
                assert_eq!(row["version"], "2", "{out}: {row}");
                if data != "node-optimization" {
                    assert!(row["contexts"].is_array(), "{out}");
                }
            }
            assert_eq!(rows.len(), 3, "{out}");
        }
    }
}
