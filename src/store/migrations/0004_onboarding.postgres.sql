-- Onboarding: where a customer goes on with the vendor who checks them. The address is sealed: whoever has it can act as
-- the customer. An applicant has no customerHashId yet and goes by an id of ours, in `head` and `effect` alone.
CREATE TABLE redirect (
    customer   BYTEA PRIMARY KEY CHECK (length(customer) = 16),
    sealed     BYTEA NOT NULL,
    stored_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
