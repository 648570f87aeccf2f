//! Declared indexes over attributes: their declarations, one entry for every resource that an index covers, and one
//! for every distinct element of an array that it finds.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(AttributeIndexes::Table)
                    .col(ColumnDef::new(AttributeIndexes::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(AttributeIndexes::Id).uuid().not_null())
                    .col(ColumnDef::new(AttributeIndexes::Resource).text().not_null())
                    .col(ColumnDef::new(AttributeIndexes::Path).text().not_null())
                    .col(ColumnDef::new(AttributeIndexes::Kind).text().not_null())
                    .col(ColumnDef::new(AttributeIndexes::Status).text().not_null())
                    .col(ColumnDef::new(AttributeIndexes::Failure).text().null())
                    .col(ColumnDef::new(AttributeIndexes::BuiltTo).text().null())
                    .col(
                        ColumnDef::new(AttributeIndexes::DateCreated)
                            .big_integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(AttributeIndexes::DateUpdated)
                            .big_integer()
                            .not_null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(AttributeIndexes::ServiceId)
                            .col(AttributeIndexes::Id),
                    )
                    .to_owned(),
            )
            .await?;
        let database = manager.get_connection();
        // The path of an index that is being taken down is free at once.
        database
            .execute_unprepared(
                "CREATE UNIQUE INDEX uq_attribute_indexes_path ON attribute_indexes (service_id, resource, path) \
                 WHERE status <> 'deleting'",
            )
            .await?;
        // What the builder has to do, whatever the number of finished indexes.
        database
            .execute_unprepared(
                "CREATE INDEX ix_attribute_indexes_unfinished ON attribute_indexes (date_created) \
                 WHERE status IN ('building', 'deleting')",
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(AttributeEntries::Table)
                    .col(ColumnDef::new(AttributeEntries::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(AttributeEntries::IndexId).uuid().not_null())
                    .col(ColumnDef::new(AttributeEntries::ScopeId).uuid().not_null())
                    .col(ColumnDef::new(AttributeEntries::ItemId).uuid().not_null())
                    .col(ColumnDef::new(AttributeEntries::Key).binary().not_null())
                    .col(ColumnDef::new(AttributeEntries::Rest).binary().not_null())
                    .col(ColumnDef::new(AttributeEntries::Present).boolean().not_null())
                    .primary_key(
                        Index::create()
                            .col(AttributeEntries::ServiceId)
                            .col(AttributeEntries::IndexId)
                            .col(AttributeEntries::ScopeId)
                            .col(AttributeEntries::ItemId),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_attribute_entries_order")
                    .table(AttributeEntries::Table)
                    .col(AttributeEntries::ServiceId)
                    .col(AttributeEntries::IndexId)
                    .col(AttributeEntries::ScopeId)
                    .col(AttributeEntries::Key)
                    .col(AttributeEntries::ItemId)
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(AttributeElements::Table)
                    .col(ColumnDef::new(AttributeElements::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(AttributeElements::IndexId).uuid().not_null())
                    .col(ColumnDef::new(AttributeElements::ScopeId).uuid().not_null())
                    .col(ColumnDef::new(AttributeElements::ItemId).uuid().not_null())
                    .col(ColumnDef::new(AttributeElements::Ordinal).integer().not_null())
                    .col(ColumnDef::new(AttributeElements::Key).binary().not_null())
                    .col(ColumnDef::new(AttributeElements::Rest).binary().not_null())
                    .primary_key(
                        Index::create()
                            .col(AttributeElements::ServiceId)
                            .col(AttributeElements::IndexId)
                            .col(AttributeElements::ScopeId)
                            .col(AttributeElements::ItemId)
                            .col(AttributeElements::Ordinal),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_attribute_elements_key")
                    .table(AttributeElements::Table)
                    .col(AttributeElements::ServiceId)
                    .col(AttributeElements::IndexId)
                    .col(AttributeElements::ScopeId)
                    .col(AttributeElements::Key)
                    .col(AttributeElements::ItemId)
                    .to_owned(),
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(AttributeElements::Table).to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table(AttributeEntries::Table).to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table(AttributeIndexes::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum AttributeIndexes {
    Table,
    ServiceId,
    Id,
    Resource,
    Path,
    Kind,
    Status,
    Failure,
    BuiltTo,
    DateCreated,
    DateUpdated,
}

#[derive(DeriveIden)]
enum AttributeEntries {
    Table,
    ServiceId,
    IndexId,
    ScopeId,
    ItemId,
    Key,
    Rest,
    Present,
}

#[derive(DeriveIden)]
enum AttributeElements {
    Table,
    ServiceId,
    IndexId,
    ScopeId,
    ItemId,
    Ordinal,
    Key,
    Rest,
}
