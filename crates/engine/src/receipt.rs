//! The receipt of a dataset, from the plan by which it was made and what was counted on the way.

use std::collections::BTreeMap;

use retort_formats::import::Refusal;
use retort_formats::package::{
    Column, Counts, DataFile, Decontamination, FORMAT_VERSION, FilterAsked, Finding, InputCount,
    LanguageCount, Lengths, Manifest, ModelCount, OriginsTold, OutputCounts, ReadCounts,
    RecordCounts, Renamed, SeenBy, SourceRead, SplitCounts, WindowTold, findings,
};
use retort_model::{ItemKind, Origins, Portion, Reason, Repair, SeenLengths, Warning};

use crate::measure::unit_of;
use crate::pipeline::{SourceCount, Totals};
use crate::plan::DatasetPlan;
use crate::split::LeakTest;

/// Where the conversations came from, and which were asked for.
#[derive(Default)]
pub struct Origin {
    /// The import format, if it was given.
    pub from: Option<&'static str>,
    /// What was put before all ids.
    pub namespace: Option<String>,
    /// Which items were asked for.
    pub selection: FilterAsked,
    /// The moment whose state is in the dataset.
    pub snapshot: Option<String>,
    /// The part of the history that it has, if it is one of a series.
    pub window: Option<WindowTold>,
    /// Origins of the inputs that were copied from another machine.
    pub sources: Vec<SourceRead>,
    /// What was found in each input.
    pub inputs: Vec<InputCount>,
    /// Files and entries that were not read, by reason.
    pub passed_over: Vec<Finding>,
    /// What is in each output, if there are several.
    pub outputs: Option<Outputs>,
    /// What records were measured with.
    pub measured: BTreeMap<String, String>,
    /// The benchmarks whose text was searched for.
    pub decontamination: Option<Decontamination>,
}

/// What is in each of several outputs.
#[derive(Default)]
pub struct Outputs {
    /// The data files of each.
    pub files: Vec<Vec<String>>,
    /// Which groups were written to which.
    pub leaks: LeakTest,
}

/// The receipt of the dataset.
pub fn manifest(
    plan: &DatasetPlan,
    origin: Origin,
    totals: &Totals,
    files: Vec<DataFile>,
) -> Manifest {
    let account = &totals.account;
    let portion = |kind| account.kinds.get(&kind);
    let read = |kind| portion(kind).map_or(0, |portion| portion.read);
    let counts = |kind| portion(kind).map(counts).unwrap_or_default();
    let mut would_be_refused = findings(&account.unrepaired, Repair::as_str);
    would_be_refused.extend(findings(&account.unfit, Reason::as_str));
    let mut options = plan.options();
    options.extend(origin.from.map(|from| ("from".to_owned(), from.to_owned())));
    options.extend(origin.namespace.map(|name| ("namespace".to_owned(), name)));
    options.extend(origin.measured.clone());
    let unit = unit_of(&origin.measured);
    Manifest {
        manifest_version: FORMAT_VERSION,
        retort_version: env!("CARGO_PKG_VERSION").into(),
        dataset_name: plan.dataset_name.to_string(),
        snapshot: origin.snapshot,
        window: origin.window,
        series: None,
        purpose: plan.purpose.as_str().into(),
        node: plan.node().map(str::to_owned),
        data_format: plan.data_format.name().into(),
        file_format: plan.file_format.name().into(),
        compression: plan.compression.as_str().into(),
        check: plan.shape_options.check.to_string(),
        options,
        selection: FilterAsked { not_sampled: account.not_sampled, ..origin.selection },
        read: ReadCounts {
            items: account.read,
            conversations: read(ItemKind::Conversation),
            runs: read(ItemKind::Run),
            documents: read(ItemKind::Document),
            refused: findings(&totals.refused, Refusal::as_str),
            lone_surrogates: account.lone_surrogates,
            duplicate_keys: account.duplicate_keys,
            sources: origin.sources,
            inputs: origin.inputs,
            passed_over: origin.passed_over,
        },
        conversations: counts(ItemKind::Conversation),
        runs: counts(ItemKind::Run),
        documents: counts(ItemKind::Document),
        records: RecordCounts {
            written: account.records,
            left_out_by_reason: findings(&account.records_left_out, Reason::as_str),
            repaired: account.records_repaired,
            repaired_by_kind: findings(&account.repaired, Repair::as_str),
            would_be_refused,
            warnings: findings(&account.warned, Warning::as_str),
            lengths: Lengths {
                mean_bytes: account.record_chars.checked_div(account.records).unwrap_or(0),
                longest_bytes: account.longest_record_chars,
            },
            seen_lengths: seen_lengths(&account.seen, unit),
        },
        redaction: plan.redaction.told(account),
        decontamination: origin.decontamination.map(|told| Decontamination {
            contaminated: account.left_out.count(Reason::Contaminated)
                + account.warned.count(Warning::Contaminated),
            ..told
        }),
        origins: plan.papers.is_some().then(|| origins_told(&account.origins)),
        split: plan.split.is_split().then(|| split(plan, totals, origin.outputs)),
        schema: plan
            .schema()
            .columns()
            .map(|column| Column {
                name: column.name.into(),
                kind: column.kind.words(),
                optional: column.optional,
            })
            .collect(),
        renamed_tools: totals
            .renamed_tools
            .iter()
            .map(|(from, to)| Renamed { from: from.clone(), to: to.clone() })
            .collect(),
        files,
    }
}

