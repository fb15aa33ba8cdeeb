//! The commands in README, tutorials and how-tos, run as a reader would run them, and the links between all pages.
//!
//! A block marked `sh` is run by a shell in a folder that has the examples; blocks of one page share the folder. If a block
//! marked `text` follows, with only blank lines between, it is what the commands print: `…` stands for any text, or for any
//! lines if it is alone. Times, sizes and speeds are not compared. `sh not-run: REASON` marks what needs a service; the test lists such blocks.
//! `UPDATE_DOCS=1` writes what the commands print into the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;

/// The folder that a reader of the docs is in, as they show it.
const SHOWN: &str = "/home/ann";

const UNITS: [&str; 10] = ["s", "ms", "B", "kB", "MB", "GB", "B/s", "kB/s", "MB/s", "GB/s"];

fn root() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap()
}

/// Markdown files in a folder and below it, sorted.
fn pages(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let relative = path.strip_prefix(root()).unwrap().to_owned();
        if path.is_dir() {
            found.extend(pages(relative.to_str().unwrap()));
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(relative);
        }
    }
    found.sort();
    found
}

struct Block {
    line: usize,
    info: String,
    text: String,
    /// Only blank lines are between this block and the one before.
    follows: bool,
}

/// The fenced blocks of a page, and the page without them.
fn blocks(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose): (Vec<Block>, _) = (Vec::new(), String::new());
    let (mut open, mut follows) = (false, false);
    for (number, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(info), false) => {
                let info = info.trim().to_owned();
                blocks.push(Block { line: number + 1, info, text: String::new(), follows });
                open = true;
            }
            (Some(_), true) => (open, follows) = (false, true),
            (None, true) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {
                follows &= line.trim().is_empty();
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert!(!open, "a block is not closed");
    (blocks, prose)
}

/// A line without what differs from run to run: numbers in front of a unit, and the unit of a speed.
fn masked(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let is_number =
        |word: &str| !word.is_empty() && word.trim_start_matches('(').parse::<f64>().is_ok();
    let unit = |word: &str| {
        let unit = word.trim_end_matches([')', ',', ';', ':']);
        UNITS.iter().copied().find(|known| *known == unit)
    };
    let mask = |(at, word): (usize, &&str)| {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let number = word.trim_start_matches('(');
        if is_number(word) && words.get(at + 1).is_some_and(|next| unit(next).is_some()) {
            word.replace(number, "N")
        } else if let Some(speed) = unit(word).filter(|unit| unit.ends_with("/s"))
            && before.is_some_and(|before| is_number(before))
        {
            word.replace(speed, "B/s")
        } else {
            (*word).to_owned()
        }
    };
    let masked: Vec<_> = words.iter().enumerate().map(mask).collect();
    masked.join(" ").trim_end().to_owned()
}

#[test]
fn what_differs_from_run_to_run_is_masked() {
    let slow = masked("package    a (14.4 kB; 0.1 s, 142.0 kB/s)");
    assert_eq!(slow, "package    a (N kB; N s, N B/s)");
    assert_eq!(slow, masked("package    a (12.6 kB; 0.0 s, 1.5 MB/s)"));
    assert_eq!(masked("written    27 conversations"), "written    27 conversations");
}

/// Whether a line is as shown, where `…` stands for any text.
fn is_shown(shown: &str, line: &str) -> bool {
    let Some((start, mut rest)) = shown.split_once('…') else { return shown == line };
    let Some(mut line) = line.strip_prefix(start) else { return false };
    while let Some((middle, behind)) = rest.split_once('…') {
        let Some(at) = line.find(middle) else { return false };
        (line, rest) = (&line[at + middle.len()..], behind);
    }
    line.ends_with(rest)
}

fn are_shown(shown: &[String], lines: &[String]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|skipped| are_shown(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| is_shown(first, line) && are_shown(rest, lines)),
    }
}

