//! The parts of an export: what they share is found out first, then each is made by itself, by the worker that holds
//! the job or by others that help it, and in the end all are merged in their order.

use retort_engine::panics::point;
use retort_engine::pipeline::{More, Shaping, Totals, keep_decisions, kept_survey, run, variables};
use retort_engine::{
    Checkpoint, DatasetPlan, Error as EngineError, Known, Objects, Part, PartWriter, Prefix,
    StoredFile,
};
use retort_model::ConversationFilter;
use retort_store::{Job, Shard};
use serde::{Deserialize, Serialize};

use crate::clock::later;
use crate::error::Error;
use crate::lease::{Ending, LOOK, Lease};
use crate::selected::SelectedFeed;

/// What all parts of an export share, as the job keeps it. Decisions on duplicates and the sample are beside the parts.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// The variables that have columns, in their order.
    variables: Vec<String>,
}

impl Prepared {
    pub(crate) fn of(job: &Job) -> Result<Self, Error> {
        let Some(text) = &job.prepared else { return Ok(Self::default()) };
        serde_json::from_str(text).map_err(|error| damaged(job, &error.to_string()))
    }

    pub(crate) fn complete(self, plan: &mut DatasetPlan) {
        plan.shape_options.variables = self.variables.into_iter().map(Into::into).collect();
    }
}

/// Finds out what all parts share, unless a worker before did: a purge between two parts must not change it.
pub(crate) fn prepare(
    plan: &mut DatasetPlan,
    storage: &Prefix,
    job: &Job,
    lease: &Lease<'_>,
    threads: usize,
) -> Result<(), Error> {
    let shards = lease.store.shards(job.id)?;
    let all = everything(&shards);
    let chosen = ConversationFilter::default();
    let feed = || SelectedFeed { store: lease.store, job: job.id, shard: &all, ends: 0 };
    if job.prepared.is_some() {
        Prepared::of(job)?.complete(plan);
    } else if plan.data_format.has_variables() {
        let shaping = Shaping::of(plan, &chosen, threads);
        plan.shape_options.variables = variables(&mut feed(), &shaping, &lease.stopped)?;
    }
    if kept_survey(plan, storage).is_none() {
        let shaping = Shaping::of(plan, &chosen, threads);
        keep_decisions(&mut feed(), &shaping, storage, &lease.stopped).map_err(in_objects)?;
    }
    let is_shared = shards.len() > 1 || plan.data_format.has_variables();
    if job.prepared.is_none() && is_shared {
        let variables = &plan.shape_options.variables;
        let prepared =
            Prepared { variables: variables.iter().map(|name| (**name).to_owned()).collect() };
        let text = serde_json::to_string(&prepared).unwrap_or_default();
        lease.store.prepare(job.id, lease.worker, &text)?;
    }
    Ok(())
}

/// All parts as one.
fn everything(shards: &[Shard]) -> Shard {
    Shard {
        first: shards.first().map_or(1, |shard| shard.first),
        last: shards.last().map_or(0, |shard| shard.last),
        bytes: shards.iter().map(|shard| shard.bytes).sum(),
        ..Shard::default()
    }
}

/// What the parts of a job are made of.
pub(crate) struct RunningExport<'m> {
    pub(crate) plan: &'m DatasetPlan,
    pub(crate) objects: &'m Objects,
    /// Where the objects of the dataset are.
    pub(crate) prefix: &'m str,
    pub(crate) job: &'m Job,
    pub(crate) lease: &'m Lease<'m>,
    pub(crate) threads: usize,
}

