-- The main job: intake, work, evidence. Times are milliseconds since 1970, UTC. Ids of customers are 16 bytes.

-- What knocked, in order, before it was answered. Append only, no secondary index: nothing else belongs on the way to
-- the 200. AUTOINCREMENT: an id is never used again, so the cursor of the fold can trust it.
CREATE TABLE callback_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    customer   BLOB CHECK (customer IS NULL OR length(customer) = 16),
    looks      INTEGER NOT NULL CHECK (looks IN (0, 1)),
    source     TEXT NOT NULL CHECK (source IN ('callback', 'webhook')),
    request_id TEXT,
    template   TEXT
) STRICT;

-- How far the fold has read the log. Stored in the same transaction as what it folded.
CREATE TABLE cursor (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO cursor (name, position) VALUES ('fold', 0);

-- The folded log: a callback that was delivered several times is one row with a delivery count.
CREATE TABLE callback (
    id         INTEGER PRIMARY KEY,
    customer   BLOB,
    request_id TEXT,
    source     TEXT NOT NULL,
    template   TEXT,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    deliveries INTEGER NOT NULL CHECK (deliveries > 0),
    UNIQUE (customer, request_id)
) STRICT;

-- One hot row per customer: is there something to do, and who is doing it. `wanted` grows with every nudge, `handled`
-- is the `wanted` that the last finished look had read at its claim. A lease is held by moving `due_at` to its end, so
-- an expired lease becomes due by itself. `failures` counts failed looks in a row, `unreadable` those of them that
-- were about this customer and not about Nium.
CREATE TABLE head (
    customer    BLOB PRIMARY KEY CHECK (length(customer) = 16),
    rank        INTEGER NOT NULL CHECK (rank IN (0, 1, 2)),
    wanted      INTEGER NOT NULL DEFAULT 0,
    handled     INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    failures    INTEGER NOT NULL DEFAULT 0,
    unreadable  INTEGER NOT NULL DEFAULT 0,
    CHECK (handled <= wanted),
    CHECK (lease_until IS NULL OR due_at = lease_until)
) STRICT, WITHOUT ROWID;
CREATE INDEX head_due ON head (rank, due_at) WHERE due_at IS NOT NULL;

-- Where one customer stands. `data` is the state with what it carries; the columns beside it are for asking.
CREATE TABLE cases (
    customer      BLOB PRIMARY KEY CHECK (length(customer) = 16),
    version       INTEGER NOT NULL CHECK (version > 0),
    state         TEXT NOT NULL CHECK (state IN ('watching', 'rejected', 'awaiting_correction', 'submitting',
                      'under_review', 'reinstated', 'approved', 'finally_rejected', 'needs_officer')),
    data          TEXT NOT NULL CHECK (json_extract(data, '$.state') = state),
    since         INTEGER NOT NULL,
    attempts_used INTEGER NOT NULL,
    beside        TEXT NOT NULL,
    next_what     TEXT,
    next_at       INTEGER,
    CHECK ((next_what IS NULL) = (next_at IS NULL)),
    CHECK (state <> 'awaiting_correction' OR next_at IS NOT NULL),
    CHECK (state <> 'submitting' OR json_extract(data, '$.effect') IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX cases_by_state ON cases (state, customer);
CREATE INDEX cases_by_age ON cases (state, since);

-- What Nium said last: the words in clear, everything personal sealed.
CREATE TABLE snapshot (
    customer  BLOB PRIMARY KEY CHECK (length(customer) = 16),
    looked_at INTEGER NOT NULL,
    facts     TEXT NOT NULL,
    sealed    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Everything that happened to a customer, in order.
CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    customer BLOB NOT NULL,
    at       INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    what     TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;
CREATE INDEX history_of_customer ON history (customer, id);

-- Things to do to the outside, stored before they are done. Lanes: `nium` and `officer` run under the customer's own
-- lease; `webhook` has leases of its own and goes out in order per customer.
CREATE TABLE effect (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    customer    BLOB NOT NULL,
    lane        TEXT NOT NULL CHECK (lane IN ('nium', 'officer', 'webhook')),
    kind        TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'unclear', 'done', 'refused', 'overtaken', 'failed')),
    due_at      INTEGER,
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    payload     BLOB,
    sealed      BLOB,
    said        BLOB,
    outcome     TEXT,
    CHECK ((status IN ('done', 'refused', 'overtaken', 'failed')) = (ended_at IS NOT NULL)),
    CHECK (lane <> 'webhook' OR (status = 'pending') = (due_at IS NOT NULL)),
    CHECK (lease_until IS NULL OR due_at = lease_until)
) STRICT;
CREATE INDEX effect_due ON effect (due_at) WHERE lane = 'webhook' AND status = 'pending';
CREATE INDEX effect_of_customer ON effect (customer, seq);
CREATE INDEX effect_open ON effect (lane, created_at) WHERE ended_at IS NULL;
-- One submission under way per customer, whatever happens above.
CREATE UNIQUE INDEX effect_one_submission ON effect (customer)
    WHERE lane = 'nium' AND status IN ('pending', 'sending', 'unclear');

-- Every attempt at an effect, with its reason.
CREATE TABLE attempt (
    effect  INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (effect, number)
) STRICT, WITHOUT ROWID;

-- One data key per customer, wrapped by a master key. Destroying the row makes everything sealed unreadable.
CREATE TABLE data_key (
    customer   BLOB PRIMARY KEY CHECK (length(customer) = 16),
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The original application, sealed: Nium does not give all of it back.
CREATE TABLE application (
    customer  BLOB PRIMARY KEY CHECK (length(customer) = 16),
    sealed    BLOB NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- API tokens, as hashes.
CREATE TABLE token (
    id         TEXT PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'officer', 'admin', 'app')),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- First answers to writes that carried an Idempotency-Key, sealed.
CREATE TABLE idempotency (
    key       BLOB PRIMARY KEY CHECK (length(key) = 32),
    customer  BLOB NOT NULL,
    body_mark TEXT NOT NULL,
    status    INTEGER NOT NULL,
    sealed    BLOB NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (stored_at);
