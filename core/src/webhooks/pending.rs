//! The end of what still waits for a target that is gone or may not be called any more.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::ledger::{self, CANCELLED, DEAD};
use crate::error::Result;

/// How many portions are ended at once.
const PORTIONS: usize = 10;

/// Cancels what waits for a target that is being deleted.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn cancel(db: &impl ConnectionTrait, target: Uuid) -> Result<()> {
    end(db, target, CANCELLED, "the webhook was deleted").await
}

/// Gives up what waits for a target that is disabled; it can be sent again by hand.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn give_up(db: &impl ConnectionTrait, target: Uuid, why: &str) -> Result<()> {
    end(db, target, DEAD, why).await
}

/// In portions, and not without end inside somebody's transaction: what is left is ended by the workers, when they find
/// that the endpoint is gone or disabled.
async fn end(db: &impl ConnectionTrait, target: Uuid, status: &str, why: &str) -> Result<()> {
    for _ in 0..PORTIONS {
        if ledger::end_some(db, target, status, why).await? == 0 {
            break;
        }
    }
    Ok(())
}
