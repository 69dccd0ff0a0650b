-- The customer's life cycle: acts at Nium other than a submission.

-- How far an act got: nothing sent, sending, or sent and nobody knows whether it arrived. Nothing personal.
ALTER TABLE effect ADD COLUMN progress TEXT CHECK (progress IS NULL OR progress::jsonb IS NOT NULL);

-- A sweep reads each page again after the next one: whoever slid to it meanwhile is met there. 1: that is what `page` is for.
ALTER TABLE sweep ADD COLUMN back SMALLINT NOT NULL DEFAULT 0 CHECK (back IN (0, 1));
