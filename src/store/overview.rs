//! What is counted by the side, and the overview that is read from it.

use std::time::Duration;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::rows::overview::{JourneyPlace, JourneyRow, OverviewRows, Standing};
use super::sql::{events, hourly, standing, tally};
use crate::domain::journey::Reach;

/// Events that get their place in the feed before it is read on.
const PLACES_AT_ONCE: i64 = 1_000;

impl Store {
    /// Law: the next `most` events of the feed are counted in the journeys of their customers, each once, and how far it has
    /// come is written with them. Gives how many there were.
    pub async fn follow_journeys(&self, most: usize) -> Result<usize, StoreError> {
        if self.read(events::waits_for_place).await? {
            self.write(|tx| events::give_places(tx, PLACES_AT_ONCE)).await?;
        }
        if !self.read(tally::waits).await? {
            return Ok(0);
        }
        self.write(move |tx| tally::follow(tx, most)).await
    }

    /// Counts who stands where. It goes through whole tables; nobody writes meanwhile who would wait for it.
    pub async fn count_standings(&self) -> Result<(Vec<Standing>, Timestamp), StoreError> {
        let now = self.clock.now();
        let mut all = self.read(standing::count_cases).await?;
        all.extend(self.read(move |tx| standing::count_others(tx, now)).await?);
        Ok((all, now))
    }

    /// Law: what was counted replaces what was counted before, all of it at once.
    pub async fn put_standings(&self, standings: Vec<Standing>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| standing::put(tx, &standings, at)).await
    }

    /// Adds to the counts of this hour.
    pub async fn count_in_hour(&self, counts: Vec<(String, u64)>) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(move |tx| hourly::add_now(tx, &counts, now)).await
    }

    /// Law: hours older than `age` go, at most `most` of their counts at a time. Gives how many went.
    pub async fn drop_hours(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.write(move |tx| hourly::drop_old(tx, before, most)).await
    }

    /// Law: counts of journeys that began more than `age` ago go, at most `most` at a time. Gives how many went.
    pub async fn drop_tally(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        let before = self.clock.now().checked_sub(age).unwrap_or(Timestamp::MIN);
        self.write(move |tx| tally::drop_old(tx, before, most)).await
    }

    /// What an overview shows: journeys that began on the day of `since` or later, the hours from `hours_since` on, and who
    /// stands where.
    pub async fn overview(
        &self,
        since: Timestamp,
        hours_since: Timestamp,
    ) -> Result<OverviewRows, StoreError> {
        self.read(move |tx| standing::overview(tx, since, hours_since)).await
    }

    /// Journeys that began at `since` or later and came so far, newest first, after a place.
    pub async fn journeys(
        &self,
        reach: Reach,
        since: Timestamp,
        after: Option<JourneyPlace>,
        most: usize,
    ) -> Result<Vec<JourneyRow>, StoreError> {
        self.read(move |tx| tally::list(tx, reach, since, after, most)).await
    }
}
