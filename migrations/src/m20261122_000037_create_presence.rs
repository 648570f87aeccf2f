//! The gateways' leases, and which users have sockets at which of them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(PresenceNodes::Table)
                    .col(ColumnDef::new(PresenceNodes::Id).uuid().not_null().primary_key())
                    .col(ColumnDef::new(PresenceNodes::HeldSince).big_integer().not_null())
                    .col(ColumnDef::new(PresenceNodes::ExpiresAt).big_integer().not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(PresencePlaces::Table)
                    .col(ColumnDef::new(PresencePlaces::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(PresencePlaces::Identity).text().not_null())
                    .col(ColumnDef::new(PresencePlaces::NodeId).uuid().not_null())
                    .primary_key(
                        Index::create()
                            .col(PresencePlaces::ServiceId)
                            .col(PresencePlaces::Identity)
                            .col(PresencePlaces::NodeId),
                    )
                    .to_owned(),
            )
            .await?;
        // What a dead gateway leaves is found by its name.
        manager
            .create_index(
                Index::create()
                    .name("ix_presence_places_node")
                    .table(PresencePlaces::Table)
                    .col(PresencePlaces::NodeId)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(PresencePlaces::Table).to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table(PresenceNodes::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum PresenceNodes {
    Table,
    Id,
    HeldSince,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum PresencePlaces {
    Table,
    ServiceId,
    Identity,
    NodeId,
}
