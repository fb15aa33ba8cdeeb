//! Where the conversations are kept: in a store that lies here, or behind a server. Either way the same is asked, and
//! what is answered has the same shape.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use retort_model::{
    ConversationFilter, DatasetName, DocumentFilter, ProjectRole, RunFilter, RunSource, bounds,
};
use retort_service::{
    Cursor, Edit, EngineError, Error, ExportRequest, LOCAL, NewOriginal, Observer, Order,
    TokenRequest, Verified, preview_package,
};
use retort_web::wire;

use crate::client::Client;
use crate::commands::Failure;
use crate::config::{Opened, request_key};
use crate::pages::{all_of, first_of};

/// A local store, or a server.
pub enum Backend {
    Local(Box<Opened>),
    Remote(Client),
}

/// Links on a page.
const SHARES: usize = 100;

/// Conversations: looked at and changed.
impl Backend {
    pub fn list(
        &self,
        selection: &ConversationFilter,
        order: Order,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::ConversationPage, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let page = service.list(caller, selection, order, after, most)?;
                Ok(wire::ConversationPage {
                    conversations: page.conversations.iter().map(Into::into).collect(),
                    next: page.next.map(|next| next.to_string()),
                })
            }
            Self::Remote(client) => {
                let after = after.map(|after| after.to_string());
                Ok(client.list(selection, order.as_str(), after, most)?)
            }
        }
    }

    pub fn count(&self, selection: &ConversationFilter) -> Result<u64, Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.count(&opened.caller, selection)?),
            Self::Remote(client) => Ok(client.count(selection)?),
        }
    }

    /// Refuses a selection that names an id of which there is no conversation.
    pub fn check_ids(&self, selection: &ConversationFilter) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.check_ids(&opened.caller, selection)?),
            Self::Remote(client) => Ok(client.check_ids(selection)?),
        }
    }

    /// The conversations with that id, by source, each with its canonical line.
    pub fn show(&self, id: &str) -> Result<Vec<(wire::Conversation, Vec<u8>)>, Failure> {
        let mut found = match self {
            Self::Local(opened) => {
                let found = opened.service.show(&opened.caller, id)?;
                found.into_iter().map(|(summary, line)| ((&summary).into(), line)).collect()
            }
            Self::Remote(client) => client.show(id)?,
        };
        found.sort_by(|(one, _): &(wire::Conversation, _), (other, _)| {
            one.source.cmp(&other.source)
        });
        Ok(found)
    }

    pub fn edit(&self, selection: &ConversationFilter, edit: &Edit) -> Result<u64, Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.edit(&opened.caller, selection, edit)?),
            Self::Remote(client) => Ok(client.edit(selection, edit)?),
        }
    }

    /// The datasets that hold something of a conversation.
    pub fn trace(&self, id: &str) -> Result<Vec<wire::Dataset>, Failure> {
        match self {
            Self::Local(opened) => {
                let found = opened.service.trace(&opened.caller, id)?;
                Ok(found.iter().map(Into::into).collect())
            }
            Self::Remote(client) => Ok(client.trace(id)?),
        }
    }

    /// Anyone's datasets that hold something of a person.
    pub fn trace_person(&self, name: &str) -> Result<Vec<wire::Dataset>, Failure> {
        match self {
            Self::Local(opened) => {
                let found = opened.service.trace_person(&opened.caller, name)?;
                Ok(found.iter().map(Into::into).collect())
            }
            Self::Remote(client) => Ok(client.trace_person(name)?),
        }
    }
}

