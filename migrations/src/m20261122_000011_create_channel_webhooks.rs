//! Webhooks of single channels.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(ChannelWebhooks::Table)
                    .col(ColumnDef::new(ChannelWebhooks::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(ChannelWebhooks::ChannelId).uuid().not_null())
                    .col(ColumnDef::new(ChannelWebhooks::Id).uuid().not_null())
                    .col(ColumnDef::new(ChannelWebhooks::Kind).text().not_null())
                    .col(ColumnDef::new(ChannelWebhooks::Url).text().null())
                    .col(ColumnDef::new(ChannelWebhooks::Method).text().not_null())
                    .col(ColumnDef::new(ChannelWebhooks::Filters).json_binary().null())
                    .col(ColumnDef::new(ChannelWebhooks::Triggers).json_binary().null())
                    .col(ColumnDef::new(ChannelWebhooks::FlowSid).text().null())
                    .col(ColumnDef::new(ChannelWebhooks::RetryCount).integer().not_null())
                    .col(
                        ColumnDef::new(ChannelWebhooks::DateCreated)
                            .big_integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(ChannelWebhooks::DateUpdated)
                            .big_integer()
                            .not_null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(ChannelWebhooks::ServiceId)
                            .col(ChannelWebhooks::ChannelId)
                            .col(ChannelWebhooks::Id),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(ChannelWebhooks::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum ChannelWebhooks {
    Table,
    ServiceId,
    ChannelId,
    Id,
    Kind,
    Url,
    Method,
    Filters,
    Triggers,
    FlowSid,
    RetryCount,
    DateCreated,
    DateUpdated,
}
