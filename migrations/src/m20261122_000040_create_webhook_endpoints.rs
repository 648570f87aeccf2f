//! Webhook endpoints: whom a service tells of what happens, and whom it asks before.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(WebhookEndpoints::Table)
                    .col(ColumnDef::new(WebhookEndpoints::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Id).uuid().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::AccountId).uuid().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Url).text().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Events).json_binary().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Format).text().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Ordered).boolean().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Headers).blob().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::FailurePolicy).text().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::TimeoutMs).integer().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Shadow).boolean().not_null())
                    .col(
                        ColumnDef::new(WebhookEndpoints::PreEventsOnRest)
                            .boolean()
                            .not_null(),
                    )
                    .col(ColumnDef::new(WebhookEndpoints::Status).text().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::DisabledReason).text().null())
                    .col(ColumnDef::new(WebhookEndpoints::Signing).text().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::Secret).blob().not_null())
                    .col(ColumnDef::new(WebhookEndpoints::PreviousSecret).blob().null())
                    .col(
                        ColumnDef::new(WebhookEndpoints::PreviousSecretUntil)
                            .big_integer()
                            .null(),
                    )
                    .col(
                        ColumnDef::new(WebhookEndpoints::FailingSince)
                            .big_integer()
                            .null(),
                    )
                    .col(ColumnDef::new(WebhookEndpoints::LastFailure).text().null())
                    .col(
                        ColumnDef::new(WebhookEndpoints::DateCreated)
                            .big_integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(WebhookEndpoints::DateUpdated)
                            .big_integer()
                            .not_null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(WebhookEndpoints::ServiceId)
                            .col(WebhookEndpoints::Id),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(WebhookEndpoints::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum WebhookEndpoints {
    Table,
    ServiceId,
    Id,
    AccountId,
    Url,
    Events,
    Format,
    Ordered,
    Headers,
    FailurePolicy,
    TimeoutMs,
    Shadow,
    PreEventsOnRest,
    Status,
    DisabledReason,
    Signing,
    Secret,
    PreviousSecret,
    PreviousSecretUntil,
    FailingSince,
    LastFailure,
    DateCreated,
    DateUpdated,
}
