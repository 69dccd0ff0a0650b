-- Several replicas: who holds what, so that one that comes back after it died takes up its own work at once.
ALTER TABLE head ADD COLUMN holder TEXT;
ALTER TABLE effect ADD COLUMN holder TEXT;
-- What a replica held is few rows among many, and is asked for at every start.
CREATE INDEX head_held ON head (holder) WHERE lease_until IS NOT NULL;
CREATE INDEX effect_held ON effect (holder) WHERE lease_until IS NOT NULL;

-- Who does what the whole fleet does once, and until when.
-- differs: one process has nobody to share with, neither duties nor the pace
CREATE TABLE duty (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  BIGINT NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The pace towards Nium. `next_at` is when the budget is whole again, in microseconds since 1970. One row that every call
-- to Nium changes: its page has room for many versions of it.
CREATE TABLE pace (
    name    TEXT PRIMARY KEY,
    next_at BIGINT NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
