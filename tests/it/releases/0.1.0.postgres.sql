DECLARE scroll NO SCROLL CURSOR FOR SELECT a.seq, a.id, a.customer, a.what, a.version, c.version, a.asked_by, a.asked_at, a.expires_at,
         a.sealed, a.note, a.status, a.decided_by, a.decided_at, a.decided_note, a.effect
     FROM approval AS a LEFT JOIN cases AS c ON c.customer = a.customer WHERE a.status <> 'open' AND a.seq < $1 ORDER BY a.seq DESC
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT a.seq, a.id, a.customer, a.what, a.version, c.version, a.asked_by, a.asked_at, a.expires_at,
         a.sealed, a.note, a.status, a.decided_by, a.decided_at, a.decided_note, a.effect
     FROM approval AS a LEFT JOIN cases AS c ON c.customer = a.customer WHERE a.status = 'open' AND a.expires_at <= $1 ORDER BY a.expires_at
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT a.seq, a.id, a.customer, a.what, a.version, c.version, a.asked_by, a.asked_at, a.expires_at,
         a.sealed, a.note, a.status, a.decided_by, a.decided_at, a.decided_note, a.effect
     FROM approval AS a LEFT JOIN cases AS c ON c.customer = a.customer WHERE a.status = 'open' AND a.seq > $1 ORDER BY a.seq
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note
     FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer WHERE c.customer IN (SELECT customer FROM mark WHERE mark = $1 AND customer > $2 ORDER BY customer LIMIT 51) AND EXISTS (SELECT 1 FROM mark WHERE mark.mark = $3 AND mark.customer = c.customer) ORDER BY c.customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note
     FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer WHERE c.customer IN (SELECT customer FROM snapshot WHERE (facts::json ->> 'compliance') = $1 AND customer > $2 ORDER BY customer LIMIT 10000) AND (facts::json ->> 'compliance') = $3 AND coalesce((facts::json ->> 'kind'), '') <> $4 AND c.since <= $5 ORDER BY c.customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note
     FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer WHERE c.customer IN (SELECT customer FROM snapshot WHERE (facts::json ->> 'status') = $1 AND customer > $2 ORDER BY customer LIMIT 10000) AND c.state = $3 AND (facts::json ->> 'status') = $4 ORDER BY c.customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note, NULL FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer  WHERE c.customer IN (SELECT customer FROM mark WHERE mark = $1 AND customer > $2 ORDER BY customer LIMIT 51) AND EXISTS (SELECT 1 FROM mark WHERE mark.mark = $3 AND mark.customer = c.customer) ORDER BY c.customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note, NULL FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer  WHERE c.customer IN (SELECT customer FROM snapshot WHERE (facts::json ->> 'compliance') = $1 AND customer > $2 ORDER BY customer LIMIT 10000) AND (facts::json ->> 'compliance') = $3 AND coalesce((facts::json ->> 'kind'), '') <> $4 AND c.since <= $5 ORDER BY c.customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note, NULL FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer  WHERE c.customer IN (SELECT customer FROM snapshot WHERE (facts::json ->> 'status') = $1 AND customer > $2 ORDER BY customer LIMIT 10000) AND c.state = $3 AND (facts::json ->> 'status') = $4 ORDER BY c.customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT customer, 0, 0, 0, 0, 0, 0, 0, looked_at, facts, sealed FROM snapshot
         WHERE marked = 0 AND customer > $1 ORDER BY customer
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT customer, sealed FROM application
         WHERE documents = 1 AND accepted_at IS NOT NULL AND accepted_at <= $1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = application.customer)
         ORDER BY accepted_at
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT id, customer, request_id, source, template, first_at, last_at, deliveries FROM callback WHERE customer = $2 AND id < $1 ORDER BY id DESC
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT id, customer, request_id, source, template, first_at, last_at, deliveries FROM callback WHERE id < $1 ORDER BY id DESC
;
DECLARE scroll NO SCROLL CURSOR FOR SELECT seq, at, actor, what, customer, detail, salt, erased_at, commitment, mac, key_id, id FROM audit WHERE id < $1 AND actor <> 'service' AND actor = $2 AND what || '' = $3 ORDER BY id DESC
;
DELETE FROM alarm WHERE name LIKE 'endpoint:%'
                 AND NOT EXISTS (SELECT 1 FROM endpoint WHERE 'endpoint:' || endpoint.name = alarm.name)
