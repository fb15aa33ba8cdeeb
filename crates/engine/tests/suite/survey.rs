//! Every group of histories that others made, as a person meets it: what is read, refused and not understood is written down
//! in `survey.tsv`, so that a change of it is seen. `UPDATE_SURVEY=1` writes the file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use retort_engine::pipeline::Nobody;
use retort_engine::{Input, inspect};
use retort_formats::import::{self, Spread};

use crate::support::Bench;

/// Groups without histories: hostile JSON, which has tests of its own, templates, tokenizers and licences.
const OTHERS: [&str; 4] = ["LICENSES", "chat-templates", "jsontestsuite", "tokenizers"];

fn told(counts: &BTreeMap<String, u64>) -> String {
    let words: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    words.join(", ")
}

/// Lines of a file whose lines are objects, one each.
fn lines_of(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.try_fold(0, |count, line| {
        let is_object = serde_json::from_str::<serde_json::Map<_, _>>(line).is_ok();
        is_object.then_some(count + 1)
    })
}

/// A line for a group; what does not balance is added to `wrong`.
fn line_of(group: &Path, wrong: &mut Vec<String>) -> String {
    let name = group.file_name().unwrap().to_string_lossy();
    let bench = Bench::new();
    let plan = bench.plan(vec![Input::Path(group.to_owned())], &[("data_format", "retort")]);
    let found = inspect(&plan, &Nobody, &AtomicBool::new(false)).unwrap();
    let (account, facts) = (&found.found.account, &found.item_stats);
    if account.read != account.refused + account.selected + account.deleted {
        wrong.push(format!("{name}: {} items do not balance", account.read));
    }
    if account.selected != account.written + account.left_out.total() {
        wrong.push(format!("{name}: {} selected do not balance", account.selected));
    }
    let mut formats: BTreeMap<String, u64> = BTreeMap::new();
    for source in &found.sources {
        let format = source.format.unwrap_or("none");
        *formats.entry(format.to_owned()).or_default() += source.items;
        // Counted by other means: a line is an item, or several, where nothing joins them.
        let is_lines = source.name.ends_with(".jsonl") && !source.name.contains(".zip/");
        let is_joined = import::by_name(format).is_none_or(|format| format.spread() != Spread::No);
        if is_lines
            && !is_joined
            && let Some(lines) = lines_of(&group.join(&source.name))
            && lines > source.items
        {
            wrong.push(format!("{name}/{}: {} items in {lines} lines", source.name, source.items));
        }
    }
    let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let unknown: u64 = facts.not_understood.values().map(|unknown| unknown.count).sum();
    format!(
        "{name}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{unknown}\n",
        account.read,
        account.refused,
        told(&formats),
        told(&facts.kinds),
        told(&facts.roles),
        sum(&facts.calls),
        facts.results,
    )
}

#[test]
fn every_group_of_real_histories_is_read_as_it_was_and_balances() {
    let Some(folder) = retort_testing::real_data() else { return };
    let mut groups: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    groups.retain(|path| path.is_dir() && !OTHERS.iter().any(|name| path.ends_with(name)));
    groups.sort();
    let mut wrong = Vec::new();
    let mut found = String::from(
        "group\tread\trefused\tformats\tkinds\troles\tcalls\tresults\tnot understood\n",
    );
    for group in &groups {
        found.push_str(&line_of(group, &mut wrong));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/survey.tsv");
    if std::env::var_os("UPDATE_SURVEY").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    let kept: BTreeMap<_, _> = kept.lines().filter_map(|line| line.split_once('\t')).collect();
    for line in found.lines() {
        let (name, counts) = line.split_once('\t').unwrap();
        assert_eq!(kept.get(name).copied(), Some(counts), "{name}; `UPDATE_SURVEY=1` keeps it");
    }
}