/// Runs, and what they were executions of.
impl Backend {
    pub fn runs(
        &self,
        selection: &RunFilter,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::RunPage, Failure> {
        match self {
            Self::Local(opened) => {
                let page = opened.service.runs(&opened.caller, selection, after, most)?;
                Ok(wire::RunPage {
                    runs: page.runs.iter().map(Into::into).collect(),
                    next: page.next.map(|next| next.to_string()),
                })
            }
            Self::Remote(client) => {
                Ok(client.runs(selection, after.map(|after| after.to_string()), most)?)
            }
        }
    }

    pub fn count_runs(&self, selection: &RunFilter) -> Result<u64, Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.count_runs(&opened.caller, selection)?),
            Self::Remote(client) => Ok(client.count_runs(selection)?),
        }
    }

    /// Refuses a selection that names a request id of which there is no run.
    pub fn check_run_ids(&self, selection: &RunFilter) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.check_run_ids(&opened.caller, selection)?),
            Self::Remote(client) => Ok(client.check_run_ids(selection)?),
        }
    }

    /// The run with that request id, with its canonical line.
    pub fn run(
        &self,
        id: &str,
        source: Option<RunSource>,
        flow: Option<&str>,
    ) -> Result<(wire::Run, Vec<u8>), Failure> {
        match self {
            Self::Local(opened) => {
                let (summary, line) = opened.service.run(&opened.caller, id, (source, flow))?;
                Ok(((&summary).into(), line))
            }
            Self::Remote(client) => {
                let whole = client.run(id, source, flow)?;
                Ok((whole.summary, whole.run.get().as_bytes().to_vec()))
            }
        }
    }

    pub fn run_stats(&self, selection: &RunFilter) -> Result<wire::RunStats, Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.run_charts(&opened.caller, selection)?.into()),
            Self::Remote(client) => Ok(client.run_stats(selection)?),
        }
    }

    pub fn flows(&self, source: Option<RunSource>) -> Result<wire::Flows, Failure> {
        match self {
            Self::Local(opened) => {
                let found = opened.service.flows(&opened.caller, source)?;
                Ok(wire::Flows { flows: found.iter().map(Into::into).collect() })
            }
            Self::Remote(client) => Ok(client.flows(source)?),
        }
    }

    pub fn flow(&self, source: Option<RunSource>, id: &str) -> Result<wire::WholeFlow, Failure> {
        match self {
            Self::Local(opened) => Ok((&opened.service.flow(&opened.caller, source, id)?).into()),
            Self::Remote(client) => Ok(client.flow(source, id)?),
        }
    }

    pub fn purge_runs(&self, selection: &RunFilter) -> Result<u64, Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.purge_runs(&opened.caller, selection)?),
            Self::Remote(client) => Ok(client.purge_runs(selection)?),
        }
    }
}

/// Exports and other jobs.
impl Backend {
    pub fn submit_export(&self, request: &ExportRequest) -> Result<wire::Job, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let id = service.submit_export(caller, request)?;
                self.job(id)
            }
            Self::Remote(client) => Ok(client.submit_export(request, &request_key())?),
        }
    }

    pub fn jobs(&self, most: usize, everyone: bool) -> Result<Vec<wire::Job>, Failure> {
        match self {
            Self::Local(opened) => first_of(most, |after, wanted| {
                let (page, next) = opened.service.jobs(&opened.caller, after, wanted)?;
                Ok((page.iter().map(wire::Job::from).collect(), next))
            }),
            Self::Remote(client) => Ok(client.jobs(most, everyone)?),
        }
    }

    pub fn job(&self, id: i64) -> Result<wire::Job, Failure> {
        match self {
            Self::Local(opened) => Ok((&opened.service.job(&opened.caller, id)?).into()),
            Self::Remote(client) => Ok(client.job(id)?),
        }
    }

    pub fn cancel(&self, id: i64) -> Result<wire::Job, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let kind = service.job(caller, id)?.kind;
                Ok((&service.cancel(caller, id, kind)?).into())
            }
            Self::Remote(client) => Ok(client.tell_job(&client.job(id)?, "cancel")?),
        }
    }

    pub fn retry(&self, id: i64) -> Result<wire::Job, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let kind = service.job(caller, id)?.kind;
                Ok((&service.retry(caller, id, kind)?).into())
            }
            Self::Remote(client) => Ok(client.tell_job(&client.job(id)?, "retry")?),
        }
    }

    /// Writes the list of what an import could not read.
    pub fn rejects(&self, job: i64, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => {
                if let Some(mut rejects) = opened.service.rejects(&opened.caller, job)? {
                    io::copy(&mut rejects.file, out)?;
                }
                Ok(())
            }
            Self::Remote(client) => Ok(client.rejects(job, out)?),
        }
    }
}

