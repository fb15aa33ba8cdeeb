//! What a server can be asked, one method a verb.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use retort_model::{ConversationFilter, Filter, JobKind, Status, bounds};
use retort_service::{Cursor, Dedup, Edit, ExportOptions, ExportRequest, ListOrder, Order};
use retort_web::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ids::{IDS_PER_ADDRESS, check_known, purge_by_pages, sum_over};
use super::{Client, ClientError, IDEMPOTENCY_KEY, Query, request_key, with_header, with_json};
use crate::pages::{all_of, first_of};

/// A request that changes something, by its address.
pub(super) type ApiPath<'p> = &'p [&'p str];

impl Client {
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        place: ApiPath<'_>,
        query: Query<'_>,
    ) -> Result<T, ClientError> {
        self.json(self.request(Method::GET, place, query)?)
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        place: ApiPath<'_>,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(with_json(self.request(Method::POST, place, Query::new())?, body)?)
    }

    /// Creates something, once, however often it is sent.
    pub(super) fn post_once<T: DeserializeOwned>(
        &self,
        place: ApiPath<'_>,
        query: Query<'_>,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = with_json(self.request(Method::POST, place, query)?, body)?;
        self.json(with_header(request, IDEMPOTENCY_KEY, &request_key()))
    }

    pub(super) fn remove(&self, place: ApiPath<'_>) -> Result<(), ClientError> {
        self.done(self.request(Method::DELETE, place, Query::new())?)
    }

    pub fn list(
        &self,
        selection: &ConversationFilter,
        order: Order,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::ConversationPage, ClientError> {
        if selection.ids.len() > IDS_PER_ADDRESS {
            return Err(ClientError::Ended(format!(
                "a server accepts at most {IDS_PER_ADDRESS} ids at a time"
            )));
        }
        let mut query = selection.pairs();
        query.push(("sort", order.as_str().to_owned()));
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after.to_string())));
        self.get(&["conversations"], query)
    }

    pub fn count(&self, selection: &ConversationFilter) -> Result<u64, ClientError> {
        sum_over(&selection.ids, |ids| {
            let selection = ConversationFilter { ids, ..selection.clone() };
            let count: wire::Count = self.get(&["conversations", "count"], selection.pairs())?;
            Ok(count.total)
        })
    }

    /// The caller's view of that name, else one that is shared.
    pub fn view(&self, name: &str) -> Result<wire::View, ClientError> {
        let found: wire::Views = self.get(&["views"], vec![("name", name.to_owned())])?;
        let none = || ClientError::Ended(format!("there is no saved view `{name}`"));
        found.views.into_iter().next().ok_or_else(none)
    }

    /// Refuses a selection that names an id of which the caller has no conversation.
    pub fn check_ids(&self, selection: &ConversationFilter) -> Result<(), ClientError> {
        check_known("conversation", &selection.ids, |ids, after| {
            let (ids, statuses) = (ids.clone(), Status::ALL.to_vec());
            let asked = ConversationFilter { ids, statuses, ..ConversationFilter::default() };
            let page = self.list(&asked, Order::Newest, after, bounds::PAGE_ITEMS)?;
            Ok((page.conversations.into_iter().map(|one| one.id).collect(), page.next))
        })
    }

    /// The conversations with that id, by source, each with its canonical line.
    pub fn show(&self, id: &str) -> Result<Vec<(wire::Conversation, Vec<u8>)>, ClientError> {
        let whole = |query| {
            let found: wire::WholeConversation = self.get(&["conversations", id], query)?;
            let line = found.conversation.get().as_bytes().to_vec();
            Ok::<_, ClientError>((found.summary, line))
        };
        match whole(Query::new()) {
            // Several sources have one.
            Err(error) if error.status() == Some(422) => {}
            found => return Ok(vec![found?]),
        }
        let statuses = Status::ALL.to_vec();
        let ids = [id.to_owned()].into();
        let asked = ConversationFilter { ids, statuses, ..ConversationFilter::default() };
        let page = self.list(&asked, Order::Oldest, None, bounds::PAGE_ITEMS)?;
        let sources: BTreeSet<String> =
            page.conversations.into_iter().map(|one| one.source).collect();
        sources.into_iter().map(|source| whole(vec![("source", source)])).collect()
    }

    /// Changes what the selection means; says how many were changed.
    pub fn edit(
        &self,
        selection: &ConversationFilter,
        edit: &Edit,
        is_dry: bool,
    ) -> Result<u64, ClientError> {
        let mut selection = selection.clone();
        if selection.statuses.is_empty() && selection.ids.is_empty() {
            // The same, but said: a server takes nothing for all, and ids for those of any status.
            selection.statuses = [Status::Active, Status::Favorite].to_vec();
        }
        let mut change = wire::Change::default();
        match edit {
            Edit::Title(title) => change.title = Some(title.clone().unwrap_or_default()),
            Edit::Tags { add, remove } => {
                change.add_tags.clone_from(add);
                change.remove_tags.clone_from(remove);
            }
            Edit::Favorite(favorite) => change.favorite = Some(*favorite),
            Edit::Delete => change.deleted = Some(true),
            Edit::Restore => change.deleted = Some(false),
            Edit::Purge if is_dry => return self.count(&selection),
            Edit::Purge => return self.purge(&selection),
        }
        self.change(&selection, change, (false, is_dry))
    }

    /// Adds judgements, a row of JSON each.
    pub fn judge(&self, rows: Vec<u8>, is_dry: bool) -> Result<wire::Judged, ClientError> {
        let mut request = self.request(Method::POST, &["judgements"], dry(is_dry))?;
        request = with_header(request, CONTENT_TYPE, "application/x-ndjson");
        *request.body_mut() = Some(rows.into());
        self.json(request)
    }

    fn change(
        &self,
        selection: &ConversationFilter,
        change: wire::Change,
        (purge, is_dry): (bool, bool),
    ) -> Result<u64, ClientError> {
        let asked = wire::ChangeMany { selection: selection.clone(), change, purge };
        let request = self.request(Method::POST, &["conversations", "change"], dry(is_dry))?;
        let done: wire::Changed = self.json(with_json(request, &asked)?)?;
        Ok(done.changed)
    }

    fn purge(&self, selection: &ConversationFilter) -> Result<u64, ClientError> {
        let purge = |ids| {
            let selection = ConversationFilter { ids, ..selection.clone() };
            self.change(&selection, wire::Change::default(), (true, false))
        };
        if !selection.ids.is_empty() || self.opened().is_some() {
            return purge(selection.ids.clone());
        }
        let page = || {
            let page = self.list(selection, Order::Oldest, None, bounds::PAGE_ITEMS)?;
            Ok(page.conversations.into_iter().map(|one| one.id).collect())
        };
        purge_by_pages(self.count(selection)?, page, purge)
    }

    pub fn trace(&self, id: &str) -> Result<Vec<wire::Dataset>, ClientError> {
        all_of(|after| {
            let page: wire::Datasets =
                self.get(&["conversations", id, "datasets"], page_behind(after, false))?;
            Ok((page.datasets, page.next))
        })
    }

    pub fn trace_person(&self, name: &str) -> Result<Vec<wire::Dataset>, ClientError> {
        all_of(|after| {
            let mut query = page_behind(after, false);
            query.push(("person", name.to_owned()));
            let page: wire::Datasets = self.get(&["datasets"], query)?;
            Ok((page.datasets, page.next))
        })
    }

    pub fn submit_export(&self, export: &ExportRequest) -> Result<wire::Job, ClientError> {
        self.post_once(&["exports"], Query::new(), &asked(export))
    }

    /// What is in the items that an export would read, and in those that it would write.
    pub fn export_stats(
        &self,
        export: &ExportRequest,
        counting: Dedup,
    ) -> Result<wire::Stats, ClientError> {
        let query = vec![("duplicates", counting.to_string())];
        let request = self.request(Method::POST, &["exports", "stats"], query)?;
        self.json(with_json(request, &asked(export))?)
    }

    /// Refuses who may not import, before bytes are sent.
    pub fn check_import(&self) -> Result<(), ClientError> {
        self.jobs_of(JobKind::Import, 1, false).map(|_| ())
    }

    fn jobs_of(
        &self,
        kind: JobKind,
        most: usize,
        everyone: bool,
    ) -> Result<Vec<wire::Job>, ClientError> {
        first_of(most, |after, wanted| {
            let mut query = page_behind(after, everyone);
            query.push(("limit", wanted.to_string()));
            let page: wire::Jobs = self.get(&[jobs_place(kind)], query)?;
            Ok((page.jobs, page.next))
        })
    }

    /// The newest jobs that the token lets one see.
    pub fn jobs(&self, most: usize, everyone: bool) -> Result<Vec<wire::Job>, ClientError> {
        let mut jobs = match self.jobs_of(JobKind::Export, most, everyone) {
            Err(error) if error.is_scope() => {
                return self.jobs_of(JobKind::Import, most, everyone);
            }
            jobs => jobs?,
        };
        match self.jobs_of(JobKind::Import, most, everyone) {
            Err(error) if error.is_scope() => {}
            imports => jobs.extend(imports?),
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
        jobs.truncate(most);
        Ok(jobs)
    }

    pub fn job(&self, id: i64) -> Result<wire::Job, ClientError> {
        let one = |kind| self.get(&[jobs_place(kind), &id.to_string()], Query::new());
        match one(JobKind::Export) {
            Err(error) if error.status() == Some(404) => match one(JobKind::Import) {
                // What is no export and may be an import that the token does not reach.
                Err(refused) if refused.is_scope() => Err(error),
                other => other,
            },
            Err(error) if error.is_scope() => one(JobKind::Import),
            found => found,
        }
    }

    pub fn cancel(&self, id: i64) -> Result<wire::Job, ClientError> {
        self.tell_job(id, "cancel")
    }

    pub fn retry(&self, id: i64) -> Result<wire::Job, ClientError> {
        self.tell_job(id, "retry")
    }

    fn tell_job(&self, id: i64, what: &str) -> Result<wire::Job, ClientError> {
        let place = [&*format!("{}s", self.job(id)?.kind), &id.to_string(), what];
        self.json(self.request(Method::POST, &place, Query::new())?)
    }
}

fn asked(export: &ExportRequest) -> wire::Export {
    let options = wire::Options(ExportOptions::of(&export.dataset));
    let name = export.dataset.dataset_name.to_string();
    wire::Export::of(name, &export.selection, options)
}

fn jobs_place(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Import => "imports",
        JobKind::Export => "exports",
    }
}

/// The query that makes a request a dry run.
pub(super) fn dry(is_dry: bool) -> Query<'static> {
    is_dry.then(|| ("dry_run", "true".to_owned())).into_iter().collect()
}

/// Which page of a list, as a query says it.
pub(super) fn page_behind(after: Option<i64>, everyone: bool) -> Query<'static> {
    let everyone = everyone.then(|| ("everyone", "true".to_owned()));
    everyone.into_iter().chain(after.map(|id| ("after", id.to_string()))).collect()
}