;
DELETE FROM callback_log WHERE id = $1
;
DELETE FROM callback_log WHERE id IN (
         SELECT id FROM callback_log WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, at, customer, looks, source, request_id, template, again
;
DELETE FROM data_key WHERE customer = $1
;
DELETE FROM draft WHERE link IN (SELECT link FROM draft WHERE stored_at < $1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = draft.customer) LIMIT $2)
;
DELETE FROM draft WHERE link IN (SELECT link FROM draft WHERE stored_at < $1 LIMIT $2)
;
DELETE FROM endpoint WHERE seen_at <= $1
;
DELETE FROM head WHERE customer = $1 AND customer IN (SELECT customer FROM erasure WHERE customer = $1)
;
DELETE FROM head WHERE customer = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
DELETE FROM hourly WHERE (hour, what) IN (
             SELECT hour, what FROM hourly WHERE hour < $1 ORDER BY hour LIMIT $2)
;
DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE stored_at < $1 LIMIT $2)
;
DELETE FROM link WHERE id IN (SELECT id FROM link WHERE expires_at < $1
             AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE legal_hold.customer = link.customer) LIMIT $2)
;
DELETE FROM link WHERE id IN (SELECT id FROM link WHERE expires_at < $1 LIMIT $2)
;
DELETE FROM mark WHERE customer = $1
;
DELETE FROM redirect WHERE customer = $1
;
DELETE FROM rfi WHERE customer = $1
;
DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE ends_at < $1 LIMIT $2)
;
DELETE FROM standing WHERE at <> $1
;
DELETE FROM tally WHERE (measure, bucket, day) IN (
             SELECT measure, bucket, day FROM tally WHERE day < $1 LIMIT $2)
;
DELETE FROM visit WHERE hash IN (SELECT hash FROM visit WHERE ends_at <= $1 LIMIT $2)
;
INSERT INTO application (customer, sealed, stored_at) VALUES ($1, $2, $3)
             ON CONFLICT (customer) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at
;
INSERT INTO application (customer, sealed, stored_at) VALUES ($1, $2, $3)
             ON CONFLICT (customer) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at,
                 documents = 1, accepted_at = NULL
;
INSERT INTO application (customer, sealed, stored_at, accepted_at) VALUES ($1, $2, $3,
                 (SELECT CAST($3 AS BIGINT) FROM cases WHERE customer = $1 AND state IN ('approved', 'reinstated')))
             ON CONFLICT (customer) DO UPDATE SET sealed = excluded.sealed, stored_at = excluded.stored_at,
                 documents = 1, accepted_at = excluded.accepted_at
;
INSERT INTO attempt (effect, number, at, outcome)
                 SELECT seq, attempts, $2, $3 FROM effect WHERE key = $1 ON CONFLICT DO NOTHING
;
INSERT INTO attempt (effect, number, at, outcome) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
;
INSERT INTO audit (at, customer, actor, what, detail) VALUES ($1, $2, $3, $4, $5)
;
INSERT INTO audit_checkpoint (number, seq, at, mac, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6)
;
INSERT INTO audit_head (name, seq, mac, key_id, signature) VALUES ('chain', $1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, mac = excluded.mac, key_id = excluded.key_id,
             signature = excluded.signature
;
INSERT INTO callback AS c (id, customer, request_id, source, template, first_at, last_at, deliveries)
     SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
         $8::bigint[])
     ON CONFLICT (customer, request_id) DO UPDATE SET deliveries = c.deliveries + excluded.deliveries,
         first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
;
INSERT INTO callback AS c (id, customer, request_id, source, template, first_at, last_at, deliveries)
     SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
         $8::bigint[])
     ON CONFLICT (customer, request_id) DO UPDATE SET deliveries = c.deliveries + excluded.deliveries,
         first_at = least(c.first_at, excluded.first_at), last_at = greatest(c.last_at, excluded.last_at)
     RETURNING xmax = 0, first_at
