-- Requests for information: what Nium asks of a customer, as last fetched. Sealed: its officers' words are about the customer.
CREATE TABLE rfi (
    customer   BYTEA PRIMARY KEY CHECK (length(customer) = 16),
    sealed     BYTEA NOT NULL,
    fetched_at BIGINT NOT NULL
);
