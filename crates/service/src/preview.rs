//! `preview`: the first records as they would be written, and what was found in them, with nothing written.

use std::sync::atomic::AtomicBool;

use retort_formats::file::by_name as file_format_named;
use retort_formats::import::Refusal;
use retort_model::bounds::PREVIEW_RECORDS;
use retort_model::{Account, Tally};

use crate::Error;
use crate::convert::ConvertPlan;
use crate::package::Package;
use crate::pipeline::{InputsFeed, More, Nobody, Shaping, Totals, run};
use crate::source::Inputs;

/// The first records of a dataset.
#[derive(Debug, Default)]
pub struct Preview {
    /// The records, each as the JSON text of an object.
    pub records: Vec<String>,
    /// What was found in the conversations that were looked at.
    pub account: Account,
    /// Items that could not be read, by reason.
    pub refused: Tally<Refusal>,
}

/// Shows the first records that the plan would write. Reading stops soon behind them.
///
/// # Errors
/// Failing I/O, or choices that the formats do not allow.
pub fn preview(plan: &ConvertPlan) -> Result<Preview, Error> {
    plan.dataset.check()?;
    let inputs = Inputs::find(&plan.inputs, None)?;
    let jsonl = file_format_named("jsonl").ok_or_else(|| Error::Choice("no JSON Lines".into()))?;
    let shaping = Shaping { file_format: jsonl, threads: 1, tells_account: true, ..plan.shaping() };
    let fail = |source| Error::Unpack { name: "the preview".into(), source };
    let schema = plan.dataset.data_format.schema(&plan.dataset.shape_options, false);
    let mut writer = jsonl.writer(schema, plan.dataset.file_options).map_err(fail)?;
    let mut lines = Vec::new();
    let mut preview = Preview::default();
    let mut count = 0;
    let totals = run(
        &mut InputsFeed::new(&inputs, plan.from),
        &shaping,
        Totals::default(),
        &Nobody,
        &AtomicBool::new(false),
        &mut |delivery| {
            count += delivery.chunk.rows;
            writer.write(delivery.chunk, &mut lines).map_err(fail)?;
            if let Some((account, refused)) = delivery.account {
                preview.account = account;
                preview.refused = refused;
            }
            Ok(if count < PREVIEW_RECORDS as u64 { More::Wanted } else { More::Enough })
        },
    )?;
    if count < PREVIEW_RECORDS as u64 {
        preview.account = totals.account;
        preview.refused = totals.refused;
    }
    preview.records =
        String::from_utf8_lossy(&lines).lines().take(PREVIEW_RECORDS).map(str::to_owned).collect();
    Ok(preview)
}

/// Shows the first records of a finished package.
///
/// # Errors
/// It cannot be read.
pub fn preview_package(package: &mut Package) -> Result<Vec<String>, Error> {
    let manifest = package.manifest().clone();
    let fail = |source| Error::Unpack { name: manifest.dataset_name.clone(), source };
    let mut records = Vec::new();
    for file in manifest.files.iter().filter(|file| file.records.is_some()) {
        let left = PREVIEW_RECORDS - records.len();
        if left == 0 {
            break;
        }
        let rows = crate::verify::rows_of(package, &manifest, &file.path).map_err(fail)?;
        for row in rows.take(left) {
            records.push(row.map_err(fail)?);
        }
    }
    Ok(records)
}
