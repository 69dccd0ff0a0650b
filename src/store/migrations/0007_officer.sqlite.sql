-- The officer's notes, who has a parked case in hand, and what waits for a second person.

-- What an officer wrote about a word or a verdict. It may be personal: sealed.
CREATE TABLE note (
    id       TEXT PRIMARY KEY,
    customer BLOB NOT NULL CHECK (length(customer) = 16),
    sealed   BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX note_of_customer ON note (customer);

-- A parked case that somebody has taken in hand. It is no state: whoever leaves the officers' queue is in nobody's hand.
CREATE TABLE in_hand (
    customer BLOB PRIMARY KEY CHECK (length(customer) = 16),
    taken_by TEXT NOT NULL,
    since    INTEGER NOT NULL,
    note     TEXT
) STRICT, WITHOUT ROWID;
CREATE TRIGGER in_hand_while_parked AFTER UPDATE OF state ON cases WHEN NEW.state <> 'needs_officer' BEGIN
    DELETE FROM in_hand WHERE customer = NEW.customer;
END;

-- Words and acts that take a second person. `version` is the case that was seen when it was asked for; `sealed` is an act.
CREATE TABLE approval (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    customer     BLOB NOT NULL CHECK (length(customer) = 16),
    version      INTEGER NOT NULL,
    what         TEXT NOT NULL CHECK (what IN ('permanent_block', 'offer', 'reapply')),
    asked_by     TEXT NOT NULL,
    asked_at     INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    sealed       BLOB,
    note         TEXT,
    status       TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'approved', 'refused', 'lapsed', 'expired')),
    decided_by   TEXT,
    decided_at   INTEGER,
    decided_note TEXT,
    effect       TEXT,
    CHECK ((status = 'open') = (decided_at IS NULL)),
    CHECK ((status IN ('approved', 'refused')) = (decided_by IS NOT NULL)),
    CHECK (decided_by IS NULL OR decided_by <> asked_by),
    CHECK ((status = 'approved') = (effect IS NOT NULL)),
    CHECK ((what = 'permanent_block') = (sealed IS NOT NULL))
) STRICT;
-- One question at a time: the second person must not have to choose between two of the same.
CREATE UNIQUE INDEX approval_open ON approval (customer, what) WHERE status = 'open';
CREATE INDEX approval_by_end ON approval (expires_at) WHERE status = 'open';
