//! What a server can be asked of runs.

use std::collections::BTreeSet;

use retort_model::{Filter, RunFilter, RunSource, bounds};
use retort_service::Cursor;
use retort_web::wire;

use super::verbs::{IDS_PER_ADDRESS, in_addresses, next};
use super::{Client, ClientError};

impl Client {
    pub fn runs(
        &self,
        selection: &RunFilter,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::RunPage, ClientError> {
        if selection.ids.len() > IDS_PER_ADDRESS {
            return Err(ClientError::Ended(format!(
                "at most {IDS_PER_ADDRESS} ids at a time are asked of a server"
            )));
        }
        let mut query = selection.pairs();
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after.to_string())));
        self.get(&["runs"], query)
    }

    pub fn count_runs(&self, selection: &RunFilter) -> Result<u64, ClientError> {
        let of = |selection: &RunFilter| {
            let count: wire::Count = self.get(&["runs", "count"], selection.pairs())?;
            Ok(count.total)
        };
        if selection.ids.is_empty() {
            return of(selection);
        }
        let parts = in_addresses(&selection.ids);
        parts.into_iter().map(|ids| of(&RunFilter { ids, ..selection.clone() })).sum()
    }

    /// Refuses a selection that names a request id of which the caller has no run.
    pub fn check_run_ids(&self, selection: &RunFilter) -> Result<(), ClientError> {
        for ids in in_addresses(&selection.ids) {
            let asked = RunFilter {
                source: selection.source,
                flow: selection.flow.clone(),
                ids,
                ..RunFilter::default()
            };
            let mut missing: BTreeSet<&str> = asked.ids.iter().map(String::as_str).collect();
            let mut after = None;
            loop {
                let page = self.runs(&asked, after, bounds::PAGE_ITEMS)?;
                for one in &page.runs {
                    missing.remove(&*one.request_id);
                }
                after = next(page.next)?;
                if after.is_none() {
                    break;
                }
            }
            if let Some(id) = missing.first() {
                return Err(ClientError::Ended(format!("there is no run `{id}`")));
            }
        }
        Ok(())
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

    /// A server purges by ids alone: what a filter means is asked for page by page.
    pub fn purge_runs(&self, selection: &RunFilter) -> Result<u64, ClientError> {
        let purge = |selection: &RunFilter| {
            let asked = wire::PurgeRuns { selection: selection.clone() };
            let done: wire::Purged = self.post(&["runs", "purge"], &asked)?;
            Ok::<_, ClientError>(done.purged)
        };
        if !selection.ids.is_empty() || self.opened().is_some() {
            return purge(selection);
        }
        let meant = self.count_runs(selection)?;
        let mut gone = 0;
        while gone < meant {
            let page = self.runs(selection, None, bounds::PAGE_ITEMS)?;
            let ids: BTreeSet<String> = page.runs.into_iter().map(|one| one.request_id).collect();
            if ids.is_empty() {
                break;
            }
            match purge(&RunFilter { ids, ..selection.clone() })? {
                0 => break,
                more => gone += more,
            }
        }
        Ok(gone)
    }
}