/// Datasets.
impl Backend {
    pub fn datasets(&self, everyone: bool) -> Result<Vec<wire::Dataset>, Failure> {
        match self {
            Self::Local(opened) => {
                let found = opened.service.datasets(&opened.caller)?;
                Ok(found.iter().map(Into::into).collect())
            }
            Self::Remote(client) => Ok(client.datasets(everyone)?),
        }
    }

    /// The dataset of that name, or else of that number.
    pub fn dataset(&self, name: &str) -> Result<wire::Dataset, Failure> {
        match self {
            Self::Local(opened) => Ok((&opened.service.dataset(&opened.caller, name)?).into()),
            Self::Remote(client) => {
                let mut all = client.datasets(false)?;
                let at = all
                    .iter()
                    .position(|one| one.name == name)
                    .or_else(|| all.iter().position(|one| one.id.to_string() == name));
                match (at, name.parse()) {
                    (Some(at), _) => Ok(all.swap_remove(at)),
                    // Owners name the datasets of others by their numbers.
                    (None, Ok(id)) => Ok(client.dataset(id)?),
                    (None, Err(_)) => Err(format!("there is no dataset `{name}`").into()),
                }
            }
        }
    }

    pub fn dataset_numbered(&self, id: i64) -> Result<wire::Dataset, Failure> {
        match self {
            Self::Local(opened) => Ok((&opened.service.dataset(&opened.caller, id)?).into()),
            Self::Remote(client) => Ok(client.dataset(id)?),
        }
    }

    pub fn preview(&self, id: i64) -> Result<Vec<String>, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let dataset = service.dataset(caller, id)?;
                Ok(preview_package(&mut service.open_dataset(&dataset)?)?)
            }
            Self::Remote(client) => Ok(client.preview(id)?),
        }
    }

    /// Writes the archive of a dataset to a file, which appears whole or not at all; says how many bytes it has, or
    /// none if the person stopped it.
    pub fn save(
        &self,
        dataset: &wire::Dataset,
        path: &Path,
        force: bool,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<u64>, Failure> {
        match self {
            Self::Local(opened) => {
                let (_, archive) = opened.service.download(&opened.caller, dataset.id)?;
                match archive.save(path, force, observer, stopped) {
                    Err(error) if error.is_stopped() => Ok(None),
                    saved => Ok(saved.map(|()| Some(archive.bytes()))?),
                }
            }
            Self::Remote(client) => {
                publish(path, force, |out| Ok(client.download(dataset.id, out, observer, stopped)?))
            }
        }
    }

    /// Writes the archive of a dataset to standard output.
    pub fn print_archive(
        &self,
        dataset: &wire::Dataset,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<u64>, Failure> {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err(
                "an archive cannot be shown in a terminal; redirect standard output to a file"
                    .into(),
            );
        }
        let bytes = match self {
            Self::Local(opened) => {
                let (_, archive) = opened.service.download(&opened.caller, dataset.id)?;
                archive.write(0..archive.bytes(), &mut out)?;
                Some(archive.bytes())
            }
            Self::Remote(client) => client.download(dataset.id, &mut out, observer, stopped)?,
        };
        out.flush()?;
        Ok(bytes)
    }

    /// Reads a dataset whole and holds it against its receipt; that of a server is brought here for it. None if the
    /// person stopped it.
    pub fn verify(
        &self,
        dataset: &wire::Dataset,
        observer: &dyn Observer,
        stopped: &AtomicBool,
    ) -> Result<Option<Verified>, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let dataset = service.dataset(caller, dataset.id)?;
                Ok(Some(service.verify_dataset(&dataset)?))
            }
            Self::Remote(client) => {
                let mut file = tempfile::Builder::new().suffix(".zip").tempfile()?;
                let came = client.download(dataset.id, &mut file, observer, stopped)?;
                if came.is_none() {
                    return Ok(None);
                }
                Ok(Some(retort_service::verify(file.path())?))
            }
        }
    }

    pub fn rename_dataset(&self, id: i64, name: &DatasetName) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => {
                opened.service.rename_dataset(&opened.caller, id, name)?;
                Ok(())
            }
            Self::Remote(client) => Ok(client.rename_dataset(id, name.as_str())?),
        }
    }

    /// Queues an export that makes a dataset again without some of its items.
    pub fn rebuild_dataset(&self, id: i64, asked: &wire::Rebuild) -> Result<wire::Job, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let without = asked.without().map_err(|problem| problem.detail().to_owned())?;
                let job = service.rebuild_dataset(caller, id, without, asked.keep)?;
                Ok((&service.job(caller, job)?).into())
            }
            Self::Remote(client) => Ok(client.rebuild_dataset(id, asked, &request_key())?),
        }
    }

    pub fn delete_dataset(&self, id: i64) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => {
                opened.service.delete_dataset(&opened.caller, id)?;
                Ok(())
            }
            Self::Remote(client) => Ok(client.delete_dataset(id)?),
        }
    }
}