;
INSERT INTO callback_log (at, customer, looks, source, request_id, template, again)
     SELECT at, customer, looks, source, request_id, template, again
     FROM unnest($1::bigint[], $2::bytea[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::smallint[])
         WITH ORDINALITY AS one (at, customer, looks, source, request_id, template, again, place)
     ORDER BY place RETURNING id
;
INSERT INTO callback_log (at, looks, source) VALUES (0, 0, 'callback') RETURNING id
;
INSERT INTO cases (customer, version, state, data, since, attempts_used, beside, next_what, next_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (customer) DO UPDATE SET version = excluded.version, state = excluded.state,
                 data = excluded.data, since = excluded.since, attempts_used = excluded.attempts_used,
                 beside = excluded.beside, next_what = excluded.next_what, next_at = excluded.next_at
             WHERE cases.version <= excluded.version AND excluded.version <= cases.version + 1
;
INSERT INTO correction (effect, customer, sealed) VALUES ($1, $2, $3)
;
INSERT INTO data_key (customer, wrapped, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
;
INSERT INTO duty (name, holder, until) VALUES ('house', $1, $2)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
         WHERE duty.holder = excluded.holder OR duty.until <= $3
;
INSERT INTO effect (key, customer, lane, kind, status, created_at, sealed)
             VALUES ($1, $2, $3, $4, 'pending', $5, $6)
;
INSERT INTO effect (key, customer, lane, kind, status, due_at, created_at, payload, sealed, destination,
                 event_id, behind)
             VALUES ($1, $2, $3, $4, 'pending', $11, $5, $6, $7, $8, $9, $10)
;
INSERT INTO effect (key, customer, lane, kind, status, due_at, created_at, payload, sealed, destination,
                 event_id, behind)
             VALUES ($1, $2, $3, $4, 'pending', $5, $5, $6, $7, $8, $9, $10)
;
INSERT INTO endpoint (name, seen_at) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at WHERE endpoint.seen_at < excluded.seen_at
;
INSERT INTO event (id, customer, kind, version, at, body) VALUES ($1, $2, $3, $4, $5, $6)
;
INSERT INTO feed_reader (name, position) VALUES ('tally', $1)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position
;
INSERT INTO finding (customer, found_by, found_at, since, judge_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING
;
INSERT INTO head (customer, rank, wanted, due_at) VALUES ($1, $3, 1, $2)
             ON CONFLICT (customer) DO UPDATE SET wanted = head.wanted + 1,
                 rank = CASE WHEN head.rank < $3 THEN head.rank ELSE $3 END,
                 due_at = CASE WHEN head.lease_until IS NOT NULL OR head.due_at < $2 THEN head.due_at
                     ELSE $2 END
;
INSERT INTO head AS h (customer, rank, wanted, due_at)
     SELECT customer, 2, nudges, at FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS one (customer, nudges, at)
     ORDER BY customer
     ON CONFLICT (customer) DO UPDATE SET
         wanted = h.wanted + excluded.wanted, historic = 0, rank = least(h.rank, 2),
         due_at = CASE WHEN h.lease_until IS NOT NULL OR h.failures > 0 THEN h.due_at
             ELSE least(h.due_at, excluded.due_at) END
;
INSERT INTO head AS h (customer, rank, wanted, due_at)
     SELECT customer, 2, nudges, least(at, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)) FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS one (customer, nudges, at)
     ORDER BY customer
     ON CONFLICT (customer) DO UPDATE SET
         wanted = h.wanted + excluded.wanted, historic = 0, rank = least(h.rank, 2),
         due_at = CASE WHEN h.lease_until IS NOT NULL OR h.failures > 0 THEN h.due_at
             ELSE least(h.due_at, excluded.due_at) END
;
INSERT INTO history (customer, at, version, what, detail) VALUES ($1, $2, $3, $4, $5)
;
INSERT INTO hourly AS h (hour, what, count)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS one (hour, what, count) ORDER BY hour, what
     ON CONFLICT (hour, what) DO UPDATE SET count = h.count + excluded.count
;
INSERT INTO hourly AS h (hour, what, count) VALUES ($1, $2, $3)
     ON CONFLICT (hour, what) DO UPDATE SET count = h.count + excluded.count
;
INSERT INTO idempotency (key, customer, body_mark, status, sealed, stored_at)
             VALUES ($1, $2, $3, $4, $5, $6)
;
INSERT INTO in_hand (customer, taken_by, since, note) VALUES ($1, $2, $3, $4)
         ON CONFLICT (customer) DO UPDATE SET taken_by = excluded.taken_by, since = excluded.since,
             note = excluded.note
;
INSERT INTO journey (customer, number, rejected_at, offered_at, corrected_at, submitted_at, ended_at, outcome)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (customer, number) DO UPDATE SET
             offered_at = excluded.offered_at, corrected_at = excluded.corrected_at,
             submitted_at = excluded.submitted_at, ended_at = excluded.ended_at, outcome = excluded.outcome
;
INSERT INTO mark (mark, customer) VALUES ($1, $2)
;
INSERT INTO note (id, customer, sealed) VALUES ($1, $2, $3)
;
INSERT INTO pace AS p (name, next_at)
     VALUES ('nium', CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) + $1)
     ON CONFLICT (name) DO UPDATE SET next_at = $1 + least(
         greatest(p.next_at, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)),
         CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) + $3)
     RETURNING next_at - $1 - $2 - CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
