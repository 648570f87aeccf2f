//! The place of every durable event among all of them, given by the database itself when the event is written, while its
//! channel is locked: so places follow `seq` within a channel.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What is there already, in the order of its time.
const PLACE_WHAT_IS_THERE: [&str; 4] = [
    "CREATE TABLE event_places AS \
     SELECT service_id, channel_id, seq, ROW_NUMBER() OVER (ORDER BY committed_at, channel_id, seq) AS place \
     FROM (SELECT service_id, channel_id, seq, committed_at FROM messages \
           UNION ALL SELECT service_id, channel_id, seq, committed_at FROM channel_events) AS known",
    "CREATE INDEX ix_event_places ON event_places (service_id, channel_id, seq)",
    "UPDATE messages SET position = p.place FROM event_places p \
     WHERE p.service_id = messages.service_id AND p.channel_id = messages.channel_id AND p.seq = messages.seq",
    "UPDATE channel_events SET position = p.place FROM event_places p \
     WHERE p.service_id = channel_events.service_id AND p.channel_id = channel_events.channel_id \
       AND p.seq = channel_events.seq",
];

/// A sequence, which nobody waits for.
const POSTGRES: [&str; 6] = [
    "CREATE SEQUENCE event_positions",
    "SELECT setval('event_positions', (SELECT COUNT(*) + 1 FROM event_places), false)",
    "ALTER TABLE messages ALTER COLUMN position SET DEFAULT nextval('event_positions')",
    "ALTER TABLE messages ALTER COLUMN position SET NOT NULL",
    "ALTER TABLE channel_events ALTER COLUMN position SET DEFAULT nextval('event_positions')",
    "ALTER TABLE channel_events ALTER COLUMN position SET NOT NULL",
];

/// One writer at a time: a counter is enough.
const SQLITE: [&str; 4] = [
    "CREATE TABLE event_positions (last bigint NOT NULL)",
    "INSERT INTO event_positions SELECT COUNT(*) FROM event_places",
    "CREATE TRIGGER tr_messages_position AFTER INSERT ON messages BEGIN \
         UPDATE event_positions SET last = last + 1; \
         UPDATE messages SET position = (SELECT last FROM event_positions) WHERE rowid = NEW.rowid; \
     END",
    "CREATE TRIGGER tr_channel_events_position AFTER INSERT ON channel_events BEGIN \
         UPDATE event_positions SET last = last + 1; \
         UPDATE channel_events SET position = (SELECT last FROM event_positions) WHERE rowid = NEW.rowid; \
     END",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        let run = async |statements: &[&str]| {
            for statement in statements {
                database.execute_unprepared(statement).await?;
            }
            Ok::<_, DbErr>(())
        };
        run(&[
            "ALTER TABLE messages ADD COLUMN position bigint",
            "ALTER TABLE channel_events ADD COLUMN position bigint",
        ])
        .await?;
        run(&PLACE_WHAT_IS_THERE).await?;
        match manager.get_database_backend() {
            DbBackend::Postgres => run(&POSTGRES).await?,
            _ => run(&SQLITE).await?,
        }
        // On SQLite a row has its place a moment after it was inserted, and enters the index once.
        run(&[
            "DROP TABLE event_places",
            "CREATE INDEX ix_messages_position ON messages (service_id, position) WHERE position IS NOT NULL",
            "CREATE INDEX ix_channel_events_position ON channel_events (service_id, position) \
             WHERE position IS NOT NULL",
        ])
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (before, after): (&[&str], &str) = match manager.get_database_backend() {
            DbBackend::Postgres => (&[], "DROP SEQUENCE event_positions"),
            _ => (
                &[
                    "DROP TRIGGER tr_messages_position",
                    "DROP TRIGGER tr_channel_events_position",
                ],
                "DROP TABLE event_positions",
            ),
        };
        let both = [
            "DROP INDEX ix_messages_position",
            "DROP INDEX ix_channel_events_position",
            "ALTER TABLE messages DROP COLUMN position",
            "ALTER TABLE channel_events DROP COLUMN position",
        ];
        for statement in before.iter().chain(&both).chain([&after]) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
