//! What a server can be asked of runs.

use retort_model::{Filter, RunFilter, RunSource, bounds};
use retort_service::{Cursor, ListOrder, RunOrder};
use retort_web::wire;

use super::ids::{IDS_PER_ADDRESS, check_known, purge_by_pages, sum_over};
use super::{Client, ClientError};

impl Client {
    pub fn runs(
        &self,
        selection: &RunFilter,
        order: RunOrder,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::RunPage, ClientError> {
        if selection.ids.len() > IDS_PER_ADDRESS {
            return Err(ClientError::Ended(format!(
                "a server accepts at most {IDS_PER_ADDRESS} ids at a time"
            )));
        }
        let mut query = selection.pairs();
        query.push(("sort", order.as_str().to_owned()));
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after.to_string())));
        self.get(&["runs"], query)
    }

    pub fn count_runs(&self, selection: &RunFilter) -> Result<u64, ClientError> {
        sum_over(&selection.ids, |ids| {
            let selection = RunFilter { ids, ..selection.clone() };
            let count: wire::Count = self.get(&["runs", "count"], selection.pairs())?;
            Ok(count.total)
        })
    }

    /// Refuses a selection that names a request id of which the caller has no run.
    pub fn check_run_ids(&self, selection: &RunFilter) -> Result<(), ClientError> {
        check_known("run", &selection.ids, |ids, after| {
            let asked = RunFilter {
                source: selection.source,
                flow: selection.flow.clone(),
                ids: ids.clone(),
                ..RunFilter::default()
            };
            let page = self.runs(&asked, RunOrder::Newest, after, bounds::PAGE_ITEMS)?;
            Ok((page.runs.into_iter().map(|one| one.request_id).collect(), page.next))
        })
    }

    pub fn run(
        &self,
        id: &str,
        source: Option<RunSource>,
        flow: Option<&str>,
    ) -> Result<(wire::Run, Vec<u8>), ClientError> {
        let source = source.map(|source| ("source", source.to_string()));
        let flow = flow.map(|flow| ("source_id", flow.to_owned()));
        let query = source.into_iter().chain(flow).collect();
        let found: wire::WholeRun = self.get(&["runs", id], query)?;
        Ok((found.summary, found.run.get().as_bytes().to_vec()))
    }

    pub fn run_stats(&self, selection: &RunFilter) -> Result<wire::RunStats, ClientError> {
        self.get(&["runs", "stats"], selection.pairs())
    }

    pub fn flows(&self, source: Option<RunSource>) -> Result<wire::Flows, ClientError> {
        let source = source.map(|source| ("source", source.to_string()));
        self.get(&["flows"], source.into_iter().collect())
    }

    pub fn flow(
        &self,
        source: Option<RunSource>,
        id: &str,
    ) -> Result<wire::WholeFlow, ClientError> {
        let source = source.map(|source| ("source", source.to_string()));
        self.get(&["flows", id], source.into_iter().collect())
    }

    pub fn purge_runs(&self, selection: &RunFilter) -> Result<u64, ClientError> {
        let purge = |ids| {
            let asked = wire::PurgeRuns { selection: RunFilter { ids, ..selection.clone() } };
            let done: wire::Purged = self.post(&["runs", "purge"], &asked)?;
            Ok(done.purged)
        };
        if !selection.ids.is_empty() || self.opened().is_some() {
            return purge(selection.ids.clone());
        }
        let page = || {
            let page = self.runs(selection, RunOrder::Newest, None, bounds::PAGE_ITEMS)?;
            Ok(page.runs.into_iter().map(|one| one.request_id).collect())
        };
        purge_by_pages(self.count_runs(selection)?, page, purge)
    }
}
