-- The overview: how far rejected customers have come, counted by the side, so that no page ever counts a whole table.

-- One customer's way from a rejection back, or to its end; `number` tells their ways apart. Read from the feed of events.
CREATE TABLE journey (
    customer     BLOB NOT NULL CHECK (length(customer) = 16),
    number       INTEGER NOT NULL CHECK (number > 0),
    rejected_at  INTEGER NOT NULL,
    offered_at   INTEGER,
    corrected_at INTEGER,
    submitted_at INTEGER,
    ended_at     INTEGER,
    outcome      TEXT CHECK (outcome IN ('reinstated', 'finally_rejected')),
    PRIMARY KEY (customer, number),
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;
-- Those who have reached a step, newest rejection first: a page costs what it shows, however few they are.
CREATE INDEX journey_rejected ON journey (rejected_at, customer, number);
CREATE INDEX journey_offered ON journey (rejected_at, customer, number) WHERE offered_at IS NOT NULL;
CREATE INDEX journey_corrected ON journey (rejected_at, customer, number) WHERE corrected_at IS NOT NULL;
CREATE INDEX journey_submitted ON journey (rejected_at, customer, number) WHERE submitted_at IS NOT NULL;
CREATE INDEX journey_reinstated ON journey (rejected_at, customer, number) WHERE outcome = 'reinstated';
CREATE INDEX journey_final ON journey (rejected_at, customer, number) WHERE outcome = 'finally_rejected';
CREATE INDEX journey_under_way ON journey (rejected_at, customer, number) WHERE outcome IS NULL;
CREATE INDEX journey_unaided ON journey (rejected_at, customer, number)
    WHERE outcome = 'reinstated' AND submitted_at IS NULL;

-- The same journeys, counted: by the UTC day of the rejection (days since 1970), by what was reached, and by the bucket of
-- the time that it took (`domain::journey`). A few rows a day, however many customers, and days that no overview shows go.
-- The key is in the order in which they are added up.
CREATE TABLE tally (
    measure TEXT NOT NULL,
    bucket  INTEGER NOT NULL,
    day     INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (measure, bucket, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_by_day ON tally (day);

-- How far the feed of events is counted. Stored in the same transaction as what was counted.
CREATE TABLE feed_reader (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What happened in an hour (hours since 1970): callbacks, changes found without one, calls to Nium.
CREATE TABLE hourly (
    hour  INTEGER NOT NULL,
    what  TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, what)
) STRICT, WITHOUT ROWID;

-- How many stand where at present, and since when the oldest; as of `at`.
CREATE TABLE standing (
    what   TEXT PRIMARY KEY,
    count  INTEGER NOT NULL,
    oldest INTEGER,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What has not ended, in the order in which it is listed: little among everything that ever was.
CREATE INDEX effect_unended ON effect (seq) WHERE ended_at IS NULL;

-- What is held is few rows among many, and is listed.
-- differs: PostgreSQL has had it since there were replicas
CREATE INDEX head_held ON head (holder) WHERE lease_until IS NOT NULL;
