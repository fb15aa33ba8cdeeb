//! The files of a package: written part by part as the pipeline delivers, then put together.
//!
//! A part that is finished can be kept as it is described; what is put together never changes a part's files. So
//! both can be taken up again after a kill, and give the same package.

use std::io::{self, Write};

use retort_formats::file::{Chunk, FileWriter};
use retort_formats::package::{
    CARD, DATASET_INFO, EXTRA, FINDINGS, IDS, REJECTS, card, dataset_info,
};
use retort_model::Warning;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::packed::{Packed, Packing, unpacked};
use crate::panics::point;
use crate::pipeline::{Delivery, Totals};
use crate::plan::DatasetPlan;
use crate::receipt::{Origin, manifest};
use crate::storage::{HashingFile, Storage, StoredFile};

/// The files of one part, finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Data files in their order; none if the part has no records.
    pub data: Vec<StoredFile>,
    /// Lines of `rejects.jsonl`.
    pub rejects: Option<StoredFile>,
    /// Lines of `findings.jsonl`.
    #[serde(default)]
    pub findings: Option<StoredFile>,
    /// Lines of the file of extras.
    pub extras: Option<StoredFile>,
    /// Lines of the file of ids.
    pub ids: Option<StoredFile>,
}

impl Part {
    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        let beside = [&self.rejects, &self.findings, &self.extras, &self.ids];
        self.data.iter().chain(beside.into_iter().flatten())
    }
}

/// Writes the files of one part.
pub struct PartWriter<'p> {
    plan: &'p DatasetPlan,
    storage: &'p dyn Storage,
    part: usize,
    shard_bytes: u64,
    threads: usize,
    shard: Option<Shard>,
    data: Vec<StoredFile>,
    rejects: Option<HashingFile>,
    findings: Option<HashingFile>,
    extras: Option<HashingFile>,
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
    /// Begins part number `part`, whose data goes on in a next file after `shard_bytes`.
    pub fn begin(
        plan: &'p DatasetPlan,
        storage: &'p dyn Storage,
        part: usize,
        shard_bytes: u64,
        threads: usize,
    ) -> Self {
        Self {
            plan,
            storage,
            part,
            shard_bytes,
            threads,
            shard: None,
            data: Vec::new(),
            rejects: None,
            findings: None,
            extras: None,
            ids: None,
        }
    }

    /// The key of a file of this part: apart from those of other parts, and from the names of a package's files,
    /// which never begin with a dot.
    fn key(&self, name: &str) -> String {
        format!(".parts/{:05}/{name}", self.part)
    }

    /// Writes what the pipeline delivers.
    pub fn take(&mut self, delivery: Delivery) -> Result<(), Error> {
        let Delivery { chunk, rejects, findings, ids, extras, account: _, batch: _ } = delivery;
        for (name, bytes) in [(REJECTS, rejects), (FINDINGS, findings), (EXTRA, extras), (IDS, ids)]
        {
            self.append(name, &bytes)?;
        }
        chunk.map_or(Ok(()), |chunk| self.take_chunk(chunk))
    }

    /// Appends to a file beside the data, which is made when there is something for it.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (storage, key) = (self.storage, self.key(name));
        let file = match name {
            REJECTS => &mut self.rejects,
            FINDINGS => &mut self.findings,
            EXTRA => &mut self.extras,
            _ => &mut self.ids,
        };
        let file = match file {
            Some(file) => file,
            None => file.insert(HashingFile::create(storage, key)?),
        };
        file.append(bytes)
    }

    fn take_chunk(&mut self, chunk: Chunk) -> Result<(), Error> {
        point("write");
        let mut shard = match self.shard.take() {
            Some(shard) => shard,
            None => self.begin_shard()?,
        };
        shard.records += chunk.rows;
        shard
            .writer
            .write(chunk, &mut shard.out)
            .map_err(|error| Error::write(&self.storage.describe(&shard.key), error))?;
        if shard.out.bytes() >= self.shard_bytes {
            self.data.push(shard.finish(self.storage, String::new())?);
        } else {
            self.shard = Some(shard);
        }
        Ok(())
    }

    fn begin_shard(&self) -> Result<Shard, Error> {
        let key = self.key(&format!("data-{:05}.{}", self.data.len(), self.plan.ending()));
        let packing = Packing { compression: self.plan.compression, threads: self.threads };
        Shard::begin(self.plan, self.storage, key, packing)
    }

    /// Ends all files.
    pub fn finish(mut self) -> Result<Part, Error> {
        point("finish");
        if let Some(shard) = self.shard.take() {
            self.data.push(shard.finish(self.storage, String::new())?);
        }
        let beside = |file: Option<HashingFile>, name: &str| {
            file.map(|file| file.finish(name.into(), None)).transpose()
        };
        Ok(Part {
            data: self.data,
            rejects: beside(self.rejects, REJECTS)?,
            findings: beside(self.findings, FINDINGS)?,
            extras: beside(self.extras, EXTRA)?,
            ids: beside(self.ids, IDS)?,
        })
    }
}

