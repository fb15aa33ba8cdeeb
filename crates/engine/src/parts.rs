//! Parts of an export on disk. A part is a folder with the batches of its items and [`PART`], which is written last: the
//! plan by which it was made, its counts, and the size and hash of each file. Several parts can also be merged into one
//! folder, which then has the files of each.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retort_formats::import;
use retort_formats::import::{ImportFormat, Refusal};
use retort_formats::package::{
    DataFile, Decontamination, FilterAsked, Finding, InputCount, SourceRead, findings,
};
use retort_model::Tally;
use retort_redact::Key;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::convert_plan::ConvertPlan;
use crate::counted::{Counted, tally};
use crate::error::{Error, io_reason};
use crate::export_options::REDACTION_KEY;
use crate::options::{CONTAMINATED, DECONTAMINATE};
use crate::pipeline::{Decisions, Extent, PartBatch, PartNumber, SourceCount, Totals};
use crate::plan::DatasetPlan;
use crate::receipt::Origin;
use crate::record_files::RecordFiles;
use crate::sorter::{Sorter, read_row, write_row};
use crate::source::{Inputs, PassedOver, ReadOptions};
use crate::storage::{Folder, HashingFile, Storage, StoredFile, hex};

/// The file that describes the parts in a folder.
pub const PART: &str = "part.json";

/// The batches of a part, in their order.
pub const BATCHES: &str = "batches";
/// Ids and versions of the items, by which `merge` decides on repeated ids.
pub const ITEMS: &str = "items";
/// The verdicts on repeated ids that were followed, in the order of the items.
pub const VERDICTS: &str = "verdicts";
/// The folder of the files that records have beside their rows.
const RECORD_FILES: &str = "files";

/// Everything that the bytes of a dataset depend on. All parts of a dataset have the same one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptPlan {
    retort_version: String,
    dataset: serde_json::Value,
    variables: Vec<String>,
    pub file_name_by_kind: bool,
    from: Option<String>,
    namespace: Option<String>,
    selection: FilterAsked,
    snapshot: Option<String>,
    pub shard_bytes: u64,
    pub strict: bool,
    reading: ReadOptions,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sources: Vec<SourceRead>,
    inputs: KeptInputs,
    passed_over: Vec<Finding>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    measured: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decontamination: Option<Decontamination>,
}

/// The plan of a dataset without its benchmarks, and without the key of its redaction, in whose place is what tells it from
/// other keys.
fn kept_dataset(dataset: &DatasetPlan) -> serde_json::Value {
    // A plan's text is always JSON.
    let mut kept: serde_json::Value = serde_json::from_str(&dataset.to_json()).unwrap_or_default();
    if let Some(kept) = kept.as_object_mut() {
        // Each machine may have the benchmarks in another place; what was read of them is kept beside the plan.
        for name in [DECONTAMINATE, CONTAMINATED] {
            kept.remove(name);
        }
    }
    let redactor = dataset.redaction.redactor();
    if let (Some(key), Some(redactor)) = (kept.get_mut(REDACTION_KEY), redactor) {
        // Parts that other programs redacted do not go together.
        let rules = redactor.programs().next().map(|_| format!(" {}", redactor.hash()));
        *key = (redactor.key_fingerprint() + &rules.unwrap_or_default()).into();
    }
    kept
}

/// What is known about the inputs before they are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptInputs {
    files: u64,
    bytes: u64,
    /// Hash of the names and sizes of all files.
    sha256: String,
}

impl KeptInputs {
    fn of(inputs: &Inputs) -> Self {
        let mut hash = Sha256::new();
        for file in &inputs.files {
            hash.update(format!("{} {}\n", file.bytes, file.label));
        }
        let sha256 = hex(&hash.finalize());
        Self { files: inputs.files.len() as u64, bytes: inputs.bytes, sha256 }
    }
}

