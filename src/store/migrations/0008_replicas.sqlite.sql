-- Several replicas: who holds what, so that one that comes back after it died takes up its own work at once. An SQLite
-- database has one process; the columns are here so that both databases hold the same.
ALTER TABLE head ADD COLUMN holder TEXT;
ALTER TABLE effect ADD COLUMN holder TEXT;
