//! Blocks, tags, updates: what was asked is checked, stored as an effect, and waited for a moment.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::approvals::Wanted;
use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::act::{Act, BlockAction};
use crate::domain::effect::{EffectKey, EffectStatus};
use crate::domain::id::CustomerHashId;
use crate::domain::onboarding::without_files;
use crate::nium::act::ActRequest;
use crate::store::rows::officer::ApprovalKind;
use crate::store::rows::{self, Asked, NewAct};
use crate::vault::{DataKey, Place};

/// How long a caller waits for what they asked for before they are told where to look.
const WAIT: Duration = Duration::from_secs(5);
/// How often it is looked meanwhile, in the machine's time.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who asks for an act, and how.
#[derive(Clone, Debug)]
pub struct Asking<'a> {
    /// The token's name.
    pub by: &'a str,
    /// The body, for the `Idempotency-Key`.
    pub body: &'a [u8],
    /// The key, if there is one.
    pub once: Option<&'a Once>,
    /// Only show the request to Nium.
    pub dry_run: bool,
}

impl Ops {
    /// Blocks or unblocks. A permanent block is asked for twice: the first answer is a receipt that says what would
    /// happen, the second request carries it, and is refused if the customer has moved.
    pub async fn block(
        &self,
        customer: CustomerHashId,
        value: &Value,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        let act = Act::block(value, self.newer_block_reasons).map_err(OpsError::Invalid)?;
        let Act::Block { action: BlockAction::PermanentBlock(_), .. } = &act else {
            return self.act(customer, &act, None, asking).await;
        };
        if value.get("receipt").is_some()
            && let Some(first) = self.told_before(asking).await?
        {
            return Ok(first);
        }
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        let key = self.data_key(customer).await?;
        let receipt = receipt(&key, customer, row.case.version, &act)?;
        match value.get("receipt").map(|given| given.as_str().unwrap_or_default()) {
            Some(given) if given == receipt && self.second_person.permanent_block => {
                let wish = Wanted { kind: ApprovalKind::PermanentBlock, act: Some(&act), note: None };
                self.ask_approval(customer, row.case.version, wish, asking).await
            }
            Some(given) if given == receipt => self.act(customer, &act, Some(row.case.version), asking).await,
            Some(_) => Err(OpsError::Moved),
            None if asking.dry_run => self.act(customer, &act, None, asking).await,
            None => {
                let would = json!({
                    "customerHashId": customer, "state": row.case.state.name(), "version": row.case.version,
                    "nium": row.snapshot.as_ref().map(|kept| json!({
                        "status": kept.facts.status.as_ref().map(ToString::to_string),
                        "complianceStatus": kept.facts.compliance.as_ref().map(ToString::to_string),
                    })),
                    "becomes": "Blocked, for good: it cannot be unblocked, only a new application leads back",
                });
                let body = json!({ "receipt": receipt, "would": would });
                Ok(Answered { status: 200, body, replayed: false })
            }
        }
    }

    /// Sets and deletes tags.
    pub async fn tags(
        &self,
        customer: CustomerHashId,
        value: &Value,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        self.act(customer, &Act::tags(value).map_err(OpsError::Invalid)?, None, asking).await
    }

    /// Changes what Nium has on file.
    pub async fn update(
        &self,
        customer: CustomerHashId,
        value: &Value,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        self.act(customer, &Act::update(value, self.region).map_err(OpsError::Invalid)?, None, asking).await
    }

