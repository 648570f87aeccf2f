//! The audit log: what backends changed.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(AuditEvents::Table)
                    .col(ColumnDef::new(AuditEvents::AccountId).uuid().not_null())
                    .col(ColumnDef::new(AuditEvents::Id).uuid().not_null())
                    .col(ColumnDef::new(AuditEvents::ServiceId).uuid().null())
                    .col(ColumnDef::new(AuditEvents::ActorSid).text().not_null())
                    .col(ColumnDef::new(AuditEvents::Action).text().not_null())
                    .col(ColumnDef::new(AuditEvents::ResourceSid).text().not_null())
                    .col(ColumnDef::new(AuditEvents::Before).text().null())
                    .col(ColumnDef::new(AuditEvents::After).text().null())
                    .col(ColumnDef::new(AuditEvents::RequestId).uuid().null())
                    .col(ColumnDef::new(AuditEvents::DateCreated).big_integer().not_null())
                    .primary_key(Index::create().col(AuditEvents::AccountId).col(AuditEvents::Id))
                    .to_owned(),
            )
            .await?;
        // Identifiers are in the order of time, and so are the lists.
        manager
            .create_index(
                Index::create()
                    .name("ix_audit_events_service")
                    .table(AuditEvents::Table)
                    .col(AuditEvents::ServiceId)
                    .col(AuditEvents::Id)
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_audit_events_resource")
                    .table(AuditEvents::Table)
                    .col(AuditEvents::AccountId)
                    .col(AuditEvents::ResourceSid)
                    .col(AuditEvents::Id)
                    .to_owned(),
            )
            .await?;
        // For sweeping old entries.
        manager
            .create_index(
                Index::create()
                    .name("ix_audit_events_date_created")
                    .table(AuditEvents::Table)
                    .col(AuditEvents::DateCreated)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(AuditEvents::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum AuditEvents {
    Table,
    AccountId,
    Id,
    ServiceId,
    ActorSid,
    Action,
    ResourceSid,
    Before,
    After,
    RequestId,
    DateCreated,
}
