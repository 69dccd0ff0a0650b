-- Several destinations: events are written once, and delivered to each endpoint that wants them, by leases of its own.

-- What the app backend is told, in order, once; nothing personal. `id` is the `webhook-id`. `position` is where the event
-- stands in the feed: given out after the commit, so that nobody who has read up to a position ever misses an earlier one.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    position INTEGER UNIQUE CHECK (position > 0),
    id       TEXT NOT NULL UNIQUE,
    customer BLOB NOT NULL CHECK (length(customer) = 16),
    kind     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE INDEX event_without_place ON event (seq) WHERE position IS NULL;
CREATE INDEX event_of_customer ON event (customer, position);

-- What was told so far. The second part of a key is the version of the case.
INSERT INTO event (id, customer, kind, version, at, body)
    SELECT key, customer, kind, max(0, CAST(substr(key, 38) AS INTEGER)), created_at, coalesce(payload, x'')
    FROM effect WHERE lane = 'webhook' ORDER BY seq;

-- Things to do to the outside, stored before they are done. Lanes: `nium` and `officer` run under the customer's own
-- lease; `webhook` and `email` have leases of their own and go out in order per customer and `destination`. `behind` is 1
-- while an older one of the same customer and destination has its turn. What an endpoint is sent lies in `event`.
CREATE TABLE effect_with_places (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    customer    BLOB NOT NULL,
    lane        TEXT NOT NULL CHECK (lane IN ('nium', 'officer', 'webhook', 'email')),
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
    forgiven    INTEGER NOT NULL DEFAULT 0,
    progress    TEXT CHECK (progress IS NULL OR json_valid(progress)),
    holder      TEXT,
    destination TEXT,
    event_id    TEXT,
    behind      INTEGER NOT NULL DEFAULT 0 CHECK (behind IN (0, 1)),
    CHECK ((status IN ('done', 'refused', 'overtaken', 'failed')) = (ended_at IS NOT NULL)),
    CHECK (lane NOT IN ('webhook', 'email') OR (status = 'pending') = (due_at IS NOT NULL)),
    CHECK (lease_until IS NULL OR due_at = lease_until),
    CHECK ((lane IN ('webhook', 'email')) = (destination IS NOT NULL)),
    CHECK (lane <> 'webhook' OR event_id IS NOT NULL)
) STRICT;
INSERT INTO effect_with_places (seq, key, customer, lane, kind, status, due_at, epoch, lease_until, attempts, created_at,
        ended_at, payload, sealed, said, outcome, forgiven, progress, holder, destination, event_id, behind)
    SELECT seq, key, customer, lane, kind, status, due_at, epoch, lease_until, attempts, created_at, ended_at,
        CASE lane WHEN 'webhook' THEN NULL ELSE payload END, sealed, said, outcome, forgiven, progress, holder,
        CASE lane WHEN 'webhook' THEN 'default' END, CASE lane WHEN 'webhook' THEN key END,
        lane = 'webhook' AND status = 'pending' AND EXISTS (
            SELECT 1 FROM effect AS older WHERE older.customer = effect.customer AND older.seq < effect.seq
                AND older.lane = 'webhook' AND older.status = 'pending')
    FROM effect;
-- A number is never given out twice, also if the rows that had the last ones are gone.
DELETE FROM sqlite_sequence WHERE name = 'effect_with_places';
INSERT INTO sqlite_sequence (name, seq) SELECT 'effect_with_places', seq FROM sqlite_sequence WHERE name = 'effect';
DROP TABLE effect;
ALTER TABLE effect_with_places RENAME TO effect;

-- Whose turn it is at a destination, soonest first; and the soonest of all.
CREATE INDEX effect_due ON effect (lane, destination, due_at)
    WHERE destination IS NOT NULL AND status = 'pending' AND behind = 0;
CREATE INDEX effect_next ON effect (due_at) WHERE destination IS NOT NULL AND status = 'pending' AND behind = 0;
-- Who has the turn after that, and what has waited longest at a destination.
CREATE INDEX effect_turn ON effect (customer, lane, destination, seq) WHERE destination IS NOT NULL AND status = 'pending';
CREATE INDEX effect_waiting ON effect (lane, destination, seq) WHERE destination IS NOT NULL AND status = 'pending';
CREATE INDEX effect_of_event ON effect (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX effect_of_destination ON effect (destination, seq) WHERE destination IS NOT NULL;
CREATE INDEX effect_of_customer ON effect (customer, seq);
CREATE INDEX effect_open ON effect (lane, created_at) WHERE ended_at IS NULL;
CREATE INDEX effect_failed ON effect (seq) WHERE status = 'failed' AND destination IS NOT NULL;
-- One submission under way per customer, whatever happens above.
CREATE UNIQUE INDEX effect_one_submission ON effect (customer)
    WHERE lane = 'nium' AND status IN ('pending', 'sending', 'unclear');

-- How an endpoint has been doing. `seen_at` is when a replica last said that it is configured. `disabled_at`: nothing but
-- one probe, at `probe_at`, is sent to it.
CREATE TABLE endpoint (
    name            TEXT PRIMARY KEY,
    seen_at         INTEGER NOT NULL,
    last_success_at INTEGER,
    failing_since   INTEGER,
    disabled_at     INTEGER,
    probe_at        INTEGER,
    CHECK (disabled_at IS NULL OR failing_since IS NOT NULL),
    CHECK ((disabled_at IS NULL) = (probe_at IS NULL))
) STRICT, WITHOUT ROWID;
