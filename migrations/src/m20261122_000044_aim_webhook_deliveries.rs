//! Whom a webhook delivery goes to, so that each target has a queue of its own, and every attempt that was made.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The queues (what was never attempted, what is attempted again, which channels wait for a retry), then the lists
/// that tenants filter.
const INDEXES: [(&str, &str); 7] = [
    (
        "ix_webhook_deliveries_fresh",
        "(target_id, channel_id, seq, id) WHERE status = 'pending' AND attempts = 0",
    ),
    (
        "ix_webhook_deliveries_again",
        "(target_id, next_attempt_at, id) WHERE status = 'pending' AND attempts > 0",
    ),
    (
        "ix_webhook_deliveries_stuck",
        "(target_id, channel_id, seq) WHERE status = 'pending' AND attempts > 0",
    ),
    (
        "ix_webhook_deliveries_status",
        "(service_id, status, id) WHERE status <> 'delivered'",
    ),
    ("ix_webhook_deliveries_target", "(service_id, target_id, id)"),
    ("ix_webhook_deliveries_channel", "(service_id, channel_id, id)"),
    ("ix_webhook_deliveries_event", "(service_id, event_type, id)"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let nobody = if manager.get_database_backend() == DbBackend::Postgres {
            "'00000000-0000-0000-0000-000000000000'"
        } else {
            "x'00000000000000000000000000000000'"
        };
        // SQLite adds one column a statement.
        for column in [
            ColumnDef::new(WebhookDeliveries::TargetKind)
                .text()
                .not_null()
                .default("service")
                .take(),
            ColumnDef::new(WebhookDeliveries::TargetId)
                .uuid()
                .not_null()
                .default(Expr::cust(nobody))
                .take(),
            ColumnDef::new(WebhookDeliveries::AttemptsBefore)
                .integer()
                .not_null()
                .default(0)
                .take(),
        ] {
            manager
                .alter_table(
                    Table::alter()
                        .table(WebhookDeliveries::Table)
                        .add_column(column)
                        .to_owned(),
                )
                .await?;
        }
        let db = manager.get_connection();
        db.execute_unprepared("UPDATE webhook_deliveries SET target_id = service_id")
            .await?;
        for (name, columns) in INDEXES {
            db.execute_unprepared(&format!("CREATE INDEX {name} ON webhook_deliveries {columns}"))
                .await?;
        }
        manager
            .create_table(
                Table::create()
                    .table(WebhookAttempts::Table)
                    .col(ColumnDef::new(WebhookAttempts::ServiceId).uuid().not_null())
                    .col(ColumnDef::new(WebhookAttempts::DeliveryId).uuid().not_null())
                    .col(ColumnDef::new(WebhookAttempts::Number).integer().not_null())
                    .col(ColumnDef::new(WebhookAttempts::At).big_integer().not_null())
                    .col(ColumnDef::new(WebhookAttempts::DurationMs).integer().not_null())
                    .col(ColumnDef::new(WebhookAttempts::ResponseStatus).integer().null())
                    .col(ColumnDef::new(WebhookAttempts::ResponseStart).text().null())
                    .col(ColumnDef::new(WebhookAttempts::Error).text().null())
                    .col(
                        ColumnDef::new(WebhookAttempts::NextAttemptAt)
                            .big_integer()
                            .null(),
                    )
                    .primary_key(
                        Index::create()
                            .col(WebhookAttempts::ServiceId)
                            .col(WebhookAttempts::DeliveryId)
                            .col(WebhookAttempts::Number),
                    )
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table(WebhookAttempts::Table).to_owned())
            .await?;
        for (name, _) in INDEXES {
            manager
                .get_connection()
                .execute_unprepared(&format!("DROP INDEX {name}"))
                .await?;
        }
        for column in [
            WebhookDeliveries::AttemptsBefore,
            WebhookDeliveries::TargetId,
            WebhookDeliveries::TargetKind,
        ] {
            manager
                .alter_table(
                    Table::alter()
                        .table(WebhookDeliveries::Table)
                        .drop_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}

#[derive(DeriveIden)]
enum WebhookDeliveries {
    Table,
    TargetKind,
    TargetId,
    AttemptsBefore,
}

#[derive(DeriveIden)]
enum WebhookAttempts {
    Table,
    ServiceId,
    DeliveryId,
    Number,
    At,
    DurationMs,
    ResponseStatus,
    ResponseStart,
    Error,
    NextAttemptAt,
}
