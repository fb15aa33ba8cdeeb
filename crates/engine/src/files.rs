//! The files of a package: written part by part as the pipeline delivers, then put together.
//!
//! A part that is finished can be kept as it is described; what is put together never changes a part's files. So
//! both can be taken up again after a kill, and give the same package.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::sync::Arc;

use retort_formats::file::{Chunk, FileWriter};
use retort_formats::package::{
    CARD, CroissantSet, DATASET_INFO, DataFile, Described, EXTRA, FINDINGS, FoundDataset, IDS,
    InputCount, REJECTS, card, dataset_info,
};
use retort_model::Warning;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::packed::{Packed, Packing, unpacked};
use crate::panics::point;
use crate::pipeline::{Delivery, Totals};
use crate::plan::DatasetPlan;
use crate::receipt::{Origin, Outputs, manifest};
use crate::record_files::{RecordFiles, of_parts};
use crate::split::{LeakTest, test_for_leaks};
use crate::storage::{HashingFile, Storage, StoredFile, write_text};

/// The files of one part, finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The files of the first output, or of the only one.
    #[serde(flatten)]
    pub first: OutputFiles,
    /// Those of the others.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<OutputFiles>,
    /// Lines of `rejects.jsonl`.
    pub rejects: Option<StoredFile>,
    /// Lines of `findings.jsonl`.
    #[serde(default)]
    pub findings: Option<StoredFile>,
    /// Lines of the file of extras.
    pub extras: Option<StoredFile>,
    /// The groups of what was written to several outputs, and to which. They go into no package.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub groups: Option<StoredFile>,
    /// The files of records, by their paths.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub record_files: Vec<StoredFile>,
}

/// The files of an output of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFiles {
    /// Data files in their order; none if the output has no records.
    pub data: Vec<StoredFile>,
    /// Lines of the file of ids.
    pub ids: Option<StoredFile>,
}

impl Part {
    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        let beside = [&self.rejects, &self.findings, &self.extras, &self.groups];
        let outputs = [&self.first].into_iter().chain(&self.others);
        outputs
            .flat_map(|output| output.data.iter().chain(&output.ids))
            .chain(beside.into_iter().flatten())
            .chain(&self.record_files)
    }

    /// The files of an output.
    fn output(&self, output: usize) -> Option<&OutputFiles> {
        match output.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other),
        }
    }
}

/// The name of the part that is the whole export.
pub const WHOLE: &str = "00000";

/// Writes the files of one part.
pub struct PartWriter<'p> {
    plan: &'p DatasetPlan,
    storage: &'p dyn Storage,
    part: String,
    shard_bytes: u64,
    threads: usize,
    outputs: Vec<OutputWriter>,
    rejects: Option<HashingFile>,
    findings: Option<HashingFile>,
    extras: Option<HashingFile>,
    groups: Option<HashingFile>,
    record_files: Arc<RecordFiles<'p>>,
}

/// Writes the files of one output.
#[derive(Default)]
struct OutputWriter {
    shard: Option<Shard>,
    data: Vec<StoredFile>,
    ids: Option<HashingFile>,
}

/// A data file under way.
struct Shard {
    writer: Box<dyn FileWriter>,
    out: Packed,
    key: String,
    records: u64,
}

impl Shard {
    fn begin(
        plan: &DatasetPlan,
        storage: &dyn Storage,
        key: String,
        packing: Packing,
    ) -> Result<Self, Error> {
        let writer = plan
            .file_format
            .writer(&plan.schema(), plan.file_options)
            .map_err(|error| Error::write(&storage.describe(&key), error))?;
        let out = Packed::create(storage, &key, packing)?;
        Ok(Self { writer, out, key, records: 0 })
    }

    fn finish(mut self, storage: &dyn Storage, path: String) -> Result<StoredFile, Error> {
        let fail = |error| Error::write(&storage.describe(&self.key), error);
        self.writer.finish(&mut self.out).map_err(fail)?;
        self.out.finish().map_err(fail)?.finish(path, Some(self.records))
    }
}

