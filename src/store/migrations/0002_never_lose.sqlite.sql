-- Never lose a customer: what was spooled, what the sweep asked and found, and what is expected of Nium.

-- Drained from the spool: the same delivery may be in the log already, if its insert took too long and came all the same.
ALTER TABLE callback_log ADD COLUMN again INTEGER NOT NULL DEFAULT 0 CHECK (again IN (0, 1));

-- Known from the first sweep of an installation only: what happened before our time is recorded and told to nobody.
ALTER TABLE head ADD COLUMN historic INTEGER NOT NULL DEFAULT 0 CHECK (historic IN (0, 1));

-- One paging of Nium's customer list. `page` is the next one to ask for, so that a restart goes on where it was.
CREATE TABLE sweep (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL CHECK (kind IN ('baseline', 'full')),
    asked_by   TEXT NOT NULL,
    page       INTEGER NOT NULL DEFAULT 0 CHECK (page >= 0),
    pages      INTEGER,
    total      INTEGER,
    seen       INTEGER NOT NULL DEFAULT 0,
    found      INTEGER NOT NULL DEFAULT 0,
    unreadable INTEGER NOT NULL DEFAULT 0,
    asked_at   INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    failures   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER,
    ended_at   INTEGER,
    CHECK ((due_at IS NULL) = (ended_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX sweep_one_at_a_time ON sweep ((1)) WHERE ended_at IS NULL;

-- A change at Nium that we learned of by asking, not by a callback. It is judged when the callback has had time to come.
CREATE TABLE finding (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    customer  BLOB NOT NULL CHECK (length(customer) = 16),
    found_at  INTEGER NOT NULL,
    by        TEXT NOT NULL CHECK (by IN ('look', 'list')),
    judge_at  INTEGER,
    missing   INTEGER CHECK (missing IN (0, 1)),
    CHECK ((judge_at IS NULL) = (missing IS NOT NULL))
) STRICT;
CREATE INDEX finding_to_judge ON finding (judge_at) WHERE judge_at IS NOT NULL;
CREATE UNIQUE INDEX finding_open ON finding (customer) WHERE judge_at IS NOT NULL;
CREATE INDEX finding_missing ON finding (found_at) WHERE missing = 1;

-- Words about the service itself that are told once: an alarm stays until what it was about is over.
CREATE TABLE alarm (
    name      TEXT PRIMARY KEY,
    raised_at INTEGER NOT NULL,
    count     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
