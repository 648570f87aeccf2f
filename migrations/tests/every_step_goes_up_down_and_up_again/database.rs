//! An empty database for one test, gone when the test is over.

use std::env;

use sea_orm_migration::sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};
use url::Url;
use uuid::Uuid;

use crate::Body;

/// Runs the test on a SQLite file of its own.
pub(crate) async fn on_sqlite(test: impl Body<DatabaseConnection>) {
    let folder = env::temp_dir().join(fresh_name());
    std::fs::create_dir(&folder).unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.join("hubbub.db").display());
    // As writers have it: a second connection could still go by a schema that the first one has changed.
    let db = connect_with(url, 1).await;
    let outcome = tokio::spawn(test(db)).await;
    std::fs::remove_dir_all(&folder).unwrap();
    outcome.unwrap();
}

/// Runs the test with the URL of a Postgres database of its own, or says loudly that it does not.
pub(crate) async fn on_postgres(name: &str, test: impl Body<String>) {
    let Ok(url) = env::var("HUBBUB_TEST_DATABASE_URL") else {
        eprintln!("SKIPPED: {name} (HUBBUB_TEST_DATABASE_URL is not set)");
        return;
    };
    let server = connect(url.clone()).await;
    let database = fresh_name();
    server
        .execute_unprepared(&format!("CREATE DATABASE {database}"))
        .await
        .unwrap();
    let mut own = Url::parse(&url).unwrap();
    own.set_path(&database);
    let outcome = tokio::spawn(test(own.into())).await;
    // By force: a test that failed may have left connections open.
    server
        .execute_unprepared(&format!("DROP DATABASE {database} WITH (FORCE)"))
        .await
        .unwrap();
    outcome.unwrap();
}

/// Two connections: one that holds the lock, and one that works.
pub(crate) async fn connect(url: String) -> DatabaseConnection {
    connect_with(url, 2).await
}

async fn connect_with(url: String, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

fn fresh_name() -> String {
    format!("hubbub_migrations_{}", Uuid::new_v4().simple())
}