/// Public links.
impl Backend {
    /// All of them, the newest first.
    pub fn shares(&self) -> Result<Vec<wire::Share>, Failure> {
        all_of(|after| match self {
            Self::Local(opened) => {
                let (page, next) = opened.service.shares(&opened.caller, after, SHARES)?;
                Ok((page.iter().map(Into::into).collect(), next))
            }
            Self::Remote(client) => {
                let page = client.shares(after)?;
                Ok((page.shares, page.next))
            }
        })
    }

    pub fn share(&self, asked: wire::NewShare) -> Result<wire::Share, Failure> {
        match self {
            Self::Local(opened) => {
                let request = asked.request().map_err(|problem| problem.detail().to_owned())?;
                Ok(wire::Share::made(&opened.service.share(&opened.caller, &request)?))
            }
            Self::Remote(client) => Ok(client.share(&asked)?),
        }
    }

    /// Opens a link again that closed as its maker lost their role.
    pub fn keep_share(&self, id: i64) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.keep_share(&opened.caller, id)?),
            Self::Remote(client) => Ok(client.keep_share(id)?),
        }
    }

    pub fn unshare(&self, id: i64) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.unshare(&opened.caller, id)?),
            Self::Remote(client) => Ok(client.unshare(id)?),
        }
    }
}

/// Who may do what.
impl Backend {
    pub fn tokens(&self) -> Result<Vec<wire::Token>, Failure> {
        match self {
            Self::Local(opened) => {
                let tokens = opened.service.tokens(&opened.caller)?;
                Ok(tokens.iter().map(|token| wire::Token::new(token, None)).collect())
            }
            Self::Remote(client) => Ok(client.tokens()?),
        }
    }

    /// Makes a token: here for that person, on a server for whoever asks.
    pub fn add_token(
        &self,
        request: &TokenRequest,
        person: Option<&str>,
    ) -> Result<wire::Token, Failure> {
        match (self, person) {
            (Self::Local(opened), person) => {
                let Opened { service, caller, .. } = &**opened;
                let person = service.person(person.unwrap_or(LOCAL))?;
                let (token, secret) = service.add_token_for(caller, &person, request)?;
                Ok(wire::Token::new(&token, Some(secret)))
            }
            (Self::Remote(_), Some(_)) => {
                Err("a server makes tokens for whoever asks; leave `--person` out".into())
            }
            (Self::Remote(client), None) => Ok(client.add_token(&wire::NewToken {
                name: request.name.clone(),
                scopes: request.grants.iter().map(|grant| grant.to_string()).collect(),
                days: request.days,
            })?),
        }
    }

