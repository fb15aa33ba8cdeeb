//! `convert`: histories to a package, with no store between.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use retort_formats::data::{DataFormat, ShapeOptions, ToolsAs};
use retort_formats::file::{Chunk, CsvDialect, FileFormat, FileOptions, FileWriter};
use retort_formats::import::{ImportFormat, Refusal};
use retort_formats::package::{
    CARD, Column, Counts, DATASET_INFO, DataFile, EXTRA, FORMAT_VERSION, IDS, InputCount, Lengths,
    MANIFEST, Manifest, REJECTS, ReadCounts, RecordCounts, Renamed, SelectionAsked, card,
    dataset_info, findings,
};
use retort_model::{
    Account, DatasetName, FileName, Kind, Reason, Repair, Selection, Status, Tally, Time, Warning,
};

use crate::Error;
use crate::package::{Draft, HashingFile};
use crate::pipeline::{Delivery, InputsFeed, More, Observer, Shaping, Totals, run};
use crate::source::{Input, Inputs};

/// How data files are compressed as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As gzip.
    Gzip,
    /// As Zstandard.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The name to say on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// What is to be done.
#[derive(Clone)]
pub struct ConvertPlan {
    /// What to read.
    pub inputs: Vec<Input>,
    /// The import format, if it is not to be found out.
    pub from: Option<&'static dyn ImportFormat>,
    /// Which conversations.
    pub selection: Selection,
    /// The shape of the records.
    pub data_format: &'static dyn DataFormat,
    /// The kind of file.
    pub file_format: &'static dyn FileFormat,
    /// What is asked of the data format.
    pub shape_options: ShapeOptions,
    /// What is asked of the file format.
    pub file_options: FileOptions,
    /// How the data is compressed.
    pub compression: Compression,
    /// Name of the dataset.
    pub dataset_name: DatasetName,
    /// Name of the data file, without its ending.
    pub file_name: FileName,
    /// Where the package goes: a folder, or an archive if it ends on `.zip`.
    pub output: PathBuf,
    /// Bytes after which the data goes on in a next file.
    pub shard_bytes: u64,
    /// Threads that parse and shape.
    pub threads: usize,
    /// Replace a package that is there.
    pub force: bool,
    /// The moment whose state is exported, if not the newest change of the inputs.
    pub snapshot: Option<Time>,
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// Where the package is.
    pub output: PathBuf,
    /// The account.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
    /// The receipt.
    pub manifest: Manifest,
    /// Bytes of the inputs on disk.
    pub input_bytes: u64,
    /// Bytes of the data files.
    pub data_bytes: u64,
    /// Files in folders that by their endings are no histories.
    pub files_passed_over: u64,
}

/// Reads histories and writes a package.
///
/// # Errors
/// Failing I/O, an output that is there already, or nothing to write. Bad items are no errors: the report
/// counts them.
pub fn convert(
    plan: &ConvertPlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
) -> Result<Report, Error> {
    plan.check()?;
    let inputs = Inputs::find(&plan.inputs, Some(&plan.output))?;
    let draft = Draft::begin(&plan.output, plan.force)?;
    let mut files = Files::begin(plan, draft.files())?;
    let shaping = plan.shaping();
    let totals = run(
        &mut InputsFeed::new(&inputs, plan.from),
        &shaping,
        Totals::default(),
        observer,
        stopped,
        &mut |delivery| files.take(delivery).map(|()| More::Wanted),
    )?;
    if totals.account.records == 0 {
        return Err(Error::Nothing(why_nothing(&totals, &inputs)));
    }
    let written = files.finish(&totals)?;
    let manifest = plan.manifest(&inputs, &totals, written.files.clone());
    debug_assert!(manifest.balances() && totals.account.balances());
    write_whole(&draft.files().join(MANIFEST), manifest.to_json().as_bytes())?;
    let output = draft.publish()?;
    Ok(Report {
        output,
        account: totals.account,
        refused: totals.refused,
        manifest,
        input_bytes: inputs.bytes,
        data_bytes: written.data_bytes,
        files_passed_over: inputs.passed_over,
    })
}

