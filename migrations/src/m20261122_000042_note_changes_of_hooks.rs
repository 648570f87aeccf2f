//! One number that moves on whenever somebody's webhooks change: who remembers what a service has asked for needs to
//! look at this one row only.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(HookChanges::Table)
                    .col(ColumnDef::new(HookChanges::Id).integer().not_null().primary_key())
                    .col(ColumnDef::new(HookChanges::Number).big_integer().not_null())
                    .to_owned(),
            )
            .await?;
        let only = Query::insert()
            .into_table(HookChanges::Table)
            .columns([HookChanges::Id, HookChanges::Number])
            .values_panic([1.into(), 0_i64.into()])
            .to_owned();
        manager.execute(only).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(HookChanges::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum HookChanges {
    Table,
    Id,
    Number,
}
