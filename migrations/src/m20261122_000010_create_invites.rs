//! Invites to channels.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Invites::Table)
                    .col(ColumnDef::new(Invites::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Invites::ChannelId).uuid().not_null())
                    .col(ColumnDef::new(Invites::Id).uuid().not_null())
                    .col(ColumnDef::new(Invites::Identity).text().not_null())
                    .col(ColumnDef::new(Invites::RoleId).uuid().not_null())
                    .col(ColumnDef::new(Invites::CreatedBy).text().not_null())
                    .col(ColumnDef::new(Invites::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Invites::DateUpdated).big_integer().not_null())
                    .primary_key(
                        Index::create()
                            .col(Invites::ServiceId)
                            .col(Invites::ChannelId)
                            .col(Invites::Id),
                    )
                    .to_owned(),
            )
            .await?;
        // One invite a user and channel; in this order it also finds the channels that a user is invited to.
        manager
            .create_index(
                Index::create()
                    .name("uq_invites_identity")
                    .table(Invites::Table)
                    .col(Invites::ServiceId)
                    .col(Invites::Identity)
                    .col(Invites::ChannelId)
                    .unique()
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Invites::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum Invites {
    Table,
    ServiceId,
    ChannelId,
    Id,
    Identity,
    RoleId,
    CreatedBy,
    DateCreated,
    DateUpdated,
}