    pub fn end_token(&self, id: i64) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.end_token(&opened.caller, id)?),
            Self::Remote(client) => Ok(client.end_token(id)?),
        }
    }

    /// The projects, and what one is in them; whoever holds the store owns them all.
    pub fn projects(&self) -> Result<Vec<wire::Project>, Failure> {
        match self {
            Self::Local(opened) => {
                let role = opened.caller.role().to_string();
                let project = |one: retort_service::Project| wire::Project {
                    name: one.name,
                    role: role.clone(),
                };
                Ok(opened.service.projects()?.into_iter().map(project).collect())
            }
            Self::Remote(client) => Ok(client.projects()?),
        }
    }

    pub fn members(&self) -> Result<Vec<wire::Member>, Failure> {
        match self {
            Self::Local(opened) => {
                let members = opened.service.members(&opened.caller)?;
                Ok(members.iter().map(Into::into).collect())
            }
            Self::Remote(client) => Ok(client.members()?),
        }
    }

    /// Gives someone a role in the project, or takes them out of it. Whoever holds the store may bring in others.
    pub fn set_role(&self, name: &str, role: Option<ProjectRole>) -> Result<(), Failure> {
        let folded = name.to_lowercase();
        let found = self.members()?.into_iter().find(|one| one.name.to_lowercase() == folded);
        match (self, found, role) {
            (Self::Local(opened), Some(member), role) => {
                Ok(opened.service.set_role(&opened.caller, member.id, role)?)
            }
            (Self::Remote(client), Some(member), role) => {
                Ok(client.set_role(member.id, role.map(ProjectRole::as_str))?)
            }
            (Self::Local(opened), None, Some(role)) => {
                let Opened { service, caller, .. } = &**opened;
                Ok(service.admit(caller, &service.person(name)?, role)?)
            }
            (Self::Remote(_), None, Some(_)) => Err(format!(
                "`{name}` is not in the project; who is not yet comes in by an invitation"
            )
            .into()),
            (_, None, None) => Err(format!("`{name}` is not in the project").into()),
        }
    }

    /// Confirms that a member's name is theirs.
    pub fn prove_name(&self, name: &str) -> Result<(), Failure> {
        let folded = name.to_lowercase();
        let found = self.members()?.into_iter().find(|one| one.name.to_lowercase() == folded);
        let member = found.ok_or_else(|| format!("`{name}` is not in the project"))?;
        match self {
            Self::Local(opened) => Ok(opened.service.prove_name(&opened.caller, member.id)?),
            Self::Remote(client) => Ok(client.prove_name(member.id)?),
        }
    }

    /// A page of the audit log, the newest first.
    pub fn audit(
        &self,
        asked: &wire::AuditQuery,
        after: Option<i64>,
        most: usize,
    ) -> Result<wire::AuditPage, Failure> {
        match self {
            Self::Local(opened) => {
                let filter = asked.filter().map_err(|problem| problem.detail().to_owned())?;
                let (entries, next) = opened.service.audit(&opened.caller, &filter, after, most)?;
                let entries = entries.iter().map(Into::into).collect();
                Ok(wire::AuditPage { entries, next })
            }
            Self::Remote(client) => Ok(client.audit(asked, after, most)?),
        }
    }

    /// Writes the audit log, a line of JSON for each entry.
    pub fn export_audit(
        &self,
        asked: &wire::AuditQuery,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => {
                let filter = asked.filter().map_err(|problem| problem.detail().to_owned())?;
                let mut failed = None;
                let done = opened.service.export_audit(&opened.caller, &filter, &mut |entry| {
                    let line = serde_json::to_string(&wire::Audited::from(entry));
                    let written =
                        line.map_err(io::Error::from).and_then(|line| writeln!(out, "{line}"));
                    written.map_err(|error| {
                        failed = Some(error);
                        Error::STOPPED
                    })
                });
                match failed {
                    Some(error) => Err(error.into()),
                    None => Ok(done?),
                }
            }
            Self::Remote(client) => Ok(client.export_audit(asked, out)?),
        }
    }
}