/// Puts the files of the parts together to those of the package, all but the receipt: the data first. What is new
/// stands under keys of its own, so the same parts give the same files however often this is done.
pub fn assemble(
    plan: &DatasetPlan,
    storage: &dyn Storage,
    parts: &[Part],
    totals: &Totals,
    threads: usize,
) -> Result<Vec<StoredFile>, Error> {
    point("assemble");
    let mut files = data_files(plan, storage, parts, totals, threads)?;
    let count = files.len();
    let beside = |path: &str, front: &[&[u8]], of: fn(&Part) -> &Option<StoredFile>| {
        let made: Vec<&StoredFile> = parts.iter().filter_map(|part| of(part).as_ref()).collect();
        whole(storage, path, front, &made, Packing::NONE)
    };
    if plan.data_format.has_ids_apart() {
        let front: Vec<&[u8]> = totals.front.iter().map(|front| &*front.id).collect();
        let ids = beside(IDS, &front, |part| &part.ids)?;
        files.push(match ids {
            Some(ids) => ids,
            None => write_text(storage, IDS, "")?,
        });
    }
    files.extend(beside(EXTRA, &[], |part| &part.extras)?);
    files.extend(beside(REJECTS, &[], |part| &part.rejects)?);
    files.extend(beside(FINDINGS, &[], |part| &part.findings)?);
    let columns = plan.data_format.trainer_columns(&plan.shape_options, plan.is_flat());
    let (found_at, pattern) = data_found_at(plan, count);
    let records = totals.account.records;
    // Cells that were guarded for spreadsheets are not what a model said, so a trainer is not told of them.
    if totals.account.warned.count(Warning::GuardedCell) == 0 {
        let info = dataset_info(plan.dataset_name.as_str(), &found_at, records, columns);
        files.push(write_text(storage, DATASET_INFO, &info)?);
    }
    let shown = manifest(plan, Origin::default(), totals, Vec::new());
    let notes = plan.data_format.card_notes(&plan.shape_options, plan.is_flat());
    files.push(write_text(storage, CARD, &card(&shown, &pattern, plan.data_format, &notes))?);
    Ok(files)
}

/// Removes what the parts held and the package does not. From then on the parts cannot be put together again, so
/// `files` must be known for good.
pub fn clear_up(storage: &dyn Storage, parts: &[Part], files: &[StoredFile]) -> Result<(), Error> {
    let is_kept = |made: &StoredFile| files.iter().any(|file| file.key == made.key);
    parts
        .iter()
        .flat_map(Part::files)
        .filter(|made| !is_kept(made))
        .try_for_each(|made| storage.remove(&made.key))
}

/// Makes a small file of the package.
pub fn write_text(storage: &dyn Storage, path: &str, text: &str) -> Result<StoredFile, Error> {
    let mut file = HashingFile::create(storage, path.into())?;
    file.append(text.as_bytes())?;
    file.finish(path.into(), None)
}

/// The data files under their paths in the package, with the rows in front that complete the types of the columns.
fn data_files(
    plan: &DatasetPlan,
    storage: &dyn Storage,
    parts: &[Part],
    totals: &Totals,
    threads: usize,
) -> Result<Vec<StoredFile>, Error> {
    let packing = Packing { compression: plan.compression, threads };
    let made: Vec<&StoredFile> = parts.iter().flat_map(|part| &part.data).collect();
    let (first, others) = made.split_at(made.len().min(1));
    let count = others.len() + 1;
    let front: Vec<&[u8]> = totals.front.iter().map(|front| &*front.row).collect();
    let path = data_path(plan, 0, count);
    let mut files = Vec::with_capacity(count);
    files.push(match whole(storage, &path, &front, first, packing)? {
        Some(file) => {
            let records: u64 = first.iter().filter_map(|made| made.records).sum();
            StoredFile { records: Some(records + front.len() as u64), ..file }
        }
        None => Shard::begin(plan, storage, path.clone(), packing)?.finish(storage, path)?,
    });
    for (index, made) in others.iter().enumerate() {
        files.push(StoredFile {
            path: data_path(plan, index + 1, count),
            ..StoredFile::clone(made)
        });
    }
    Ok(files)
}

