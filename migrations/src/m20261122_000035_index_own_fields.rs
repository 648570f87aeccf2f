//! Indexes over the fields by which lists of channels and users are likely to be narrowed and sorted. None of these
//! columns changes with a message or a membership, so that Postgres still updates such rows in place.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Table, column, whether it is a text, and which rows lists never have.
const INDEXES: [(&str, &str, bool, &str); 7] = [
    ("channels", "created_by", true, " WHERE deleted_at IS NULL"),
    ("channels", "friendly_name", true, " WHERE deleted_at IS NULL"),
    ("channels", "date_created", false, " WHERE deleted_at IS NULL"),
    ("channels", "date_updated", false, " WHERE deleted_at IS NULL"),
    ("users", "friendly_name", true, ""),
    ("users", "date_created", false, ""),
    ("users", "date_updated", false, ""),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column, text, condition) in INDEXES {
            // Texts are compared by code point, whatever the locale of the database.
            let order = if text && manager.get_database_backend() == DbBackend::Postgres {
                " COLLATE \"C\""
            } else {
                ""
            };
            let statement = format!(
                "CREATE INDEX ix_{table}_{column} ON {table} (service_id, {column}{order}, id){condition}"
            );
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column, ..) in INDEXES {
            let statement = format!("DROP INDEX ix_{table}_{column}");
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
