//! The schema, step by step, for SQLite and Postgres from one source. Keys begin with the tenant.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DatabaseConnection, DbBackend, TransactionTrait},
};

mod m20261122_000001_create_accounts;
mod m20261122_000002_create_services;
mod m20261122_000003_create_users;
mod m20261122_000004_create_channels;
mod m20261122_000005_create_messages;
mod m20261122_000006_create_channel_events;
mod m20261122_000007_create_outbox;
mod m20261122_000008_create_webhook_deliveries;
mod m20261122_000009_create_idempotency_keys;
mod m20261122_000010_create_invites;
mod m20261122_000011_create_channel_webhooks;
mod m20261122_000012_create_credentials;
mod m20261122_000013_create_bindings;
mod m20261122_000020_scope_api_keys;
mod m20261122_000021_own_accounts;
mod m20261122_000022_create_audit_events;
mod m20261122_000030_create_attribute_indexes;
mod m20261122_000031_create_attribute_leftovers;
mod m20261122_000035_index_own_fields;
mod m20261122_000036_note_presence_of_users;
mod m20261122_000037_create_presence;
mod m20261122_000038_index_removed_messages;
mod m20261122_000039_list_active_channels;
mod m20261122_000040_create_webhook_endpoints;
mod m20261122_000041_count_webhooks;
mod m20261122_000042_note_changes_of_hooks;
mod m20261122_000044_aim_webhook_deliveries;
mod m20261122_000045_lease_webhook_targets;
mod m20261122_000048_place_events;
mod m20261122_000050_create_campaigns;
mod m20261122_000051_index_campaigns;
mod m20261122_000053_create_campaign_runs;
mod m20261122_000054_count_live_changes;
mod m20261122_000055_create_providers;
mod m20261122_000056_create_notices;
mod m20261122_000057_create_operator_pools;
mod m20261122_000058_keep_cases;

pub use sea_orm_migration::MigratorTrait;

/// Applies and reverts the steps.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_create_accounts::Migration),
            Box::new(m20261122_000002_create_services::Migration),
            Box::new(m20261122_000003_create_users::Migration),
            Box::new(m20261122_000004_create_channels::Migration),
            Box::new(m20261122_000005_create_messages::Migration),
            Box::new(m20261122_000006_create_channel_events::Migration),
            Box::new(m20261122_000007_create_outbox::Migration),
            Box::new(m20261122_000008_create_webhook_deliveries::Migration),
            Box::new(m20261122_000009_create_idempotency_keys::Migration),
            Box::new(m20261122_000010_create_invites::Migration),
            Box::new(m20261122_000011_create_channel_webhooks::Migration),
            Box::new(m20261122_000012_create_credentials::Migration),
            Box::new(m20261122_000013_create_bindings::Migration),
            Box::new(m20261122_000020_scope_api_keys::Migration),
            Box::new(m20261122_000021_own_accounts::Migration),
            Box::new(m20261122_000022_create_audit_events::Migration),
            Box::new(m20261122_000030_create_attribute_indexes::Migration),
            Box::new(m20261122_000031_create_attribute_leftovers::Migration),
            Box::new(m20261122_000035_index_own_fields::Migration),
            Box::new(m20261122_000036_note_presence_of_users::Migration),
            Box::new(m20261122_000037_create_presence::Migration),
            Box::new(m20261122_000038_index_removed_messages::Migration),
            Box::new(m20261122_000039_list_active_channels::Migration),
            Box::new(m20261122_000040_create_webhook_endpoints::Migration),
            Box::new(m20261122_000041_count_webhooks::Migration),
            Box::new(m20261122_000042_note_changes_of_hooks::Migration),
            Box::new(m20261122_000044_aim_webhook_deliveries::Migration),
            Box::new(m20261122_000045_lease_webhook_targets::Migration),
            Box::new(m20261122_000048_place_events::Migration),
            Box::new(m20261122_000050_create_campaigns::Migration),
            Box::new(m20261122_000051_index_campaigns::Migration),
            Box::new(m20261122_000053_create_campaign_runs::Migration),
            Box::new(m20261122_000054_count_live_changes::Migration),
            Box::new(m20261122_000057_create_operator_pools::Migration),
            Box::new(m20261122_000058_keep_cases::Migration),
            Box::new(m20261122_000055_create_providers::Migration),
            Box::new(m20261122_000056_create_notices::Migration),
        ]
    }
}

/// The Postgres advisory lock that one migrating process holds: any number that nobody else uses.
const LOCK: i64 = 0x68_75_62_62_75_62;

/// Applies every step that is missing. On Postgres one process at a time does so and the others wait;
/// SQLite callers hold a lock file of their own.
///
/// # Errors
/// Whatever the database refuses; steps applied before stay applied.
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Migrator::up(db, None).await;
    }
    let lock = db.begin().await?;
    lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})"))
        .await?;
    let applied = Migrator::up(db, None).await;
    lock.rollback().await?;
    applied
}
