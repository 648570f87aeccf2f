//! Events that were there before events had places.

use hubbub_migrations::{Migrator, MigratorTrait as _};
use sea_orm_migration::sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};

use crate::database;

#[tokio::test]
async fn events_get_places_in_the_order_of_their_times_on_sqlite() {
    database::on_sqlite(|db| async move { places(&db).await }).await;
}

#[tokio::test]
async fn events_get_places_in_the_order_of_their_times_on_postgres() {
    database::on_postgres(
        "events_get_places_in_the_order_of_their_times_on_postgres",
        |url| async move { places(&database::connect(url).await).await },
    )
    .await;
}

async fn places(db: &DatabaseConnection) {
    let steps = Migrator::migrations();
    let before = steps
        .iter()
        .position(|step| step.name().ends_with("place_events"))
        .unwrap();
    Migrator::up(db, Some(u32::try_from(before).unwrap()))
        .await
        .unwrap();
    // Two channels, whose events of one moment are in the order of the channels and of `seq`.
    message(db, 'b', 1, 100).await;
    other(db, 'a', 2, 300).await;
    other(db, 'b', 2, 300).await;
    message(db, 'b', 3, 300).await;
    message(db, 'a', 1, 200).await;
    hubbub_migrations::up(db).await.unwrap();
    other(db, 'a', 3, 50).await;
    message(db, 'b', 4, 400).await;
    let sql = "SELECT position, committed_at, seq FROM messages \
               UNION ALL SELECT position, committed_at, seq FROM channel_events ORDER BY position";
    let rows = db
        .query_all_raw(Statement::from_string(db.get_database_backend(), sql))
        .await
        .unwrap();
    let found: Vec<(i64, i64, i64)> = rows
        .iter()
        .map(|row| {
            let column = |name| row.try_get("", name).unwrap();
            (column("position"), column("committed_at"), column("seq"))
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, 100, 1),
            (2, 200, 1),
            (3, 300, 2),
            (4, 300, 2),
            (5, 300, 3),
            (6, 50, 3),
            (7, 400, 4)
        ]
    );
}

async fn message(db: &DatabaseConnection, channel: char, seq: i64, at: i64) {
    let values = format!(
        "{seq}, '{}', {seq}, 'alice', '{{}}', false, {at}, 0, 0",
        uuid(digit(seq))
    );
    let columns = "idx, id, seq, author, attributes, was_edited, committed_at, date_created, date_updated";
    insert(db, "messages", channel, columns, &values).await;
}

async fn other(db: &DatabaseConnection, channel: char, seq: i64, at: i64) {
    let values = format!(
        "{seq}, '{}', 'memberUpdated', 'alice', '{{}}', {at}",
        uuid(digit(seq))
    );
    let columns = "seq, id, kind, identity, payload, committed_at";
    insert(db, "channel_events", channel, columns, &values).await;
}

async fn insert(db: &DatabaseConnection, table: &str, channel: char, columns: &str, values: &str) {
    let (service, channel) = (uuid('1'), uuid(channel));
    db.execute_unprepared(&format!(
        "INSERT INTO {table} (service_id, channel_id, {columns}) VALUES ('{service}', '{channel}', {values})"
    ))
    .await
    .unwrap();
}

/// Identifiers are unique within a channel.
fn digit(seq: i64) -> char {
    char::from_digit(u32::try_from(seq).unwrap(), 16).unwrap()
}

fn uuid(digit: char) -> String {
    format!("00000000-0000-0000-0000-00000000000{digit}")
}