    pub(super) async fn act(
        &self,
        customer: CustomerHashId,
        act: &Act,
        version: Option<u64>,
        asking: &Asking<'_>,
    ) -> Result<Answered, OpsError> {
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        if asking.dry_run {
            let seen = match &row.snapshot {
                Some(kept) => self.open_snapshot(customer, kept).await?,
                None => None,
            };
            let tags = seen.map(|seen| seen.tags()).unwrap_or_default();
            return Ok(Answered { status: 200, body: self.shown(act, customer, &tags), replayed: false });
        }
        let data_key = self.data_key(customer).await?;
        let number = (self.fresh_id)().as_u64_pair().1 & 0xF_FFFF_FFFF;
        let key = EffectKey::new(customer, row.case.version, &format!("a{number:09x}"));
        let place = Place { table: "effect", column: "sealed", row: key.to_string() };
        let new = NewAct {
            customer,
            kind: act.kind(),
            sealed: data_key.seal(&place, &serde_json::to_vec(act)?)?,
            key,
            version,
            summary: act.summary(),
            by: asking.by.to_owned(),
        };
        let receipt = self.receipt(asking.once, asking.body, ACCEPTED).await?;
        let done = self.store.act(new, receipt.recorder()).await?;
        let replayed = matches!(done, rows::Once::Again(_));
        let stored = receipt.answer(done, |asked| match asked {
            Asked::Stored(key) => Ok(json!({ "effectId": key })),
            Asked::NoCase => Err(OpsError::NoSuchCustomer),
            Asked::UnderWay => Err(OpsError::UnderWay),
            Asked::Moved => Err(OpsError::Moved),
        })?;
        self.told_again(Answered { replayed, ..stored }).await
    }

    /// The answer that this very request has had, before anything is compared that may have moved since.
    pub(super) async fn told_before(&self, asking: &Asking<'_>) -> Result<Option<Answered>, OpsError> {
        let Some(once) = asking.once.filter(|_| !asking.dry_run) else { return Ok(None) };
        let key = self.data_key(CustomerHashId::NOBODY).await?;
        match self.answered_before(Some(once), &key, asking.body).await? {
            Some(first) => self.told_again(first).await.map(Some),
            None => Ok(None),
        }
    }

    /// What has become of the effect that an answer names.
    pub(super) async fn told_again(&self, stored: Answered) -> Result<Answered, OpsError> {
        let key = stored.body.get("effectId").and_then(Value::as_str).and_then(EffectKey::parse);
        match key {
            Some(key) => self.waited(&key, stored.replayed).await,
            None => Ok(stored),
        }
    }

    /// The request as it would go out, without what is secret.
    pub(super) fn shown(&self, act: &Act, customer: CustomerHashId, tags: &Map<String, Value>) -> Value {
        let mut request = ActRequest::of(act, &self.client_hash_id, customer, tags);
        if let Some(code) = request.body.get_mut("authenticationCode") {
            *code = json!("***");
        }
        json!({
            "dryRun": true, "method": request.method.as_str(), "path": format!("/api/{}", request.path),
            "body": without_files(&request.body),
        })
    }

    /// What has become of an effect after a moment: 200 once it has ended, 202 while it has not.
    pub(super) async fn waited(&self, key: &EffectKey, replayed: bool) -> Result<Answered, OpsError> {
        let begun = Instant::now();
        loop {
            let row = self.store.effect(key).await?.ok_or(OpsError::NoSuchCustomer)?;
            let ended = row.ended_at.is_some();
            if ended || begun.elapsed() >= WAIT {
                let body = self.effect_view(&row).await?;
                if row.status == EffectStatus::Refused {
                    return Err(OpsError::ActRefused(Box::new(body)));
                }
                return Ok(Answered { status: if ended { 200 } else { ACCEPTED }, body, replayed });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks Nium how the customer stands, and waits a moment for what it says. False: it has not answered yet.
    pub async fn refresh(&self, customer: CustomerHashId, by: &str) -> Result<bool, OpsError> {
        // Moments are kept in whole milliseconds.
        let asked_at = self.clock.now().as_millisecond();
        self.store.refresh(customer, by).await?;
        let begun = Instant::now();
        while begun.elapsed() < WAIT {
            let row = self.store.case(customer).await?;
            let looked_at = row.and_then(|row| row.snapshot).map(|kept| kept.looked_at);
            if looked_at.is_some_and(|at| at.as_millisecond() >= asked_at) {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(false)
    }
}

/// Proves that somebody has seen what a permanent block would do to the customer as they stand now.
fn receipt(key: &DataKey, customer: CustomerHashId, version: u64, act: &Act) -> Result<String, OpsError> {
    let text = serde_json::to_string(act)?;
    Ok(key.mark(format!("permanent block {customer} {version} {text}").as_bytes()))
}
