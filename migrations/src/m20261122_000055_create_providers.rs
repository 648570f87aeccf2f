//! What services send SMS and e-mail through, and how often a recipient was tried there.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(Providers::Table)
                    .col(ColumnDef::new(Providers::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Providers::Kind).text().not_null())
                    .col(ColumnDef::new(Providers::AccountId).uuid().not_null())
                    .col(ColumnDef::new(Providers::Url).text().null())
                    .col(ColumnDef::new(Providers::Host).text().null())
                    .col(ColumnDef::new(Providers::Port).integer().null())
                    .col(ColumnDef::new(Providers::Tls).text().null())
                    .col(ColumnDef::new(Providers::Login).text().null())
                    .col(ColumnDef::new(Providers::Secret).blob().null())
                    .col(ColumnDef::new(Providers::Sender).text().not_null())
                    .col(ColumnDef::new(Providers::NoticeDelay).integer().null())
                    .col(ColumnDef::new(Providers::NoticeSubject).text().null())
                    .col(ColumnDef::new(Providers::NoticeBody).text().null())
                    .col(ColumnDef::new(Providers::DateCreated).big_integer().not_null())
                    .col(ColumnDef::new(Providers::DateUpdated).big_integer().not_null())
                    .primary_key(Index::create().col(Providers::ServiceId).col(Providers::Kind))
                    .to_owned(),
            )
            .await?;
        for statement in [
            "ALTER TABLE campaign_recipients ADD COLUMN attempts integer NOT NULL DEFAULT 0",
            "CREATE INDEX ix_campaign_recipients_provider ON campaign_recipients (service_id, provider_sid) \
             WHERE provider_sid IS NOT NULL",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "DROP INDEX ix_campaign_recipients_provider",
            "ALTER TABLE campaign_recipients DROP COLUMN attempts",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        manager
            .drop_table(Table::drop().table(Providers::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum Providers {
    Table,
    ServiceId,
    Kind,
    AccountId,
    Url,
    Host,
    Port,
    Tls,
    Login,
    Secret,
    Sender,
    NoticeDelay,
    NoticeSubject,
    NoticeBody,
    DateCreated,
    DateUpdated,
}