;
INSERT INTO snapshot (customer, looked_at, facts, sealed, marked) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (customer) DO UPDATE SET looked_at = excluded.looked_at, facts = excluded.facts,
                     sealed = excluded.sealed, marked = excluded.marked
;
INSERT INTO standing (what, count, oldest, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (what) DO UPDATE SET count = excluded.count, oldest = excluded.oldest, at = excluded.at
;
INSERT INTO sweep (kind, asked_by, asked_at, due_at)
             SELECT CASE WHEN EXISTS (SELECT 1 FROM sweep WHERE outcome = 'complete') THEN 'full' ELSE 'baseline' END,
                    $1, $2, $2
;
INSERT INTO tally AS t (day, measure, bucket, count) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (day, measure, bucket) DO UPDATE SET count = t.count + excluded.count
;
INSERT INTO tally AS t (measure, bucket, day, count) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (measure, bucket, day) DO UPDATE SET count = t.count + excluded.count
;
SELECT (SELECT count(*) FROM
             (SELECT 1 FROM head WHERE rank IN (0, 1, 2, 3) AND due_at <= $1 LIMIT $2) AS due)
         + (SELECT count(*) FROM (SELECT 1 FROM head WHERE lease_until IS NOT NULL AND holder >= '' LIMIT $2) AS held)
         + (SELECT count(*) FROM (SELECT 1 FROM head WHERE failures > 0 LIMIT $2) AS failing) < $2
;
SELECT 1 FROM audit WHERE seq IS NOT NULL LIMIT 1
;
SELECT 1 FROM audit WHERE seq IS NULL LIMIT 1
;
SELECT 1 FROM duty WHERE name = 'copy' AND until > $1
;
SELECT 1 FROM effect
             WHERE customer = $1 AND lane = $2 AND destination = $3 AND status = 'pending' LIMIT 1
;
SELECT 1 FROM effect
             WHERE customer = $1 AND lane = 'nium' AND status IN ('pending', 'sending', 'unclear')
;
SELECT 1 FROM endpoint WHERE name = $1 AND disabled_at IS NOT NULL
;
SELECT 1 FROM erasure WHERE customer = $1
;
SELECT 1 FROM event WHERE position > (SELECT coalesce((SELECT position FROM feed_reader WHERE name = 'tally'), 0)) LIMIT 1
;
SELECT 1 FROM event WHERE position IS NULL LIMIT 1
;
SELECT 1 FROM snapshot WHERE marked = 0 LIMIT 1
;
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)
;
SELECT at FROM callback_log ORDER BY id LIMIT 1
;
SELECT at, what, version, detail FROM history WHERE customer = $1 ORDER BY id DESC LIMIT $2
;
SELECT body_mark, status, sealed FROM idempotency WHERE key = $1
;
SELECT c.customer, c.data, c.since, h.taken_by, h.since, h.note
         FROM cases AS c LEFT JOIN in_hand AS h ON h.customer = c.customer
         WHERE c.state = 'needs_officer' AND c.customer > $1 AND c.customer = coalesce($2, c.customer)
         ORDER BY c.customer LIMIT $3
;
SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note
     FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer WHERE c.customer = $1
