//! Changing a channel's case: what is asked for, and what follows from it.

use sea_orm::ConnectionTrait;

use super::{CLOSED, OPEN, SNOOZED};
use crate::{
    ctx::Ctx,
    entities::channel,
    error::{Error, Result},
    operator_pools,
    timestamp::Timestamp,
};

/// What to change of a case; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseUpdate {
    /// `open`, `snoozed` or `closed`.
    pub state: Option<String>,
    /// An operator of its pool; empty for nobody.
    pub assignee: Option<String>,
    /// A pool's SID; empty for none.
    pub pool_sid: Option<String>,
    /// When it wakes up; `Some(None)` when only its user's message wakes it.
    pub snooze_until: Option<Option<Timestamp>>,
}

impl CaseUpdate {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The state that it leads to from this one.
    fn state(&self, before: Option<&str>) -> Result<Option<&'static str>> {
        let given = match self.state.as_deref() {
            None => None,
            Some(OPEN) => Some(OPEN),
            Some(SNOOZED) => Some(SNOOZED),
            Some(CLOSED) => Some(CLOSED),
            Some(_) => return Err(Error::parameter("State", "must be open, snoozed or closed")),
        };
        let snoozes = matches!(self.snooze_until, Some(Some(_)));
        if snoozes && given.is_some_and(|state| state != SNOOZED) {
            return Err(Error::parameter(
                "SnoozeUntil",
                "goes with State=snoozed only: leave one of them out",
            ));
        }
        let attaches = self.pool_sid.as_deref().is_some_and(|sid| !sid.is_empty());
        if attaches && given == Some(CLOSED) {
            return Err(Error::parameter(
                "PoolSid",
                "cannot be given with State=closed: closing detaches the pool",
            ));
        }
        Ok(match (given, before) {
            (Some(state), _) => Some(state),
            (None, _) if snoozes => Some(SNOOZED),
            (None, None | Some(CLOSED)) if attaches => Some(OPEN),
            (None, _) => None,
        })
    }
}

/// Changes a locked channel's case, which the caller records and stores.
///
/// # Errors
/// 20001 naming what is wrong.
pub(crate) async fn apply(
    ctx: &Ctx,
    db: &impl ConnectionTrait,
    row: &mut channel::Model,
    update: &CaseUpdate,
) -> Result<()> {
    let state = update.state(row.case_state.as_deref())?;
    if let Some(Some(until)) = update.snooze_until
        && until <= Timestamp::now()
    {
        return Err(Error::parameter("SnoozeUntil", "must be in the future"));
    }
    match state {
        Some(CLOSED) => close(row),
        Some(state) => {
            row.case_state = Some(state.to_owned());
            row.snoozed_until = None;
        }
        None => {}
    }
    match update.snooze_until {
        Some(until) if row.case_state.as_deref() == Some(SNOOZED) => row.snoozed_until = until,
        _ => {}
    }
    match update.pool_sid.as_deref() {
        None => {}
        Some("") => attach(row, None),
        Some(sid) => {
            let pool = operator_pools::named(db, ctx.scope(), "PoolSid", sid).await?;
            attach(row, Some(pool.id));
        }
    }
    match update.assignee.as_deref() {
        None => {}
        Some("") => row.assignee = None,
        Some(identity) => {
            let pool = row.pool_id.ok_or_else(|| {
                Error::parameter(
                    "Assignee",
                    "needs an operator pool, and the channel is attached to none: give PoolSid",
                )
            })?;
            if !operator_pools::is_operator(db, ctx.scope(), pool, identity).await? {
                return Err(Error::parameter(
                    "Assignee",
                    &format!("must be an operator of the channel's pool {pool}"),
                ));
            }
            row.assignee = Some(identity.to_owned());
        }
    }
    Ok(())
}

fn attach(row: &mut channel::Model, pool: Option<crate::sid::OperatorPoolSid>) {
    if row.pool_id != pool {
        row.pool_id = pool;
        row.assignee = None;
    }
}

/// Closes a case: the pool goes, and nothing is left to read. What was said stays.
fn close(row: &mut channel::Model) {
    row.case_state = Some(CLOSED.to_owned());
    row.assignee = None;
    row.snoozed_until = None;
    row.pool_id = None;
    let newest = row.next_index - 1;
    if newest >= 0 {
        row.pool_read_index = Some(row.pool_read_index.map_or(newest, |index| index.max(newest)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(before: Option<&str>, update: &CaseUpdate) -> Option<&'static str> {
        update.state(before).unwrap()
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn what_is_given_decides_the_state_and_what_it_implies_otherwise() {
        let nothing = CaseUpdate::default();
        assert_eq!(state(Some(OPEN), &nothing), None);
        let snooze = CaseUpdate {
            snooze_until: Some(Some(Timestamp(1))),
            ..CaseUpdate::default()
        };
        for before in [None, Some(OPEN), Some(SNOOZED), Some(CLOSED)] {
            assert_eq!(state(before, &snooze), Some(SNOOZED), "{before:?}");
        }
        let attach = CaseUpdate {
            pool_sid: text("OP1"),
            ..CaseUpdate::default()
        };
        assert_eq!(state(None, &attach), Some(OPEN));
        assert_eq!(state(Some(CLOSED), &attach), Some(OPEN));
        assert_eq!(state(Some(SNOOZED), &attach), None, "it stays as it is");
    }

    #[test]
    fn what_contradicts_itself_is_refused_and_named() {
        let refused = |update: CaseUpdate| update.state(Some(OPEN)).unwrap_err().message().to_owned();
        let wrong = CaseUpdate {
            state: text("done"),
            ..CaseUpdate::default()
        };
        assert!(refused(wrong).starts_with("State "));
        let snoozed_and_open = CaseUpdate {
            state: text(OPEN),
            snooze_until: Some(Some(Timestamp(1))),
            ..CaseUpdate::default()
        };
        assert!(refused(snoozed_and_open).starts_with("SnoozeUntil "));
        let closed_with_pool = CaseUpdate {
            state: text(CLOSED),
            pool_sid: text("OP1"),
            ..CaseUpdate::default()
        };
        assert!(refused(closed_with_pool).starts_with("PoolSid "));
    }
}
