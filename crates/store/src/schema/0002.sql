-- People, what they may do, and what they share. Secrets stand here as their SHA-256, passwords as Argon2id.

-- `name` is what the owner of a conversation is compared with; `folded` the same without regard to case.
CREATE TABLE person (
    id {key},
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    password TEXT,
    disabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT
);

-- What a provider of identities calls a person.
CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person BIGINT NOT NULL REFERENCES person (id),
    PRIMARY KEY (issuer, subject)
){clustered};

CREATE TABLE membership (
    project BIGINT NOT NULL REFERENCES project (id),
    person BIGINT NOT NULL REFERENCES person (id),
    role TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (project, person)
){clustered};
CREATE INDEX membership_person ON membership (person);

-- What signs someone in: `kind` is `session` or `link` (once, then it is gone).
CREATE TABLE session (
    secret {bytes} PRIMARY KEY,
    kind TEXT NOT NULL,
    person BIGINT NOT NULL REFERENCES person (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
){clustered};
CREATE INDEX session_person ON session (person);

CREATE TABLE token (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    person BIGINT NOT NULL REFERENCES person (id),
    name TEXT NOT NULL,
    secret {bytes} NOT NULL UNIQUE,
    grants TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    seen_at BIGINT
);
CREATE INDEX token_person ON token (project, person);

-- `name` is whom it is for; none means whoever has the link.
CREATE TABLE invitation (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    role TEXT NOT NULL,
    name TEXT,
    secret {bytes} NOT NULL UNIQUE,
    creator TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX invitation_project ON invitation (project);

-- `shows` says what is not left out: system prompts, tools, token counts (1, 2, 4).
CREATE TABLE share (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    conversation BIGINT NOT NULL REFERENCES conversation (key),
    link TEXT NOT NULL UNIQUE,
    creator TEXT NOT NULL,
    password TEXT,
    shows BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX share_conversation ON share (conversation);
CREATE INDEX share_list ON share (project, id);

-- Only ever added to; triggers see to it.
CREATE TABLE audit (
    id {key},
    at BIGINT NOT NULL,
    project BIGINT,
    person TEXT,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    refused BIGINT NOT NULL,
    address TEXT,
    request TEXT
);
CREATE INDEX audit_list ON audit (project, id);

-- An export of someone's that ended.
CREATE TABLE notice (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    creator TEXT NOT NULL,
    job BIGINT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    dataset BIGINT,
    at BIGINT NOT NULL
);
CREATE INDEX notice_list ON notice (project, creator, id);

CREATE TABLE webhook (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    creator TEXT NOT NULL,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_list ON webhook (project, creator);

-- A notice on its way to a webhook. `next_at` is none once it arrived or was given up.
CREATE TABLE delivery (
    webhook BIGINT NOT NULL REFERENCES webhook (id),
    notice BIGINT NOT NULL REFERENCES notice (id),
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    status BIGINT,
    error TEXT,
    PRIMARY KEY (webhook, notice)
){clustered};
CREATE INDEX delivery_next ON delivery (next_at) WHERE next_at IS NOT NULL;

-- What was answered to a request that may come again. `status` is none while it is under way.
CREATE TABLE answered (
    person BIGINT NOT NULL,
    key TEXT NOT NULL,
    fingerprint {bytes} NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT,
    body TEXT,
    PRIMARY KEY (person, key)
){clustered};
CREATE INDEX answered_at ON answered (at);

-- What someone has chosen for their next export, as the service wrote it.
CREATE TABLE choice (
    project BIGINT NOT NULL REFERENCES project (id),
    person TEXT NOT NULL,
    choice TEXT NOT NULL,
    PRIMARY KEY (project, person)
){clustered};

-- What one person changed last is listed without a walk over what everyone did.
CREATE INDEX conversation_owner_updated ON conversation (project, owner, updated_at, key, status, kind)
    WHERE owner IS NOT NULL;