;
SELECT c.customer, c.version, c.data, c.since, c.attempts_used, c.beside, c.next_what, c.next_at,
        s.looked_at, s.facts, s.sealed, h.taken_by, h.since, h.note FROM cases AS c LEFT JOIN snapshot AS s ON s.customer = c.customer
         LEFT JOIN in_hand AS h ON h.customer = c.customer WHERE c.customer = $1
;
SELECT coalesce((SELECT position FROM feed_reader WHERE name = 'tally'), 0)
;
SELECT coalesce(max(position), 0) FROM event
;
SELECT count(*) FROM (SELECT 1 FROM audit WHERE seq IS NULL LIMIT 10000) AS waiting
;
SELECT count(*) FROM (SELECT 1 FROM callback_log LIMIT 100000) AS waiting
;
SELECT count(*) FROM audit WHERE seq IS NULL
;
SELECT count(*) FROM effect WHERE customer = $1 AND lane = 'officer'
;
SELECT count(*) FROM finding WHERE judge_at <= $1
;
SELECT count(*) FROM finding WHERE judge_at IS NOT NULL AND $1 = $1
;
SELECT count(*) FROM finding WHERE missing = 1 AND found_at > $1
;
SELECT count(*) FROM head WHERE due_at <= $1 AND lease_until IS NULL
;
SELECT count(*) FROM head WHERE rank IN (0, 1, 2, 3) AND due_at <= $1 AND lease_until IS NULL
;
SELECT count(*), NULL FROM audit WHERE seq IS NULL
;
SELECT count(*), NULL FROM head WHERE failures > 0
;
SELECT count(*), min(asked_at) FROM approval WHERE status = 'open'
;
SELECT count(*), min(created_at) FROM effect
                 WHERE status = 'failed' AND destination IS NOT NULL AND seq > 0
;
SELECT count(*), min(created_at) FROM effect WHERE ended_at IS NULL AND attempts > forgiven
;
SELECT count(*), min(created_at) FROM effect WHERE status = 'failed' AND destination IS NOT NULL
;
SELECT count(*), min(due_at) FROM head
         WHERE rank IN (0, 1, 2, 3) AND due_at <= $1 AND lease_until IS NULL
;
SELECT count(*), min(due_at) FROM head WHERE due_at <= $1 AND lease_until IS NULL
;
SELECT count(*), min(fetched_at) FROM rfi
;
SELECT created_at, attempts > forgiven FROM effect
     WHERE lane = 'webhook' AND destination = $1 AND destination IS NOT NULL AND status = 'pending'
     ORDER BY seq LIMIT 1
;
SELECT current_setting('synchronous_commit') <> 'off'
;
SELECT customer FROM mark WHERE mark = $1 AND customer > $2 ORDER BY customer LIMIT 51 OFFSET 50
;
SELECT customer FROM snapshot WHERE (facts::json ->> 'compliance') = $1 AND customer > $2 ORDER BY customer LIMIT 10000 OFFSET 9999
;
SELECT customer FROM snapshot WHERE (facts::json ->> 'status') = $1 AND customer > $2 ORDER BY customer LIMIT 10000 OFFSET 9999
;
SELECT customer, at, erased_by FROM erasure WHERE customer = $1
;
SELECT customer, at, erased_by, number FROM erasure WHERE number > $1 ORDER BY number LIMIT $2
;
SELECT customer, due_at, lease_until, failures FROM head
         WHERE customer > $1 AND customer = coalesce($2, customer) AND (lease_until IS NOT NULL OR failures > 0 OR due_at <= $4) AND customer IN (SELECT customer FROM head WHERE rank IN (0, 1, 2, 3) AND due_at <= $4
     UNION SELECT customer FROM head WHERE lease_until IS NOT NULL AND holder >= ''
     UNION SELECT customer FROM head WHERE failures > 0) ORDER BY customer LIMIT $3
;
SELECT customer, due_at, lease_until, failures FROM head
         WHERE customer > $1 AND customer = coalesce($2, customer) AND (lease_until IS NOT NULL OR failures > 0 OR due_at <= $4) ORDER BY customer LIMIT $3
;
SELECT customer, epoch FROM head WHERE lease_until IS NOT NULL AND holder = $1
;
SELECT customer, number, rejected_at, offered_at, corrected_at, submitted_at, ended_at, outcome FROM journey WHERE customer = $1 ORDER BY number DESC LIMIT 1
;
SELECT customer, version, data, since, attempts_used, beside, next_what, next_at
     FROM cases WHERE customer = $1
