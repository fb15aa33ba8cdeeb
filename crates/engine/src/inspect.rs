//! `inspect`: what inputs hold, and what a dataset of them would leave out, with nothing written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort_formats::import::split::{Batch, Splitter};

use crate::convert::Found;
use crate::convert_plan::ConvertPlan;
use crate::error::Error;
use crate::pipeline::{
    ItemStats, More, Observer, Passes, SourceCount, Totals, run, survey_with_stats,
};
use crate::source::{Inputs, Stream, Wanted};

/// What inputs hold.
#[derive(Debug, Default)]
pub struct Inspection {
    /// What was counted.
    pub item_stats: ItemStats,
    /// The streams, each with the format that it was read as.
    pub sources: Vec<SourceCount>,
    /// What a conversion would report.
    pub found: Found,
}

impl Inspection {
    /// What was counted as JSON, with the `sources` and what a `dataset` would report.
    pub fn to_json(&self) -> serde_json::Value {
        let mut whole = self.item_stats.to_json();
        if let Some(object) = whole.as_object_mut() {
            let sources = self.sources.iter().map(SourceCount::to_json).collect();
            object.insert("sources".into(), sources);
            object.insert("dataset".into(), self.found.to_json());
        }
        whole
    }
}

/// The first items of the inputs as they are, whatever they are.
///
/// # Errors
/// Failing I/O.
pub fn first_texts(plan: &ConvertPlan, most: usize) -> Result<Vec<String>, Error> {
    let inputs = Inputs::find(&plan.inputs, None, plan.reading)?;
    let mut texts = Vec::new();
    let read = Arc::default();
    for file in &inputs.files {
        let more = file.each_stream(&inputs, (Wanted::Any, None), &read, &mut |name, stream| {
            let Stream::Items(input) = stream else { return Ok(true) };
            let fail = |source| Error::Unpack { name: name.label.clone(), source };
            let mut splitter = Splitter::bounded(input, inputs.options.max_item);
            while let Some(batch) = splitter.next(Batch::default()).map_err(fail)? {
                for span in batch.items.iter().filter(|span| span.fault.is_none()) {
                    if texts.len() == most {
                        return Ok(false);
                    }
                    let text = String::from_utf8_lossy(batch.item(span));
                    texts.push(text.into_owned());
                }
            }
            Ok(true)
        })?;
        if !more {
            break;
        }
    }
    Ok(texts)
}

/// Reads the inputs of a plan to their end and counts what they hold, and what the plan would leave out and why.
///
/// # Errors
/// Failing I/O, or choices that the formats do not allow.
pub fn inspect(
    plan: &ConvertPlan,
    observer: &dyn Observer,
    stopped: &AtomicBool,
) -> Result<Inspection, Error> {
    // Repeats and samples are known only after everything was read, so everything is read twice.
    let [first, second] = Passes::of(observer);
    plan.dataset.check()?;
    let mut inputs = Inputs::find(&plan.inputs, None, plan.reading)?;
    let plan = &plan.completed(&mut inputs, stopped)?;
    inputs.keep_as_read()?;
    let shaping = plan.shaping();
    let (item_stats, survey) =
        survey_with_stats(&mut plan.feed(&inputs), &shaping, (&first, stopped))?;
    inputs.keep_rest()?;
    let mut feed = plan.feed(&inputs);
    let before = (Totals::default(), survey);
    let mut totals = run(&mut feed, &shaping, before, &second, stopped, &mut |_| Ok(More::Wanted))?;
    let sources = std::mem::take(&mut totals.sources);
    Ok(Inspection { item_stats, sources, found: Found::of(totals, plan.told(feed.passed_over)) })
}