impl<'p> PartWriter<'p> {
    /// Begins a part, whose data goes on in a next file after `shard_bytes`, or before where a file may end.
    pub fn begin(
        plan: &'p DatasetPlan,
        storage: &'p dyn Storage,
        part: String,
        shard_bytes: u64,
        threads: usize,
    ) -> Self {
        let record_files = Arc::new(RecordFiles::new(storage, Self::folder(&part)));
        Self {
            plan,
            storage,
            part,
            record_files,
            shard_bytes,
            threads,
            outputs: (0..plan.split.outputs()).map(|_| OutputWriter::default()).collect(),
            rejects: None,
            findings: None,
            extras: None,
            groups: None,
        }
    }

    /// The folder of the files of a part: apart from those of other parts, and from the names of a package's files,
    /// which never begin with a dot.
    pub fn folder(part: &str) -> String {
        format!(".parts/{part}")
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", Self::folder(&self.part))
    }

    /// Where the threads that shape write the files of records.
    pub fn record_files(&self) -> Arc<RecordFiles<'p>> {
        Arc::clone(&self.record_files)
    }

    /// Writes what the pipeline delivers.
    pub fn take(&mut self, delivery: Delivery) -> Result<(), Error> {
        let Delivery { output, chunk, may_end_file, .. } = delivery;
        let Delivery { rejects, findings, ids, groups, extras, .. } = delivery;
        for (name, bytes) in
            [(REJECTS, rejects), (FINDINGS, findings), (EXTRA, extras), (GROUPS, groups)]
        {
            self.append(name, &bytes)?;
        }
        let (storage, key) = (self.storage, self.key(&in_output(output, IDS)));
        let Some(writer) = self.outputs.get_mut(output) else { return Ok(()) };
        append(&mut writer.ids, &ids, storage, key)?;
        chunk.map_or(Ok(()), |chunk| self.take_chunk(output, chunk, may_end_file))
    }

    /// Appends to a file beside the data of all outputs.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (storage, key) = (self.storage, self.key(name));
        let file = match name {
            REJECTS => &mut self.rejects,
            FINDINGS => &mut self.findings,
            EXTRA => &mut self.extras,
            _ => &mut self.groups,
        };
        append(file, bytes, storage, key)
    }

    fn take_chunk(&mut self, output: usize, chunk: Chunk, may_end_file: bool) -> Result<(), Error> {
        point("write");
        let (storage, most) = (self.storage, self.shard_bytes);
        let taken = self.outputs.get_mut(output).and_then(|writer| writer.shard.take());
        let mut shard = match taken {
            Some(shard) => shard,
            None => self.begin_shard(output)?,
        };
        let Some(writer) = self.outputs.get_mut(output) else { return Ok(()) };
        shard.records += chunk.rows;
        shard
            .writer
            .write(chunk, &mut shard.out)
            .map_err(|error| Error::write(&storage.describe(&shard.key), error))?;
        if shard.out.bytes() >= if may_end_file { most / LEAST_OF_FULL } else { most } {
            writer.data.push(shard.finish(storage, String::new())?);
        } else {
            writer.shard = Some(shard);
        }
        Ok(())
    }

    fn begin_shard(&self, output: usize) -> Result<Shard, Error> {
        let number = self.outputs.get(output).map_or(0, |writer| writer.data.len());
        let name = format!("data-{number:05}.{}", self.plan.ending());
        let packing = Packing { compression: self.plan.compression, threads: self.threads };
        Shard::begin(self.plan, self.storage, self.key(&in_output(output, &name)), packing)
    }

    /// Ends all files.
    pub fn finish(self) -> Result<Part, Error> {
        point("finish");
        let beside = |file: Option<HashingFile>, name: &str| {
            file.map(|file| file.finish(name.into(), None)).transpose()
        };
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for OutputWriter { shard, mut data, ids } in self.outputs {
            if let Some(shard) = shard {
                data.push(shard.finish(self.storage, String::new())?);
            }
            outputs.push(OutputFiles { data, ids: beside(ids, IDS)? });
        }
        let mut outputs = outputs.into_iter();
        Ok(Part {
            first: outputs.next().unwrap_or_default(),
            others: outputs.collect(),
            rejects: beside(self.rejects, REJECTS)?,
            findings: beside(self.findings, FINDINGS)?,
            extras: beside(self.extras, EXTRA)?,
            groups: beside(self.groups, GROUPS)?,
            record_files: self.record_files.files(),
        })
    }
}