impl KeptPlan {
    pub fn of(plan: &ConvertPlan, inputs: &Inputs) -> Self {
        let variables = &plan.dataset.shape_options.variables;
        let redactor = plan.dataset.redaction.redactor();
        let name = |text: &str| match &redactor {
            Some(redactor) => redactor.name(text).into_owned(),
            None => text.to_owned(),
        };
        Self {
            retort_version: env!("CARGO_PKG_VERSION").into(),
            dataset: kept_dataset(&plan.dataset),
            variables: variables.iter().map(|name| (**name).to_owned()).collect(),
            file_name_by_kind: plan.by_kind.file_name,
            from: plan.from.map(|format| format.name().to_owned()),
            namespace: plan.namespace.as_deref().map(&name),
            selection: FilterAsked::of(&plan.selection).renamed(&name),
            snapshot: plan.snapshot.or(inputs.newest).map(|time| time.to_string()),
            shard_bytes: plan.shard_bytes,
            strict: plan.strict,
            reading: plan.reading,
            sources: inputs.sources.iter().map(|one| one.renamed(&name)).collect(),
            inputs: KeptInputs::of(inputs),
            passed_over: findings(&plan.told(inputs.passed_over.clone()), PassedOver::as_str),
            measured: plan.dataset.measured(),
            decontamination: plan.dataset.benchmarks.as_ref().map(|benchmarks| benchmarks.told()),
        }
    }

    /// A hash of all of it.
    pub fn hash(&self) -> Result<String, Error> {
        let text = serde_json::to_string(self).map_err(|error| Error::bug(error.to_string()))?;
        Ok(hex(&Sha256::digest(text)))
    }

    /// What is to be made.
    pub fn dataset(&self) -> Result<DatasetPlan, String> {
        let mut kept = self.dataset.clone();
        if let Some(key) = kept.get_mut(REDACTION_KEY) {
            // Everything in the parts is redacted already, so the key is no longer needed.
            *key = Key::new([0; 32]).to_hex().into();
        }
        let mut dataset = DatasetPlan::from_json(&kept.to_string())?;
        dataset.shape_options.variables =
            self.variables.iter().map(|name| (&**name).into()).collect();
        Ok(dataset)
    }

    /// What was passed over when the inputs were found.
    pub fn passed_over(&self) -> Result<Tally<PassedOver>, String> {
        tally(&self.passed_over)
    }

    pub fn input_bytes(&self) -> u64 {
        self.inputs.bytes
    }

    /// Where the items come from, as the receipt tells it.
    pub fn origin(&self, totals: &Totals, passed_over: &Tally<PassedOver>) -> Origin {
        Origin {
            from: self.from.as_deref().and_then(import::by_name).map(ImportFormat::name),
            namespace: self.namespace.clone(),
            selection: FilterAsked {
                deleted_left_out: totals.account.deleted,
                ..self.selection.clone()
            },
            snapshot: self.snapshot.clone(),
            window: None,
            sources: self.sources.clone(),
            inputs: totals.sources.iter().map(InputCount::from).collect(),
            passed_over: findings(passed_over, PassedOver::as_str),
            outputs: None,
            measured: self.measured.clone(),
            decontamination: self.decontamination.clone(),
        }
    }

    /// In what two plans differ.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let fields = |plan: &Self| match serde_json::to_value(plan) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let others = fields(other);
        let differs = |(name, value): &(String, serde_json::Value)| others.get(name) != Some(value);
        fields(self).into_iter().filter(differs).map(|(name, _)| name).collect()
    }

    fn sha256(&self) -> String {
        hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// What was counted in one part alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    pub extent: Extent,
    counted: Counted,
    refused: Vec<Finding>,
    first_refused: BTreeMap<String, String>,
    passed_over: Vec<Finding>,
    sources: Vec<InputCount>,
}

impl Delta {
    pub fn of(totals: &Totals, passed_over: &Tally<PassedOver>, extent: Extent) -> Self {
        Self {
            extent,
            counted: Counted::of(&totals.account),
            refused: findings(&totals.refused, Refusal::as_str),
            first_refused: totals.first_refused.clone(),
            passed_over: findings(passed_over, PassedOver::as_str),
            sources: totals.sources.iter().map(InputCount::from).collect(),
        }
    }

