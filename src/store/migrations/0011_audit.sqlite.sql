-- The audit record: what people and the service did, chained so that any later change shows.

-- A row is written with what it records, and takes its place in the chain (`seq`) a moment later: writers never wait for
-- each other. `commitment` hides `customer` and `detail` behind `salt`; `mac` covers everything else and the row before.
-- Erasing a person clears those three and leaves the chain whole.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    customer   BLOB CHECK (length(customer) = 16),
    actor      TEXT NOT NULL,
    what       TEXT NOT NULL,
    detail     TEXT,
    erased_at  INTEGER,
    seq        INTEGER UNIQUE,
    salt       BLOB,
    commitment BLOB CHECK (length(commitment) = 32),
    mac        BLOB CHECK (length(mac) = 32),
    key_id     TEXT,
    CHECK ((seq IS NULL) = (commitment IS NULL) AND (seq IS NULL) = (mac IS NULL) AND (seq IS NULL) = (key_id IS NULL)),
    CHECK ((detail IS NULL) = (erased_at IS NOT NULL)),
    CHECK (erased_at IS NULL OR (customer IS NULL AND salt IS NULL))
) STRICT;
CREATE INDEX audit_of_customer ON audit (customer, id) WHERE customer IS NOT NULL;
-- What people did is little beside what the service did.
CREATE INDEX audit_of_actor ON audit (actor, id) WHERE actor <> 'service';
CREATE INDEX audit_by_what ON audit (what, id);

-- Where the chain ends. New rows follow this row, not the last one of the table: rows that were cut off leave a gap.
CREATE TABLE audit_head (
    name      TEXT PRIMARY KEY CHECK (name = 'chain'),
    seq       INTEGER NOT NULL,
    mac       BLOB NOT NULL,
    key_id    TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Signed now and then, and told to the log and to a file: what was there then cannot be cut off unseen.
CREATE TABLE audit_checkpoint (
    number    INTEGER PRIMARY KEY,
    seq       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    mac       BLOB NOT NULL,
    key_id    TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;
