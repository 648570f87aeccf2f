//! Who works on which target of webhooks: targets are leased, and deliveries are no more.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(WebhookLeases::Table)
                    .col(
                        ColumnDef::new(WebhookLeases::TargetId)
                            .uuid()
                            .not_null()
                            .primary_key(),
                    )
                    .col(ColumnDef::new(WebhookLeases::Node).uuid().not_null())
                    .col(ColumnDef::new(WebhookLeases::ExpiresAt).big_integer().not_null())
                    .to_owned(),
            )
            .await?;
        for index in ["ix_webhook_deliveries_due", "ix_webhook_deliveries_order"] {
            manager
                .get_connection()
                .execute_unprepared(&format!("DROP INDEX {index}"))
                .await?;
        }
        // `leased_until` stays, since processes of the version before may still run; nobody else looks at it.
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            "ix_webhook_deliveries_due ON webhook_deliveries (next_attempt_at)",
            "ix_webhook_deliveries_order ON webhook_deliveries (service_id, channel_id, seq)",
        ] {
            manager
                .get_connection()
                .execute_unprepared(&format!("CREATE INDEX {index} WHERE status = 'pending'"))
                .await?;
        }
        manager
            .drop_table(Table::drop().table(WebhookLeases::Table).to_owned())
            .await
    }
}

#[derive(DeriveIden)]
enum WebhookLeases {
    Table,
    TargetId,
    Node,
    ExpiresAt,
}