/// Runs the blocks of a page and returns how many ran.
#[cfg(unix)]
fn run(page: &Path) -> usize {
    let place = Place::new();
    let work = place.path("work");
    copy(&root().join("examples"), &work.join("examples"));
    fs::create_dir(place.path("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_retort"), place.path("bin/retort")).unwrap();
    let programs = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let folder = fs::canonicalize(&work).unwrap().to_str().unwrap().to_owned();

    let (blocks, _) = blocks(&fs::read_to_string(root().join(page)).unwrap());
    let mut count = 0;
    for (at, block) in blocks.iter().enumerate() {
        let place_of_block = format!("{}:{}", page.display(), block.line);
        if let Some(reason) = block.info.strip_prefix("sh not-run: ") {
            println!("{place_of_block}: not run: {reason}");
            continue;
        }
        if block.info != "sh" {
            // What nothing prints is compared with nothing.
            let is_output =
                block.info != "text" || (block.follows && blocks[at - 1].info.starts_with("sh"));
            assert!(is_output, "{place_of_block}: no command is in front of this output");
            assert!(!block.info.starts_with("sh "), "{place_of_block}: `{}`", block.info);
            continue;
        }
        if block.text == "cargo test\n" {
            // These tests.
            continue;
        }
        let mut command = command("sh");
        for (name, _) in std::env::vars()
            .filter(|(name, _)| name.starts_with("RETORT_") || name.starts_with("XDG_"))
        {
            command.env_remove(name);
        }
        let script = block.text.replace("cargo run -- ", "retort ");
        command.args(["-euc", &format!("exec 2>&1\n{script}")]).current_dir(&work);
        command.env("PATH", &programs).env("HOME", place.path("home"));
        let ran = finish(command, Vec::new());
        assert_eq!(ran.code, Some(0), "{place_of_block}:\n{}{}", block.text, ran.out);
        count += 1;
        if let Some(shown) = blocks.get(at + 1).filter(|next| next.follows && next.info == "text") {
            compare(page, &place_of_block, &shown.text, &ran.out.replace(&folder, SHOWN));
        }
    }
    count
}

/// Compares what a page shows with what was printed, or writes the latter into the page.
#[cfg(unix)]
fn compare(page: &Path, place: &str, shown: &str, printed: &str) {
    let lines = |text: &str| text.trim_end().lines().map(masked).collect::<Vec<_>>();
    if are_shown(&lines(shown), &lines(printed)) {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "{place}: the page shows\n{shown}but it is\n{printed}"
    );
    let mut after = String::from("```text\n");
    for line in printed.trim_end().lines() {
        after.push_str(line.trim_end());
        after.push('\n');
    }
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replacen(&format!("```text\n{shown}"), &after, 1)).unwrap();
}

#[cfg(unix)]
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

#[test]
#[cfg(unix)]
fn the_commands_in_the_docs_print_what_the_docs_show() {
    let mut all = vec![PathBuf::from("README.md")];
    all.extend(["docs/tutorials", "docs/how-to"].into_iter().flat_map(pages));
    let count: usize = all.iter().map(|page| run(page)).sum();
    println!("{count} blocks run");
    assert!(count > 30, "{count}");
}

#[test]
fn the_first_command_of_the_readme_does_the_main_job_and_the_second_the_tests() {
    let (blocks, _) = blocks(&fs::read_to_string(root().join("README.md")).unwrap());
    let commands = blocks.iter().filter(|block| block.info.starts_with("sh"));
    let first: Vec<_> = commands.take(2).map(|block| block.text.trim()).collect();
    assert!(first[0].starts_with("cargo run -- convert ") && !first[0].contains('\n'), "{first:?}");
    assert_eq!(first[1], "cargo test");
}

/// Targets of links and images, and paths of pages in backticks.
fn targets(prose: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in prose.split("](").skip(1) {
        found.push(rest.split([')', ' ', '\n']).next().unwrap().to_owned());
    }
    for rest in prose.split("src=\"").skip(1) {
        found.push(rest.split('"').next().unwrap().to_owned());
    }
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let (_, prose) = blocks(&fs::read_to_string(page).unwrap());
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let (mut anchors, mut times) = (BTreeSet::new(), BTreeMap::<String, usize>::new());
    for anchor in headings.map(|line| anchor(line.trim_start_matches('#'))) {
        // A heading that comes again gets the number of headings like it before.
        let before = times.entry(anchor.clone()).or_default();
        anchors.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    anchors
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut dead = Vec::new();
    let others = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "bench/README.md",
        "examples/README.md",
    ];
    for page in others.into_iter().map(PathBuf::from).chain(pages("docs")) {
        let (_, prose) = blocks(&fs::read_to_string(root().join(&page)).unwrap());
        for target in targets(&prose) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let file = root().join(&page);
            let file = if path.is_empty() { file } else { file.parent().unwrap().join(path) };
            if page.starts_with("docs")
                && path.matches("../").count() >= page.components().count() - 1
            {
                dead.push(format!("{}: {target}: is not on the site", page.display()));
            } else if !file.exists() {
                dead.push(format!("{}: {target}: no such file", page.display()));
            } else if !fragment.is_empty() && !anchors(&file).contains(fragment) {
                dead.push(format!("{}: {target}: no such heading", page.display()));
            }
        }
        for name in prose.split("`docs/").skip(1).map(|rest| rest.split('`').next().unwrap()) {
            if name.ends_with(".md") && !root().join("docs").join(name).exists() {
                dead.push(format!("{}: `docs/{name}`: no such page", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn the_site_lists_every_page() {
    let listed = targets(&fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap());
    for page in pages("docs") {
        let page = page.strip_prefix("docs").unwrap().to_str().unwrap();
        assert!(
            page == "SUMMARY.md" || listed.iter().any(|name| name == page),
            "docs/SUMMARY.md lacks {page}"
        );
    }
}
