-- The console: people who sign in with a password, and the sessions of everybody who signed in.

-- A person. Their name is what the record of who did what has of them. Whoever is let in no more goes; what they did stays.
-- `version` grows with every change, so that a session that was opened just before one is known by it.
CREATE TABLE person (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'officer', 'admin')),
    password   TEXT NOT NULL CHECK (password LIKE '$argon2id$%'),
    made_at    BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    version    BIGINT NOT NULL DEFAULT 1
);

-- A session is known by its cookie's hash alone. It ends with what it was opened with: a password that was changed, a
-- person who went, a token that was revoked. `source_id` is that person or token.
CREATE TABLE session (
    hash      BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    id        TEXT NOT NULL UNIQUE,
    actor     TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('viewer', 'officer', 'admin')),
    source    TEXT NOT NULL CHECK (source IN ('password', 'token', 'bootstrap', 'proxy')),
    source_id TEXT NOT NULL,
    version   BIGINT NOT NULL,
    begun_at  BIGINT NOT NULL,
    seen_at   BIGINT NOT NULL,
    ends_at   BIGINT NOT NULL
);
CREATE INDEX session_by_end ON session (ends_at);

-- What each correction changed, sealed: once Nium has taken one, the application on file is the corrected one.
CREATE TABLE correction (
    effect   TEXT PRIMARY KEY,
    customer BYTEA NOT NULL CHECK (length(customer) = 16),
    sealed   BYTEA NOT NULL
);
CREATE INDEX correction_of_customer ON correction (customer);
