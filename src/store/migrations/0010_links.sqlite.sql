-- The hosted page: links that lead there, visits that began with one, what a visitor has written so far.

-- A link is known by its hash alone. It is for one customer and one purpose, ends, can be revoked, and opens the page only so
-- many times.
CREATE TABLE link (
    id         TEXT PRIMARY KEY,
    customer   BLOB NOT NULL CHECK (length(customer) = 16),
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    made_by    TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    visits     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX link_of_customer ON link (customer);
CREATE INDEX link_by_end ON link (expires_at);

-- What a link was exchanged for; the cookie's hash.
CREATE TABLE visit (
    hash     BLOB PRIMARY KEY CHECK (length(hash) = 32),
    link     TEXT NOT NULL,
    customer BLOB NOT NULL CHECK (length(customer) = 16),
    ends_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX visit_by_end ON visit (ends_at);

-- What a visitor has written and not yet sent. Personal: sealed.
CREATE TABLE draft (
    link      TEXT PRIMARY KEY,
    customer  BLOB NOT NULL CHECK (length(customer) = 16),
    sealed    BLOB NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX draft_by_age ON draft (stored_at);

-- Customers who want no reminders.
CREATE TABLE quiet (
    customer BLOB PRIMARY KEY CHECK (length(customer) = 16),
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
