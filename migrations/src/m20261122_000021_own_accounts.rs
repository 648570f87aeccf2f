//! Who owns an account (itself, or the parent of a sub-account), and a second auth token for rotation.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            // Never null once this step is done; neither database adds such a column to rows that are there.
            ColumnDef::new(Accounts::OwnerId).uuid().null().take(),
            ColumnDef::new(Accounts::SecondaryAuthToken).blob().null().take(),
            ColumnDef::new(Accounts::SecondaryAuthTokenAt)
                .big_integer()
                .null()
                .take(),
            ColumnDef::new(Accounts::AuthTokenPromotedAt)
                .big_integer()
                .null()
                .take(),
        ] {
            manager
                .alter_table(
                    Table::alter()
                        .table(Accounts::Table)
                        .add_column(column)
                        .to_owned(),
                )
                .await?;
        }
        manager
            .get_connection()
            .execute(
                Query::update()
                    .table(Accounts::Table)
                    .value(Accounts::OwnerId, Expr::col(Accounts::Id))
                    .and_where(Expr::col(Accounts::OwnerId).is_null()),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_accounts_owner")
                    .table(Accounts::Table)
                    .col(Accounts::OwnerId)
                    .col(Accounts::Id)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(
                Index::drop()
                    .name("ix_accounts_owner")
                    .table(Accounts::Table)
                    .to_owned(),
            )
            .await?;
        for column in [
            Accounts::AuthTokenPromotedAt,
            Accounts::SecondaryAuthTokenAt,
            Accounts::SecondaryAuthToken,
            Accounts::OwnerId,
        ] {
            manager
                .alter_table(
                    Table::alter()
                        .table(Accounts::Table)
                        .drop_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum Accounts {
    Table,
    Id,
    OwnerId,
    SecondaryAuthToken,
    SecondaryAuthTokenAt,
    AuthTokenPromotedAt,
}
