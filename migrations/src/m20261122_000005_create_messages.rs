//! Messages, clustered by channel and index.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Messages::Table)
                    .col(ColumnDef::new(Messages::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Messages::ChannelId).uuid().not_null())
                    .col(ColumnDef::new(Messages::Idx).big_integer().not_null())
                    .col(ColumnDef::new(Messages::Id).uuid().not_null())
                    .col(ColumnDef::new(Messages::Seq).big_integer().not_null())
                    .col(ColumnDef::new(Messages::Author).text().not_null())
                    .col(ColumnDef::new(Messages::Body).text().null())
                    .col(ColumnDef::new(Messages::Attributes).text().not_null())
                    .col(ColumnDef::new(Messages::ClientId).text().null())
                    .col(ColumnDef::new(Messages::LastUpdatedBy).text().null())
                    .col(ColumnDef::new(Messages::WasEdited).boolean().not_null())
                    .col(ColumnDef::new(Messages::RemovedAt).big_integer().null())
                    .col(ColumnDef::new(Messages::CommittedAt).big_integer().not_null())
                    .col(ColumnDef::new(Messages::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Messages::DateUpdated).big_integer().not_null())
                    .primary_key(
                        Index::create()
                            .col(Messages::ServiceId)
                            .col(Messages::ChannelId)
                            .col(Messages::Idx),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("uq_messages_id")
                    .table(Messages::Table)
                    .col(Messages::ServiceId)
                    .col(Messages::ChannelId)
                    .col(Messages::Id)
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("uq_messages_seq")
                    .table(Messages::Table)
                    .col(Messages::ServiceId)
                    .col(Messages::ChannelId)
                    .col(Messages::Seq)
                    .unique()
                    .to_owned(),
            )
            .await?;
        // A sender's own ids are unique as long as the message lives; few messages have one, so only those are indexed.
        manager.get_connection().execute_unprepared(
            "CREATE UNIQUE INDEX uq_messages_client_id ON messages (service_id, channel_id, author, client_id) WHERE client_id IS NOT NULL",
        ).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Messages::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Messages {
    Table,
    ServiceId,
    ChannelId,
    Idx,
    Id,
    Seq,
    Author,
    Body,
    Attributes,
    ClientId,
    LastUpdatedBy,
    WasEdited,
    RemovedAt,
    CommittedAt,
    DateCreated,
    DateUpdated,
}