;
SELECT customer, wanted, handled, epoch, failures, unreadable, historic, rank FROM head
     WHERE rank = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
;
SELECT endpoint.name, last_success_at, failing_since, disabled_at, probe_at, raised_at
     FROM endpoint LEFT JOIN alarm ON alarm.name = 'endpoint:' || endpoint.name ORDER BY endpoint.name
;
SELECT holder FROM duty WHERE name = 'house'
;
SELECT id, at, customer, actor, what, detail, erased_at FROM audit WHERE seq IS NULL ORDER BY id LIMIT $1
;
SELECT id, kind, asked_by, asked_at, page, pages, total, seen, found, unreadable, failures, trouble,
     due_at, ended_at, outcome, back FROM sweep ORDER BY id DESC LIMIT 1
;
SELECT id, kind, asked_by, asked_at, page, pages, total, seen, found, unreadable, failures, trouble,
     due_at, ended_at, outcome, back FROM sweep WHERE ended_at IS NULL
;
SELECT id, kind, asked_by, asked_at, page, pages, total, seen, found, unreadable, failures, trouble,
     due_at, ended_at, outcome, back FROM sweep WHERE id < $1 ORDER BY id DESC LIMIT $2
;
SELECT id, sealed FROM note WHERE customer = $1
;
SELECT id, wrapped FROM audit_key ORDER BY id
;
SELECT key, customer, lane, kind, status, attempts, created_at, ended_at, outcome, said FROM effect
             WHERE key = $1
;
SELECT key, lane, kind, status, sealed, progress, payload IS NOT NULL FROM effect
     WHERE customer = $1 AND lane IN ('nium', 'officer') AND status IN ('pending', 'sending', 'unclear')
     ORDER BY lane = 'officer' DESC, seq LIMIT 1
;
SELECT lane, count(*), min(created_at) FROM effect WHERE ended_at IS NULL GROUP BY lane
;
SELECT looked_at, facts FROM snapshot WHERE customer = $1
;
SELECT mark FROM mark WHERE customer = $1
;
SELECT max(ended_at) FROM sweep WHERE outcome = 'complete'
;
SELECT min(due_at) FROM effect
             WHERE destination IS NOT NULL AND status = 'pending' AND behind = 0 AND due_at > $1 AND $2 = $2
;
SELECT min(due_at) FROM head WHERE rank = $2 AND due_at > $1
;
SELECT number, seq, at, mac, key_id, signature FROM audit_checkpoint ORDER BY number DESC LIMIT 1
;
SELECT pg_advisory_xact_lock($1)
;
SELECT pg_advisory_xact_lock(CAST($1 AS int), hashtext($2))
;
SELECT position FROM cursor WHERE name = 'last_callback' AND position > 0
;
SELECT position, customer, kind, at FROM event WHERE position > $1 ORDER BY position LIMIT $2
;
SELECT raised_at FROM alarm WHERE name = $1
;
SELECT sealed FROM application WHERE customer = $1
;
SELECT sealed, expires_at FROM redirect WHERE customer = $1
;
SELECT sealed, fetched_at FROM rfi WHERE customer = $1
;
SELECT seq, customer, kind, event_id, destination, attempts FROM effect
             WHERE lane = 'webhook' AND destination IS NOT NULL AND status = 'pending'
                 AND (lease_until IS NULL OR lease_until <= $3)
                 AND NOT EXISTS (SELECT 1 FROM endpoint WHERE name = destination AND seen_at > $1)
             ORDER BY destination, seq LIMIT $2
;
SELECT seq, customer, kind, status, created_at, due_at, attempts, outcome FROM (
         SELECT seq, customer, created_at, due_at, attempts - forgiven AS attempts, outcome,
             CASE WHEN lane IN ('webhook', 'email', 'officer') THEN lane ELSE kind END AS kind,
             CASE WHEN status = 'failed' THEN 'failed' WHEN status = 'sending' OR lease_until > $6 THEN 'held'
                  WHEN attempts > forgiven THEN 'failing' ELSE 'waiting' END AS status
         FROM effect WHERE (ended_at IS NULL OR (status = 'failed' AND destination IS NOT NULL)) AND seq > $1
             AND customer = coalesce($2, customer)) AS job
     WHERE kind = coalesce($3, kind) AND status = coalesce($4, status) ORDER BY seq LIMIT $5