/// One file from what stands in front and the files of the parts: as it is if it is the only one, none if there
/// is nothing, else written anew.
fn whole(
    storage: &dyn Storage,
    path: &str,
    front: &[&[u8]],
    made: &[&StoredFile],
    packing: Packing,
) -> Result<Option<StoredFile>, Error> {
    match (front, made) {
        ([], []) => return Ok(None),
        ([], [only]) => {
            return Ok(Some(StoredFile { path: path.into(), ..StoredFile::clone(only) }));
        }
        _ => {}
    }
    let fail = |error| Error::write(&storage.describe(path), error);
    let mut out = Packed::create(storage, path, packing)?;
    for bytes in front {
        out.write_all(bytes).map_err(fail)?;
    }
    for made in made {
        let before = storage.open(&made.key)?;
        let mut before = unpacked(before, packing.compression).map_err(fail)?;
        io::copy(&mut before, &mut out).map_err(fail)?;
    }
    out.finish().map_err(fail)?.finish(path.into(), None).map(Some)
}

/// Several data files stand in a folder of their own, which is how LLaMA-Factory takes them.
fn data_path(plan: &DatasetPlan, index: usize, count: usize) -> String {
    let (name, ending) = (&plan.file_name, plan.ending());
    match count {
        1 => format!("{name}.{ending}"),
        _ => format!("{name}/{name}-{index:05}-of-{count:05}.{ending}"),
    }
}

/// Where trainers, and where `datasets`, find the data.
fn data_found_at(plan: &DatasetPlan, count: usize) -> (String, String) {
    match count {
        1 => (data_path(plan, 0, 1), data_path(plan, 0, 1)),
        _ => (plan.file_name.to_string(), format!("{}/*.{}", plan.file_name, plan.ending())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Read;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use retort_formats::data::ShapeOptions;
    use retort_formats::file::FileOptions;
    use retort_model::{ConversationFilter, Purpose};

    use super::*;
    use crate::pipeline::{FrontRow, InputsFeed, More, Observer, Progress, Shaping, run};
    use crate::plan::Compression;
    use crate::source::{Input, Inputs};
    use crate::storage::Folder;

    struct Nobody;

    impl Observer for Nobody {
        fn progress(&self, _progress: Progress) {}
    }

    fn plan(compression: Compression) -> DatasetPlan {
        DatasetPlan {
            purpose: Purpose::default(),
            data_format: retort_formats::data::by_name("openai").unwrap(),
            file_format: retort_formats::file::by_name("jsonl").unwrap(),
            shape_options: ShapeOptions::default(),
            file_options: FileOptions::default(),
            compression,
            dataset_name: "n".parse().unwrap(),
            file_name: "parts".parse().unwrap(),
            findings: false,
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
        let mut writer = PartWriter::begin(plan, storage, number, u64::MAX, 1);
        let totals = run(
            &mut InputsFeed::new(&inputs, None),
            &shaping,
            (Totals::default(), None),
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
            assert!(parts[0].data.is_empty());
            // As they are after they were kept somewhere.
            let parts: Vec<Part> =
                serde_json::from_str(&serde_json::to_string(&parts).unwrap()).unwrap();
            totals.front.push(FrontRow { row: b"{}\n".to_vec(), id: b"c0\n".to_vec() });

            let files = assemble(&plan, &storage, &parts, &totals, 1).unwrap();
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

            let again = assemble(&plan, &storage, &parts, &totals, 1).unwrap();
            assert_eq!(again, files);
            assert_eq!(contents(&storage, &again), first);
            clear_up(&storage, &parts, &files).unwrap();
            clear_up(&storage, &parts, &files).unwrap();
            assert_eq!(contents(&storage, &files), first);
            assert!(storage.open(&parts[1].data[0].key).is_err());
        }
    }

    #[test]
    fn a_dataset_without_records_has_one_empty_data_file() {
        let plan = plan(Compression::None);
        let folder = tempfile::tempdir().unwrap();
        let storage = Folder::new(folder.path().to_owned());
        let files = assemble(&plan, &storage, &[Part::default()], &Totals::default(), 1).unwrap();
        let data = &files[0];
        assert_eq!((&*data.path, data.records, data.bytes), ("parts.jsonl", Some(0), 0));
    }
}
