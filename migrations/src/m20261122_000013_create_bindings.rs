//! Devices of users that push notifications go to.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Bindings::Table)
                    .col(ColumnDef::new(Bindings::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Bindings::Id).uuid().not_null())
                    .col(ColumnDef::new(Bindings::UserId).uuid().not_null())
                    .col(ColumnDef::new(Bindings::Identity).text().not_null())
                    .col(ColumnDef::new(Bindings::Kind).text().not_null())
                    .col(ColumnDef::new(Bindings::Endpoint).text().null())
                    .col(ColumnDef::new(Bindings::Place).text().not_null())
                    .col(ColumnDef::new(Bindings::Address).blob().not_null())
                    .col(ColumnDef::new(Bindings::CredentialId).uuid().null())
                    .col(ColumnDef::new(Bindings::MessageTypes).json_binary().not_null())
                    .col(ColumnDef::new(Bindings::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Bindings::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Bindings::ServiceId).col(Bindings::Id))
                    .to_owned(),
            )
            .await?;
        // The same device again replaces its binding.
        manager
            .create_index(
                Index::create()
                    .name("uq_bindings_place")
                    .table(Bindings::Table)
                    .col(Bindings::ServiceId)
                    .col(Bindings::UserId)
                    .col(Bindings::Kind)
                    .col(Bindings::Place)
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_bindings_identity")
                    .table(Bindings::Table)
                    .col(Bindings::ServiceId)
                    .col(Bindings::Identity)
                    .col(Bindings::Id)
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_bindings_kind")
                    .table(Bindings::Table)
                    .col(Bindings::ServiceId)
                    .col(Bindings::Kind)
                    .col(Bindings::Id)
                    .to_owned(),
            )
            .await?;
        // A deleted credential takes its bindings along.
        manager
            .create_index(
                Index::create()
                    .name("ix_bindings_credential")
                    .table(Bindings::Table)
                    .col(Bindings::CredentialId)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(Bindings::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum Bindings {
    Table,
    ServiceId,
    Id,
    UserId,
    Identity,
    Kind,
    Endpoint,
    Place,
    Address,
    CredentialId,
    MessageTypes,
    DateCreated,
    DateUpdated,
}