    /// Whether nothing belonged to the part.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds it to what was counted in the parts before.
    pub fn add_to(
        &self,
        totals: &mut Totals,
        passed_over: &mut Tally<PassedOver>,
    ) -> Result<(), String> {
        totals.account.merge(self.counted.account()?);
        totals.refused.merge(tally(&self.refused)?);
        for (reason, first) in &self.first_refused {
            totals.first_refused.entry(reason.clone()).or_insert_with(|| first.clone());
        }
        passed_over.merge(tally(&self.passed_over)?);
        let mut sources = self.sources.iter();
        if self.extent.continues.is_some()
            && let (Some(last), Some(more)) = (totals.sources.last_mut(), sources.next())
        {
            last.items += more.items;
            last.refused += more.refused;
            last.format = format_of(more).or(last.format);
        }
        totals.sources.extend(sources.map(|source| SourceCount {
            name: source.name.clone(),
            format: format_of(source),
            items: source.items,
            refused: source.refused,
        }));
        Ok(())
    }
}

fn format_of(source: &InputCount) -> Option<&'static str> {
    source.format.as_deref().and_then(import::by_name).map(ImportFormat::name)
}

/// What a folder has of one part.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptPart {
    pub delta: Delta,
    pub files: Vec<DataFile>,
}

impl KeptPart {
    /// The files of the records of a part of this number, each with its path in the package.
    pub fn record_files(&self, number: u32) -> impl Iterator<Item = (String, &DataFile)> {
        let folder = path_of(number, RECORD_FILES) + "/";
        self.files
            .iter()
            .filter_map(move |file| Some((file.path.strip_prefix(&folder)?.to_owned(), file)))
    }
}

/// The content of [`PART`].
#[derive(Serialize, Deserialize)]
pub struct Parts {
    pub plan: KeptPlan,
    /// How many parts the export has.
    pub count: u32,
    /// Those that are here, by number.
    pub parts: BTreeMap<u32, KeptPart>,
}

/// The path of a part's file in its folder.
fn path_of(number: u32, name: &str) -> String {
    format!("{number:05}/{name}")
}

impl Parts {
    /// Reads what a folder has.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let not_a_part = |reason: String| Error::NotAPart { path: folder.to_owned(), reason };
        folder.metadata().map_err(|error| Error::read(folder, error))?;
        let text =
            std::fs::read_to_string(folder.join(PART)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    not_a_part(format!("it has no `{PART}`, which `retort convert --part` writes"))
                }
                _ => not_a_part(format!("cannot read `{PART}`: {}", io_reason(&error))),
            })?;
        serde_json::from_str(&text).map_err(|error| not_a_part(format!("`{PART}`: {error}")))
    }

    /// The paths of all files in a folder of parts; none if it is no such.
    pub fn names_in(folder: &Path) -> Option<Vec<String>> {
        let parts = Self::open(folder).ok()?.parts;
        let files = parts.values().flat_map(|part| &part.files).map(|file| file.path.clone());
        Some(files.chain([PART.to_owned()]).collect())
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Writes the files of one part.
pub struct KeptFiles<'s> {
    part: PartNumber,
    batches: HashingFile,
    verdicts: HashingFile,
    items: Sorter,
    record_files: Arc<RecordFiles<'s>>,
}

impl<'s> KeptFiles<'s> {
    pub fn begin(storage: &'s dyn Storage, part: PartNumber) -> Result<Self, Error> {
        let file = |name| HashingFile::create(storage, path_of(part.number, name));
        let record_files = RecordFiles::new(storage, path_of(part.number, RECORD_FILES));
        Ok(Self {
            part,
            batches: file(BATCHES)?,
            verdicts: file(VERDICTS)?,
            items: Sorter::new(),
            record_files: Arc::new(record_files),
        })
    }