fn origins_told(origins: &Origins) -> OriginsTold {
    let models = origins.models.iter();
    let languages = origins.languages.iter();
    OriginsTold {
        models: models
            .map(|(model, &messages)| ModelCount { model: model.clone(), messages })
            .collect(),
        languages: languages
            .map(|(language, &items)| LanguageCount { language: language.clone(), items })
            .collect(),
        characters: origins.characters,
        first: origins.first.map(|time| time.to_string()),
        last: origins.last.map(|time| time.to_string()),
    }
}

fn split(plan: &DatasetPlan, totals: &Totals, outputs: Option<Outputs>) -> SplitCounts {
    let Outputs { files, leaks } = outputs.unwrap_or_default();
    let shares = plan.split.shares().iter().enumerate();
    SplitCounts {
        group_by: plan.group_by.to_string(),
        from_sha256: plan.pinned.as_ref().map(|pinned| pinned.sha256().to_owned()),
        groups_in_several_outputs: leaks.in_several,
        outputs: shares
            .map(|(output, share)| {
                let portion = totals.account.outputs.get(output).cloned().unwrap_or_default();
                OutputCounts {
                    name: share.name.clone(),
                    share: share.share.clone(),
                    groups: leaks.groups.get(output).copied().unwrap_or(0),
                    items: Counts {
                        selected: portion.selected,
                        written: portion.written,
                        left_out: portion.left_out.total(),
                        left_out_by_reason: findings(&portion.left_out, Reason::as_str),
                    },
                    records: portion.records,
                    files: files.get(output).cloned().unwrap_or_default(),
                }
            })
            .collect(),
    }
}

fn seen_lengths(seen: &SeenLengths, unit: &str) -> Option<SeenBy> {
    (!seen.counts.is_empty()).then(|| SeenBy {
        unit: unit.to_owned(),
        total: seen.total,
        learnt: seen.learnt,
        p50: seen.percentile(50),
        p90: seen.percentile(90),
        p99: seen.percentile(99),
        longest: seen.longest,
    })
}

fn counts(portion: &Portion) -> Counts {
    Counts {
        selected: portion.selected,
        written: portion.written,
        left_out: portion.left_out.total(),
        left_out_by_reason: findings(&portion.left_out, Reason::as_str),
    }
}

/// An input as the receipt tells it.
impl From<&SourceCount> for InputCount {
    fn from(source: &SourceCount) -> Self {
        Self {
            name: source.name.clone(),
            format: source.format.map(str::to_owned),
            items: source.items,
            refused: source.refused,
        }
    }
}