/// What a person needs to know when there is nothing to write.
fn why_nothing(totals: &Totals, inputs: &Inputs) -> String {
    let account = &totals.account;
    if account.read == 0 {
        return match inputs.files.len() {
            0 => {
                "the folders hold no files with a known ending (json, jsonl, ndjson, gz, zst, zip)"
                    .into()
            }
            _ => "the inputs hold no items".into(),
        };
    }
    let conversations = account.read - account.refused;
    let mut reasons: Vec<String> = account
        .left_out
        .iter()
        .map(|(reason, count, _)| format!("{count} {}", reason.words()))
        .collect();
    if account.refused > 0 {
        let kinds: Vec<_> = totals
            .refused
            .iter()
            .map(|(kind, count, _)| format!("{count} {}", kind.as_str()))
            .collect();
        reasons.push(format!("{} could not be read ({})", account.refused, kinds.join(", ")));
    }
    if conversations > account.selected {
        reasons.push(format!("{} are not selected", conversations - account.selected));
    }
    format!("of {} items, {}", account.read, reasons.join(", "))
}

impl ConvertPlan {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (data, file) = (self.data_format.name(), self.file_format.name());
        if !self.data_format.file_formats().contains(&file) {
            let formats = self.data_format.file_formats().join(", ");
            return Err(Error::Choice(format!(
                "`{data}` cannot be written as `{file}`, only as {formats}"
            )));
        }
        if self.compression != Compression::None && !self.file_format.is_text() {
            return Err(Error::Choice(format!(
                "`{file}` is compressed within; leave `--compress` out"
            )));
        }
        if self.shape_options.tools == ToolsAs::Array && !(data == "standard" && file == "jsonl") {
            return Err(Error::Choice(
                "`--tools array` is for the data format `standard` as `jsonl`".into(),
            ));
        }
        Ok(())
    }

    pub(crate) fn shaping(&self) -> Shaping<'_> {
        Shaping {
            from: self.from,
            selection: &self.selection,
            data_format: self.data_format,
            file_format: self.file_format,
            shape_options: self.shape_options,
            file_options: self.file_options,
            threads: self.threads.max(1),
            tells_account: false,
            store: None,
        }
    }

    fn is_flat(&self) -> bool {
        !self.file_format.is_nested()
    }

    fn manifest(&self, inputs: &Inputs, totals: &Totals, files: Vec<DataFile>) -> Manifest {
        let account = &totals.account;
        let schema = self.data_format.schema(&self.shape_options, self.is_flat());
        let mut would_be_refused = findings(&account.unrepaired, Repair::as_str);
        would_be_refused.extend(findings(&account.unfit, Reason::as_str));
        Manifest {
            manifest_version: FORMAT_VERSION,
            retort_version: env!("CARGO_PKG_VERSION").into(),
            dataset_name: self.dataset_name.to_string(),
            snapshot: self.snapshot.or(inputs.newest).map(|time| time.to_string()),
            data_format: self.data_format.name().into(),
            file_format: self.file_format.name().into(),
            compression: self.compression.as_str().into(),
            check: self.shape_options.check.to_string(),
            options: self.options(),
            selection: asked(&self.selection),
            read: ReadCounts {
                items: account.read,
                conversations: account.read - account.refused,
                refused: findings(&totals.refused, Refusal::as_str),
                lone_surrogates: account.lone_surrogates,
                duplicate_keys: account.duplicate_keys,
                inputs: totals
                    .sources
                    .iter()
                    .map(|source| InputCount {
                        name: source.name.clone(),
                        format: source.format.map(str::to_owned),
                        items: source.items,
                        refused: source.refused,
                    })
                    .collect(),
            },
            conversations: Counts {
                selected: account.selected,
                written: account.written,
                left_out: account.left_out.total(),
                left_out_by_reason: findings(&account.left_out, Reason::as_str),
            },
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
            },
            schema: schema
                .fields
                .iter()
                .map(|field| Column {
                    name: field.name.into(),
                    kind: field.kind.words(),
                    optional: field.optional,
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

    fn options(&self) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        let mut put = |key: &str, value: String| options.insert(key.to_owned(), value);
        if let Some(from) = self.from {
            put("from", from.name().into());
        }
        if self.is_flat() {
            put(
                "csv",
                if self.file_options.csv == CsvDialect::Plain {
                    "plain".into()
                } else {
                    "spreadsheet".into()
                },
            );
        }
        if self.shape_options.tools == ToolsAs::Array {
            put("tools", "array".into());
        }
        if self.shape_options.wrap_arguments {
            put("wrap_arguments", "true".into());
        }
        if self.shape_options.tasks {
            put("tasks", "true".into());
        }
        put("max_contexts", self.shape_options.max_contexts.to_string());
        options
    }
}

fn asked(selection: &Selection) -> SelectionAsked {
    SelectionAsked {
        search: selection.search.clone(),
        created_from: selection.created.from.map(|time| time.to_string()),
        created_before: selection.created.before.map(|time| time.to_string()),
        types: selection.kinds.iter().map(Kind::to_string).collect(),
        statuses: selection.statuses.iter().map(Status::to_string).collect(),
        ids: selection.ids.iter().cloned().collect(),
        limit: selection.limit,
    }
}

/// Appends to a file that is made when there is something for it.
fn append(file: &mut Option<HashingFile>, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if bytes.is_empty() {
        return Ok(());
    }
    let file = match file {
        Some(file) => file,
        None => file.insert(HashingFile::create(path.to_owned())?),
    };
    file.write_all(bytes).map_err(|error| Error::write(path, error))
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|error| Error::write(path, error))
}

