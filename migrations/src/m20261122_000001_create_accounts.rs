//! Accounts and their API keys.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Accounts::Table)
                    .col(ColumnDef::new(Accounts::Id).uuid().not_null())
                    .col(ColumnDef::new(Accounts::FriendlyName).text().not_null())
                    .col(ColumnDef::new(Accounts::Status).text().not_null())
                    .col(ColumnDef::new(Accounts::AuthToken).blob().not_null())
                    .col(ColumnDef::new(Accounts::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Accounts::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Accounts::Id))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(ApiKeys::Table)
                    .col(ColumnDef::new(ApiKeys::AccountId).uuid().not_null())
                    .col(ColumnDef::new(ApiKeys::Id).uuid().not_null())
                    .col(ColumnDef::new(ApiKeys::FriendlyName).text().not_null())
                    .col(ColumnDef::new(ApiKeys::Secret).blob().not_null())
                    .col(ColumnDef::new(ApiKeys::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(ApiKeys::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(ApiKeys::AccountId).col(ApiKeys::Id))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("uq_api_keys_id")
                    .table(ApiKeys::Table)
                    .col(ApiKeys::Id)
                    .unique()
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(ApiKeys::Table).to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table(Accounts::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Accounts {
    Table,
    Id,
    FriendlyName,
    Status,
    AuthToken,
    DateCreated,
    DateUpdated,
}

#[derive(DeriveIden)]
enum ApiKeys {
    Table,
    AccountId,
    Id,
    FriendlyName,
    Secret,
    DateCreated,
    DateUpdated,
}
