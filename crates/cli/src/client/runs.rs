//! What a server can be asked of runs.

use std::collections::BTreeSet;

use reqwest::Method;
use retort_model::{Filter, RunFilter, RunSource, bounds};
use retort_web::wire;

use super::verbs::{IDS_PER_ADDRESS, in_addresses};
use super::{Client, ClientError, Query};

impl Client {
    pub fn runs(
        &self,
        selection: &RunFilter,
        after: Option<String>,
        most: usize,
    ) -> Result<wire::RunPage, ClientError> {
        if selection.ids.len() > IDS_PER_ADDRESS {
            return Err(ClientError::Ended(format!(
                "at most {IDS_PER_ADDRESS} ids at a time are asked of a server"
            )));
        }
        let mut query = selection.pairs();
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after)));
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
                after = page.next;
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
    ) -> Result<wire::WholeRun, ClientError> {
        let source = source.map(|source| ("source", source.to_string()));
        let flow = flow.map(|flow| ("source_id", flow.to_owned()));
        self.get(&["runs", id], source.into_iter().chain(flow).collect())
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
            let request = self.request(Method::POST, &["runs", "purge"], Query::new())?;
            let done: wire::Purged = self.json(request.json(&asked))?;
            Ok::<_, ClientError>(done.purged)
        };
        if !selection.ids.is_empty() {
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
