//! A channel's case: its state, who attends to it, and the pool that reaches it. Only channels of pools are in these
//! indexes, so that no other channel pays for them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: [&str; 12] = [
    "ALTER TABLE channels ADD COLUMN case_state text",
    "ALTER TABLE channels ADD COLUMN assignee text",
    "ALTER TABLE channels ADD COLUMN pool_id uuid",
    "ALTER TABLE channels ADD COLUMN snoozed_until bigint",
    "ALTER TABLE channels ADD COLUMN pool_read_index bigint",
    "ALTER TABLE channels ADD COLUMN pool_event_at bigint",
    "ALTER TABLE services ADD COLUMN case_rules text",
    "ALTER TABLE services ADD COLUMN operator_pools integer NOT NULL DEFAULT 0",
    // The desk, latest activity first.
    "CREATE INDEX ix_channels_desk ON channels (service_id, pool_id, case_state, listed_at, id) \
     WHERE pool_id IS NOT NULL",
    "CREATE INDEX ix_channels_assignee ON channels (service_id, pool_id, assignee, listed_at, id) \
     WHERE pool_id IS NOT NULL AND assignee IS NOT NULL",
    // What operators may have missed.
    "CREATE INDEX ix_channels_pool_event_at ON channels (service_id, pool_id, pool_event_at) \
     WHERE pool_id IS NOT NULL",
    "CREATE INDEX ix_channels_snoozed_until ON channels (snoozed_until) WHERE snoozed_until IS NOT NULL",
];

const DOWN: [&str; 12] = [
    "DROP INDEX ix_channels_snoozed_until",
    "DROP INDEX ix_channels_pool_event_at",
    "DROP INDEX ix_channels_assignee",
    "DROP INDEX ix_channels_desk",
    "ALTER TABLE services DROP COLUMN operator_pools",
    "ALTER TABLE services DROP COLUMN case_rules",
    "ALTER TABLE channels DROP COLUMN pool_event_at",
    "ALTER TABLE channels DROP COLUMN pool_read_index",
    "ALTER TABLE channels DROP COLUMN snoozed_until",
    "ALTER TABLE channels DROP COLUMN pool_id",
    "ALTER TABLE channels DROP COLUMN assignee",
    "ALTER TABLE channels DROP COLUMN case_state",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in UP {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in DOWN {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
