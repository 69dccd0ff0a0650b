-- Who was erased, what may not be, and keys that outlive the master keys they come from.

-- Somebody was erased: nothing about them is kept, and nothing comes in again. `number` is the order in which it happened.
CREATE TABLE erasure (
    customer  BYTEA PRIMARY KEY CHECK (length(customer) = 16),
    number    BIGINT NOT NULL UNIQUE CHECK (number > 0),
    at        BIGINT NOT NULL,
    erased_by TEXT NOT NULL
);

-- A legal hold: what is on file about the customer is neither erased nor taken away by a rule. `note` is the reason, sealed.
CREATE TABLE legal_hold (
    customer BYTEA PRIMARY KEY CHECK (length(customer) = 16),
    set_by   TEXT NOT NULL,
    since    BIGINT NOT NULL,
    note     TEXT NOT NULL
);

-- The keys of the audit record's MACs, wrapped like data keys: what a master key has signed is checked when it is gone, too.
CREATE TABLE audit_key (
    id      TEXT PRIMARY KEY,
    wrapped BYTEA NOT NULL
);

-- A wrapped key begins with the id of the master key that wrapped it: those of one stand together.
CREATE INDEX data_key_by_master ON data_key (substr(wrapped, 1, 34));

-- Whether there may be documents in an application, and since when they are of no more use: Nium has accepted the customer.
ALTER TABLE application ADD COLUMN documents BIGINT NOT NULL DEFAULT 1 CHECK (documents IN (0, 1));
ALTER TABLE application ADD COLUMN accepted_at BIGINT;
UPDATE application SET accepted_at = stored_at
    WHERE customer IN (SELECT customer FROM cases WHERE state IN ('approved', 'reinstated'));
CREATE INDEX application_accepted ON application (accepted_at) WHERE documents = 1 AND accepted_at IS NOT NULL;
