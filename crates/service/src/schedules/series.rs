//! The receipt of a series: the windows that a schedule has exported, and which dataset has each.

use retort_formats::package::{SERIES_VERSION, SeriesReceipt, SeriesWindow, WindowSpan};
use retort_model::Time;
use retort_store::{Schedule, SeriesWindow as ClosedWindow};

use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

impl Service {
    /// The receipt of the current series of a schedule.
    ///
    /// # Errors
    /// There is no such schedule; those of the store.
    pub fn schedule_series(&self, caller: &Caller, id: i64) -> Result<SeriesReceipt, Error> {
        let found = self.schedule(caller, id)?;
        self.series_receipt(&found.schedule, None)
    }

    /// The receipt of the current series, or of the one that a run belongs to, up to that run.
    pub(super) fn series_receipt(
        &self,
        schedule: &Schedule,
        job: Option<i64>,
    ) -> Result<SeriesReceipt, Error> {
        let (series, windows) = self.store.series_windows(schedule, job)?;
        Ok(SeriesReceipt {
            series_version: SERIES_VERSION,
            schedule: schedule.name.clone(),
            series,
            windows: windows.into_iter().map(listed).collect(),
        })
    }
}

fn listed(window: ClosedWindow) -> SeriesWindow {
    let (from, before) = window.period.unzip();
    let (dataset, manifest_sha256) = window.dataset.unzip();
    let text = |time: Time| time.to_string();
    let span = WindowSpan {
        number: window.number,
        changes_after: window.changes_after,
        changes_to: window.changes_to,
        from: from.map(text),
        before: before.map(text),
        late: window.late,
    };
    SeriesWindow {
        span,
        items: window.items,
        records: window.records,
        dataset,
        manifest_sha256,
        path: window.path,
    }
}
