//! The ledger of webhook deliveries.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(WebhookDeliveries::Table)
                    .col(ColumnDef::new(WebhookDeliveries::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::Id).uuid().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::AccountId).uuid().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::EventId).uuid().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::EventType).text().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::ChannelId).uuid().null())
                    .col(ColumnDef::new(WebhookDeliveries::Seq).big_integer().null())
                    .col(ColumnDef::new(WebhookDeliveries::Url).text().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::Method).text().not_null())
                    .col(
                        ColumnDef::new(WebhookDeliveries::Parameters)
                            .json_binary()
                            .not_null(),
                    )
                    .col(ColumnDef::new(WebhookDeliveries::Status).text().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::Attempts).integer().not_null())
                    .col(ColumnDef::new(WebhookDeliveries::RetryCount).integer().not_null())
                    .col(
                        ColumnDef::new(WebhookDeliveries::NextAttemptAt)
                            .big_integer()
                            .null(),
                    )
                    .col(
                        ColumnDef::new(WebhookDeliveries::LeasedUntil)
                            .big_integer()
                            .null(),
                    )
                    .col(ColumnDef::new(WebhookDeliveries::ResponseStatus).integer().null())
                    .col(ColumnDef::new(WebhookDeliveries::ResponseStart).text().null())
                    .col(ColumnDef::new(WebhookDeliveries::LastError).text().null())
                    .col(
                        ColumnDef::new(WebhookDeliveries::DateCreated)
                            .big_integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(WebhookDeliveries::DateUpdated)
                            .big_integer()
                            .not_null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(WebhookDeliveries::ServiceId)
                            .col(WebhookDeliveries::Id),
                    )
                    .to_owned(),
            )
            .await?;
        // The poller looks for what is due.
        manager.get_connection().execute_unprepared(
            "CREATE INDEX ix_webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending'",
        ).await?;
        // First attempts keep the order of the channel.
        manager.get_connection().execute_unprepared(
            "CREATE INDEX ix_webhook_deliveries_order ON webhook_deliveries (service_id, channel_id, seq) WHERE status = 'pending'",
        ).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(WebhookDeliveries::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum WebhookDeliveries {
    Table,
    ServiceId,
    Id,
    AccountId,
    EventId,
    EventType,
    ChannelId,
    Seq,
    Url,
    Method,
    Parameters,
    Status,
    Attempts,
    RetryCount,
    NextAttemptAt,
    LeasedUntil,
    ResponseStatus,
    ResponseStart,
    LastError,
    DateCreated,
    DateUpdated,
}
