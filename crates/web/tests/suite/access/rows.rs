//! The rows of the table: for each endpoint a request that would do, with fresh items.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retort_model::{ConversationFilter, Grants, JobKind, ProjectRole};
use retort_service::{
    Caller, Delivery, ExportOptions, ExportRequest, IntakeRequest, NewOriginal, Nobody, Person,
    Project, Service, ShareRequest, TokenRequest, Wanted,
};
use serde_json::{Value, json};

use retort_testing_server::server::{PASSWORD, caller_of, said};

/// What a schedule exports, and when.
fn nightly() -> Value {
    json!({"export": {"dataset_name": "nightly_{n}_{time}"}, "cron": "0 2 * * *"})
}

/// Whose items a row is about, and whose tokens with one scope ask.
#[derive(Clone, Copy)]
pub enum Holder {
    Member,
    Owner,
}

/// A request.
pub struct Asked {
    pub path: String,
    pub body: Body,
}

pub enum Body {
    None,
    Json(Value),
    /// `CSRF` stands for the token of the asking session.
    Form(Vec<(&'static str, String)>),
}

pub struct Row {
    pub endpoint: &'static str,
    pub note: &'static str,
    pub holder: Holder,
    pub make: fn(&Stage) -> Asked,
}

const fn row(endpoint: &'static str, make: fn(&Stage) -> Asked) -> Row {
    Row { endpoint, note: "", holder: Holder::Member, make }
}

impl Row {
    /// Another request to the same endpoint.
    const fn but(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    /// About what is the project's.
    const fn of_project(mut self) -> Self {
        self.holder = Holder::Owner;
        self
    }
}

fn at(path: impl Into<String>) -> Asked {
    Asked { path: format!("/api/v1{}", path.into()), body: Body::None }
}

fn page(path: impl Into<String>) -> Asked {
    Asked { path: path.into(), body: Body::None }
}

impl Asked {
    fn json(self, value: Value) -> Self {
        Self { body: Body::Json(value), ..self }
    }

    fn form(self, fields: &[(&'static str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { body: Body::Form(fields), ..self }
    }
}

pub const ROWS: &[Row] = &[
    // One's account.
    row("GET /api/v1/session", |_| at("/session")),
    row("POST /api/v1/session", |stage| {
        let person = stage.person(Some(PASSWORD));
        at("/session").json(json!({"name": person.name, "password": PASSWORD}))
    }),
    row("POST /api/v1/session/link", |stage| {
        let person = stage.person(None);
        at("/session/link").json(json!({"secret": stage.service.sign_in_link(&person).unwrap()}))
    }),
    row("DELETE /api/v1/session", |_| at("/session")),
    row("DELETE /api/v1/sessions", |_| at("/sessions")),
    row("PUT /api/v1/password", |_| {
        at("/password").json(json!({"current": PASSWORD, "new": PASSWORD}))
    }),
    row("GET /api/v1/projects", |_| at("/projects")),
    row("POST /api/v1/projects", |stage| {
        at("/projects").json(json!({"name": stage.name("project")}))
    })
    .of_project(),
    row("POST /api/v1/invitations/accept", |stage| {
        let secret = stage.invitation(&stage.p).1;
        let name = stage.name("newcomer");
        at("/invitations/accept")
            .json(json!({"secret": secret, "name": name, "password": PASSWORD}))
    }),
    row("POST /api/v1/invitations/join", |stage| {
        let other = stage.service.project_or_new("another").unwrap();
        at("/invitations/join").json(json!({"secret": stage.invitation(&other).1}))
    }),
    row("GET /api/v1/formats", |_| at("/formats")),
    row("DELETE /api/v1/account", |_| at("/account").json(json!({"password": "another one"})))
        .but("with a wrong password"),
    row("GET /api/v1/project", |_| at("/project")).of_project(),
    row("DELETE /api/v1/project", |_| at("/project").json(json!({"name": "another"})))
        .but("under another name")
        .of_project(),
    // Conversations.
    row("GET /api/v1/conversations", |_| at("/conversations")),
    row("GET /api/v1/conversations/count", |_| at("/conversations/count")),
    row("GET /api/v1/conversations/facets", |_| at("/conversations/facets")),
    row("POST /api/v1/conversations", |stage| {
        at("/conversations").json(said(&stage.name("conversation")))
    }),
    row("POST /api/v1/conversations", |stage| {
        at("/conversations?owner=bob@example.com").json(said(&stage.name("conversation")))
    })
    .but("for the other member"),
    row("GET /api/v1/conversations/{id}", |stage| {
        at(format!("/conversations/{}", stage.conversation()))
    }),
    row("PATCH /api/v1/conversations/{id}", |stage| {
        at(format!("/conversations/{}", stage.conversation())).json(json!({"title": "another"}))
    }),
    row("DELETE /api/v1/conversations/{id}", |stage| {
        at(format!("/conversations/{}", stage.conversation()))
    }),
    row("DELETE /api/v1/conversations/{id}", |stage| {
        at(format!("/conversations/{}?purge=true", stage.conversation()))
    })
    .but("purged"),
    row("POST /api/v1/conversations/{id}/rounds", |stage| {
        at(format!("/conversations/{}/rounds", stage.conversation()))
            .json(json!([{"role": "user", "content": "and then?"}]))
    }),
    row("POST /api/v1/conversations/{id}/judgements", |stage| {
        at(format!("/conversations/{}/judgements", stage.conversation()))
            .json(json!({"rating": true}))
    }),
    row("GET /api/v1/conversations/{id}/datasets", |stage| {
        at(format!("/conversations/{}/datasets", stage.conversation()))
    }),
    row("GET /api/v1/views", |_| at("/views")),
    row("POST /api/v1/views", |_| {
        at("/views").json(json!({"name": "v", "filter": {"type": ["chat"]}}))
    }),
    row("POST /api/v1/views", |_| at("/views").json(json!({"name": "v", "shared": true})))
        .but("shared"),
    row("DELETE /api/v1/views/{id}", |_| at("/views/999999")),
    row("POST /api/v1/conversations/change", |stage| {
        at("/conversations/change").json(json!({
            "selection": {"ids": [stage.conversation(), stage.conversation()]},
            "change": {"add_tags": ["seen"]},
        }))
    }),
    row("POST /api/v1/conversations/change", |_| {
        at("/conversations/change").json(json!({
            "selection": {"search": ["nothing is called so"]}, "change": {"title": "x"},
        }))
    })
    .but("by a filter"),
    row("POST /api/v1/judgements", |stage| {
        at("/judgements").json(json!([{"id": stage.conversation(), "score": 1}]))
    }),
    // Runs.
    row("GET /api/v1/runs", |_| at("/runs")),
    row("GET /api/v1/runs/count", |_| at("/runs/count?status=success")),
    row("GET /api/v1/runs/stats", |_| at("/runs/stats?source=copilot")),
    row("POST /api/v1/runs", |stage| at("/runs").json(ran(&stage.name("run")))),
    row("POST /v1/traces", |stage| page("/v1/traces").json(traced(&stage.name("trace")))),
    row("POST /api/v1/runs", |stage| {
        at("/runs?owner=bob@example.com").json(ran(&stage.name("run")))
    })
    .but("for the other member"),
    row("POST /api/v1/runs", |stage| {
        at("/runs").json(json!([
            {"request_id": stage.run(), "copilot_id": "helper", "feedback": {"rating": 1}},
            ran(&stage.name("run")),
        ]))
    })
    .but("one of the member's, and another"),
    row("GET /api/v1/runs/{id}", |stage| at(format!("/runs/{}", stage.run()))),
    row("POST /api/v1/runs/{id}/judgements", |stage| {
        at(format!("/runs/{}/judgements", stage.run())).json(json!({"rating": true}))
    }),
    row("POST /api/v1/runs/purge", |stage| {
        at("/runs/purge").json(json!({"selection": {"ids": [stage.run(), stage.run()]}}))
    }),
    row("GET /api/v1/flows", |_| at("/flows")),
    row("GET /api/v1/flows/{id}", |stage| at(format!("/flows/{}", stage.flow()))),
    // Documents.
    row("GET /api/v1/documents", |_| at("/documents")).of_project(),
    row("GET /api/v1/documents/stats", |_| at("/documents/stats?search=a")).of_project(),
    row("POST /api/v1/documents", |stage| at("/documents").json(cut(&stage.name("document"))))
        .of_project(),
    row("GET /api/v1/documents/{id}", |stage| at(format!("/documents/{}", stage.document())))
        .of_project(),
    row("GET /api/v1/documents/{id}/chunks", |stage| {
        at(format!("/documents/{}/chunks?embeddings=true", stage.document()))
    })
    .of_project(),
    row("GET /api/v1/documents/{id}/original", |stage| {
        at(format!("/documents/{}/original", stage.document()))
    })
    .of_project(),
    row("PUT /api/v1/documents/{id}/original", |stage| {
        at(format!("/documents/{}/original?name=a.json", stage.document())).json(json!({"a": 1}))
    })
    .of_project(),
    row("POST /api/v1/documents/purge", |stage| {
        at("/documents/purge").json(json!({"ids": [stage.document(), stage.document()]}))
    })
    .of_project(),
    // Exports.
    row("POST /api/v1/exports", |stage| {
        let ids = [stage.document(), stage.document()];
        at("/exports").json(json!({
            "dataset_name": stage.name("set"), "documents": {"ids": ids}, "file_format": "parquet",
        }))
    })
    .but("of documents")
    .of_project(),
    row("GET /api/v1/exports", |_| at("/exports")),
    row("GET /api/v1/exports", |_| at("/exports?everyone=true")).but("of everyone"),
    row("POST /api/v1/exports", |stage| {
        let ids = [stage.run(), stage.run()];
        at("/exports").json(json!({
            "dataset_name": stage.name("set"), "runs": {"ids": ids}, "purpose": "recipe-evaluation",
        }))
    })
    .but("of runs"),
    row("POST /api/v1/exports", |stage| {
        let ids = [stage.conversation(), stage.conversation()];
        at("/exports").json(json!({"dataset_name": stage.name("set"), "selection": {"ids": ids}}))
    }),
    row("POST /api/v1/exports/stats", |stage| {
        let ids = [stage.conversation()];
        at("/exports/stats?duplicates=near")
            .json(json!({"dataset_name": "set", "selection": {"ids": ids}}))
    }),
    row("GET /api/v1/exports/{id}", |stage| at(format!("/exports/{}", stage.export()))),
    row("POST /api/v1/exports/{id}/cancel", |stage| {
        at(format!("/exports/{}/cancel", stage.export()))
    }),
    row("POST /api/v1/exports/{id}/retry", |stage| {
        at(format!("/exports/{}/retry", stage.cancelled_export()))
    }),
    row("GET /api/v1/exports/{id}/events", |stage| {
        at(format!("/exports/{}/events", stage.cancelled_export()))
    }),
    row("POST /api/v1/project/export", |stage| {
        at("/project/export").json(json!({"dataset_name": stage.name("set")}))
    })
    .of_project(),
    // Imports.
    row("GET /api/v1/imports", |_| at("/imports")),
    row("GET /api/v1/imports", |_| at("/imports?everyone=true")).but("of everyone"),
    row("POST /api/v1/imports", |stage| at("/imports").json(said(&stage.name("conversation")))),
    row("GET /api/v1/imports/{id}", |stage| at(format!("/imports/{}", stage.import()))),
    row("POST /api/v1/imports/{id}/cancel", |stage| {
        at(format!("/imports/{}/cancel", stage.import()))
    }),
    row("POST /api/v1/imports/{id}/retry", |stage| {
        at(format!("/imports/{}/retry", stage.cancelled_import()))
    }),
    row("GET /api/v1/imports/{id}/rejects", |stage| {
        at(format!("/imports/{}/rejects", stage.done_import()))
    }),
    row("GET /api/v1/imports/{id}/events", |stage| {
        at(format!("/imports/{}/events", stage.cancelled_import()))
    }),
    // Datasets.
    row("GET /api/v1/datasets", |_| at("/datasets")),
    row("GET /api/v1/datasets", |_| at("/datasets?everyone=true")).but("of everyone"),
    row("GET /api/v1/datasets/{id}", |stage| at(format!("/datasets/{}", stage.dataset()))),
    row("PATCH /api/v1/datasets/{id}", |stage| {
        at(format!("/datasets/{}", stage.dataset())).json(json!({"name": stage.name("renamed")}))
    }),
    row("DELETE /api/v1/datasets/{id}", |stage| at(format!("/datasets/{}", stage.dataset()))),
    row("POST /api/v1/datasets/{id}/rebuild", |stage| {
        let (id, dataset) = stage.dataset_of_two();
        at(format!("/datasets/{dataset}/rebuild")).json(json!({"without_id": id}))
    }),
    row("GET /api/v1/datasets/{id}/preview", |stage| {
        at(format!("/datasets/{}/preview", stage.dataset()))
    }),
    row("GET /api/v1/datasets/{id}/manifest", |stage| {
        at(format!("/datasets/{}/manifest", stage.dataset()))
    }),
    row("GET /api/v1/datasets/{id}/download", |stage| {
        at(format!("/datasets/{}/download", stage.dataset()))
    }),
    // Erasures of a person.
    row("GET /api/v1/erasures", |_| at("/erasures")).of_project(),
    row("POST /api/v1/erasures", |stage| {
        at("/erasures").json(json!({"person": stage.owner_of_one()}))
    })
    .of_project(),
    row("POST /api/v1/erasures/preview", |_| {
        at("/erasures/preview").json(json!({"person": "nobody"}))
    })
    .of_project(),
    row("POST /api/v1/erasures/lift", |stage| {
        at("/erasures/lift").json(json!({"person": stage.erased().1}))
    })
    .of_project(),
    row("GET /api/v1/erasures/{id}", |stage| at(format!("/erasures/{}", stage.erased().0)))
        .of_project(),
    // Public links.
    row("GET /api/v1/shares", |_| at("/shares")),
    row("POST /api/v1/shares", |stage| {
        at("/shares").json(json!({"conversation": stage.conversation()}))
    }),
    row("POST /api/v1/shares/{id}/keep", |stage| {
        at(format!("/shares/{}/keep", stage.share(None).0))
    }),
    row("DELETE /api/v1/shares/{id}", |stage| at(format!("/shares/{}", stage.share(None).0))),
    row("GET /api/v1/shared/{link}", |stage| at(format!("/shared/{}", stage.share(None).1))),
    row("GET /api/v1/shared/{link}", |stage| at(format!("/shared/{}", stage.share(Some("x")).1)))
        .but("with a password, not given"),
    row("GET /api/v1/shared/{link}/files/{number}", |stage| {
        at(format!("/shared/{}/files/0", stage.share(None).1))
    }),
    row("GET /api/v1/shared/{link}/files.zip", |stage| {
        at(format!("/shared/{}/files.zip", stage.share(None).1))
    }),
    row("GET /api/v1/downloads/{link}", |stage| {
        at(format!("/downloads/{}", stage.download_link()))
    }),
    // Tokens, webhooks, notices.
    row("GET /api/v1/tokens", |_| at("/tokens")),
    row("POST /api/v1/tokens", |_| {
        at("/tokens").json(json!({"name": "t", "scopes": ["manage"], "days": 1}))
    }),
    row("POST /api/v1/tokens", |_| {
        at("/tokens").json(json!({"name": "t", "scopes": ["read", "write"], "days": 1}))
    })
    .but("of other scopes"),
    row("DELETE /api/v1/tokens/{id}", |stage| at(format!("/tokens/{}", stage.token()))),
    row("GET /api/v1/webhooks", |_| at("/webhooks")),
    row("POST /api/v1/webhooks", |_| {
        at("/webhooks").json(json!({"url": "https://example.com/hook"}))
    }),
    row("DELETE /api/v1/webhooks/{id}", |stage| at(format!("/webhooks/{}", stage.webhook()))),
    row("GET /api/v1/webhooks/{id}/deliveries", |stage| {
        at(format!("/webhooks/{}/deliveries", stage.webhook()))
    }),
    row("GET /api/v1/notices", |_| at("/notices")),
    // Schedules.
    row("GET /api/v1/schedules", |_| at("/schedules")),
    row("GET /api/v1/schedules", |_| at("/schedules?everyone=true")).but("everyone's"),
    row("POST /api/v1/schedules", |_| {
        at("/schedules").json(json!({"name": "nightly", "plan": nightly()}))
    }),
    row("GET /api/v1/schedules/{id}", |stage| at(format!("/schedules/{}", stage.schedule()))),
    row("PUT /api/v1/schedules/{id}", |stage| {
        at(format!("/schedules/{}", stage.schedule())).json(nightly())
    }),
    row("DELETE /api/v1/schedules/{id}", |stage| at(format!("/schedules/{}", stage.schedule()))),
    row("POST /api/v1/schedules/{id}/pause", |stage| {
        at(format!("/schedules/{}/pause", stage.schedule())).json(json!({}))
    }),
    row("POST /api/v1/schedules/{id}/resume", |stage| {
        at(format!("/schedules/{}/resume", stage.schedule())).json(json!({}))
    }),
    row("POST /api/v1/schedules/{id}/run", |stage| {
        at(format!("/schedules/{}/run", stage.schedule())).json(json!({}))
    }),
    row("GET /api/v1/schedules/{id}/runs", |stage| {
        at(format!("/schedules/{}/runs", stage.schedule()))
    }),
    row("GET /api/v1/schedules/{id}/deliveries", |stage| {
        at(format!("/schedules/{}/deliveries", stage.schedule()))
    }),
    row("GET /api/v1/schedules/{id}/series", |stage| {
        at(format!("/schedules/{}/series", stage.schedule()))
    }),
    row("GET /api/v1/destinations", |_| at("/destinations")),
    // The project.
    row("GET /api/v1/members", |_| at("/members")).of_project(),
    row("PUT /api/v1/members/{person}", |stage| {
        at(format!("/members/{}", stage.member(ProjectRole::Member))).json(json!({"role": "admin"}))
    })
    .but("a member made admin")
    .of_project(),
    row("PUT /api/v1/members/{person}", |stage| {
        at(format!("/members/{}", stage.member(ProjectRole::Member))).json(json!({"role": "owner"}))
    })
    .but("a member made owner")
    .of_project(),
    row("PUT /api/v1/members/{person}", |stage| {
        at(format!("/members/{}", stage.member(ProjectRole::Owner))).json(json!({"role": "member"}))
    })
    .but("an owner made member")
    .of_project(),
    row("POST /api/v1/members/{person}/confirm", |stage| {
        at(format!("/members/{}/confirm", stage.member(ProjectRole::Member)))
    })
    .of_project(),
    row("DELETE /api/v1/members/{person}", |stage| {
        at(format!("/members/{}", stage.member(ProjectRole::Member)))
    })
    .but("a member")
    .of_project(),
    row("DELETE /api/v1/members/{person}", |stage| {
        at(format!("/members/{}", stage.member(ProjectRole::Owner)))
    })
    .but("an owner")
    .of_project(),
    row("DELETE /api/v1/members/{person}", |stage| {
        at(format!("/members/{}", stage.person(None).id))
    })
    .but("someone of no project")
    .of_project(),
    row("GET /api/v1/invitations", |_| at("/invitations")).of_project(),
    row("POST /api/v1/invitations", |_| at("/invitations").json(json!({"role": "member"})))
        .of_project(),
    row("POST /api/v1/invitations", |_| at("/invitations").json(json!({"role": "owner"})))
        .but("of an owner")
        .of_project(),
    row("DELETE /api/v1/invitations/{id}", |stage| {
        at(format!("/invitations/{}", stage.invitation(&stage.p).0))
    })
    .of_project(),
    row("GET /api/v1/audit", |_| at("/audit")).of_project(),
    row("GET /api/v1/audit/export", |_| at("/audit/export")).of_project(),
    // Pages.
    row("GET /", |_| page("/")),
    row("GET /export", |_| page("/export")),
    row("POST /export/choose", |_| {
        page("/export/choose").form(&[("csrf", "CSRF"), ("action", "none")])
    }),
    row("POST /export/choose", |stage| {
        page("/export/choose").form(&[("csrf", "CSRF"), ("id", &stage.conversation())])
    })
    .but("a conversation"),
    row("GET /export/dataset", |_| page("/export/dataset")),
    row("GET /export/check", |stage| {
        page(format!("/export/check?dataset_name={}", stage.name("set")))
    }),
    row("POST /export/confirm", |stage| {
        page("/export/confirm").form(&[("csrf", "CSRF"), ("dataset_name", &stage.name("set"))])
    }),
    row("GET /export/delete", |_| page("/export/delete")),
    row("POST /export/delete", |_| page("/export/delete").form(&[("csrf", "CSRF")])),
    row("GET /exports/{id}", |stage| page(format!("/exports/{}", stage.export()))),
    row("POST /exports/{id}/cancel", |stage| {
        page(format!("/exports/{}/cancel", stage.export())).form(&[("csrf", "CSRF")])
    }),
    row("POST /exports/{id}/retry", |stage| {
        page(format!("/exports/{}/retry", stage.cancelled_export())).form(&[("csrf", "CSRF")])
    }),
    row("GET /datasets", |_| page("/datasets")),
    row("GET /datasets/{id}", |stage| page(format!("/datasets/{}", stage.dataset()))),
    row("GET /datasets/{id}/left-out", |stage| {
        page(format!("/datasets/{}/left-out?reason=no-answer", stage.dataset()))
    }),
    row("GET /datasets/{id}/compare", |stage| {
        page(format!("/datasets/{}/compare", stage.dataset()))
    }),
    row("GET /datasets/{id}/findings", |stage| {
        page(format!("/datasets/{}/findings?list=repaired&kind=cut-end", stage.dataset()))
    }),
    row("GET /datasets/{id}/items", |stage| page(format!("/datasets/{}/items", stage.dataset()))),
    row("GET /datasets/{id}/repair", |stage| {
        let (dataset, item) = (stage.dataset(), stage.conversation());
        page(format!("/datasets/{dataset}/repair?kind=conversation&item={item}"))
    }),
    row("POST /datasets/{id}/rename", |stage| {
        page(format!("/datasets/{}/rename", stage.dataset()))
            .form(&[("csrf", "CSRF"), ("name", &stage.name("renamed"))])
    }),
    row("GET /datasets/{id}/rebuild", |stage| {
        page(format!("/datasets/{}/rebuild?without_id=a", stage.dataset()))
    }),
    row("POST /datasets/{id}/rebuild", |stage| {
        let (id, dataset) = stage.dataset_of_two();
        page(format!("/datasets/{dataset}/rebuild?without_id={id}")).form(&[("csrf", "CSRF")])
    }),
    row("GET /datasets/{id}/delete", |stage| page(format!("/datasets/{}/delete", stage.dataset()))),
    row("POST /datasets/{id}/delete", |stage| {
        page(format!("/datasets/{}/delete", stage.dataset())).form(&[("csrf", "CSRF")])
    }),
    row("GET /conversations/{id}", |stage| {
        page(format!("/conversations/{}", stage.conversation()))
    }),
    row("POST /conversations/{id}/change", |stage| {
        page(format!("/conversations/{}/change", stage.conversation()))
            .form(&[("csrf", "CSRF"), ("action", "favorite")])
    }),
    row("POST /conversations/{id}/judge", |stage| {
        page(format!("/conversations/{}/judge", stage.conversation()))
            .form(&[("csrf", "CSRF"), ("act", "good:0:0:-")])
    }),
    row("POST /export/views", |_| {
        page("/export/views").form(&[("csrf", "CSRF"), ("view_name", "mine"), ("search", "a")])
    }),
    row("POST /export/views/{id}/delete", |_| {
        page("/export/views/999999/delete").form(&[("csrf", "CSRF")])
    }),
    row("GET /conversations/{id}/model", |stage| {
        page(format!("/conversations/{}/model?model=none", stage.conversation()))
    }),
    row("GET /judge", |_| page("/judge?queue=mine")),
    row("POST /conversations/{id}/share", |stage| {
        page(format!("/conversations/{}/share", stage.conversation())).form(&[("csrf", "CSRF")])
    }),
    row("POST /shares/{id}/revoke", |stage| {
        page(format!("/shares/{}/revoke", stage.share(None).0)).form(&[("csrf", "CSRF")])
    }),
    row("GET /runs/{id}", |stage| page(format!("/runs/{}", stage.run()))),
    row("GET /copilots", |_| page("/copilots")),
    row("GET /copilots/{id}", |stage| {
        stage.run_of("copilot_id", "desk");
        page("/copilots/desk")
    }),
    row("GET /copilots/{id}/versions", |stage| {
        stage.run_of("copilot_id", "desk");
        page("/copilots/desk/versions")
    }),
    row("GET /copilots/{id}/runs/{run}", |stage| {
        page(format!("/copilots/desk/runs/{}", stage.run_of("copilot_id", "desk")))
    }),
    row("GET /copilots/{id}/judge", |stage| {
        stage.run_of("copilot_id", "desk");
        page("/copilots/desk/judge?queue=mine")
    }),
    row("POST /copilots/{id}/runs/{run}/judge", |stage| {
        page(format!("/copilots/desk/runs/{}/judge", stage.run_of("copilot_id", "desk")))
            .form(&[("csrf", "CSRF"), ("act", "good:0:0:-")])
    }),
    row("GET /copilots/{id}/export", |stage| {
        stage.run_of("copilot_id", "desk");
        page("/copilots/desk/export")
    }),
    row("POST /copilots/{id}/export", |stage| {
        page("/copilots/desk/export").form(&[
            ("csrf", "CSRF"),
            ("dataset_name", &stage.name("set")),
            ("id", &stage.run_of("copilot_id", "desk")),
        ])
    }),
    row("GET /recipes", |_| page("/recipes")),
    row("GET /recipes/{id}", |stage| {
        stage.recipe_run();
        page("/recipes/hook")
    }),
    row("GET /recipes/{id}/versions", |stage| {
        stage.recipe_run();
        page("/recipes/hook/versions")
    }),
    row("GET /recipes/{id}/runs/{run}", |stage| {
        page(format!("/recipes/hook/runs/{}", stage.recipe_run()))
    }),
    row("GET /recipes/{id}/judge", |stage| {
        stage.recipe_run();
        page("/recipes/hook/judge?queue=mine")
    }),
    row("POST /recipes/{id}/runs/{run}/judge", |stage| {
        page(format!("/recipes/hook/runs/{}/judge", stage.recipe_run()))
            .form(&[("csrf", "CSRF"), ("act", "good:0:0:-")])
    }),
    row("GET /recipes/{id}/export", |stage| {
        stage.recipe_run();
        page("/recipes/hook/export")
    }),
    row("POST /recipes/{id}/export", |stage| {
        page("/recipes/hook/export").form(&[
            ("csrf", "CSRF"),
            ("dataset_name", &stage.name("set")),
            ("id", &stage.recipe_run()),
        ])
    }),
    row("GET /applications", |_| page("/applications")),
    row("GET /applications/{id}", |stage| {
        stage.application_run();
        page("/applications/shop")
    }),
    row("GET /applications/{id}/versions", |stage| {
        stage.application_run();
        page("/applications/shop/versions")
    }),
    row("GET /applications/{id}/runs/{run}", |stage| {
        page(format!("/applications/shop/runs/{}", stage.application_run()))
    }),
    row("GET /applications/{id}/judge", |stage| {
        stage.application_run();
        page("/applications/shop/judge?queue=mine")
    }),
    row("POST /applications/{id}/runs/{run}/judge", |stage| {
        page(format!("/applications/shop/runs/{}/judge", stage.application_run()))
            .form(&[("csrf", "CSRF"), ("act", "good:0:0:-")])
    }),
    row("GET /applications/{id}/export", |stage| {
        stage.application_run();
        page("/applications/shop/export")
    }),
    row("POST /applications/{id}/export", |stage| {
        page("/applications/shop/export").form(&[
            ("csrf", "CSRF"),
            ("dataset_name", &stage.name("set")),
            ("id", &stage.application_run()),
        ])
    }),
    row("GET /keys", |_| page("/keys")),
    row("GET /analysis", |_| page("/analysis")),
    row("POST /analysis/download", |_| {
        page("/analysis/download").form(&[("csrf", "CSRF"), ("file_format", "jsonl")])
    })
    .of_project(),
    row("GET /import", |_| page("/import")),
    row("POST /import", |_| page("/import").form(&[("csrf", "CSRF")])).but("no form with files"),
    row("POST /import/examples", |_| page("/import/examples").form(&[("csrf", "CSRF")])),
    row("GET /imports/{id}", |stage| page(format!("/imports/{}", stage.import()))),
    row("POST /imports/{id}/cancel", |stage| {
        page(format!("/imports/{}/cancel", stage.import())).form(&[("csrf", "CSRF")])
    }),
    row("GET /project", |_| page("/project")).of_project(),
    row("POST /project/choose", |_| {
        page("/project/choose").form(&[("csrf", "CSRF"), ("name", "q")])
    }),
    row("GET /documents", |_| page("/documents?search=a")).of_project(),
    row("GET /documents/{id}", |stage| page(format!("/documents/{}", stage.document())))
        .of_project(),
    row("POST /documents/{id}/original", |stage| {
        page(format!("/documents/{}/original", stage.document())).form(&[("csrf", "CSRF")])
    })
    .of_project()
    .but("no form with a file"),
    row("POST /documents/export", |stage| {
        stage.document();
        page("/documents/export").form(&[
            ("csrf", "CSRF"),
            ("dataset_name", &stage.name("documents")),
            ("file_format", "parquet"),
            ("embeddings", "yes"),
        ])
    })
    .of_project(),
    row("POST /project/invite", |_| {
        page("/project/invite").form(&[("csrf", "CSRF"), ("role", "member")])
    })
    .of_project(),
    row("POST /project/invitations/{id}/revoke", |stage| {
        let id = stage.invitation(&stage.p).0;
        page(format!("/project/invitations/{id}/revoke")).form(&[("csrf", "CSRF")])
    })
    .of_project(),
    row("POST /project/members/{id}", |stage| {
        page(format!("/project/members/{}", stage.member(ProjectRole::Member)))
            .form(&[("csrf", "CSRF"), ("role", "admin")])
    })
    .of_project(),
    row("POST /project/members/{id}/confirm", |stage| {
        page(format!("/project/members/{}/confirm", stage.member(ProjectRole::Member)))
            .form(&[("csrf", "CSRF")])
    })
    .of_project(),
    row("GET /project/tokens", |_| page("/project/tokens")),
    row("POST /project/tokens", |_| {
        page("/project/tokens").form(&[
            ("csrf", "CSRF"),
            ("name", "mine"),
            ("scope", "read"),
            ("days", "3"),
        ])
    }),
    row("POST /project/tokens/{id}/revoke", |stage| {
        page(format!("/project/tokens/{}/revoke", stage.token())).form(&[("csrf", "CSRF")])
    }),
    row("POST /project/webhooks", |_| {
        page("/project/webhooks").form(&[("csrf", "CSRF"), ("url", "https://example.com/hook")])
    }),
    row("POST /project/webhooks/{id}/remove", |stage| {
        page(format!("/project/webhooks/{}/remove", stage.webhook())).form(&[("csrf", "CSRF")])
    }),
    row("GET /schedules", |_| page("/schedules")),
    row("GET /schedules/new", |_| page("/schedules/new")),
    row("GET /schedules/{id}", |stage| page(format!("/schedules/{}", stage.schedule()))),
    row("POST /schedules", |_| {
        page("/schedules").form(&[("csrf", "CSRF"), ("name", "nightly"), ("cron", "0 2 * * *")])
    }),
    row("POST /schedules/{id}/pause", |stage| {
        page(format!("/schedules/{}/pause", stage.schedule())).form(&[("csrf", "CSRF")])
    }),
    row("POST /schedules/{id}/resume", |stage| {
        page(format!("/schedules/{}/resume", stage.schedule())).form(&[("csrf", "CSRF")])
    }),
    row("POST /schedules/{id}/run", |stage| {
        page(format!("/schedules/{}/run", stage.schedule())).form(&[("csrf", "CSRF")])
    }),
    row("POST /schedules/{id}/delete", |stage| {
        page(format!("/schedules/{}/delete", stage.schedule())).form(&[("csrf", "CSRF")])
    }),
    row("GET /project/shares", |_| page("/project/shares")),
    row("POST /project/shares/{id}/keep", |stage| {
        page(format!("/project/shares/{}/keep", stage.share(None).0)).form(&[("csrf", "CSRF")])
    }),
    row("GET /project/audit", |_| page("/project/audit")).of_project(),
    row("GET /project/erasures", |_| page("/project/erasures")).of_project(),
    row("POST /project/erasures", |stage| {
        page("/project/erasures").form(&[("csrf", "CSRF"), ("person", &stage.owner_of_one())])
    })
    .of_project(),
    row("POST /project/erasures/preview", |_| {
        page("/project/erasures/preview").form(&[("csrf", "CSRF"), ("person", "nobody")])
    })
    .of_project(),
    row("GET /project/erasures/key", |_| page("/project/erasures/key")).of_project(),
    row("GET /project/erasures/{id}", |stage| {
        page(format!("/project/erasures/{}", stage.erased().0))
    })
    .of_project(),
    row("GET /project/erasures/{id}/receipt", |stage| {
        page(format!("/project/erasures/{}/receipt", stage.erased().0))
    })
    .of_project(),
    row("GET /project/delete", |_| page("/project/delete")).of_project(),
    row("POST /project/delete", |_| {
        page("/project/delete").form(&[("csrf", "CSRF"), ("name", "another")])
    })
    .but("under another name")
    .of_project(),
    row("GET /settings", |_| page("/settings")),
    row("POST /settings/delete-account", |_| {
        page("/settings/delete-account").form(&[("csrf", "CSRF"), ("current", "another one")])
    })
    .but("with a wrong password"),
    row("POST /settings/connect", |_| {
        page("/settings/connect").form(&[("csrf", "CSRF"), ("current", PASSWORD)])
    }),
    row("POST /settings/password", |_| {
        page("/settings/password").form(&[
            ("csrf", "CSRF"),
            ("current", PASSWORD),
            ("new", PASSWORD),
        ])
    }),
    row("POST /settings/sign-out-everywhere", |_| {
        page("/settings/sign-out-everywhere").form(&[("csrf", "CSRF")])
    }),
    row("GET /sign-in", |_| page("/sign-in")),
    row("POST /sign-in", |stage| {
        let person = stage.person(Some(PASSWORD));
        page("/sign-in").form(&[("name", &person.name), ("password", PASSWORD)])
    }),
    row("GET /sign-in/link", |_| page("/sign-in/link")),
    row("POST /sign-in/link", |stage| {
        let secret = stage.service.sign_in_link(&stage.person(None)).unwrap();
        page("/sign-in/link").form(&[("secret", &secret)])
    }),
    row("GET /sign-in/provider", |_| page("/sign-in/provider")).but("there is none"),
    row("GET /sign-in/callback", |_| page("/sign-in/callback?state=x&code=y")).but("there is none"),
    row("POST /sign-in/confirm", |_| page("/sign-in/confirm").form(&[("secret", "none")]))
        .but("there is nothing to confirm"),
    row("POST /sign-out", |_| page("/sign-out").form(&[("csrf", "CSRF")])),
    row("GET /invitation", |_| page("/invitation")),
    row("POST /invitation/open", |stage| {
        page("/invitation/open").form(&[("secret", &stage.invitation(&stage.p).1)])
    }),
    row("POST /invitation/join", |stage| {
        let other = stage.service.project_or_new("another").unwrap();
        page("/invitation/join").form(&[("csrf", "CSRF"), ("secret", &stage.invitation(&other).1)])
    }),
    row("POST /invitation", |stage| {
        let (secret, name) = (stage.invitation(&stage.p).1, stage.name("newcomer"));
        page("/invitation").form(&[("secret", &secret), ("name", &name), ("password", PASSWORD)])
    }),
    row("GET /s/{link}", |stage| page(format!("/s/{}", stage.share(None).1))),
    row("POST /s/{link}", |stage| {
        page(format!("/s/{}", stage.share(Some("open")).1)).form(&[("password", "open")])
    }),
    row("GET /api", |_| page("/api")),
    row("GET /api/openapi.json", |_| page("/api/openapi.json")),
    row("GET /problems/{slug}", |_| page("/problems/not-found")),
    row("GET /assets/retort.css", |_| page("/assets/retort.css")),
    row("GET /assets/retort.svg", |_| page("/assets/retort.svg")),
    row("GET /assets/page.js", |_| page("/assets/page.js")),
    row("GET /assets/keys.js", |_| page("/assets/keys.js")),
    row("GET /assets/rows.js", |_| page("/assets/rows.js")),
    row("GET /assets/runs.js", |_| page("/assets/runs.js")),
    row("GET /assets/choose.js", |_| page("/assets/choose.js")),
    row("GET /conversations", |_| page("/conversations")),
    row("GET /exports", |_| page("/exports")),
    row("GET /imports", |_| page("/imports")),
    row("GET /assets/drop.js", |_| page("/assets/drop.js")),
    row("GET /assets/follow.js", |_| page("/assets/follow.js")),
    row("GET /assets/secret.js", |_| page("/assets/secret.js")),
    row("GET /healthz", |_| page("/healthz")),
    row("GET /readyz", |_| page("/readyz")),
    row("GET /metrics", |_| page("/metrics")).of_project(),
];

/// A document as it comes in.
fn cut(id: &str) -> Value {
    json!({
        "id": id, "readable_filename": "a.pdf", "url": format!("https://a.example/{id}"),
        "contexts": [{"text": "one", "embedding": [0.5, 0.25]}, {"text": "two", "embedding": [0.1, 0.2]}],
    })
}

/// A run of that id.
fn ran(id: &str) -> Value {
    json!({
        "request_id": id, "copilot_id": "helper", "question": "where?", "answer": "here",
        "status": "success", "nodes": [{"node": "answer", "kind": "model-call", "output": "here"}],
    })
}

/// A request of OpenTelemetry's exporters.
fn traced(id: &str) -> Value {
    let span = json!({"traceId": id, "spanId": "a1", "name": "chat"});
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
}

/// Where items are made.
pub struct Stage {
    pub service: Arc<Service>,
    pub p: Project,
    ann: Caller,
    /// Everyone who asks, in their own project.
    callers: Vec<Caller>,
    people: [Person; 5],
    keeper: Person,
    made: AtomicU64,
}

impl Stage {
    /// The first of the people holds the items, the last is in the second project alone.
    pub fn new(service: Arc<Service>, [p, q]: [Project; 2], people: [Person; 5]) -> Self {
        let callers: Vec<Caller> = people
            .iter()
            .map(|person| {
                let project = if person.id == people[4].id { &q } else { &p };
                caller_of(&service, project, person)
            })
            .collect();
        let keeper = service.add_person("keeper@example.com", None).unwrap();
        let ann = callers[0].clone();
        Self { service, p, ann, callers, people, keeper, made: AtomicU64::new(0) }
    }

    fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    fn person(&self, password: Option<&str>) -> Person {
        self.service.add_person(&self.name("person"), password).unwrap()
    }

    fn member(&self, role: ProjectRole) -> i64 {
        let person = self.person(None);
        self.service.admit(&Caller::local(&self.p), &person, role).unwrap();
        person.id
    }

    /// A conversation of the member, with a file in it.
    fn conversation(&self) -> String {
        let id = self.name("item");
        let item = json!({"id": id, "messages": [{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        ]}]});
        let request = IntakeRequest::default();
        let report = self.service.take_in(&self.ann, &request, item.to_string().into_bytes());
        assert_eq!(report.unwrap().new, 1);
        id
    }

    /// The name of someone who owns one conversation of the project.
    fn owner_of_one(&self) -> String {
        let owner = self.name("someone");
        let id = self.name("item");
        let item =
            json!({"id": id, "owner": owner, "messages": [{"role": "user", "content": "hi"}]});
        let local = Caller::local(&self.p);
        let taken =
            self.service.take_in(&local, &IntakeRequest::default(), item.to_string().into());
        assert_eq!(taken.unwrap().new, 1);
        owner
    }

    /// An erasure that is completed, and the name of the person.
    fn erased(&self) -> (i64, String) {
        let owner = self.owner_of_one();
        (self.service.erase(&Caller::local(&self.p), &owner).unwrap().id, owner)
    }

    /// A document of the project, with its original.
    fn document(&self) -> String {
        let id = self.name("document");
        let local = Caller::local(&self.p);
        let request = IntakeRequest::default();
        let report = self.service.take_in(&local, &request, cut(&id).to_string().into_bytes());
        assert_eq!(report.unwrap().new, 1);
        let mut upload = self.service.upload(&local, &id).unwrap();
        upload.write_all(id.as_bytes()).unwrap();
        let new = NewOriginal { name: Some("a.txt".into()), media_type: None };
        self.service.keep_original(&local, (&id, None), &new, upload).unwrap();
        id
    }

    /// A run of the member.
    fn run(&self) -> String {
        self.run_of("copilot_id", "helper")
    }

    /// The same of a recipe.
    fn recipe_run(&self) -> String {
        self.run_of("recipe_id", "hook")
    }

    /// The same of a traced application.
    fn application_run(&self) -> String {
        self.run_with(&[("source", "application"), ("source_id", "shop")])
    }

    fn run_of(&self, source: &str, flow: &str) -> String {
        self.run_with(&[(source, flow)])
    }

    fn run_with(&self, fields: &[(&str, &str)]) -> String {
        let id = self.name("run");
        let mut run = ran(&id);
        run.as_object_mut().unwrap().remove("copilot_id");
        for (name, value) in fields {
            run[*name] = (*value).into();
        }
        let request = IntakeRequest::default();
        let report = self.service.take_in(&self.ann, &request, run.to_string().into_bytes());
        assert_eq!(report.unwrap().new, 1);
        id
    }

    /// A copilot that the member has a run of.
    fn flow(&self) -> String {
        let id = self.name("copilot");
        let mut run = ran(&self.name("run"));
        run["copilot_id"] = json!(id);
        let request = IntakeRequest::default();
        let report = self.service.take_in(&self.ann, &request, run.to_string().into_bytes());
        assert_eq!(report.unwrap().new, 1);
        id
    }

    fn export(&self) -> i64 {
        self.export_of(&[self.conversation()])
    }

    fn export_of(&self, ids: &[String]) -> i64 {
        let options = ExportOptions::default().with("check", "off").unwrap();
        let dataset = options.resolve(self.name("set").parse().unwrap(), None).unwrap();
        let selection = ConversationFilter {
            ids: ids.iter().cloned().collect(),
            ..ConversationFilter::default()
        };
        let request = ExportRequest { selection: selection.into(), dataset };
        self.service.submit_export(&self.ann, &request).unwrap()
    }

    fn cancelled_export(&self) -> i64 {
        let id = self.export();
        self.service.cancel(&self.ann, id, JobKind::Export).unwrap();
        id
    }

    fn dataset(&self) -> i64 {
        let id = self.export();
        self.work(id);
        self.service.job(&self.ann, id).unwrap().dataset.unwrap()
    }

    /// A dataset of two conversations, and the id of one of them.
    fn dataset_of_two(&self) -> (String, i64) {
        let (gone, stays) = (self.conversation(), self.conversation());
        let id = self.export_of(&[gone.clone(), stays]);
        self.work(id);
        (gone, self.service.job(&self.ann, id).unwrap().dataset.unwrap())
    }

    fn work(&self, id: i64) {
        let running = std::sync::atomic::AtomicBool::new(false);
        let _ = self.service.work_one(Wanted::One(id), &Nobody, &running).unwrap();
    }

    fn import(&self) -> i64 {
        let mut upload = self.service.upload(&self.ann, "upload").unwrap();
        upload.write_all(said(&self.name("conversation")).to_string().as_bytes()).unwrap();
        self.service.submit_upload(&self.ann, upload, &IntakeRequest::default()).unwrap()
    }

    /// An import that could not read all of its file.
    fn done_import(&self) -> i64 {
        let mut upload = self.service.upload(&self.ann, "upload").unwrap();
        let lines = format!("{}\nnot JSON\n", said(&self.name("conversation")));
        upload.write_all(lines.as_bytes()).unwrap();
        let id = self.service.submit_upload(&self.ann, upload, &IntakeRequest::default()).unwrap();
        self.work(id);
        id
    }

    /// An import that was cancelled before it was done.
    fn cancelled_import(&self) -> i64 {
        let id = self.import();
        self.service.cancel(&self.ann, id, JobKind::Import).unwrap();
        id
    }

    fn share(&self, password: Option<&str>) -> (i64, String) {
        let request = ShareRequest {
            conversation: self.conversation(),
            password: password.map(str::to_owned),
            ..ShareRequest::default()
        };
        let (share, secret) = self.service.share(&self.ann, &request).unwrap();
        (share.id, secret)
    }

    fn token(&self) -> i64 {
        let request = TokenRequest { name: "t".into(), grants: Grants::ALL, days: 1 };
        self.service.add_token_for(&Caller::local(&self.p), &self.people[0], &request).unwrap().0.id
    }

    fn webhook(&self) -> i64 {
        self.service.add_webhook(&self.ann, "https://example.com/hook", None, None).unwrap().id
    }

    /// A link to a dataset in a notice to a webhook.
    fn download_link(&self) -> String {
        let dataset = self.dataset();
        let hook = "https://example.com/hook";
        let webhook = self.service.add_webhook(&self.ann, hook, Some(1), None).unwrap();
        let mut notices = self.service.notices(&self.ann, None, 100).unwrap().into_iter();
        let notice = notices.rfind(|one| one.dataset == Some(dataset)).unwrap();
        let delivery = Delivery {
            webhook: webhook.id,
            notice,
            project: "p".into(),
            url: webhook.url,
            secret: webhook.secret,
            attempts: 1,
            link_hours: webhook.link_hours,
        };
        self.service.download_link(&delivery).unwrap().link
    }

    fn schedule(&self) -> i64 {
        let asked: retort_web::wire::SchedulePlan = serde_json::from_value(nightly()).unwrap();
        let plan = asked.plan(self.service.now()).unwrap();
        let name = self.name("schedule");
        self.service.add_schedule(&self.ann, &name, plan).unwrap().schedule.id
    }

    fn invitation(&self, project: &Project) -> (i64, String) {
        let caller = Caller::local(project);
        let (made, secret) = self.service.invite(&caller, ProjectRole::Member, None).unwrap();
        (made.id, secret)
    }

    /// Puts right what a request changed for those that follow: exports that wait, webhooks, further projects.
    pub fn clear(&self, endpoint: &str) {
        let service = &self.service;
        for caller in &self.callers {
            if endpoint.contains("/export") || endpoint.contains("/rebuild") {
                for job in service.jobs_of(caller, (JobKind::Export, false), None, 20).unwrap().0 {
                    let _ = service.cancel(caller, job.id, JobKind::Export);
                }
            }
            if endpoint.contains("/schedules") {
                for one in service.schedules(caller, false).unwrap() {
                    if let Some(job) = one.schedule.job {
                        let _ = service.cancel(caller, job, JobKind::Export);
                    }
                    service.delete_schedule(caller, one.schedule.id).unwrap();
                }
            }
            if endpoint.contains("/webhooks") || endpoint.contains("/downloads") {
                for webhook in service.webhooks(caller).unwrap() {
                    service.end_webhook(caller, webhook.id).unwrap();
                }
            }
        }
        if !["POST /api/v1/projects", "POST /api/v1/invitations/join", "POST /invitation/join"]
            .contains(&endpoint)
        {
            return;
        }
        for project in service.projects().unwrap() {
            if ["p", "q"].contains(&project.name.as_str()) {
                continue;
            }
            let local = Caller::local(&project);
            service.admit(&local, &self.keeper, ProjectRole::Owner).unwrap();
            for person in &self.people {
                let _ = service.set_role(&local, person.id, None);
            }
        }
    }
}
