//! The receipt of a series: delivered windows are checked for gaps and overlaps, and become one dataset again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use retort_model::{ConversationFilter, DeliverTo, ItemFilter, TimeRule, Timing, WindowKind};
use retort_service::package::SeriesReceipt;
use retort_service::{
    Caller, Edit, Manifest, MergePlan, Merged, Nobody, Package, SchedulePlan, VerifiedSeries,
    merge, preview_package, verify, verify_series,
};
use serde_json::{Value, json};

use crate::support::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A conversation of so many turns; of none, a question without an answer.
fn turns(id: &str, count: usize) -> Value {
    let answer = |turn| {
        [
            json!({"role": "user", "content": format!("{id} {turn}?")}),
            json!({"role": "assistant", "content": format!("{id} {turn}!")}),
        ]
    };
    let messages: Vec<Value> = match count {
        0 => vec![json!({"role": "user", "content": format!("{id} 0?")})],
        count => (0..count).flat_map(answer).collect(),
    };
    json!({"id": id, "messages": messages})
}

/// A schedule that delivers what changed to a folder.
struct Series {
    office: Office,
    caller: Caller,
    folder: tempfile::TempDir,
    options: Vec<(&'static str, &'static str)>,
    id: i64,
}

impl Series {
    fn new(options: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let office = Office::with_destinations(&[("lake", folder.path())]);
        let caller = office.local();
        let prefix = "team/{n}".parse().unwrap();
        let plan = SchedulePlan {
            selection: ItemFilter::Conversations(ConversationFilter::default()),
            dataset: plan("any", options),
            pattern: "w-{n}".parse().unwrap(),
            timing: Timing {
                rule: TimeRule::Cron("0 2 * * *".parse().unwrap()),
                zone: "UTC".parse().unwrap(),
                window: WindowKind::Changed,
                settle_minutes: 0,
            },
            keep: None,
            deliver_to: Some(DeliverTo { destination: "lake".into(), prefix, by_date: true }),
        };
        let made = office.service.add_schedule(&caller, "nightly", plan).unwrap();
        Self { office, caller, folder, options: options.to_vec(), id: made.schedule.id }
    }

    fn night(&self, chats: &[Value]) {
        self.office.import(chats, None);
        self.office.clock.advance(DAY);
        while self.office.work().unwrap().is_some() {}
    }

    /// Three windows: new conversations, then some that go on, are new, are edited, or have no answer.
    fn of_three_windows(options: &[(&'static str, &'static str)]) -> Self {
        let series = Self::new(options);
        series.night(&[turns("a", 1), turns("b", 1), turns("c", 2), turns("q", 0)]);
        series.night(&[turns("b", 3), turns("d", 1), turns("r", 0)]);
        let edit = Edit::Title(Some("renamed".into()));
        let edited = series.office.service.edit(&series.caller, &named(&["c"]), &edit);
        assert_eq!(edited.unwrap(), 1);
        series.night(&[turns("q", 1), turns("b", 4)]);
        series
    }

    fn verified(&self) -> VerifiedSeries {
        verify_series(self.folder.path()).unwrap().unwrap()
    }

    fn faults(&self) -> Vec<(String, String)> {
        let faults = self.verified().series.into_iter().flat_map(|one| one.faults);
        faults.map(|fault| (fault.kind.to_string(), fault.what)).collect()
    }

    fn window(&self, number: u64) -> std::path::PathBuf {
        let days = fs::read_dir(self.folder.path().join(format!("team/{number}"))).unwrap();
        let day = days.map(|day| day.unwrap().path()).next().unwrap();
        day.join(format!("w-{number}"))
    }

