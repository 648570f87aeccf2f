//! A service's channels in the order of their latest activity, nearly: the way to the newest of many.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        for statement in [
            "ALTER TABLE channels ADD COLUMN listed_at bigint NOT NULL DEFAULT 0",
            "UPDATE channels SET listed_at = COALESCE(last_message_at, date_created)",
            "CREATE INDEX ix_channels_listed ON channels (service_id, listed_at, id) WHERE deleted_at IS NULL",
        ] {
            database.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        for statement in [
            "DROP INDEX ix_channels_listed",
            "ALTER TABLE channels DROP COLUMN listed_at",
        ] {
            database.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
