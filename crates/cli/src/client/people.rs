//! Who may do what: members, tokens, projects, public links, and the audit log.

use std::io::Write;

use reqwest::Method;
use retort_model::ProjectRole;
use retort_service::{Error, LOCAL, TokenRequest};
use retort_web::wire;

use super::verbs::page_behind;
use super::{Client, ClientError, Opened, Query, with_json};
use crate::commands::Failure;
use crate::pages::all_of;

impl Client {
    /// All public links, the newest first.
    pub fn shares(&self) -> Result<Vec<wire::Share>, ClientError> {
        all_of(|after| {
            let page: wire::Shares = self.get(&["shares"], page_behind(after, false))?;
            Ok((page.shares, page.next))
        })
    }

    pub fn share(&self, asked: &wire::NewShare) -> Result<wire::Share, ClientError> {
        self.post(&["shares"], asked)
    }

    /// Opens a link again that closed as its maker lost their role.
    pub fn keep_share(&self, id: i64) -> Result<(), ClientError> {
        let id = id.to_string();
        self.done(self.request(Method::POST, &["shares", &id, "keep"], Query::new())?)
    }

    pub fn unshare(&self, id: i64) -> Result<(), ClientError> {
        self.remove(&["shares", &id.to_string()])
    }

    pub fn tokens(&self) -> Result<Vec<wire::Token>, ClientError> {
        let found: wire::Tokens = self.get(&["tokens"], Query::new())?;
        Ok(found.tokens)
    }

    /// Makes a token: in a local store for that person, on a server for the caller.
    pub fn add_token(
        &self,
        request: &TokenRequest,
        person: Option<&str>,
    ) -> Result<wire::Token, Failure> {
        if let Some(Opened { service, caller, .. }) = self.opened() {
            let person = match person {
                Some(name) => service.person(name)?,
                None => service.person(LOCAL).map_err(|error| match error {
                    Error::NotFound { .. } => Failure::from(
                        "the store has no owner yet: run `retort serve` once, which creates one, or name a person \
                         with `--person`",
                    ),
                    other => other.into(),
                })?,
            };
            let (token, secret) = service.add_token_for(caller, &person, request)?;
            return Ok(wire::Token::new(&token, Some(secret)));
        }
        if person.is_some() {
            return Err("a server creates tokens only for the caller; omit `--person`".into());
        }
        let asked = wire::NewToken {
            name: request.name.clone(),
            scopes: request.grants.iter().map(|grant| grant.to_string()).collect(),
            days: request.days,
        };
        Ok(self.post(&["tokens"], &asked)?)
    }

    pub fn end_token(&self, id: i64) -> Result<(), ClientError> {
        self.remove(&["tokens", &id.to_string()])
    }

    /// The projects that the token gives access to, with the role in each.
    pub fn projects(&self) -> Result<Vec<wire::Project>, ClientError> {
        let found: wire::Projects = self.get(&["projects"], Query::new())?;
        Ok(found.projects)
    }

    pub fn members(&self) -> Result<Vec<wire::Member>, ClientError> {
        let found: wire::Members = self.get(&["members"], Query::new())?;
        Ok(found.members)
    }

    /// The number of the member of that name, if there is one.
    fn member(&self, name: &str) -> Result<Option<String>, ClientError> {
        let folded = name.to_lowercase();
        let found = self.members()?.into_iter().find(|one| one.name.to_lowercase() == folded);
        Ok(found.map(|member| member.id.to_string()))
    }

    /// Gives someone a role in the project, or removes them. In a local store, anyone can be added.
    pub fn set_role(&self, name: &str, role: Option<ProjectRole>) -> Result<(), Failure> {
        let Some(member) = self.member(name)? else {
            let Some(role) = role else { return Err(no_member(name)) };
            let Some(Opened { service, caller, .. }) = self.opened() else {
                return Err(format!("{}; invite them first", no_member(name)).into());
            };
            return Ok(service.admit(caller, &service.person(name)?, role)?);
        };
        let place = ["members", &*member];
        let Some(role) = role else { return Ok(self.remove(&place)?) };
        let request = self.request(Method::PUT, &place, Query::new())?;
        Ok(self.done(with_json(request, &wire::Role { role: role.to_string() })?)?)
    }

    /// Confirms that a member's name is theirs.
    pub fn prove_name(&self, name: &str) -> Result<(), Failure> {
        let member = self.member(name)?.ok_or_else(|| no_member(name))?;
        let request = self.request(Method::POST, &["members", &member, "confirm"], Query::new())?;
        Ok(self.done(request)?)
    }

    /// A page of the audit log, the newest first.
    pub fn audit(
        &self,
        asked: &wire::AuditQuery,
        after: Option<i64>,
        most: usize,
    ) -> Result<wire::AuditPage, ClientError> {
        let mut query = audit_query(asked);
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after.to_string())));
        self.get(&["audit"], query)
    }

    /// Writes the audit log, a line of JSON for each entry.
    pub fn export_audit(
        &self,
        asked: &wire::AuditQuery,
        out: &mut dyn Write,
    ) -> Result<(), ClientError> {
        self.copy(&["audit", "export"], audit_query(asked), out)
    }
}

fn no_member(name: &str) -> Failure {
    format!("`{name}` is not in the project").into()
}

fn audit_query(asked: &wire::AuditQuery) -> Query<'static> {
    let fields = [
        ("action", &asked.action),
        ("person", &asked.person),
        ("from", &asked.from),
        ("before", &asked.before),
    ];
    let said = fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    said.chain(asked.refused.then(|| ("refused", "true".to_owned()))).collect()
}
