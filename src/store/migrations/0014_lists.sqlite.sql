-- Lists that officers work through, and acts on many customers at once.

-- By the verdict on the remarks, in the order of ids. Only what was rejected has one.
CREATE INDEX cases_by_class ON cases ((CASE WHEN json_valid(data) THEN data ->> '$.grounds.class' END), customer)
    WHERE (CASE WHEN json_valid(data) THEN data ->> '$.grounds.class' END) IS NOT NULL;

-- Nearest deadline first: of an offer, or else of a request for information. The first 19 characters of a moment sort as
-- the moments do.
CREATE INDEX cases_by_deadline ON cases ((CASE WHEN state = 'awaiting_correction'
         THEN CASE WHEN json_valid(data) THEN substr(data ->> '$.deadline', 1, 19) END
         WHEN instr(beside, '"overdue":false') > 0 AND json_valid(beside)
         THEN substr(beside ->> '$.rfi.deadline', 1, 19) END), customer)
    WHERE (CASE WHEN state = 'awaiting_correction'
         THEN CASE WHEN json_valid(data) THEN substr(data ->> '$.deadline', 1, 19) END
         WHEN instr(beside, '"overdue":false') > 0 AND json_valid(beside)
         THEN substr(beside ->> '$.rfi.deadline', 1, 19) END) IS NOT NULL;

-- One act on many customers. `chosen` is who fitted when it was confirmed: 24 bytes each, the id and the version of the
-- case, in the order of ids; `place` is how many of them are done. `note` is sealed.
CREATE TABLE bulk (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    word         TEXT NOT NULL CHECK (word IN ('offer', 'final', 'retry', 'close')),
    filter       TEXT NOT NULL,
    asked_by     TEXT NOT NULL,
    asked_at     INTEGER NOT NULL,
    note         BLOB,
    chosen       BLOB NOT NULL,
    total        INTEGER NOT NULL CHECK (length(chosen) = 24 * total),
    place        INTEGER NOT NULL DEFAULT 0 CHECK (place BETWEEN 0 AND total),
    said         INTEGER NOT NULL DEFAULT 0 CHECK (said BETWEEN 0 AND place),
    ended_at     INTEGER,
    cancelled_by TEXT,
    CHECK (cancelled_by IS NULL OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX bulk_running ON bulk (seq) WHERE ended_at IS NULL;

-- What became of each customer of such an act: the effect of the word, or why it was not said.
CREATE TABLE bulk_customer (
    bulk     INTEGER NOT NULL,
    customer BLOB NOT NULL CHECK (length(customer) = 16),
    effect   TEXT,
    left_out TEXT,
    PRIMARY KEY (bulk, customer),
    CHECK ((effect IS NULL) = (left_out IS NOT NULL))
) STRICT, WITHOUT ROWID;