    fn merged(&self, name: &str) -> Result<Manifest, String> {
        let plan = MergePlan {
            parts: vec![self.folder.path().to_owned()],
            output: self.folder.path().with_extension(name),
            is_partial: false,
            force: false,
            threads: 2,
        };
        match merge(&plan, &Nobody, &AtomicBool::new(false)) {
            Ok(Merged::Package(report)) => {
                assert_eq!(verify(&report.output).unwrap().differences, []);
                Ok(report.manifest)
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_delivered_series_is_verified_and_what_is_missing_or_there_twice_is_named() {
    let series = Series::of_three_windows(&[]);
    let verified = series.verified();
    assert!(verified.is_whole(), "{verified:?}");
    assert_eq!(verified.packages, 3);
    let [found] = &*verified.series else { panic!("{:?}", verified.series) };
    assert_eq!((&*found.schedule, found.windows, found.numbers), ("nightly", 3, (1, 3)));
    assert_eq!((found.records, verified.records), (8, 8));
    // Its receipt is beside the datasets, and the same as the store's but for the paths.
    let listed = series.office.service.schedule_series(&series.caller, series.id).unwrap();
    let file = series.folder.path().join("team").join(listed.file_name());
    let delivered = SeriesReceipt::parse(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(delivered, listed);
    assert_eq!(listed.windows.iter().map(|one| one.items).collect::<Vec<_>>(), [4, 3, 3]);
    let relative = series.window(3).strip_prefix(series.folder.path()).unwrap().to_owned();
    assert_eq!(listed.windows[2].path.as_deref(), relative.to_str());
    // A window is away, in the middle and at the end.
    let aside = series.folder.path().with_extension("aside");
    let last = &listed.windows[1];
    let place = series.window(2);
    fs::rename(&place, &aside).unwrap();
    let (from, to) = (last.span.changes_after + 1, last.span.changes_to);
    let what = format!("window 2 is missing (changes {from} to {to})");
    assert_eq!(series.faults(), [("gap".to_owned(), what.clone())]);
    assert_eq!(series.merged("no").unwrap_err(), format!("the series is not complete: {what}"));
    fs::rename(&aside, &place).unwrap();
    let place = series.window(3);
    fs::rename(&place, &aside).unwrap();
    let [(kind, what)] = &*series.faults() else { panic!() };
    assert!(kind == "gap" && what.starts_with("window 3 is missing (`team/3/date="), "{what}");
    fs::rename(&aside, &place).unwrap();
    // A window is duplicated.
    let twice = series.folder.path().join("again");
    copy(&series.window(2), &twice);
    let [(kind, what)] = &*series.faults() else { panic!() };
    assert_eq!(kind, "overlap");
    assert!(what.starts_with("window 2 is duplicated: `again` and `team/2/date="), "{what}");
    assert!(series.merged("no").unwrap_err().contains("is duplicated"));
    fs::remove_dir_all(&twice).unwrap();
    // A window was replaced by another, whole one.
    let manifest = series.window(2).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"late\": 0", "\"late\": 1")).unwrap();
    let [(kind, what)] = &*series.faults() else { panic!() };
    assert!(kind == "other" && what.contains("has another SHA-256"), "{what}");
    // Damage in a package is told with its path.
    fs::write(&manifest, text).unwrap();
    fs::write(series.window(1).join("README.md"), "!").unwrap();
    let differences = series.verified().differences;
    assert!(differences.iter().all(|one| one.file.ends_with("w-1/README.md")), "{differences:?}");
    assert!(!differences.is_empty() && series.faults().is_empty());
    fs::remove_dir_all(series.folder.path().join("team")).unwrap();
    fs::write(series.folder.path().join("x.series.json"), "{").unwrap();
    assert!(!series.verified().is_whole());
}

/// The lines of a package, in any order.
fn lines(path: &Path, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(path.join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_series_becomes_the_dataset_of_one_export_of_all() {
    let shapes: [&[(&str, &str)]; 6] = [
        &[],
        &[("data_format", "retort")],
        &[("data_format", "history"), ("file_format", "csv")],
        &[("data_format", "standard"), ("file_format", "parquet")],
        &[("rows", "per-answer"), ("findings", "true")],
        &[("data_format", "chat"), ("compress", "zstd")],
    ];
    for options in shapes {
        let series = Series::of_three_windows(options);
        let merged = series.merged("merged").unwrap_or_else(|why| panic!("{options:?}: {why}"));
        let whole = series.office.service.submit_export(
            &series.caller,
            &retort_service::ExportRequest {
                selection: ItemFilter::Conversations(ConversationFilter::default()),
                dataset: plan("whole", &series.options),
            },
        );
        whole.unwrap();
        while series.office.work().unwrap().is_some() {}
        let dataset = series.office.service.datasets(&series.caller).unwrap();
        let dataset = dataset.iter().find(|one| one.name == "whole").unwrap();
        let mut whole = series.office.service.open_dataset(dataset).unwrap();
        let told = whole.manifest().clone();
        assert_eq!(merged.conversations.selected, told.conversations.selected, "{options:?}");
        assert_eq!(merged.conversations.written, told.conversations.written, "{options:?}");
        let by_reason = |one: &Manifest| {
            let reasons = one.conversations.left_out_by_reason.iter();
            reasons.map(|one| (one.kind.clone(), one.count)).collect::<Vec<_>>()
        };
        assert_eq!(by_reason(&merged), by_reason(&told), "{options:?}");
        assert_eq!(merged.records.written, told.records.written, "{options:?}");
        assert_eq!(merged.schema, told.schema);
        assert_eq!(merged.options, told.options);
        let of = merged.series.unwrap();
        assert_eq!((of.first, of.last, &*of.schedule), (1, 3, "nightly"));
        let output = series.folder.path().with_extension("merged");
        let mut package = Package::open(&output).unwrap();
        let records = |package: &mut Package| -> BTreeSet<String> {
            preview_package(package).unwrap().into_iter().collect()
        };
        assert_eq!(records(&mut package), records(&mut whole), "{options:?}");
        assert_eq!(merged.window, None);
        if merged.files.iter().any(|file| file.path == "ids.txt") {
            let ids = lines(&output, "ids.txt");
            assert_eq!(ids.len() as u64, merged.records.written, "{ids:?}");
        }
        fs::remove_dir_all(output).unwrap();
    }
}

#[test]
fn only_the_windows_of_one_series_are_merged() {
    let series = Series::of_three_windows(&[]);
    let other = series.folder.path().join("other");
    copy(&series.window(1), &other);
    let manifest = fs::read_to_string(other.join("manifest.json")).unwrap();
    let id = verify(&other).unwrap().manifest.window.unwrap().series;
    fs::write(other.join("manifest.json"), manifest.replace(&id, "other/1/1")).unwrap();
    let why = series.merged("no").unwrap_err();
    assert!(why.contains("belongs to a different series"), "{why}");
    let verified = series.verified();
    assert_eq!(verified.series.len(), 2, "each series is checked by itself");
    fs::remove_dir_all(other).unwrap();
    let (office, caller) = (&series.office, &series.caller);
    let dataset = office.export(caller, "by-hand", ConversationFilter::default());
    let mut package = office.service.open_dataset(&dataset).unwrap();
    let folder = series.folder.path().join("by-hand");
    fs::create_dir(&folder).unwrap();
    for name in package.names().unwrap() {
        let mut file = fs::File::create(folder.join(&name)).unwrap();
        std::io::copy(&mut package.file(&name).unwrap(), &mut file).unwrap();
    }
    let why = series.merged("no").unwrap_err();
    assert!(why.contains("is not a window of a series"), "{why}");
    assert!(
        series.verified().is_whole(),
        "a package without a window is only compared with its receipt"
    );
}

#[test]
fn papers_of_windows_are_left_out_of_a_merged_series_and_named() {
    let papers_left_out = |options: &[(&'static str, &'static str)], name: &str| {
        let merged = Series::of_three_windows(options).merged(name).unwrap();
        assert!(merged.files.iter().all(|file| file.path != "croissant.json"));
        merged.series.unwrap().papers_left_out
    };
    let papers = [("papers", "license = 'MIT'\n")];
    assert_eq!(papers_left_out(&papers, "papers"), ["croissant.json", "SOURCES.md"]);
    assert!(papers_left_out(&[], "none").is_empty());
}
