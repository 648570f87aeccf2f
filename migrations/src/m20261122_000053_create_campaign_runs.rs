//! Who holds a campaign that runs, the one message of those with one channel, and how many have joined that.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(CampaignRuns::Table)
                    .col(ColumnDef::new(CampaignRuns::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(CampaignRuns::CampaignId).uuid().not_null())
                    .col(ColumnDef::new(CampaignRuns::Node).uuid().not_null())
                    .col(ColumnDef::new(CampaignRuns::ExpiresAt).big_integer().not_null())
                    .col(ColumnDef::new(CampaignRuns::MessageId).uuid().null())
                    .col(ColumnDef::new(CampaignRuns::MessageIndex).big_integer().null())
                    .primary_key(
                        Index::create()
                            .col(CampaignRuns::ServiceId)
                            .col(CampaignRuns::CampaignId),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .get_connection()
            .execute_unprepared("ALTER TABLE campaign_portions ADD COLUMN joined integer NOT NULL DEFAULT 0")
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared("ALTER TABLE campaign_portions DROP COLUMN joined")
            .await?;
        manager
            .drop_table(Table::drop().table(CampaignRuns::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum CampaignRuns {
    Table,
    ServiceId,
    CampaignId,
    Node,
    ExpiresAt,
    MessageId,
    MessageIndex,
}
