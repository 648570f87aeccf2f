//! Webhooks: which event is told to whom, in which words. Deliveries are recorded in the change's own transaction;
//! the workers make the calls.

pub mod deliveries;
pub mod health;
pub(crate) mod hooks;
pub mod leases;
pub mod ledger;
pub mod outcomes;
mod parameters;
pub(crate) mod pending;
mod planning;
pub mod queue;
pub mod redelivery;
pub mod retention;
pub(crate) mod target;

use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};

pub use parameters::{POST_EVENTS, PRE_EVENTS, parameters, post_event};
pub(crate) use planning::{Told, record};

use crate::{entities::webhook_delivery, error::Result};

/// How many rows one statement inserts.
const ROWS: usize = 100;

/// Inserts deliveries.
async fn store(db: &impl ConnectionTrait, deliveries: Vec<webhook_delivery::Model>) -> Result<()> {
    for portion in deliveries.chunks(ROWS) {
        let rows = portion.iter().map(|row| row.clone().into_active_model());
        webhook_delivery::Entity::insert_many(rows)
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}
