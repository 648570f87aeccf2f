//! Credentials of push services.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Credentials::Table)
                    .col(ColumnDef::new(Credentials::AccountId).uuid().not_null())
                    .col(ColumnDef::new(Credentials::Id).uuid().not_null())
                    .col(ColumnDef::new(Credentials::Kind).text().not_null())
                    .col(ColumnDef::new(Credentials::FriendlyName).text().null())
                    .col(ColumnDef::new(Credentials::Sandbox).boolean().not_null())
                    .col(ColumnDef::new(Credentials::Secrets).blob().not_null())
                    .col(ColumnDef::new(Credentials::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Credentials::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Credentials::AccountId).col(Credentials::Id))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Credentials::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum Credentials {
    Table,
    AccountId,
    Id,
    Kind,
    FriendlyName,
    Sandbox,
    Secrets,
    DateCreated,
    DateUpdated,
}
