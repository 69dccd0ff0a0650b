-- The customer's life cycle: acts at Nium other than a submission.

-- How far an act got: nothing sent, sending, or sent and nobody knows whether it arrived. Nothing personal.
ALTER TABLE effect ADD COLUMN progress TEXT CHECK (progress IS NULL OR json_valid(progress));
