//! Journeys: read from the feed of events, counted, and listed. Events are counted once, whoever is killed when: how far the
//! feed is read is written with what was counted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use rusqlite::params;

use super::column::{corrupt, maybe_timestamp, ms, timestamp};
use super::erase::erasure;
use crate::domain::effect::Event;
use crate::domain::id::CustomerHashId;
use crate::domain::journey::{Followed, Journey, Measure, Outcome, Reach, Step};
use crate::store::error::{StoreError, UNNAMED};
use crate::store::rows::overview::{JourneyPlace, JourneyRow, Tally};
use crate::store::tx::{Lock, Row, Tx};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// Whoever counts journeys, or erases some, is alone.
pub(super) const TALLY: Lock<'static> = Lock::Name("tally");

const READER: &str = "SELECT coalesce((SELECT position FROM feed_reader WHERE name = 'tally'), 0)";

const COLUMNS: &str =
    "customer, number, rejected_at, offered_at, corrected_at, submitted_at, ended_at, outcome";

/// Whether events wait to be counted.
pub(in crate::store) fn waits(tx: &Tx<'_>) -> Result<bool, StoreError> {
    tx.exists(&format!("SELECT 1 FROM event WHERE position > ({READER}) LIMIT 1"), params![])
}

/// Law: the next `most` events of the feed are counted, once. Gives how many there were.
pub(in crate::store) fn follow(tx: &Tx<'_>, most: usize) -> Result<usize, StoreError> {
    // Whoever was on duty before may still be at it.
    tx.lock(TALLY)?;
    let after: i64 = tx.one(READER, params![], |row| row.get(0))?;
    let rows = tx.query(
        "SELECT position, customer, kind, at FROM event WHERE position > ?1 ORDER BY position LIMIT ?2",
        params![after, i64::try_from(most).unwrap_or(i64::MAX)],
    )?;
    let Some(last) = rows.last() else { return Ok(0) };
    let position: i64 = last.get(0)?;
    let mut book = Book::default();
    for row in &rows {
        match event_of(row).and_then(|event| event.map_or(Ok(()), |event| book.follow(tx, event))) {
            Ok(()) => {}
            // Everybody after it must not wait for it.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "an event is not counted in any journey");
            }
            Err(error) => return Err(error),
        }
    }
    book.write(tx)?;
    tx.execute(
        "INSERT INTO feed_reader (name, position) VALUES ('tally', ?1)
         ON CONFLICT (name) DO UPDATE SET position = excluded.position",
        params![position],
    )?;
    Ok(rows.len())
}

type ToldEvent = (CustomerHashId, Event, Timestamp);

/// An event that is about a customer.
fn event_of(row: &Row) -> Result<Option<ToldEvent>, StoreError> {
    let kind: String = row.get(2)?;
    let customer = CustomerHashId::from_bytes(row.get(1)?);
    let Some(event) = Event::parse(&kind) else { return Ok(None) };
    Ok((customer != CustomerHashId::NOBODY).then_some((customer, event, timestamp(row.get(3)?)?)))
}

/// The last journey of a customer while some events are counted.
struct Page {
    number: i64,
    journey: Option<Journey>,
    is_changed: bool,
}

/// What some events change.
#[derive(Default)]
struct Book {
    pages: BTreeMap<CustomerHashId, Page>,
    counts: Counts,
}

/// Changes of counts, by the day of the rejection.
type Counts = BTreeMap<(Measure, u32, i64), i64>;

impl Book {
    fn follow(&mut self, tx: &Tx<'_>, (customer, event, at): ToldEvent) -> Result<(), StoreError> {
        let page = match self.pages.entry(customer) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(last_page(tx, customer)?),
        };
        let before = page.journey;
        match Journey::follow(before, event, at) {
            Followed::Begins(journey) => {
                if page.is_changed {
                    put(tx, customer, page)?;
                }
                *page = Page { number: page.number + 1, journey: Some(journey), is_changed: true };
                count(&mut self.counts, &journey, 1);
            }
            Followed::GoesOn(journey) => {
                if let Some(before) = &before {
                    count(&mut self.counts, before, -1);
                }
                count(&mut self.counts, &journey, 1);
                (page.journey, page.is_changed) = (Some(journey), true);
            }
            Followed::Nothing => {}
        }
        Ok(())
    }

    fn write(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        for (customer, page) in self.pages.iter().filter(|(_, page)| page.is_changed) {
            put(tx, *customer, page)?;
        }
        for ((measure, bucket, day), count) in self.counts.iter().filter(|(_, count)| **count != 0) {
            tx.execute(
                "INSERT INTO tally AS t (measure, bucket, day, count) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (measure, bucket, day) DO UPDATE SET count = t.count + excluded.count",
                params![measure.as_str(), i64::from(*bucket), day, count],
            )?;
        }
        Ok(())
    }
}

fn count(counts: &mut Counts, journey: &Journey, by: i64) {
    let day = ms(journey.rejected_at).div_euclid(DAY_MS);
    for (measure, bucket) in journey.measures() {
        *counts.entry((measure, bucket, day)).or_insert(0) += by;
    }
}

fn last_page(tx: &Tx<'_>, customer: CustomerHashId) -> Result<Page, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM journey WHERE customer = ?1 ORDER BY number DESC LIMIT 1");
    let found = tx.first(&sql, params![customer.as_bytes()], |row| {
        let journey = journey_of(row).map_err(|error| error.in_row("journey", &customer))?;
        Ok(Page { number: row.get(1)?, journey: Some(journey), is_changed: false })
    })?;
    Ok(found.unwrap_or(Page { number: 0, journey: None, is_changed: false }))
}