/// A file that ends where its content says so has at least this part of the bytes of a full one.
const LEAST_OF_FULL: u64 = 8;

/// Rows of the groups of written items.
const GROUPS: &str = "groups";

/// The name of a file of an output among those of a part.
fn in_output(output: usize, name: &str) -> String {
    if output == 0 { name.to_owned() } else { format!("{output}-{name}") }
}

/// Appends to a file, which is made when there is something for it.
fn append(
    file: &mut Option<HashingFile>,
    bytes: &[u8],
    storage: &dyn Storage,
    key: String,
) -> Result<(), Error> {
    if bytes.is_empty() {
        return Ok(());
    }
    let file = match file {
        Some(file) => file,
        None => file.insert(HashingFile::create(storage, key)?),
    };
    file.append(bytes)
}

/// The files of a package but the receipt, and what is in each output, if there are several.
pub struct Assembled {
    /// The data first.
    pub files: Vec<StoredFile>,
    /// For the receipt.
    pub outputs: Option<Outputs>,
}

/// Puts the files of the parts together to those of the package, all but the receipt: the data first. What is new
/// is under keys of its own, so the same parts give the same files however often this is done.
pub fn assemble(
    plan: &DatasetPlan,
    storage: &dyn Storage,
    parts: &[Part],
    totals: &Totals,
    threads: usize,
) -> Result<Assembled, Error> {
    point("assemble");
    let mut files = Vec::new();
    let mut found = Vec::new();
    let mut paths = Vec::new();
    for output in 0..plan.split.outputs() {
        let data = data_files(plan, storage, output, (parts, totals), threads)?;
        let records = data.iter().filter_map(|file| file.records).sum();
        if !data.is_empty() {
            found.push(Found::of(plan, output, data.len(), records));
        }
        paths.push(data.iter().map(|file| file.path.clone()).collect());
        files.extend(data);
    }
    let beside = |path: &str, of: fn(&Part) -> &Option<StoredFile>| {
        let pieces = parts.iter().filter_map(|part| of(part).as_ref()).map(Piece::File).collect();
        whole(storage, path, pieces, Packing::NONE)
    };
    if plan.data_format.has_ids_apart() {
        files.push(match whole(storage, IDS, ids(plan, parts, totals), Packing::NONE)? {
            Some(ids) => ids,
            None => write_text(storage, IDS, "")?,
        });
    }
    files.extend(beside(EXTRA, |part| &part.extras)?);
    files.extend(beside(REJECTS, |part| &part.rejects)?);
    files.extend(beside(FINDINGS, |part| &part.findings)?);
    files.extend(of_parts(parts.iter().map(|part| &*part.record_files))?);
    let columns = plan.data_format.trainer_columns(&plan.shape_options, plan.is_flat());
    // Cells that were guarded for spreadsheets are not what a model said, so a trainer is not told of them.
    if totals.account.warned.count(Warning::GuardedCell) == 0 {
        let datasets: Vec<FoundDataset> = found.iter().map(Found::by_trainers).collect();
        files.push(write_text(storage, DATASET_INFO, &dataset_info(&datasets, columns))?);
    }
    // Names were redacted beside the batches, too.
    plan.redaction.check()?;
    let shown = manifest(plan, Origin::default(), totals, Vec::new());
    let notes = plan.data_format.card_notes(&plan.shape_options, plan.is_flat());
    let splits: Vec<(&str, &str)> =
        found.iter().map(|one| (one.split.as_str(), one.pattern.as_str())).collect();
    let schema = plan.card_types.then(|| plan.schema());
    let text = card(&shown, &splits, plan.data_format, &notes, schema.as_ref());
    files.push(write_text(storage, CARD, &text)?);
    if let Some(papers) = &plan.papers {
        let data = files.iter().filter(|file| file.records.is_some()).map(DataFile::from);
        let data: Vec<DataFile> = data.collect();
        let sets: Vec<CroissantSet<'_>> =
            splits.iter().map(|&(name, pattern)| CroissantSet { name, pattern }).collect();
        let schema = Some(plan.schema()).filter(|_| plan.data_format.records_folder().is_none());
        let described =
            Described { schema: schema.as_ref(), ..papers.described(&shown, &sets, &data) };
        let inputs: Vec<InputCount> = totals.sources.iter().map(Into::into).collect();
        files.extend(papers.write(storage, &described, &inputs)?);
    }
    let outputs = match plan.split.is_split() {
        true => Some(Outputs { files: paths, leaks: leaks(plan, storage, parts)? }),
        false => None,
    };
    Ok(Assembled { files, outputs })
}

