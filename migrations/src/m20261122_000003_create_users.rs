//! Users of a service.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Users::Table)
                    .col(ColumnDef::new(Users::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Users::Id).uuid().not_null())
                    .col(ColumnDef::new(Users::Identity).text().not_null())
                    .col(ColumnDef::new(Users::RoleId).uuid().not_null())
                    .col(ColumnDef::new(Users::FriendlyName).text().null())
                    .col(ColumnDef::new(Users::Attributes).text().not_null())
                    .col(ColumnDef::new(Users::JoinedChannelsCount).integer().not_null())
                    .col(ColumnDef::new(Users::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Users::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Users::ServiceId).col(Users::Id))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("uq_users_identity")
                    .table(Users::Table)
                    .col(Users::ServiceId)
                    .col(Users::Identity)
                    .unique()
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Users::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Users {
    Table,
    ServiceId,
    Id,
    Identity,
    RoleId,
    FriendlyName,
    Attributes,
    JoinedChannelsCount,
    DateCreated,
    DateUpdated,
}
