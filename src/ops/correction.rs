//! The application on file, corrections, and what a correction would send.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::once::{Answered, Once};
use super::{ACCEPTED, Ops, OpsError};
use crate::domain::application::Application;
use crate::domain::case::{Case, CaseState};
use crate::domain::correction::{Correction, CorrectionError, Merged, merge};
use crate::domain::effect::EffectKey;
use crate::domain::id::CustomerHashId;
use crate::domain::remark::RemarkClass;
use crate::store::rows::{Acceptance, NewSubmission, Remember};
use crate::vault::{DataKey, Place};

/// Times a correction is prepared again because the case moved meanwhile, before the caller is asked to look.
const PREPARE_MAX: usize = 3;

/// A correction put together with what is on file, ready to be shown or stored.
struct Prepared {
    case: Case,
    merged: Merged,
    key: DataKey,
}

impl Ops {
    /// Puts the original application on file, sealed. Only strict bounds refuse; gaps come back as warnings.
    pub async fn keep_application(
        &self,
        customer: CustomerHashId,
        by: &str,
        body: &[u8],
        value: &Value,
        once: Option<&Once>,
    ) -> Result<Answered, OpsError> {
        let key = self.data_key(customer).await?;
        if let Some(answered) = self.answered_before(once, &key, body).await? {
            return Ok(answered);
        }
        let application = Application::parse(value).map_err(OpsError::Invalid)?;
        let warnings = problems(&application.gaps(self.region, self.today()));
        let answer = json!({ "customerHashId": customer, "warnings": warnings });
        let remember = once.map(|once| once.remember(&key, body, 200, &answer)).transpose()?;
        let place = application_place(customer);
        let sealed = key.seal(&place, &serde_json::to_vec(application.as_map())?)?;
        match (self.store.keep_application(customer, by, sealed, remember).await?, once) {
            (Some(first), Some(once)) => once.replay(&key, body, &first),
            (Some(_) | None, _) => Ok(Answered { status: 200, body: answer, replayed: false }),
        }
    }

    /// What a correction would send, and what differs from what is on file. Nothing is stored.
    pub async fn preview(&self, customer: CustomerHashId, value: &Value) -> Result<Value, OpsError> {
        let correction = parse(value)?;
        let prepared = self.prepare(customer, &correction).await?;
        let gaps = self.gaps(&prepared.merged);
        Ok(json!({
            "request": with_id(prepared.merged.preview(), customer),
            "difference": prepared.merged.difference,
            "problems": problems(&gaps),
        }))
    }

    /// Takes a correction: checks it, and stores the submission that follows from it.
    pub async fn correct(
        &self,
        customer: CustomerHashId,
        by: &str,
        body: &[u8],
        value: &Value,
        once: Option<&Once>,
    ) -> Result<Answered, OpsError> {
        if let (Some(once), Some(key)) = (once, self.existing_data_key(customer).await?)
            && let Some(answered) = self.answered_before(Some(once), &key, body).await?
        {
            return Ok(answered);
        }
        let correction = parse(value)?;
        for _ in 0..PREPARE_MAX {
            let prepared = self.prepare(customer, &correction).await?;
            self.check(&prepared)?;
            let (submission, answer) = self.submission(&prepared, by, body, once)?;
            match self.store.correct(submission).await? {
                Acceptance::Stored(_) => {
                    return Ok(Answered { status: ACCEPTED, body: answer, replayed: false });
                }
                Acceptance::NoOffer(Some(state)) => return Err(OpsError::WrongState(state)),
                Acceptance::NoOffer(None) => return Err(OpsError::NoSuchCustomer),
                Acceptance::UnderWay => return Err(OpsError::UnderWay),
                Acceptance::Moved => {}
                Acceptance::Replay(first) => {
                    let once = once.ok_or(OpsError::KeyReused)?;
                    return once.replay(&prepared.key, body, &first);
                }
            }
        }
        Err(OpsError::WrongState("changing".to_owned()))
    }

