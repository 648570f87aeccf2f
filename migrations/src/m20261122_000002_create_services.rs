//! Service instances and their roles.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Services::Table)
                    .col(ColumnDef::new(Services::AccountId).uuid().not_null())
                    .col(ColumnDef::new(Services::Id).uuid().not_null())
                    .col(ColumnDef::new(Services::FriendlyName).text().not_null())
                    .col(ColumnDef::new(Services::DefaultServiceRoleId).uuid().not_null())
                    .col(ColumnDef::new(Services::DefaultChannelRoleId).uuid().not_null())
                    .col(
                        ColumnDef::new(Services::DefaultChannelCreatorRoleId)
                            .uuid()
                            .not_null(),
                    )
                    .col(ColumnDef::new(Services::ReadStatusEnabled).boolean().not_null())
                    .col(ColumnDef::new(Services::ReachabilityEnabled).boolean().not_null())
                    .col(
                        ColumnDef::new(Services::TypingIndicatorTimeout)
                            .integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(Services::ConsumptionReportInterval)
                            .integer()
                            .not_null(),
                    )
                    .col(ColumnDef::new(Services::LimitChannelMembers).integer().not_null())
                    .col(ColumnDef::new(Services::LimitUserChannels).integer().not_null())
                    .col(ColumnDef::new(Services::PreWebhookUrl).text().null())
                    .col(ColumnDef::new(Services::PostWebhookUrl).text().null())
                    .col(ColumnDef::new(Services::WebhookMethod).text().null())
                    .col(ColumnDef::new(Services::WebhookFilters).json_binary().null())
                    .col(
                        ColumnDef::new(Services::PreWebhookRetryCount)
                            .integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(Services::PostWebhookRetryCount)
                            .integer()
                            .not_null(),
                    )
                    .col(ColumnDef::new(Services::Notifications).json_binary().not_null())
                    .col(ColumnDef::new(Services::MediaCompatibilityMessage).text().null())
                    .col(ColumnDef::new(Services::WebhookSecret).blob().not_null())
                    .col(ColumnDef::new(Services::WebhookSecretBefore).blob().null())
                    .col(
                        ColumnDef::new(Services::WebhookSecretBeforeUntil)
                            .big_integer()
                            .null(),
                    )
                    .col(ColumnDef::new(Services::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Services::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Services::AccountId).col(Services::Id))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("uq_services_id")
                    .table(Services::Table)
                    .col(Services::Id)
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Roles::Table)
                    .col(ColumnDef::new(Roles::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Roles::Id).uuid().not_null())
                    .col(ColumnDef::new(Roles::FriendlyName).text().not_null())
                    .col(ColumnDef::new(Roles::Kind).text().not_null())
                    .col(ColumnDef::new(Roles::Permissions).big_integer().not_null())
                    .col(ColumnDef::new(Roles::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Roles::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Roles::ServiceId).col(Roles::Id))
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Roles::Table).to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table(Services::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Services {
    Table,
    AccountId,
    Id,
    FriendlyName,
    DefaultServiceRoleId,
    DefaultChannelRoleId,
    DefaultChannelCreatorRoleId,
    ReadStatusEnabled,
    ReachabilityEnabled,
    TypingIndicatorTimeout,
    ConsumptionReportInterval,
    LimitChannelMembers,
    LimitUserChannels,
    PreWebhookUrl,
    PostWebhookUrl,
    WebhookMethod,
    WebhookFilters,
    PreWebhookRetryCount,
    PostWebhookRetryCount,
    Notifications,
    MediaCompatibilityMessage,
    WebhookSecret,
    WebhookSecretBefore,
    WebhookSecretBeforeUntil,
    DateCreated,
    DateUpdated,
}

#[derive(DeriveIden)]
enum Roles {
    Table,
    ServiceId,
    Id,
    FriendlyName,
    Kind,
    Permissions,
    DateCreated,
    DateUpdated,
}
