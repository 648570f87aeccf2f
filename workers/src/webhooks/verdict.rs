//! What follows an attempt: Twilio's rules for Twilio's settings, those of Standard Webhooks for endpoints.

use std::time::Duration;

use hubbub_core::{
    Timestamp,
    entities::webhook_delivery,
    webhooks::{
        ledger,
        outcomes::{Attempt, Verdict},
    },
};
use rand::RngExt;
use time::OffsetDateTime;

use crate::outbound::{CallError, Reply};

/// How long each further attempt at one of Twilio's addresses waits after the one before.
const TWILIO: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// How far the waits vary, so that failures do not march in step.
const JITTER: f64 = 0.2;
/// How long a receiver may ask to be left alone.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How much of an answer the ledger keeps, in bytes.
const KEPT: usize = 1024;

/// What an attempt says about its target, beyond the one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered.
    Well,
    /// It did not answer, or only that it cannot at this time.
    Failing,
    /// It wants no more calls, ever.
    Gone,
}

/// An attempt, judged.
pub(super) struct Judged {
    pub(super) attempt: Attempt,
    pub(super) sign: Sign,
    /// Whether the target is better called less.
    pub(super) overloaded: bool,
}

/// Judges what came back from an attempt at `delivery`.
pub(super) fn judge(
    delivery: &webhook_delivery::Model,
    ladder: &[Duration],
    at: Timestamp,
    took: Duration,
    outcome: Result<Reply, CallError>,
) -> Judged {
    let endpoint = delivery.target_kind == ledger::ENDPOINT;
    let made = usize::try_from(delivery.attempts.saturating_sub(delivery.attempts_before)).unwrap_or(0);
    let status = outcome.as_ref().ok().map(|reply| reply.status);
    let (again, error) = match &outcome {
        Ok(reply) if reply.is_success() => (None, None),
        Ok(reply) => {
            let again = if endpoint {
                reply.status != 410
            } else {
                matches!(reply.status, 429 | 503 | 504)
            };
            (
                again.then(|| asked_pause(reply)),
                Some(format!("answered with status {}", reply.status)),
            )
        }
        Err(error) => (error.counts_as_timeout().then_some(None), Some(error.to_string())),
    };
    let verdict = match (&error, again) {
        (None, _) => Verdict::Delivered,
        (Some(_), Some(asked)) => {
            let wait = if endpoint {
                ladder.get(made).map(|rung| wait(*rung, asked))
            } else {
                let allowed = usize::try_from(delivery.retry_count).unwrap_or(0);
                (made < allowed).then(|| wait(TWILIO[made.min(TWILIO.len() - 1)], None))
            };
            wait.map_or(Verdict::Dead, |wait| {
                Verdict::RetryAt(Timestamp::now().plus(wait))
            })
        }
        (Some(_), None) => Verdict::Dead,
    };
    let failing = match &outcome {
        Ok(reply) => reply.status == 429 || reply.status >= 500,
        Err(_) => true,
    };
    let sign = match status {
        Some(410) if endpoint => Sign::Gone,
        _ if failing => Sign::Failing,
        _ => Sign::Well,
    };
    Judged {
        overloaded: status.is_none_or(|status| matches!(status, 429 | 502 | 503 | 504)),
        sign,
        attempt: Attempt {
            verdict,
            at,
            took,
            response_status: status,
            response_start: outcome.ok().map(|reply| start_of(&reply)),
            error,
        },
    }
}

/// An attempt that could not even be made.
pub(super) fn impossible(at: Timestamp, why: String) -> Judged {
    Judged {
        overloaded: false,
        sign: Sign::Well,
        attempt: Attempt {
            verdict: Verdict::Dead,
            at,
            took: Duration::ZERO,
            response_status: None,
            response_start: None,
            error: Some(why),
        },
    }
}

fn asked_pause(reply: &Reply) -> Option<Duration> {
    reply.retry_after(OffsetDateTime::now_utc())
}

/// A rung with jitter, or as long as the receiver asks for, up to twice the rung and a day.
fn wait(rung: Duration, asked: Option<Duration>) -> Duration {
    asked.map_or_else(
        || rung.mul_f64(rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER)),
        |asked| asked.clamp(rung, rung * 2).min(PATIENCE),
    )
}

fn start_of(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body_start[..reply.body_start.len().min(KEPT)]).into_owned()
}
