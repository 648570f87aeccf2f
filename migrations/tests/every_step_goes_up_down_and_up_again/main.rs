//! Every step can be applied, reverted and applied again, on both databases, and leaves the same schema.
//!
//! The Postgres half needs `HUBBUB_TEST_DATABASE_URL`, a database whose user may create databases: each test makes
//! one of its own and drops it. Without the variable those tests say `SKIPPED`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it is skipped"
)]

mod database;
mod places;
mod schema;

use std::future::Future;

use hubbub_migrations::{Migrator, MigratorTrait as _};
use sea_orm_migration::sea_orm::{DatabaseConnection, DbBackend};

use crate::schema::Schema;

#[tokio::test]
async fn all_steps_go_up_down_and_up_again_on_sqlite() {
    database::on_sqlite(|db| async move { all_steps(&db).await }).await;
}

#[tokio::test]
async fn all_steps_go_up_down_and_up_again_on_postgres() {
    database::on_postgres(
        "all_steps_go_up_down_and_up_again_on_postgres",
        |url| async move {
            all_steps(&database::connect(url).await).await;
        },
    )
    .await;
}

#[tokio::test]
async fn each_step_alone_goes_up_down_and_up_again_on_sqlite() {
    database::on_sqlite(|db| async move { each_step(&db).await }).await;
}

#[tokio::test]
async fn each_step_alone_goes_up_down_and_up_again_on_postgres() {
    database::on_postgres(
        "each_step_alone_goes_up_down_and_up_again_on_postgres",
        |url| async move {
            each_step(&database::connect(url).await).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_schema_that_is_up_to_date_is_left_alone() {
    database::on_sqlite(|db| async move {
        hubbub_migrations::up(&db).await.unwrap();
        let schema = Schema::read(&db).await;
        hubbub_migrations::up(&db).await.unwrap();
        assert_eq!(Schema::read(&db).await, schema);
    })
    .await;
}

/// As processes do that start together on an empty database: each has connections of its own.
#[tokio::test]
async fn eight_processes_may_migrate_an_empty_postgres_at_once() {
    database::on_postgres(
        "eight_processes_may_migrate_an_empty_postgres_at_once",
        |url| async move {
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    let url = url.clone();
                    tokio::spawn(async move {
                        let db = database::connect(url).await;
                        hubbub_migrations::up(&db).await
                    })
                })
                .collect();
            for start in starts {
                start.await.unwrap().unwrap();
            }
            let db = database::connect(url).await;
            let applied = Migrator::get_applied_migrations(&db).await.unwrap();
            assert_eq!(
                applied.len(),
                Migrator::migrations().len(),
                "each step was applied, once"
            );
        },
    )
    .await;
}

async fn all_steps(db: &DatabaseConnection) {
    let empty = Schema::read(db).await;
    assert!(empty.is_empty(), "{empty:?}");
    hubbub_migrations::up(db).await.unwrap();
    let first = Schema::read(db).await;
    assert!(!first.is_empty());
    Migrator::down(db, None).await.unwrap();
    assert_eq!(Schema::read(db).await, empty, "reverting leaves nothing behind");
    hubbub_migrations::up(db).await.unwrap();
    assert_eq!(Schema::read(db).await, first);
}

/// A step that has nothing to do on SQLite.
const FOR_POSTGRES: &str = "m20261122_000054_count_live_changes";

async fn each_step(db: &DatabaseConnection) {
    for step in Migrator::migrations() {
        let before = Schema::read(db).await;
        Migrator::up(db, Some(1)).await.unwrap();
        let first = Schema::read(db).await;
        let is_for_both = db.get_database_backend() == DbBackend::Postgres || step.name() != FOR_POSTGRES;
        assert_eq!(first != before, is_for_both, "{} changes something", step.name());
        Migrator::down(db, Some(1)).await.unwrap();
        assert_eq!(Schema::read(db).await, before, "{} is reverted", step.name());
        Migrator::up(db, Some(1)).await.unwrap();
        assert_eq!(Schema::read(db).await, first, "{} is applied again", step.name());
    }
}

/// A test's body: it may fail, and is cleaned up after either way.
trait Body<T>: FnOnce(T) -> Self::Running + Send + 'static {
    type Running: Future<Output = ()> + Send + 'static;
}

impl<T, F, R> Body<T> for F
where
    F: FnOnce(T) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    type Running = R;
}
