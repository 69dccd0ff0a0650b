-- Never lose a customer: what was spooled, what the sweep asked and found, and what is expected of Nium.

-- Drained from the spool: the same delivery may be in the log already, if its insert took too long and came all the same.
ALTER TABLE callback_log ADD COLUMN again INTEGER NOT NULL DEFAULT 0 CHECK (again IN (0, 1));

-- Rank 3: named by the sweep alone. `historic`: known from the first sweep of an installation only; what happened before
-- our time is recorded and told to nobody.
CREATE TABLE head_with_sweep (
    customer    BLOB PRIMARY KEY CHECK (length(customer) = 16),
    rank        INTEGER NOT NULL CHECK (rank IN (0, 1, 2, 3)),
    wanted      INTEGER NOT NULL DEFAULT 0,
    handled     INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER,
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    failures    INTEGER NOT NULL DEFAULT 0,
    unreadable  INTEGER NOT NULL DEFAULT 0,
    historic    INTEGER NOT NULL DEFAULT 0 CHECK (historic IN (0, 1)),
    CHECK (handled <= wanted),
    CHECK (lease_until IS NULL OR due_at = lease_until)
) STRICT, WITHOUT ROWID;
INSERT INTO head_with_sweep (customer, rank, wanted, handled, due_at, epoch, lease_until, failures, unreadable)
    SELECT customer, rank, wanted, handled, due_at, epoch, lease_until, failures, unreadable FROM head;
DROP TABLE head;
ALTER TABLE head_with_sweep RENAME TO head;
CREATE INDEX head_due ON head (rank, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX head_failing ON head (customer) WHERE failures > 0;

-- One walk over Nium's customer list. `page` is the next one to ask for, so that a restart goes on where it was.
CREATE TABLE sweep (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL CHECK (kind IN ('baseline', 'full')),
    asked_by   TEXT NOT NULL,
    asked_at   INTEGER NOT NULL,
    page       INTEGER NOT NULL DEFAULT 0 CHECK (page >= 0),
    pages      INTEGER,
    total      INTEGER,
    seen       INTEGER NOT NULL DEFAULT 0,
    found      INTEGER NOT NULL DEFAULT 0,
    unreadable INTEGER NOT NULL DEFAULT 0,
    failures   INTEGER NOT NULL DEFAULT 0,
    trouble    TEXT,
    due_at     INTEGER,
    ended_at   INTEGER,
    outcome    TEXT CHECK (outcome IN ('complete', 'given_up')),
    CHECK ((due_at IS NULL) = (ended_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE UNIQUE INDEX sweep_one_at_a_time ON sweep ((1)) WHERE ended_at IS NULL;

-- A change at Nium that we learned of by asking, not by a callback. It is judged when the callback has had time to come;
-- a callback later than `since` is the one that was expected.
CREATE TABLE finding (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    customer BLOB NOT NULL CHECK (length(customer) = 16),
    found_by TEXT NOT NULL CHECK (found_by IN ('look', 'list')),
    found_at INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    judge_at INTEGER,
    missing  INTEGER CHECK (missing IN (0, 1)),
    CHECK ((judge_at IS NULL) = (missing IS NOT NULL))
) STRICT;
CREATE INDEX finding_to_judge ON finding (judge_at) WHERE judge_at IS NOT NULL;
CREATE UNIQUE INDEX finding_open ON finding (customer) WHERE judge_at IS NOT NULL;
CREATE INDEX finding_missing ON finding (found_at) WHERE missing = 1;

-- Something about the service itself that was told once, and stands until it is over.
CREATE TABLE alarm (
    name      TEXT PRIMARY KEY,
    raised_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that were given up, and jobs that failed, are listed until somebody retries them.
CREATE INDEX effect_failed ON effect (created_at) WHERE status = 'failed' AND lane = 'webhook';

-- Attempts before the last retry by hand: they stay on file and no longer count.
ALTER TABLE effect ADD COLUMN forgiven INTEGER NOT NULL DEFAULT 0;
