//! Endpoints of the app backend that fail for long: nothing but one event an hour is tried there, an alarm is raised once and
//! told to the others, and lifted when they take events again. What waits for an endpoint that was removed is given up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{WorkError, Worker};
use crate::domain::effect::Event;
use crate::store::rows::events::EndpointRow;

/// How often they are looked at, in the machine's time.
const EVERY: Duration = Duration::from_secs(1);
/// How often a replica says which endpoints it has.
const DECLARE_EVERY: Duration = Duration::from_mins(1);
/// An endpoint that no replica has named for so long was removed: longer than any of them is silent during a rolling update.
const UNSEEN: Duration = Duration::from_mins(10);
/// Times that we said which endpoints we have before one that nobody named since the first of them was removed: whatever the
/// clock did meanwhile, the others had their time to say theirs.
const ROUNDS: usize = 3;
/// Deliveries given up in one transaction.
const STEP: usize = 200;

/// Runs until `soft` is cancelled.
pub async fn watch(worker: Arc<Worker>, soft: CancellationToken) {
    let mut declared = VecDeque::with_capacity(ROUNDS);
    while !soft.is_cancelled() {
        if let Err(error) = look(&worker, &mut declared).await {
            tracing::warn!(%error, "endpoints could not be looked at; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = soft.cancelled() => {}
        }
    }
}

async fn look(worker: &Worker, declared: &mut VecDeque<Timestamp>) -> Result<(), WorkError> {
    let now = worker.clock.now();
    let again = |at: Timestamp| at.checked_add(DECLARE_EVERY).is_ok_and(|at| at <= now);
    let is_due = declared.back().copied().is_none_or(again);
    if is_due {
        let names = worker.endpoints.iter().map(|endpoint| endpoint.name().to_owned()).collect();
        worker.store.declare_endpoints(names).await?;
        if declared.len() == ROUNDS {
            declared.pop_front();
        }
        declared.push_back(now);
    }
    if !worker.is_on_duty().await {
        return Ok(());
    }
    for endpoint in worker.store.endpoints().await? {
        judge(worker, &endpoint, now).await?;
    }
    if is_due
        && declared.len() == ROUNDS
        && let Some(first) = declared.front()
    {
        give_up_removed(worker, *first, now).await?;
    }
    Ok(())
}

/// What waits for endpoints that nobody has named since `first`, nor for long.
async fn give_up_removed(worker: &Worker, first: Timestamp, now: Timestamp) -> Result<(), WorkError> {
    let unseen = now.checked_sub(UNSEEN).unwrap_or(Timestamp::MIN).min(first);
    loop {
        let given_up = worker.store.give_up_removed(unseen, STEP).await?;
        if given_up > 0 {
            tracing::error!(
                given_up,
                "events for endpoints that were removed from the configuration were given up"
            );
        }
        if given_up < STEP {
            return Ok(());
        }
    }
}

async fn judge(worker: &Worker, endpoint: &EndpointRow, now: Timestamp) -> Result<(), WorkError> {
    let after = worker.options.disable_after;
    let long_ago = |at: Timestamp| at.checked_add(after).is_ok_and(|at| at <= now);
    let mut is_disabled = endpoint.disabled_at.is_some();
    if !is_disabled
        && endpoint.failing_since.is_some_and(long_ago)
        && endpoint.oldest.is_some_and(|(at, failed)| failed && long_ago(at))
    {
        is_disabled = worker.store.disable_endpoint(&endpoint.name, after).await?;
    }
    if is_disabled != endpoint.alarm_since.is_some() {
        alarm(worker, endpoint, is_disabled).await?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
}

async fn alarm(worker: &Worker, endpoint: &EndpointRow, raised: bool) -> Result<(), WorkError> {
    let name = endpoint.name.as_str();
    let event = if raised { Event::EndpointDisabled } else { Event::EndpointEnabled };
    let failing_since = endpoint.failing_since.filter(|_| raised).map(|at| at.to_string());
    let mut tell = worker.about_service(event, Data { endpoint: name, failing_since })?;
    if raised {
        tell.to.retain(|to| to != name);
    }
    if worker.store.endpoint_alarm(name, raised, tell).await? {
        if raised {
            tracing::error!(
                endpoint = name,
                "an endpoint takes nothing for too long: its events wait, and one an hour is tried (GET /v1/endpoints)"
            );
        } else {
            tracing::info!(endpoint = name, "an endpoint takes events again");
        }
    }
    Ok(())
}