;
SELECT seq, customer, kind, status, created_at, due_at, attempts, outcome FROM (
         SELECT seq, customer, created_at, due_at, attempts - forgiven AS attempts, outcome,
             CASE WHEN lane IN ('webhook', 'email', 'officer') THEN lane ELSE kind END AS kind,
             CASE WHEN status = 'failed' THEN 'failed' WHEN status = 'sending' OR lease_until > $6 THEN 'held'
                  WHEN attempts > forgiven THEN 'failing' ELSE 'waiting' END AS status
         FROM effect WHERE ended_at IS NULL AND seq > $1
             AND customer = coalesce($2, customer)) AS job
     WHERE kind = coalesce($3, kind) AND status = coalesce($4, status) ORDER BY seq LIMIT $5
;
SELECT seq, customer, kind, status, created_at, due_at, attempts, outcome FROM (
         SELECT seq, customer, created_at, due_at, attempts - forgiven AS attempts, outcome,
             CASE WHEN lane IN ('webhook', 'email', 'officer') THEN lane ELSE kind END AS kind,
             CASE WHEN status = 'failed' THEN 'failed' WHEN status = 'sending' OR lease_until > $6 THEN 'held'
                  WHEN attempts > forgiven THEN 'failing' ELSE 'waiting' END AS status
         FROM effect WHERE status = 'failed' AND destination IS NOT NULL AND seq > $1
             AND customer = coalesce($2, customer)) AS job
     WHERE kind = coalesce($3, kind) AND status = coalesce($4, status) ORDER BY seq LIMIT $5
;
SELECT seq, epoch FROM effect WHERE lease_until IS NOT NULL AND holder = $1
;
SELECT seq, epoch, key, customer, kind, coalesce((SELECT body FROM event WHERE id = event_id), payload),
         attempts, forgiven, destination, event_id, sealed FROM effect WHERE lane = $1 AND destination = $2 AND destination IS NOT NULL AND status = 'pending' AND behind = 0 AND due_at <= $3
     ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
;
SELECT seq, id, word, filter, asked_by, asked_at, note, total, place, said, ended_at, cancelled_by FROM bulk WHERE ended_at IS NULL ORDER BY seq LIMIT 1
;
SELECT seq, mac, key_id, signature FROM audit_head WHERE name = 'chain'
;
SELECT set_by, since, note FROM legal_hold WHERE customer = $1
;
SELECT state, count(*), min(since) FROM cases GROUP BY state
;
SELECT substr(wrapped, 1, 34), customer, wrapped FROM data_key WHERE substr(wrapped, 1, 34) >= $1 ORDER BY substr(wrapped, 1, 34) LIMIT 3
;
SELECT wanted > handled FROM head WHERE customer = $1
;
SELECT what, count, oldest, at FROM standing ORDER BY what
;
SELECT wrapped FROM data_key WHERE customer = $1
;
UPDATE application SET accepted_at = $2 WHERE customer = $1 AND documents = 1 AND accepted_at IS NULL
;
UPDATE application SET sealed = coalesce($3, sealed), documents = 0
             WHERE customer = $1 AND sealed = $2 AND NOT EXISTS (SELECT 1 FROM legal_hold WHERE customer = $1)
;
UPDATE audit SET seq = $2, salt = $3, commitment = $4, mac = $5, key_id = $6 WHERE id = $1
;
UPDATE cursor SET position = $1 WHERE name = 'last_callback' AND position < $1
;
UPDATE effect SET behind = 0 WHERE behind = 1 AND seq = (SELECT min(seq) FROM effect
             WHERE customer = $1 AND lane = $2 AND destination = $3 AND destination IS NOT NULL AND status = 'pending')
             AND NOT EXISTS (SELECT 1 FROM effect WHERE customer = $1 AND lane = $2 AND destination = $3
                 AND destination IS NOT NULL AND status = 'pending' AND behind = 0)