/// The ids of all records, in the order of the data files.
fn ids<'p>(plan: &DatasetPlan, parts: &'p [Part], totals: &'p Totals) -> Vec<Piece<'p>> {
    let mut pieces = Vec::new();
    for output in 0..plan.split.outputs() {
        let front = totals.learnt.get(output).map_or(&[][..], |learnt| &learnt.front);
        pieces.extend(front.iter().map(|front| Piece::Bytes(&front.id)));
        let files = parts.iter().filter_map(|part| part.output(output)?.ids.as_ref());
        pieces.extend(files.map(Piece::File));
    }
    pieces
}

/// Looks for groups in several outputs. There are none unless there is a bug.
fn leaks(plan: &DatasetPlan, storage: &dyn Storage, parts: &[Part]) -> Result<LeakTest, Error> {
    let mut rows: Box<dyn Read> = Box::new(io::empty());
    for groups in parts.iter().filter_map(|part| part.groups.as_ref()) {
        rows = Box::new(rows.chain(storage.open(&groups.key)?));
    }
    let failed = |source| Error::Failed { what: "the test for leaks between outputs", source };
    let test = test_for_leaks(&mut *rows, plan.split.outputs()).map_err(failed)?;
    if test.in_several > 0 {
        return Err(Error::bug(format!("{} groups are in several outputs", test.in_several)));
    }
    Ok(test)
}

/// Removes what the parts held and the package does not. From then on the parts cannot be put together again, so
/// `files` must be known for good.
pub fn clear_up(storage: &dyn Storage, parts: &[Part], files: &[StoredFile]) -> Result<(), Error> {
    let kept: HashSet<&str> = files.iter().map(|file| &*file.key).collect();
    parts
        .iter()
        .flat_map(Part::files)
        .filter(|made| !kept.contains(&*made.key))
        .try_for_each(|made| storage.remove(&made.key))
}

/// The data files of an output under their paths in the package, with the rows in front that complete the types of the
/// columns. Without records, there are none of an output among several, and an empty one of the only output.
fn data_files(
    plan: &DatasetPlan,
    storage: &dyn Storage,
    output: usize,
    (parts, totals): (&[Part], &Totals),
    threads: usize,
) -> Result<Vec<StoredFile>, Error> {
    let packing = Packing { compression: plan.compression, threads };
    let made: Vec<&StoredFile> =
        parts.iter().filter_map(|part| part.output(output)).flat_map(|files| &files.data).collect();
    let (first, others) = made.split_at(made.len().min(1));
    let count = others.len() + 1;
    let front = totals.learnt.get(output).map_or(&[][..], |learnt| &learnt.front);
    let pieces = front.iter().map(|front| Piece::Bytes(&front.row));
    let pieces: Vec<Piece<'_>> = pieces.chain(first.iter().copied().map(Piece::File)).collect();
    if pieces.is_empty() && plan.split.is_split() {
        return Ok(Vec::new());
    }
    let path = data_path(plan, output, 0, count);
    let mut files = Vec::with_capacity(count);
    files.push(match whole(storage, &path, pieces, packing)? {
        Some(file) => {
            let records: u64 = first.iter().filter_map(|made| made.records).sum();
            StoredFile { records: Some(records + front.len() as u64), ..file }
        }
        None => Shard::begin(plan, storage, path.clone(), packing)?.finish(storage, path)?,
    });
    for (index, made) in others.iter().enumerate() {
        files.push(StoredFile {
            path: data_path(plan, output, index + 1, count),
            ..StoredFile::clone(made)
        });
    }
    Ok(files)
}