impl RunningExport<'_> {
    /// Makes all parts that are not there, and merges what was counted in them.
    pub(crate) fn all(&self) -> Result<(Vec<Part>, Totals), Error> {
        self.reopen_lost()?;
        loop {
            self.make_free()?;
            if let Some(merged) = self.merged()? {
                return Ok(merged);
            }
        }
    }

    /// Has parts made again that are no longer there.
    fn reopen_lost(&self) -> Result<(), Error> {
        for shard in self.lease.store.shards(self.job.id)? {
            let Some(kept) = &shard.result else { continue };
            let is_whole = match Checkpoint::from_json(kept) {
                Ok(checkpoint) => self.is_whole(&checkpoint.part)?,
                Err(_) => false,
            };
            if !is_whole {
                self.lease.store.reopen_shard(self.job.id, self.lease.worker, shard.number)?;
            }
        }
        Ok(())
    }

    fn is_whole(&self, part: &Part) -> Result<bool, Error> {
        for made in part.files() {
            if !is_there(self.objects, self.prefix, made)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes parts until all are there. The last ones may be in the hands of others: it waits for them, and takes over
    /// those of workers that are not heard of any more.
    fn make_free(&self) -> Result<(), Error> {
        let (store, lease) = (self.lease.store, self.lease);
        while store.unfinished_shards(self.job.id)? > 0 {
            lease.check()?;
            let now = lease.clock.now();
            let until = later(now, lease.lease);
            match store.take_shard(self.job.id, lease.worker, now, until)? {
                Some(shard) => {
                    let made = self.part(&shard);
                    if made.is_err() {
                        // Where this cannot be told, it is free when its lease is over.
                        let _ = store.free_shard(self.job.id, &shard, true);
                    }
                    made?;
                }
                None => std::thread::sleep(LOOK),
            }
        }
        lease.check()
    }

    /// All parts in their order, and what was counted in them together. None if one has to be made again, as the parts
    /// before it, which were not finished then, do not show what it took for granted.
    fn merged(&self) -> Result<Option<(Vec<Part>, Totals)>, Error> {
        let mut known = Known::nothing(self.plan.split.outputs());
        let (mut parts, mut totals) = (Vec::new(), Totals::default());
        for shard in self.lease.store.shards(self.job.id)? {
            let checkpoint = self.checkpoint(&shard)?;
            if !checkpoint.holds_after(&known) {
                self.lease.store.reopen_shard(self.job.id, self.lease.worker, shard.number)?;
                return Ok(None);
            }
            known.add(&checkpoint);
            checkpoint.add_to(&mut totals).map_err(|why| damaged(self.job, &why))?;
            parts.push(checkpoint.part);
        }
        Ok(Some((parts, totals)))
    }

    fn checkpoint(&self, shard: &Shard) -> Result<Checkpoint, Error> {
        let kept = shard.result.as_deref().unwrap_or_default();
        let fail = |why| damaged(self.job, &format!("part {}: {why}", shard.number));
        Checkpoint::from_json(kept).map_err(fail)
    }

    /// What the parts before one show.
    fn known_before(&self, shards: &[Shard]) -> Result<Known, Error> {
        let outputs = self.plan.split.outputs();
        if !self.plan.file_format.types_are_inferred() {
            return Ok(Known::nothing(outputs));
        }
        if shards.iter().any(|shard| shard.result.is_none()) {
            return Ok(Known::everything(outputs));
        }
        let mut known = Known::nothing(outputs);
        for shard in shards {
            known.add(&self.checkpoint(shard)?);
        }
        Ok(known)
    }

    /// Makes a part that this worker has taken.
    pub(crate) fn part(&self, shard: &Shard) -> Result<(), Error> {
        let (store, lease) = (self.lease.store, self.lease);
        let mut before = match shard.number {
            0 => Vec::new(),
            _ => store.shards(self.job.id)?,
        };
        before.retain(|other| other.number < shard.number);
        lease.begin_part(shard.number)?;
        for before in 1..shard.attempt {
            // What workers left of it that did not live to finish it.
            self.remove(&part_name(shard.number, before))?;
        }
        let known = self.known_before(&before)?;
        let ends = before.iter().map(|shard| shard.bytes).sum();
        let made = self.write(shard, ends, &known).and_then(|(part, totals)| {
            let kept = Checkpoint::new(part, &totals, known, shard.first.saturating_sub(1));
            let result = (&*kept.to_json(), totals.account.records);
            point("export.checkpoint");
            Ok(store.finish_shard(self.job.id, shard, result, &totals.without_records)?)
        });
        let is_not_held = matches!(made, Err(Error::Store(retort_store::Error::NotHeld)));
        if is_not_held || (made.is_err() && lease.ending() == Some(Ending::Lost)) {
            // Nobody else knows these files. Others go before the part is made again, or when the job ends.
            let _ = self.remove(&part_name(shard.number, shard.attempt));
        }
        made?;
        lease.end_part()
    }

    fn remove(&self, part: &str) -> Result<(), Error> {
        let folder = format!("{}/{}", self.prefix, PartWriter::folder(part));
        Ok(self.objects.remove_all(&folder)?)
    }

    /// Writes the files of a part.
    fn write(&self, shard: &Shard, ends: u64, known: &Known) -> Result<(Part, Totals), Error> {
        let (plan, lease) = (self.plan, self.lease);
        let storage = self.objects.below(self.prefix);
        let chosen = ConversationFilter::default();
        let mut shaping = Shaping::of(plan, &chosen, self.threads);
        shaping.inference_bytes = known.inference_bytes();
        let name = part_name(shard.number, shard.attempt);
        let mut writer = PartWriter::begin(plan, &storage, name, u64::MAX, self.threads);
        shaping.record_files = Some(writer.record_files());
        let mut feed = SelectedFeed { store: lease.store, job: self.job.id, shard, ends };
        let survey = kept_survey(self.plan, &storage).ok_or_else(|| {
            EngineError::bug("the decisions on all items are not beside the parts")
        })?;
        let before = (known.totals(), survey);
        let totals = run(&mut feed, &shaping, before, lease, &lease.stopped, &mut |delivery| {
            writer.take(delivery).map(|()| More::Wanted)
        })
        .map_err(in_objects)?;
        Ok((writer.finish().map_err(in_objects)?, totals))
    }
}

/// The name of a part's files, with the number of the attempt: a worker that lost the part to another must not overwrite
/// that worker's files.
fn part_name(number: u64, attempt: u64) -> String {
    format!("{number:05}/{attempt}")
}

/// Whether a file lies there as it was made.
pub(crate) fn is_there(objects: &Objects, prefix: &str, made: &StoredFile) -> Result<bool, Error> {
    Ok(objects.size(&format!("{prefix}/{}", made.key))? == Some(made.bytes))
}

fn damaged(job: &Job, why: &str) -> Error {
    Error::Store(retort_store::Error::Damaged(format!("parts of job {}: {why}", job.id)))
}

/// A failure to write, as one of the place of the datasets: what was finished stays for the next try.
pub(crate) fn in_objects(error: EngineError) -> EngineError {
    match error {
        EngineError::Write { path, source } => EngineError::Objects {
            doing: "write",
            object: path.display().to_string(),
            reason: source.to_string(),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests;
