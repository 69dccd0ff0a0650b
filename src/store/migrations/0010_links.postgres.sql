-- The hosted page: links that lead there, visits that began with one, what a visitor has written so far.

-- A link is known by its hash alone. It is for one customer and one purpose, ends, can be revoked, and opens the page only so
-- many times.
CREATE TABLE link (
    id         TEXT PRIMARY KEY,
    customer   BYTEA NOT NULL CHECK (length(customer) = 16),
    hash       BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    made_by    TEXT NOT NULL,
    made_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    visits     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX link_of_customer ON link (customer);
CREATE INDEX link_by_end ON link (expires_at);

-- What a link was exchanged for; the cookie's hash.
CREATE TABLE visit (
    hash     BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    link     TEXT NOT NULL,
    customer BYTEA NOT NULL CHECK (length(customer) = 16),
    ends_at  BIGINT NOT NULL
);
CREATE INDEX visit_by_end ON visit (ends_at);

-- What a visitor has written and not yet sent. Personal: sealed.
CREATE TABLE draft (
    link      TEXT PRIMARY KEY,
    customer  BYTEA NOT NULL CHECK (length(customer) = 16),
    sealed    BYTEA NOT NULL,
    stored_at BIGINT NOT NULL
);
CREATE INDEX draft_by_age ON draft (stored_at);

-- Customers who want no reminders.
CREATE TABLE quiet (
    customer BYTEA PRIMARY KEY CHECK (length(customer) = 16),
    since    BIGINT NOT NULL
);