/// A piece of a file.
enum Piece<'p> {
    Bytes(&'p [u8]),
    File(&'p StoredFile),
}

/// One file of pieces: as it is if the only piece is a file, none if there are no pieces, else written anew.
fn whole(
    storage: &dyn Storage,
    path: &str,
    pieces: Vec<Piece<'_>>,
    packing: Packing,
) -> Result<Option<StoredFile>, Error> {
    match &*pieces {
        [] => return Ok(None),
        [Piece::File(only)] => {
            return Ok(Some(StoredFile { path: path.into(), ..StoredFile::clone(only) }));
        }
        _ => {}
    }
    let fail = |error| Error::write(&storage.describe(path), error);
    let mut out = Packed::create(storage, path, packing)?;
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => out.write_all(bytes).map_err(fail)?,
            Piece::File(made) => {
                let before = storage.open(&made.key)?;
                let mut before = unpacked(before, packing.compression).map_err(fail)?;
                io::copy(&mut before, &mut out).map_err(fail)?;
            }
        }
    }
    out.finish().map_err(fail)?.finish(path.into(), None).map(Some)
}

/// The name of an output's data file, or of the folder of several.
fn data_name(plan: &DatasetPlan, output: usize) -> String {
    match plan.split.name(output) {
        None => plan.file_name.to_string(),
        Some(name) => format!("{}-{name}", plan.file_name),
    }
}

/// Several data files are in a folder of their own, which is how LLaMA-Factory takes them.
fn data_path(plan: &DatasetPlan, output: usize, index: usize, count: usize) -> String {
    let (name, ending) = (data_name(plan, output), plan.ending());
    match count {
        1 => format!("{name}.{ending}"),
        _ => format!("{name}/{name}-{index:05}-of-{count:05}.{ending}"),
    }
}

/// Where the data of an output is found.
struct Found {
    /// The dataset's name for trainers.
    name: String,
    /// The split's name for `datasets`.
    split: String,
    /// The path for trainers, and what the paths match for `datasets`.
    path: String,
    pattern: String,
    records: u64,
}

impl Found {
    /// An output of so many files.
    fn of(plan: &DatasetPlan, output: usize, files: usize, records: u64) -> Self {
        let data = data_name(plan, output);
        let (path, pattern) = match files {
            1 => (data_path(plan, output, 0, 1), data_path(plan, output, 0, 1)),
            _ => (data.clone(), format!("{data}/*.{}", plan.ending())),
        };
        let pattern = match (plan.data_format.records_folder(), plan.split.name(output)) {
            (None, _) => pattern,
            (Some(folder), None) => format!("{folder}/*.jsonl"),
            (Some(folder), Some(name)) => format!("{folder}/{name}/*.jsonl"),
        };
        let (name, split) = match plan.split.name(output) {
            None => (plan.dataset_name.to_string(), "train".to_owned()),
            Some(split) => (format!("{}-{split}", plan.dataset_name), split.to_owned()),
        };
        Self { name, split, path, pattern, records }
    }

    fn by_trainers(&self) -> FoundDataset {
        let (name, file_name) = (self.name.clone(), self.path.clone());
        FoundDataset { name, file_name, records: self.records }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use retort_model::ConversationFilter;

    use super::*;
    use crate::compression::Compression;
    use crate::export_options::ExportOptions;
    use crate::pipeline::{
        FrontRow, InferredTypes, InputsFeed, More, Nobody, Shaping, Survey, run,
    };
    use crate::source::{Input, Inputs};
    use crate::storage::Folder;

    fn plan(compression: Compression) -> DatasetPlan {
        DatasetPlan {
            data_format: retort_formats::data::by_name("openai").unwrap(),
            compression,
            file_name: "parts".parse().unwrap(),
            ..ExportOptions::default().resolve("n".parse().unwrap(), None).unwrap()
        }
    }

    fn chat(id: usize) -> String {
        format!(
            "{{\"id\":\"c{id}\",\"messages\":[{{\"role\":\"user\",\"content\":\"q\"}},\
             {{\"role\":\"assistant\",\"content\":\"a{id}\"}}]}}\n"
        )
    }

    /// Makes one part of these items.
    fn part(
        plan: &DatasetPlan,
        storage: &Folder,
        scratch: &Path,
        number: usize,
        items: &str,
    ) -> (Part, Totals) {
        let input = scratch.join(format!("{number}.jsonl"));
        fs::write(&input, items).unwrap();
        let selection = ConversationFilter::default();
        let shaping = Shaping { inference_bytes: u64::MAX, ..Shaping::of(plan, &selection, 1) };
        let inputs = Inputs::find(&[Input::Path(input)], None, Default::default()).unwrap();
        let mut writer = PartWriter::begin(plan, storage, number.to_string(), u64::MAX, 1);
        let totals = run(
            &mut InputsFeed::new(&inputs, None),
            &shaping,
            (Totals::default(), Survey::default()),
            &Nobody,
            &AtomicBool::new(false),
            &mut |delivery| writer.take(delivery).map(|()| More::Wanted),
        )
        .unwrap();
        (writer.finish().unwrap(), totals)
    }

    /// What the place holds.
    fn contents(storage: &Folder, files: &[StoredFile]) -> BTreeMap<String, Vec<u8>> {
        let read = |file: &StoredFile| {
            let mut bytes = Vec::new();
            storage.open(&file.key).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, file.bytes, "{}", file.path);
            assert_eq!(crc32fast::hash(&bytes), file.crc32, "{}", file.path);
            (file.path.clone(), bytes)
        };
        files.iter().map(read).collect()
    }

