//! The log of durable channel events other than arrivals of messages.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(ChannelEvents::Table)
                    .col(ColumnDef::new(ChannelEvents::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(ChannelEvents::ChannelId).uuid().not_null())
                    .col(ColumnDef::new(ChannelEvents::Seq).big_integer().not_null())
                    .col(ColumnDef::new(ChannelEvents::Id).uuid().not_null())
                    .col(ColumnDef::new(ChannelEvents::Kind).text().not_null())
                    .col(ColumnDef::new(ChannelEvents::Identity).text().not_null())
                    .col(ColumnDef::new(ChannelEvents::Subject).text().null())
                    .col(ColumnDef::new(ChannelEvents::Payload).text().not_null())
                    .col(
                        ColumnDef::new(ChannelEvents::CommittedAt)
                            .big_integer()
                            .not_null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(ChannelEvents::ServiceId)
                            .col(ChannelEvents::ChannelId)
                            .col(ChannelEvents::Seq),
                    )
                    .to_owned(),
            )
            .await?;
        // A returning client asks for its own joins and leaves since its cursor.
        manager.get_connection().execute_unprepared(
            "CREATE INDEX ix_channel_events_subject ON channel_events (service_id, subject, committed_at) WHERE subject IS NOT NULL",
        ).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(ChannelEvents::Table).to_owned())
            .await?;
        Ok(())
    }
}

#[derive(DeriveIden)]
enum ChannelEvents {
    Table,
    ServiceId,
    ChannelId,
    Seq,
    Id,
    Kind,
    Identity,
    Subject,
    Payload,
    CommittedAt,
}