    /// Where the threads that shape write the files of records.
    pub fn record_files(&self) -> Arc<RecordFiles<'s>> {
        Arc::clone(&self.record_files)
    }

    pub fn take(&mut self, batch: &PartBatch) -> Result<(), Error> {
        self.batches.append_row(&batch.rows)?;
        batch.verdicts.iter().try_for_each(|row| self.verdicts.append_row(row))?;
        batch.items.iter().try_for_each(|row| self.items.push(row)).map_err(sorting)
    }

    /// Ends all files; what comes back says what the folder has.
    pub fn finish(
        self,
        storage: &dyn Storage,
        plan: KeptPlan,
        (totals, passed_over): (&Totals, &Tally<PassedOver>),
        extent: Extent,
    ) -> Result<(Parts, Vec<StoredFile>), Error> {
        let PartNumber { number, count } = self.part;
        let mut items = HashingFile::create(storage, path_of(number, ITEMS))?;
        for row in self.items.sorted().map_err(sorting)? {
            items.append_row(&row.map_err(sorting)?)?;
        }
        let files = [(self.batches, BATCHES), (items, ITEMS), (self.verdicts, VERDICTS)];
        let mut files: Vec<StoredFile> = files
            .into_iter()
            .map(|(file, name)| file.finish(path_of(number, name), None))
            .collect::<Result<_, _>>()?;
        let at_key = |file: StoredFile| StoredFile { path: file.key.clone(), ..file };
        files.extend(self.record_files.files().into_iter().map(at_key));
        let delta = Delta::of(totals, passed_over, extent);
        let kept = KeptPart { delta, files: files.iter().map(DataFile::from).collect() };
        Ok((Parts { plan, count, parts: BTreeMap::from([(number, kept)]) }, files))
    }
}

fn sorting(source: io::Error) -> Error {
    Error::Failed { what: "the items of the part", source }
}

/// The rows of one file of a part.
pub struct KeptRows {
    path: PathBuf,
    input: BufReader<Box<dyn Read + Send>>,
}

impl KeptRows {
    pub fn open(folder: &Path, number: u32, name: &str) -> Result<Self, Error> {
        let storage = Folder::new(folder.to_owned());
        let key = path_of(number, name);
        let file: Box<dyn Read + Send> = Box::new(storage.open(&key)?);
        Ok(Self { path: storage.describe(&key), input: BufReader::with_capacity(1 << 17, file) })
    }

    pub fn next(&mut self) -> Result<Option<Box<[u8]>>, Error> {
        read_row(&mut self.input).map_err(|error| Error::read(&self.path, error))
    }
}

/// Says to which plan a file of verdicts belongs.
#[derive(Serialize, Deserialize)]
struct RepeatsHead {
    plan_sha256: String,
    parts: u32,
}

/// Begins a file of verdicts on the items of all parts, from which a part can be made again.
pub fn begin_repeats(plan: &KeptPlan, parts: u32, out: &mut impl Write) -> io::Result<()> {
    let head = RepeatsHead { plan_sha256: plan.sha256(), parts };
    write_row(&serde_json::to_vec(&head)?, out)
}

/// Writes the verdict on an item of a part.
pub fn write_repeat(number: u32, verdict: &[u8], out: &mut impl Write) -> io::Result<()> {
    write_row(&[&number.to_be_bytes(), verdict].concat(), out)
}

/// The verdicts on the items of one part, from the file that [`begin_repeats`] began.
pub fn decisions(path: &Path, plan: &KeptPlan, part: PartNumber) -> Result<Decisions, Error> {
    let fail = |error| Error::read(path, error);
    let mut input = BufReader::new(std::fs::File::open(path).map_err(fail)?);
    let head = read_row(&mut input).ok().flatten();
    let head = head.and_then(|head| serde_json::from_slice::<RepeatsHead>(&head).ok());
    if head.is_none_or(|head| head.plan_sha256 != plan.sha256() || head.parts != part.count) {
        return Err(Error::Choice(format!(
            "`{}` has no decisions on repeated ids for parts of this plan and these inputs; use the file that `retort merge` wrote",
            path.display()
        )));
    }
    let mut verdicts = Sorter::new();
    while let Some(row) = read_row(&mut input).map_err(fail)? {
        if let Some((number, verdict)) = row.split_first_chunk()
            && u32::from_be_bytes(*number) == part.number
        {
            verdicts.push(verdict).map_err(sorting)?;
        }
    }
    verdicts.sorted().and_then(Decisions::of).map_err(sorting)
}
