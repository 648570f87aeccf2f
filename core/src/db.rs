//! The database: one handle for reading, one for writing, and the driver facts that differ between the two kinds.

use std::{path::Path, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, SqlErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sqlx::{self, Connection as _, SqliteConnection, sqlite::SqliteJournalMode, sqlite::SqliteSynchronous},
};

use crate::error::{Error, Result};

/// How long a transaction may last before its commit is asked for. Cursors rely on it: see `events::cursor`.
pub const TRANSACTION_LIMIT: Duration = Duration::from_secs(5);

/// A connection to Postgres that was used so lately is taken to be alive.
const TRUSTED: Duration = Duration::from_secs(1);

/// How much of the file SQLite's connections keep in memory, in KiB. Each commit touches pages all over the file; what
/// the writer has to read again for it costs as much as to write it.
const WRITER_CACHE: &str = "-32000";
const READER_CACHE: &str = "-4000";

/// How many pages SQLite's log may have before they are copied to where they belong. Busy pages are written to the log
/// again and again, and copied once: the rarer that is, the less is copied.
const CHECKPOINT: &str = "8000";

/// How many connections answer what connecting clients ask: ten look-ups go on at the same time at most, and some
/// connections may be lost to a network that swallows what they say.
const PLANNED_ONCE: u32 = 20;

/// How many writers of messages there are on Postgres.
pub(crate) const WRITERS: u32 = 2;
/// How many connections writers may lose to such a network.
const SPARE: u32 = 14;
/// How long a writer waits for its connection, and how long its statement may take: no more than [`TRANSACTION_LIMIT`]
/// together.
const SENDING_WAITS: Duration = Duration::from_secs(2);
const SENDING_TAKES: Duration = Duration::from_secs(3);

/// How long it may take until the database has taken its leave; a process has ten seconds for all of its own.
const CLOSING: Duration = Duration::from_secs(4);

/// How long a plan is kept at most: tables grow.
const PLAN_LIFE: Duration = Duration::from_secs(10);

/// What makes one plan good for all values: what counts is how many rows and entries of indexes are looked at, and to read
/// a table whole costs more than any number of look-ups, whatever size Postgres takes it to have.
const PLANNING_ONCE: [(&str, &str); 8] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_mergejoin", "off"),
    ("random_page_cost", "0.01"),
    ("seq_page_cost", "0.01"),
    ("cpu_tuple_cost", "1"),
    ("cpu_index_tuple_cost", "1"),
];

fn postgres_options(
    url: &str,
    connections: u32,
    acquiring: Duration,
    statement: Duration,
    planning: &'static [(&str, &str)],
) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.to_owned());
    options
        .max_connections(connections)
        .acquire_timeout(acquiring)
        .connect_timeout(acquiring)
        // Asking before each statement whether the server is still there costs as much as a short statement.
        .test_before_acquire_if_idle_for(TRUSTED)
        .sqlx_logging(false);
    options.map_sqlx_postgres_opts(move |options| {
        options
            .application_name("hubbub")
            .statement_cache_capacity(500)
            .options([
                // Statements are short; compiling them takes longer than they do.
                ("jit", "off"),
                ("idle_in_transaction_session_timeout", "15s"),
            ])
            .options([
                ("statement_timeout", statement.as_millis()),
                ("lock_timeout", (statement * 4 / 5).as_millis()),
            ])
            .options(planning.iter().copied())
    });
    options
}

/// Connections to the database. SQLite has one writing connection, so that writers queue instead of failing.
#[derive(Clone)]
pub struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    planned_once: DatabaseConnection,
    sends: DatabaseConnection,
}