;
UPDATE effect SET customer = $2 WHERE key = $1
;
UPDATE effect SET epoch = $2, lease_until = $3, due_at = $3, holder = $4 WHERE seq = $1
;
UPDATE effect SET lease_until = NULL, due_at = $1 WHERE lease_until IS NOT NULL AND holder = $2
;
UPDATE effect SET lease_until = NULL, due_at = $3
         WHERE seq = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
UPDATE effect SET status = $2, ended_at = $3, said = coalesce($4, said), outcome = coalesce($5, outcome),
                 sealed = CASE WHEN $8 = 0 THEN sealed END, attempts = attempts + $6,
                 progress = coalesce($7, progress)
             WHERE key = $1 AND ended_at IS NULL
;
UPDATE effect SET status = $3, due_at = $4, lease_until = NULL, ended_at = $5, attempts = $6,
             outcome = $7, sealed = CASE WHEN $8 = 0 THEN sealed END
             WHERE seq = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
UPDATE endpoint SET failing_since = $2 WHERE name = $1 AND failing_since IS NULL AND $3 = $3
;
UPDATE endpoint SET last_success_at = $2, failing_since = NULL, disabled_at = NULL, probe_at = NULL
             WHERE name = $1 AND (failing_since IS NOT NULL OR coalesce(last_success_at, 0) <= $3)
;
UPDATE event SET position = CAST($1 AS BIGINT) + placed.number FROM (
             SELECT seq, row_number() OVER (ORDER BY seq) AS number FROM (
                 SELECT seq FROM event WHERE position IS NULL ORDER BY seq LIMIT $2) AS waiting) AS placed
         WHERE event.seq = placed.seq
;
UPDATE head SET epoch = $2, lease_until = $3, due_at = $3, holder = $4 WHERE customer = $1
;
UPDATE head SET handled = CASE WHEN handled < $3 THEN $3 ELSE handled END, failures = $4,
                     unreadable = $5
                 WHERE customer = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
UPDATE head SET handled = CASE WHEN handled < $3 THEN $3 ELSE handled END, failures = $4,
                     unreadable = $5, lease_until = NULL,
                     rank = CASE WHEN rank = 0 OR $6 = 1 THEN 1 ELSE rank END,
                     due_at = CASE WHEN $4 = 0 AND wanted > handled AND wanted > $3 THEN CAST($8 AS BIGINT)
                         ELSE CAST($7 AS BIGINT) END
                 WHERE customer = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
UPDATE head SET historic = 0 WHERE customer = $1
;
UPDATE head SET lease_until = NULL, due_at = $1 WHERE lease_until IS NOT NULL AND holder = $2
;
UPDATE head SET lease_until = NULL, due_at = $3
         WHERE customer = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
UPDATE head SET wanted = wanted + 1
                 WHERE customer = $1 AND epoch = $2 AND lease_until IS NOT NULL
;
UPDATE history SET customer = $2 WHERE customer = $1
;
UPDATE legal_hold SET customer = $2 WHERE customer = $1
             AND NOT EXISTS (SELECT 1 FROM legal_hold AS other WHERE other.customer = $2)
;
UPDATE sweep SET found = found + $2 WHERE id = $1
;
UPDATE sweep SET page = $3, failures = $4, trouble = $5, due_at = $6, ended_at = $7, outcome = $8,
                 unreadable = unreadable + $9, back = CASE WHEN $9 = 1 THEN 0 ELSE back END
             WHERE id = $1 AND page = $2 AND ended_at IS NULL
;
UPDATE sweep SET page = $3, pages = $4, total = $5, seen = seen + $6, unreadable = unreadable + $7,
                 failures = 0, trouble = NULL, due_at = $8, ended_at = $9, outcome = $10, back = $11
             WHERE id = $1 AND page = $2 AND back = $12 AND ended_at IS NULL
;
UPDATE sweep SET page = CASE WHEN page > 0 THEN page - 1 ELSE 0 END, back = 0, due_at = $1
             WHERE ended_at IS NULL
;
WITH clock AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS now)
     INSERT INTO pace AS p (name, next_at) SELECT 'nium', now + $1 FROM clock
     ON CONFLICT (name) DO UPDATE SET
         next_at = greatest(p.next_at, (SELECT now FROM clock)) + $1
     RETURNING next_at - $1 - $2 - (SELECT now FROM clock)