/// A file through its compressor.
enum Packed {
    None(HashingFile),
    Gzip(flate2::write::GzEncoder<HashingFile>),
    Zstd(zstd::stream::write::Encoder<'static, HashingFile>),
}

impl Packed {
    fn create(path: &Path, compression: Compression, threads: usize) -> Result<Self, Error> {
        let file = HashingFile::create(path.to_owned())?;
        Ok(match compression {
            Compression::None => Self::None(file),
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                file,
                flate2::Compression::new(GZIP_LEVEL),
            )),
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(file, ZSTD_LEVEL)
                    .map_err(|error| Error::write(path, error))?;
                // One frame whatever the threads, as some readers stop behind the first; its bytes do not depend on
                // how many threads there are as long as there is one.
                let threads = u32::try_from(threads.max(1)).unwrap_or(1);
                encoder.multithread(threads).map_err(|error| Error::write(path, error))?;
                Self::Zstd(encoder)
            }
        })
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::None(file) => file.bytes(),
            Self::Gzip(encoder) => encoder.get_ref().bytes(),
            Self::Zstd(encoder) => encoder.get_ref().bytes(),
        }
    }

    fn finish(self) -> io::Result<HashingFile> {
        match self {
            Self::None(file) => Ok(file),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// The files of a package under way.
struct Files<'p> {
    plan: &'p ConvertPlan,
    folder: PathBuf,
    shard: Option<Shard>,
    /// Shards that are finished, under the names that they have until their number is known.
    done: Vec<DataFile>,
    rejects: Option<HashingFile>,
    extras: Option<HashingFile>,
    ids: Option<HashingFile>,
}

struct Shard {
    writer: Box<dyn FileWriter>,
    out: Packed,
    name: String,
    records: u64,
}

/// What was written.
struct Written {
    files: Vec<DataFile>,
    data_bytes: u64,
}

impl<'p> Files<'p> {
    fn begin(plan: &'p ConvertPlan, folder: PathBuf) -> Result<Self, Error> {
        let ids = match plan.data_format.has_ids_apart() {
            true => Some(HashingFile::create(folder.join(IDS))?),
            false => None,
        };
        Ok(Self { plan, folder, shard: None, done: Vec::new(), rejects: None, extras: None, ids })
    }

    fn ending(&self) -> String {
        format!("{}{}", self.plan.file_format.name(), self.plan.compression.ending())
    }

    fn open_shard(&self) -> Result<Shard, Error> {
        let name = format!("{}-{:05}.{}", self.plan.file_name, self.done.len(), self.ending());
        let path = self.folder.join(&name);
        let schema = self.plan.data_format.schema(&self.plan.shape_options, self.plan.is_flat());
        let writer = self
            .plan
            .file_format
            .writer(schema, self.plan.file_options)
            .map_err(|error| Error::write(&path, error))?;
        let out = Packed::create(&path, self.plan.compression, self.plan.threads)?;
        Ok(Shard { writer, out, name, records: 0 })
    }

    fn take(&mut self, delivery: Delivery) -> Result<(), Error> {
        let Delivery { chunk, rejects, ids, extras, account: _ } = delivery;
        append(&mut self.rejects, &self.folder.join(REJECTS), &rejects)?;
        append(&mut self.extras, &self.folder.join(EXTRA), &extras)?;
        if let Some(file) = &mut self.ids {
            file.write_all(&ids).map_err(|error| Error::write(&self.folder.join(IDS), error))?;
        }
        if chunk.rows == 0 { Ok(()) } else { self.take_chunk(chunk) }
    }

    fn take_chunk(&mut self, chunk: Chunk) -> Result<(), Error> {
        let mut shard = match self.shard.take() {
            Some(shard) => shard,
            None => self.open_shard()?,
        };
        shard.records += chunk.rows;
        shard
            .writer
            .write(chunk, &mut shard.out)
            .map_err(|error| Error::write(&self.folder.join(&shard.name), error))?;
        if shard.out.bytes() >= self.plan.shard_bytes {
            self.finish_shard(shard)
        } else {
            self.shard = Some(shard);
            Ok(())
        }
    }

    fn finish_shard(&mut self, shard: Shard) -> Result<(), Error> {
        let Shard { writer, mut out, name, records } = shard;
        let fail = |error| Error::write(&self.folder.join(&name), error);
        writer.finish(&mut out).map_err(fail)?;
        let file = out.finish().map_err(fail)?;
        self.done.push(file.finish(name, Some(records))?);
        Ok(())
    }

    /// Ends all files, gives the shards their names, and writes what stands beside them.
    fn finish(mut self, totals: &Totals) -> Result<Written, Error> {
        if self.shard.is_none() && self.done.is_empty() {
            // All rows were moved to the front.
            self.shard = Some(self.open_shard()?);
        }
        if let Some(shard) = self.shard.take() {
            self.finish_shard(shard)?;
        }
        self.put_in_front(totals)?;
        self.name_shards()?;
        let data_bytes = self.done.iter().map(|file| file.bytes).sum();
        let found_at = self.data_path();
        let mut files = std::mem::take(&mut self.done);
        if let Some(ids) = self.ids.take() {
            files.push(ids.finish(IDS.into(), None)?);
        }
        for (file, name) in [(self.extras.take(), EXTRA), (self.rejects.take(), REJECTS)] {
            if let Some(file) = file {
                files.push(file.finish(name.into(), None)?);
            }
        }
        let records = totals.account.records;
        let columns = self.plan.data_format.trainer_columns(self.plan.is_flat());
        let info = dataset_info(self.plan.dataset_name.as_str(), &found_at.0, records, columns);
        files.push(self.write_beside(DATASET_INFO, &info)?);
        let shown = self.plan.manifest(&Inputs::default(), totals, Vec::new());
        let notes = self.plan.data_format.card_notes(&self.plan.shape_options, self.plan.is_flat());
        files.push(
            self.write_beside(CARD, &card(&shown, &found_at.1, self.plan.data_format, &notes))?,
        );
        Ok(Written { files, data_bytes })
    }

    fn write_beside(&self, name: &str, text: &str) -> Result<DataFile, Error> {
        let path = self.folder.join(name);
        let mut file = HashingFile::create(path.clone())?;
        file.write_all(text.as_bytes()).map_err(|error| Error::write(&path, error))?;
        file.finish(name.into(), None)
    }

    /// Where trainers, and where `datasets`, find the data. Several files stand in a folder of their own, which is
    /// how LLaMA-Factory takes them.
    fn data_path(&self) -> (String, String) {
        let (name, ending) = (&self.plan.file_name, self.ending());
        if self.done.len() > 1 {
            (name.to_string(), format!("{name}/*.{ending}"))
        } else {
            let whole = format!("{name}.{ending}");
            (whole.clone(), whole)
        }
    }

    fn name_shards(&mut self) -> Result<(), Error> {
        let (count, ending) = (self.done.len(), self.ending());
        let base = self.plan.file_name.as_str();
        if count > 1 {
            let folder = self.folder.join(base);
            fs::create_dir(&folder).map_err(|error| Error::write(&folder, error))?;
        }
        for (index, file) in self.done.iter_mut().enumerate() {
            let name = match count {
                1 => format!("{base}.{ending}"),
                _ => format!("{base}/{base}-{index:05}-of-{count:05}.{ending}"),
            };
            let path = self.folder.join(&name);
            fs::rename(self.folder.join(&file.path), &path)
                .map_err(|error| Error::write(&path, error))?;
            file.path = name;
        }
        Ok(())
    }

    /// Writes the first shard anew with the rows in front that complete the types of its columns.
    fn put_in_front(&mut self, totals: &Totals) -> Result<(), Error> {
        let Some(first) = self.done.first().filter(|_| !totals.front.is_empty()) else {
            return Ok(());
        };
        let (name, records) = (first.path.clone(), first.records);
        let path = self.folder.join(&name);
        let fail = |error| Error::write(&path, error);
        let old = self.folder.join(format!("{name}.old"));
        fs::rename(&path, &old).map_err(fail)?;
        let mut out = Packed::create(&path, self.plan.compression, self.plan.threads)?;
        for front in &totals.front {
            out.write_all(&front.row).map_err(fail)?;
        }
        let mut before: Box<dyn Read> = Box::new(File::open(&old).map_err(fail)?);
        before = match self.plan.compression {
            Compression::None => before,
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(before)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(before).map_err(fail)?),
        };
        io::copy(&mut before, &mut out).map_err(fail)?;
        fs::remove_file(&old).map_err(fail)?;
        let file = out.finish().map_err(fail)?;
        let records = records.map(|records| records + totals.front.len() as u64);
        let done = file.finish(name, records)?;
        if let Some(slot) = self.done.first_mut() {
            *slot = done;
        }
        self.put_ids_in_front(totals)
    }

    fn put_ids_in_front(&mut self, totals: &Totals) -> Result<(), Error> {
        let Some(ids) = self.ids.take() else { return Ok(()) };
        ids.finish(IDS.into(), None)?;
        let path = self.folder.join(IDS);
        let fail = |error| Error::write(&path, error);
        let old = self.folder.join("ids.old");
        fs::rename(&path, &old).map_err(fail)?;
        let mut file = HashingFile::create(path.clone())?;
        for front in &totals.front {
            file.write_all(&front.id).map_err(fail)?;
        }
        io::copy(&mut File::open(&old).map_err(fail)?, &mut file).map_err(fail)?;
        fs::remove_file(&old).map_err(fail)?;
        self.ids = Some(file);
        Ok(())
    }
}
