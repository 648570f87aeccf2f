//! Pools of operators, who reach the channels that are attached to a pool without being members of each.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(OperatorPools::Table)
                    .col(ColumnDef::new(OperatorPools::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(OperatorPools::Id).uuid().not_null())
                    .col(ColumnDef::new(OperatorPools::FriendlyName).text().null())
                    .col(ColumnDef::new(OperatorPools::OperatorsCount).integer().not_null())
                    .col(
                        ColumnDef::new(OperatorPools::DateCreated)
                            .big_integer()
                            .not_null(),
                    )
                    .col(
                        ColumnDef::new(OperatorPools::DateUpdated)
                            .big_integer()
                            .not_null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(OperatorPools::ServiceId)
                            .col(OperatorPools::Id),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Operators::Table)
                    .col(ColumnDef::new(Operators::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(Operators::PoolId).uuid().not_null())
                    .col(ColumnDef::new(Operators::Identity).text().not_null())
                    .col(ColumnDef::new(Operators::DateCreated).big_integer().not_null())
                    .primary_key(
                        Index::create()
                            .col(Operators::ServiceId)
                            .col(Operators::PoolId)
                            .col(Operators::Identity),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("ix_operators_identity")
                    .table(Operators::Table)
                    .col(Operators::ServiceId)
                    .col(Operators::Identity)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [Operators::Table.into_iden(), OperatorPools::Table.into_iden()] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum OperatorPools {
    Table,
    ServiceId,
    Id,
    FriendlyName,
    OperatorsCount,
    DateCreated,
    DateUpdated,
}

#[derive(DeriveIden)]
enum Operators {
    Table,
    ServiceId,
    PoolId,
    Identity,
    DateCreated,
}
