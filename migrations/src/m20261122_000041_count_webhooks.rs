//! How many webhooks a channel and how many endpoints a service has, in rows that every change looks at anyway: where
//! there are none, nothing is asked.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        for statement in [
            "ALTER TABLE services ADD COLUMN webhook_endpoints integer NOT NULL DEFAULT 0",
            "ALTER TABLE channels ADD COLUMN webhooks integer NOT NULL DEFAULT 0",
            "UPDATE channels SET webhooks = (SELECT COUNT(*) FROM channel_webhooks w \
             WHERE w.service_id = channels.service_id AND w.channel_id = channels.id AND w.kind <> 'studio') \
             WHERE (service_id, id) IN (SELECT service_id, channel_id FROM channel_webhooks)",
        ] {
            database.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        for statement in [
            "ALTER TABLE channels DROP COLUMN webhooks",
            "ALTER TABLE services DROP COLUMN webhook_endpoints",
        ] {
            database.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