impl Db {
    /// Opens (and if needed creates) the SQLite file, in WAL mode with a full sync at each commit.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn sqlite(path: &Path) -> Result<Self, DbErr> {
        let connect = |connections: u32, cache: &'static str| {
            let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
            options
                .max_connections(connections)
                .min_connections(1)
                // There is nobody at the other end who could have hung up.
                .test_before_acquire(false)
                .sqlx_logging(false);
            options.map_sqlx_sqlite_opts(move |options| {
                options
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(TRANSACTION_LIMIT)
                    .statement_cache_capacity(200)
                    .pragma("cache_size", cache)
                    .pragma("wal_autocheckpoint", CHECKPOINT)
            });
            options.map_sqlx_sqlite_pool_opts(|options| {
                options.after_release(|connection, _| Box::pin(is_without_transaction(connection)))
            });
            Database::connect(options)
        };
        // The writer first: it creates the file and turns WAL on.
        let writer = connect(1, WRITER_CACHE).await?;
        Ok(Self {
            reader: connect(readers(), READER_CACHE).await?,
            planned_once: writer.clone(),
            sends: writer.clone(),
            writer,
        })
    }

    /// Connects to Postgres.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn postgres(url: &str, connections: u32) -> Result<Self, DbErr> {
        // A plan that is kept for all values is also kept while a table grows, until its statistics are next renewed:
        // what was planned for a hundred rows then reads a hundred thousand.
        let planning = [("plan_cache_mode", "force_custom_plan")].as_slice();
        let mut options = postgres_options(url, connections, TRANSACTION_LIMIT, TRANSACTION_LIMIT, planning);
        options.min_connections(1);
        let pool = Database::connect(options).await?;
        let planned_once = async |connections, acquiring, statement| {
            let mut options = postgres_options(url, connections, acquiring, statement, &PLANNING_ONCE);
            options.min_connections(0).max_lifetime(PLAN_LIFE);
            Database::connect(options).await
        };
        Ok(Self {
            reader: pool.clone(),
            writer: pool,
            planned_once: planned_once(PLANNED_ONCE, TRANSACTION_LIMIT, TRANSACTION_LIMIT).await?,
            sends: planned_once(WRITERS + SPARE, SENDING_WAITS, SENDING_TAKES).await?,
        })
    }

    /// A connection to Postgres for changing the schema: steps may take long, and processes wait for each other.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn postgres_for_migrations(url: &str) -> Result<Self, DbErr> {
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .max_connections(3)
            .connect_timeout(TRANSACTION_LIMIT)
            .sqlx_logging(false);
        let pool = Database::connect(options).await?;
        Ok(Self {
            reader: pool.clone(),
            planned_once: pool.clone(),
            sends: pool.clone(),
            writer: pool,
        })
    }

    /// For queries outside a transaction.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// For single statements that write, and for migrations.
    #[must_use]
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// For the few statements that are made again and again and take longer to plan than to carry out: what they look up
    /// they look up row by row along an index, so one plan is good for all values. On SQLite it is the writer.
    #[must_use]
    pub(crate) fn planned_once(&self) -> &DatabaseConnection {
        &self.planned_once
    }

    /// Which kind of database it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.reader.get_database_backend()
    }

    /// Begins a writing transaction.
    ///
    /// # Errors
    /// 20503 when no connection is to be had.
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        self.begin_on(&self.writer).await
    }

    /// For the one statement that stores sends, planned once: what it writes is committed within
    /// [`TRANSACTION_LIMIT`] or not at all, without anybody's looking at a clock. On SQLite it is the writer.
    #[must_use]
    pub(crate) fn sends(&self) -> &DatabaseConnection {
        &self.sends
    }

    /// Begins a transaction around that statement.
    ///
    /// # Errors
    /// 20503 when no connection is to be had.
    pub(crate) async fn begin_sends(&self) -> Result<DatabaseTransaction> {
        self.begin_on(&self.sends).await
    }

    async fn begin_on(&self, connection: &DatabaseConnection) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: (self.backend() == DbBackend::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(connection.begin_with_options(options).await?)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> bool {
        self.reader.ping().await.is_ok()
    }

    /// Closes the connections; SQLite checkpoints its log.
    pub async fn close(self) {
        let closing = async {
            for connection in [self.reader, self.writer, self.planned_once, self.sends] {
                let _ = connection.close().await;
            }
        };
        // A database that never answers again is not waited for.
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}

/// Whether a connection that comes back has no transaction, as far as the driver counts. SQLite ends a transaction by
/// itself when the disk is full or cannot be written; then the driver's rollback fails, and it goes on counting one
/// transaction too many. What is begun later is a savepoint to it, and one day stays open: everything after that seems
/// committed and is not. Such a connection is closed.
async fn is_without_transaction(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // A rollback may still be on its way to the connection's thread: this comes after it.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// How many connections read SQLite. Each has a thread of its own, and to wake another one costs more than most
/// statements do.
fn readers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.clamp(2, 8)).unwrap_or(2)
}

/// Whether the error is the violation of a unique constraint: the name of the constraint or the columns in its
/// text contain `hint` (Postgres names the constraint, SQLite the columns).
#[must_use]
pub fn is_duplicate(error: &DbErr, hints: &[&str]) -> bool {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(text)) => hints.iter().any(|hint| text.contains(hint)),
        _ => false,
    }
}

/// Whether the database itself is away or too busy, as opposed to refusing this one statement.
#[must_use]
pub fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
            match &**cause {
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                // Postgres: connection exceptions, shut-downs, too many clients, time-outs, serialisation.
                // SQLite: 5 busy, 6 locked, 10 the disk fails, 13 the disk is full, and their extended forms.
                sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| {
                    ["08", "57", "53", "40", "55P03"]
                        .iter()
                        .any(|class| code.len() == 5 && code.starts_with(class))
                        || code
                            .parse::<u32>()
                            .is_ok_and(|code| code < 10_000 && matches!(code & 0xff, 5 | 6 | 10 | 13))
                }),
                _ => false,
            }
        }
        _ => false,
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_unavailable(&error) {
            Error::unavailable(error)
        } else {
            Error::internal(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;

    use super::*;

    #[tokio::test]
    async fn what_is_committed_stays_though_sqlite_has_ended_a_transaction_by_itself() {
        let file = std::env::temp_dir().join(format!("hubbub-db-{}.sqlite", uuid::Uuid::new_v4()));
        let db = Db::sqlite(&file).await.unwrap();
        db.writer()
            .execute_unprepared("CREATE TABLE words (word TEXT)")
            .await
            .unwrap();
        for _ in 0..2 {
            let tx = db.begin().await.unwrap();
            // What a full disk makes of a transaction.
            tx.execute_unprepared("ROLLBACK").await.unwrap();
        }
        drop(db.begin().await.unwrap());
        let tx = db.begin().await.unwrap();
        tx.execute_unprepared("INSERT INTO words VALUES ('hello')")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let read = db.reader().query_one_raw(sea_orm::Statement::from_string(
            DbBackend::Sqlite,
            "SELECT count(*) AS words FROM words",
        ));
        let words: i64 = read.await.unwrap().unwrap().try_get("", "words").unwrap();
        assert_eq!(words, 1);
        db.close().await;
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
}
