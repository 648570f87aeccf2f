//! Notices of missed messages: how far each service's messages were looked through, and who was told of what.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(NoticeCursors::Table)
                    .col(
                        ColumnDef::new(NoticeCursors::ServiceId)
                            .uuid()
                            .not_null()
                            .primary_key(),
                    )
                    .col(ColumnDef::new(NoticeCursors::Place).big_integer().not_null())
                    .col(ColumnDef::new(NoticeCursors::Node).uuid().not_null())
                    .col(ColumnDef::new(NoticeCursors::ExpiresAt).big_integer().not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Notices::Table)
                    .col(ColumnDef::new(Notices::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Notices::ChannelId).uuid().not_null())
                    .col(ColumnDef::new(Notices::Identity).text().not_null())
                    .col(ColumnDef::new(Notices::MessageIndex).big_integer().not_null())
                    .col(ColumnDef::new(Notices::Status).text().not_null())
                    .col(ColumnDef::new(Notices::Attempts).integer().not_null())
                    .col(ColumnDef::new(Notices::Error).text().null())
                    .col(ColumnDef::new(Notices::DueAt).big_integer().not_null())
                    .col(ColumnDef::new(Notices::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Notices::DateUpdated).big_integer().not_null())
                    .primary_key(
                        Index::create()
                            .col(Notices::ServiceId)
                            .col(Notices::ChannelId)
                            .col(Notices::Identity),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE INDEX ix_notices_due ON notices (service_id, due_at) WHERE status = 'waiting'",
            )
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [Notices::Table.into_iden(), NoticeCursors::Table.into_iden()] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum NoticeCursors {
    Table,
    ServiceId,
    Place,
    Node,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum Notices {
    Table,
    ServiceId,
    ChannelId,
    Identity,
    MessageIndex,
    Status,
    Attempts,
    Error,
    DueAt,
    DateCreated,
    DateUpdated,
}