fn put(tx: &Tx<'_>, customer: CustomerHashId, page: &Page) -> Result<(), StoreError> {
    let Some(journey) = page.journey else { return Ok(()) };
    // Whoever was erased is counted, and not listed.
    if erasure(tx, customer)?.is_some() {
        return Ok(());
    }
    let Journey { rejected_at, offered_at, corrected_at, submitted_at, end } = journey;
    tx.execute(
        "INSERT INTO journey (customer, number, rejected_at, offered_at, corrected_at, submitted_at, ended_at, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (customer, number) DO UPDATE SET
             offered_at = excluded.offered_at, corrected_at = excluded.corrected_at,
             submitted_at = excluded.submitted_at, ended_at = excluded.ended_at, outcome = excluded.outcome",
        params![
            customer.as_bytes(),
            page.number,
            ms(rejected_at),
            offered_at.map(ms),
            corrected_at.map(ms),
            submitted_at.map(ms),
            end.map(|(_, at)| ms(at)),
            end.map(|(outcome, _)| outcome.step().as_str())
        ],
    )
    .map(drop)
}

fn journey_of(row: &Row) -> Result<Journey, StoreError> {
    let outcome: Option<String> = row.get(7)?;
    let unknown = || corrupt(UNNAMED, UNNAMED, "how it ended is not known");
    let outcome = outcome.map(|word| Outcome::parse(&word).ok_or_else(unknown)).transpose()?;
    Ok(Journey {
        rejected_at: timestamp(row.get(2)?)?,
        offered_at: maybe_timestamp(row.get(3)?)?,
        corrected_at: maybe_timestamp(row.get(4)?)?,
        submitted_at: maybe_timestamp(row.get(5)?)?,
        end: outcome.zip(maybe_timestamp(row.get(6)?)?),
    })
}

/// The journeys that began on this day or later, counted.
pub(in crate::store) fn read(tx: &Tx<'_>, since: Timestamp) -> Result<Tally, StoreError> {
    // The sign keeps the index by day away: all of them, in the order of the key, are read faster than some are sorted.
    let rows = tx.query(
        "SELECT measure, bucket, CAST(sum(count) AS BIGINT) FROM tally WHERE +day >= ?1
             GROUP BY measure, bucket ORDER BY measure, bucket",
        params![ms(since).div_euclid(DAY_MS)],
    )?;
    let mut counts = Vec::new();
    for row in &rows {
        let measure: String = row.get(0)?;
        // A word of a newer release is not ours to show.
        let Some(measure) = Measure::parse(&measure) else { continue };
        counts.push((measure, row.get(1)?, u64::try_from(row.get::<i64>(2)?).unwrap_or(0)));
    }
    let behind = format!("SELECT coalesce(max(position), 0) - ({READER}) FROM event");
    let behind: i64 = tx.one(&behind, params![], |row| row.get(0))?;
    Ok(Tally { counts, behind: u64::try_from(behind).unwrap_or(0) })
}

/// Law: counts of days before that of `before` go, at most `most` at a time. Gives how many went.
pub(in crate::store) fn drop_old(tx: &Tx<'_>, before: Timestamp, most: usize) -> Result<usize, StoreError> {
    tx.execute(
        "DELETE FROM tally WHERE (measure, bucket, day) IN (
             SELECT measure, bucket, day FROM tally WHERE day < ?1 LIMIT ?2)",
        params![ms(before).div_euclid(DAY_MS), i64::try_from(most).unwrap_or(i64::MAX)],
    )
}

/// Journeys that began at `since` or later and came so far, newest first, after a place.
pub(in crate::store) fn list(
    tx: &Tx<'_>,
    reach: Reach,
    since: Timestamp,
    after: Option<JourneyPlace>,
    most: usize,
) -> Result<Vec<JourneyRow>, StoreError> {
    // The same words as in the indexes, so that each is used.
    let reached = match reach {
        Reach::Step(Step::Rejected) => "1 = 1",
        Reach::Step(Step::Offered) => "offered_at IS NOT NULL",
        Reach::Step(Step::Corrected) => "corrected_at IS NOT NULL",
        Reach::Step(Step::Submitted) => "submitted_at IS NOT NULL",
        Reach::Step(Step::Reinstated) => "outcome = 'reinstated'",
        Reach::Step(Step::FinallyRejected) => "outcome = 'finally_rejected'",
        Reach::UnderWay => "outcome IS NULL",
        Reach::Unaided => "outcome = 'reinstated' AND submitted_at IS NULL",
    };
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT state FROM cases WHERE cases.customer = journey.customer) FROM journey
         WHERE {reached} AND rejected_at >= ?1 AND (rejected_at, customer, number) < (?2, ?3, ?4)
         ORDER BY rejected_at DESC, customer DESC, number DESC LIMIT ?5"
    );
    let (at, customer, number) = after.map_or((i64::MAX, Vec::new(), 0), |place| {
        (ms(place.rejected_at), place.customer.as_bytes().to_vec(), place.number)
    });
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    tx.readable(&sql, params![ms(since), at, customer, number, limit], most, |row| {
        let customer = CustomerHashId::from_bytes(row.get(0)?);
        let journey = journey_of(row).map_err(|error| error.in_row("journey", &customer))?;
        let place = JourneyPlace { rejected_at: journey.rejected_at, customer, number: row.get(1)? };
        Ok(JourneyRow { place, journey, state: row.get(8)? })
    })
}
