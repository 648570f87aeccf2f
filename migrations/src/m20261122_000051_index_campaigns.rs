//! Lists of campaigns and of broadcasts, of which there may be very many, and the campaigns of an audience.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "CREATE INDEX ix_campaigns_kind ON campaigns (service_id, kind, id)",
            "CREATE INDEX ix_campaigns_kind_status ON campaigns (service_id, kind, status, id)",
            "CREATE INDEX ix_campaigns_audience ON campaigns (service_id, audience_id) WHERE audience_id IS NOT NULL",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            "ix_campaigns_audience",
            "ix_campaigns_kind_status",
            "ix_campaigns_kind",
        ] {
            manager
                .get_connection()
                .execute_unprepared(&format!("DROP INDEX {index}"))
                .await?;
        }
        Ok(())
    }
}