    async fn prepare(&self, customer: CustomerHashId, correction: &Correction) -> Result<Prepared, OpsError> {
        let row = self.store.case(customer).await?.ok_or(OpsError::NoSuchCustomer)?;
        match &row.case.state {
            CaseState::AwaitingCorrection { deadline, .. } if *deadline > self.clock.now() => {}
            CaseState::Submitting { .. } => return Err(OpsError::UnderWay),
            other => return Err(OpsError::WrongState(other.name().to_owned())),
        }
        let key = self.data_key(customer).await?;
        let application = self.application(customer, &key).await?;
        let snapshot = match &row.snapshot {
            Some(kept) => self.open_snapshot(customer, kept).await?,
            None => None,
        };
        let profile = snapshot.map(|snapshot| snapshot.profile).unwrap_or_default();
        let merged = merge(application.as_ref(), &profile, correction);
        Ok(Prepared { case: row.case, merged, key })
    }

    pub(super) async fn application(
        &self,
        customer: CustomerHashId,
        key: &DataKey,
    ) -> Result<Option<Application>, OpsError> {
        let Some(sealed) = self.store.application(customer).await? else {
            return Ok(None);
        };
        let value: Value = serde_json::from_slice(&key.open(&application_place(customer), &sealed)?)?;
        Application::parse(&value).map(Some).map_err(OpsError::Invalid)
    }

    /// A correction that changes nothing is refused, unless the check only failed or ran out: then sending again cures.
    fn check(&self, prepared: &Prepared) -> Result<(), OpsError> {
        let lapsed = matches!(&prepared.case.state, CaseState::AwaitingCorrection { grounds, .. } if grounds.class == RemarkClass::Lapsed);
        if prepared.merged.difference.is_empty() && !lapsed {
            return Err(OpsError::NothingChanged);
        }
        let gaps = self.gaps(&prepared.merged);
        if gaps.is_empty() { Ok(()) } else { Err(OpsError::Invalid(gaps)) }
    }

    /// What the whole request breaks or lacks, by Nium's limits and the rules of our region.
    fn gaps(&self, merged: &Merged) -> Vec<crate::domain::correction::FieldProblem> {
        match Application::parse(&Value::Object(merged.request.clone())) {
            Ok(application) => application.gaps(self.region, self.today()),
            Err(problems) => problems,
        }
    }

    fn submission(
        &self,
        prepared: &Prepared,
        by: &str,
        body: &[u8],
        once: Option<&Once>,
    ) -> Result<(NewSubmission, Value), OpsError> {
        let Prepared { case, merged, key } = prepared;
        let effect = EffectKey::new(case.id, case.version, "s");
        let correction_id = (self.fresh_id)();
        let answer =
            json!({ "correctionId": correction_id, "effectId": effect, "difference": merged.difference });
        let remember: Option<Remember> =
            once.map(|once| once.remember(key, body, ACCEPTED, &answer)).transpose()?;
        let place = Place { table: "effect", column: "sealed", row: effect.to_string() };
        let sealed = key.seal(&place, &serde_json::to_vec(&merged.request)?)?;
        let difference = key.seal(&difference_place(&effect), &serde_json::to_vec(&merged.difference)?)?;
        let fields = merged.difference.iter().map(|difference| difference.field.clone()).collect();
        let submission = NewSubmission {
            customer: case.id,
            version: case.version,
            key: effect,
            correction_id,
            sealed,
            difference,
            fields,
            by: by.to_owned(),
            remember,
        };
        Ok((submission, answer))
    }

    fn today(&self) -> Date {
        self.clock.now().to_zoned(TimeZone::UTC).date()
    }
}

fn parse(value: &Value) -> Result<Correction, OpsError> {
    Correction::parse(value).map_err(|error| match error {
        CorrectionError::UnknownKeys(problems) => OpsError::UnknownKeys(problems),
        CorrectionError::Invalid(problems) => OpsError::Invalid(problems),
    })
}

fn application_place(customer: CustomerHashId) -> Place {
    Place { table: "application", column: "sealed", row: customer.to_string() }
}

/// Where the difference that a correction made is sealed.
pub(super) fn difference_place(effect: &EffectKey) -> Place {
    Place { table: "correction", column: "sealed", row: effect.to_string() }
}

fn with_id(mut request: Map<String, Value>, customer: CustomerHashId) -> Value {
    request.insert("customerHashId".to_owned(), json!(customer));
    Value::Object(request)
}

fn problems(problems: &[crate::domain::correction::FieldProblem]) -> Vec<Value> {
    problems.iter().map(|problem| json!({ "field": problem.field, "message": problem.message })).collect()
}
