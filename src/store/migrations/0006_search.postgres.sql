-- Search over what is sealed.

-- A blind index: keyed fingerprints of words, addresses and tags of a snapshot. Equal texts have equal marks, and
-- without the key (which is kept wrapped, like every data key) a mark says nothing else.
CREATE TABLE mark (
    mark     BYTEA NOT NULL CHECK (length(mark) = 16),
    customer BYTEA NOT NULL CHECK (length(customer) = 16),
    PRIMARY KEY (mark, customer)
);
CREATE INDEX mark_of_customer ON mark (customer);

-- Whether the marks of a snapshot are written. Snapshots from before this step have none yet, and neither has one that
-- somebody writes without saying so: they are marked by the side.
ALTER TABLE snapshot ADD COLUMN marked SMALLINT NOT NULL DEFAULT 0 CHECK (marked IN (0, 1));
CREATE INDEX snapshot_unmarked ON snapshot (customer) WHERE marked = 0;

-- Whoever takes a snapshot away need not think of its marks.
CREATE FUNCTION snapshot_takes_its_marks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM mark WHERE customer = OLD.customer;
    RETURN NULL;
END $$;
CREATE TRIGGER snapshot_takes_its_marks AFTER DELETE ON snapshot
    FOR EACH ROW EXECUTE FUNCTION snapshot_takes_its_marks();

-- Lists by Nium's words, a page at a time in the order of ids.
-- differs: facts that are no JSON are kept out by a CHECK, so the index need not allow for them
CREATE INDEX snapshot_by_compliance ON snapshot ((facts::json ->> 'compliance'), customer);
CREATE INDEX snapshot_by_status ON snapshot ((facts::json ->> 'status'), customer);
