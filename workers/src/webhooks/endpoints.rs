//! What attempts mean for an endpoint: how long it has been failing, and when that is enough.

use std::time::Duration;

use hubbub_core::{Core, Result, Timestamp, webhooks::health};
use parking_lot::Mutex;

use super::{
    standing::Settings,
    verdict::{Judged, Sign},
};

/// How often a failing endpoint's books are kept.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of an endpoint's failures.
#[derive(Debug, Default)]
pub(super) struct Failures {
    since: Option<Timestamp>,
    noted: Option<Timestamp>,
}

impl Failures {
    pub(super) fn since(since: Option<Timestamp>) -> Mutex<Self> {
        Mutex::new(Self { since, noted: None })
    }
}

/// What is to be noted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Recovered,
    Failed { at: Timestamp, why: String },
    Gone,
}

/// What an attempt means for the endpoint, if anything that is not known yet.
pub(super) fn step(settings: &Settings, judged: &Judged) -> Option<Step> {
    settings.endpoint.as_ref()?;
    let mut failures = settings.failures.lock();
    let attempt = &judged.attempt;
    if judged.sign == Sign::Gone {
        return Some(Step::Gone);
    }
    let Some(why) = &attempt.error else {
        failures.noted = None;
        return failures.since.take().map(|_| Step::Recovered);
    };
    if failures
        .noted
        .is_some_and(|noted| attempt.at.since(noted) < EVERY)
    {
        return None;
    }
    failures.noted = Some(attempt.at);
    failures.since.get_or_insert(attempt.at);
    Some(Step::Failed {
        at: attempt.at,
        why: why.clone(),
    })
}

/// Carries a step out; answers whether the endpoint is disabled by it.
pub(super) async fn take(core: &Core, settings: &Settings, step: Step) -> bool {
    match try_to(core, settings, step).await {
        Ok(disabled) => disabled,
        Err(error) => {
            tracing::warn!(?error, "the state of a webhook endpoint could not be noted");
            false
        }
    }
}

async fn try_to(core: &Core, settings: &Settings, step: Step) -> Result<bool> {
    let Some((service, endpoint)) = settings.endpoint else {
        return Ok(false);
    };
    let db = core.db.writer();
    let reason = match step {
        Step::Recovered => {
            health::recovered(db, service, endpoint).await?;
            return Ok(false);
        }
        Step::Gone => "it answered 410 Gone".to_owned(),
        Step::Failed { at, why } => {
            let Some(since) = health::failed(db, service, endpoint, at, &why).await? else {
                return Ok(false);
            };
            if at.since(since) < core.settings.webhooks.disable_after {
                return Ok(false);
            }
            format!(
                "nothing was delivered since {}; last: {why}",
                since.to_seconds_text()
            )
        }
    };
    let disabled = health::disable(&core.db, service, endpoint, &reason).await?;
    if disabled {
        tracing::warn!(%service, %endpoint, reason, "webhook endpoint {endpoint} is disabled: {reason}");
    }
    Ok(disabled)
}
