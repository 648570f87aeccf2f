//! A count of what others than the campaigns do to channels, which moves on whatever becomes of their transactions.
//! SQLite has one process, which counts in memory.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

impl Migration {
    async fn run(manager: &SchemaManager<'_>, statement: &str) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Self::run(manager, "CREATE SEQUENCE live_changes").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        Self::run(manager, "DROP SEQUENCE live_changes").await
    }
}