/// Writes a file beside its place, and puts it there by one rename once it is whole.
fn publish(
    path: &Path,
    force: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<Option<u64>, Failure>,
) -> Result<Option<u64>, Failure> {
    let exists = || Failure::from(EngineError::Exists(path.to_owned()));
    if !force && path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let fail =
        |error: io::Error| Failure::from(format!("cannot write `{}`: {error}", path.display()));
    let whole = std::path::absolute(path).map_err(fail)?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut builder = tempfile::Builder::new();
    let prefix = format!(".{name}.");
    builder.prefix(&prefix).suffix(".partial");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let partial = builder.tempfile_in(whole.parent().unwrap_or(Path::new("/"))).map_err(fail)?;
    let Some(bytes) = write(&mut partial.as_file())? else { return Ok(None) };
    partial.as_file().sync_all().map_err(fail)?;
    let written = partial.as_file().metadata().map_err(fail)?.len();
    if written != bytes {
        return Err(fail(io::Error::other(format!("it has {written} bytes, not {bytes}"))));
    }
    let kept = if force { partial.persist(&whole) } else { partial.persist_noclobber(&whole) };
    kept.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists if !force => exists(),
        _ => fail(error.error),
    })?;
    Ok(Some(bytes))
}

/// Documents.
impl Backend {
    pub fn documents(
        &self,
        selection: &DocumentFilter,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::DocumentPage, Failure> {
        match self {
            Self::Local(opened) => {
                let page = opened.service.documents(&opened.caller, selection, after, most)?;
                Ok(wire::DocumentPage {
                    documents: page.documents.iter().map(Into::into).collect(),
                    next: page.next.map(|next| next.to_string()),
                })
            }
            Self::Remote(client) => {
                Ok(client.documents(selection, after.map(|after| after.to_string()), most)?)
            }
        }
    }

    pub fn document_stats(
        &self,
        selection: &DocumentFilter,
    ) -> Result<wire::DocumentStats, Failure> {
        match self {
            Self::Local(opened) => {
                let (documents, stats) =
                    opened.service.document_stats(&opened.caller, selection)?;
                Ok(wire::DocumentStats { documents, embeddings: (&stats).into() })
            }
            Self::Remote(client) => Ok(client.document_stats(selection)?),
        }
    }

    pub fn document(&self, id: &str, source: Option<&str>) -> Result<wire::Document, Failure> {
        match self {
            Self::Local(opened) => {
                Ok((&opened.service.document(&opened.caller, id, source)?).into())
            }
            Self::Remote(client) => Ok(client.document((id, source))?),
        }
    }

    pub fn chunks(
        &self,
        (id, source): (&str, Option<&str>),
        after: u64,
        embeddings: bool,
    ) -> Result<wire::Chunks, Failure> {
        match self {
            Self::Local(opened) => {
                let service = &opened.service;
                let document = service.document(&opened.caller, id, source)?;
                let after = usize::try_from(after).unwrap_or(usize::MAX);
                Ok(service.with_document(&document, |document| {
                    wire::Chunks::of(&document, after, bounds::CHUNKS_AT_ONCE, embeddings)
                })?)
            }
            Self::Remote(client) => Ok(client.chunks((id, source), after, embeddings)?),
        }
    }

    pub fn original(
        &self,
        (id, source): (&str, Option<&str>),
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match self {
            Self::Local(opened) => {
                let (_, mut file) = opened.service.original(&opened.caller, id, source)?;
                io::copy(&mut file, out)?;
                Ok(())
            }
            Self::Remote(client) => Ok(client.original((id, source), out)?),
        }
    }

    pub fn keep_original(
        &self,
        (id, source): (&str, Option<&str>),
        new: &NewOriginal,
        mut file: File,
    ) -> Result<wire::Document, Failure> {
        match self {
            Self::Local(opened) => {
                let Opened { service, caller, .. } = &**opened;
                let mut upload = service.upload(caller, id)?;
                if let Err(error) = io::copy(&mut file, &mut upload) {
                    service.discard_upload(upload);
                    return Err(error.into());
                }
                Ok((&service.keep_original(caller, (id, source), new, upload)?).into())
            }
            Self::Remote(client) => Ok(client.keep_original((id, source), new, file)?),
        }
    }

    pub fn purge_documents(&self, selection: &DocumentFilter) -> Result<u64, Failure> {
        match self {
            Self::Local(opened) => Ok(opened.service.purge_documents(&opened.caller, selection)?),
            Self::Remote(client) => Ok(client.purge_documents(selection)?),
        }
    }
}
