//! What is left to clear away from the entries of declared indexes.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(AttributeLeftovers::Table)
                    .col(ColumnDef::new(AttributeLeftovers::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(AttributeLeftovers::ScopeId).uuid().not_null())
                    .col(ColumnDef::new(AttributeLeftovers::ItemId).uuid().not_null())
                    .primary_key(
                        Index::create()
                            .col(AttributeLeftovers::ServiceId)
                            .col(AttributeLeftovers::ScopeId)
                            .col(AttributeLeftovers::ItemId),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(AttributeLeftovers::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum AttributeLeftovers {
    Table,
    ServiceId,
    ScopeId,
    ItemId,
}