    #[test]
    fn parts_are_put_together_the_same_however_often_that_is_done() {
        for &compression in Compression::ALL {
            let plan = plan(compression);
            let folder = tempfile::tempdir().unwrap();
            let storage = Folder::new(folder.path().join("made"));
            let bad = "{\"id\":\"u\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"}]}\n";
            let mut totals = Totals::default();
            let mut parts = Vec::new();
            for (number, items) in
                [bad.to_owned(), chat(1) + &chat(2) + bad, chat(3)].iter().enumerate()
            {
                let (part, counted) = part(&plan, &storage, folder.path(), number, items);
                totals.account.merge(counted.account);
                parts.push(part);
            }
            assert!(parts[0].first.data.is_empty());
            // As they are after they were kept somewhere.
            let parts: Vec<Part> =
                serde_json::from_str(&serde_json::to_string(&parts).unwrap()).unwrap();
            totals.learnt = vec![InferredTypes {
                front: vec![FrontRow { row: b"{}\n".to_vec(), id: b"c0\n".to_vec() }],
                ..InferredTypes::default()
            }];

            let files = assemble(&plan, &storage, &parts, &totals, 1).unwrap().files;
            let ending = plan.ending();
            let names: Vec<&str> = files.iter().map(|file| &*file.path).collect();
            assert_eq!(
                names,
                [
                    &*format!("parts/parts-00000-of-00002.{ending}"),
                    &*format!("parts/parts-00001-of-00002.{ending}"),
                    IDS,
                    REJECTS,
                    DATASET_INFO,
                    CARD
                ]
            );
            assert_eq!(files.iter().filter_map(|file| file.records).sum::<u64>(), 4);
            let first = contents(&storage, &files);
            assert_eq!(first[IDS], b"c0\nc1\nc2\nc3\n");
            assert_eq!(first[REJECTS].split(|byte| *byte == b'\n').count(), 3);
            let mut rows = String::new();
            let data = storage.open(&files[0].key).unwrap();
            unpacked(data, compression).unwrap().read_to_string(&mut rows).unwrap();
            assert!(rows.starts_with("{}\n{\"messages\":") && rows.lines().count() == 3, "{rows}");

            let again = assemble(&plan, &storage, &parts, &totals, 1).unwrap().files;
            assert_eq!(again, files);
            assert_eq!(contents(&storage, &again), first);
            clear_up(&storage, &parts, &files).unwrap();
            clear_up(&storage, &parts, &files).unwrap();
            assert_eq!(contents(&storage, &files), first);
            assert!(storage.open(&parts[1].first.data[0].key).is_err());
        }
    }

    #[test]
    fn a_dataset_without_records_has_one_empty_data_file() {
        let plan = plan(Compression::None);
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path().to_owned());
        let files =
            assemble(&plan, &storage, &[Part::default()], &Totals::default(), 1).unwrap().files;
        let data = &files[0];
        assert_eq!((&*data.path, data.records, data.bytes), ("parts.jsonl", Some(0), 0));
    }
}
