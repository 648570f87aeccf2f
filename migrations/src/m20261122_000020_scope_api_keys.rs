//! What API keys reach, how long they live, and when they were last used.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        for column in [
            ColumnDef::new(ApiKeys::ServiceId).uuid().null().take(),
            ColumnDef::new(ApiKeys::ReadOnly)
                .boolean()
                .not_null()
                .default(false)
                .take(),
            ColumnDef::new(ApiKeys::DateExpires).big_integer().null().take(),
            ColumnDef::new(ApiKeys::DateLastUsed).big_integer().null().take(),
        ] {
            manager
                .alter_table(Table::alter().table(ApiKeys::Table).add_column(column).to_owned())
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            ApiKeys::DateLastUsed,
            ApiKeys::DateExpires,
            ApiKeys::ReadOnly,
            ApiKeys::ServiceId,
        ] {
            manager
                .alter_table(
                    Table::alter()
                        .table(ApiKeys::Table)
                        .drop_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum ApiKeys {
    Table,
    ServiceId,
    ReadOnly,
    DateExpires,
    DateLastUsed,
}
