-- Requests for information: what Nium asks of a customer, as last fetched. Sealed: its officers' words are about the customer.
CREATE TABLE rfi (
    customer   BLOB PRIMARY KEY CHECK (length(customer) = 16),
    sealed     BLOB NOT NULL,
    fetched_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
