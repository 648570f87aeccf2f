//! Opening the database and the vault, as the configuration says.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::Context as _;
use base64::{Engine, prelude::BASE64_STANDARD};
use hubbub_core::{Vault, db::Db, secrets::random_bytes};

use crate::config::{Config, Database};

const UNREACHABLE: &str = "HUBBUB_DATABASE_URL: cannot connect to Postgres";
/// Connections to Postgres, for all roles of a process together.
const POSTGRES_CONNECTIONS: u32 = 16;

/// The migrated database and the vault that fits it.
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) vault: Vault,
}

impl Store {
    /// Opens both, and brings the schema up to date.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        make_data_dir(config)?;
        let vault = Vault::new(master_key(config)?);
        migrate_up(config).await?;
        let db = connect(config).await?;
        Ok(Self { db, vault })
    }
}

/// Connects without touching the schema.
async fn connect(config: &Config) -> anyhow::Result<Db> {
    match &config.database {
        Database::Embedded => {
            let path = config.data_dir.join("hubbub.db");
            Db::sqlite(&path)
                .await
                .with_context(|| format!("cannot open the database {}", path.display()))
        }
        Database::Postgres(url) => Db::postgres(url, POSTGRES_CONNECTIONS).await.context(UNREACHABLE),
    }
}

/// Brings the schema up to date; one process at a time does so.
pub(crate) async fn migrate_up(config: &Config) -> anyhow::Result<()> {
    let db = connect_for_migrations(config).await?;
    let _lock = match config.database {
        Database::Embedded => Some(lock_file(&config.data_dir.join("migrate.lock"))?),
        Database::Postgres(_) => None,
    };
    hubbub_migrations::up(db.writer())
        .await
        .context("the database's schema could not be brought up to date")?;
    db.close().await;
    Ok(())
}

/// Connects for changing the schema.
pub(crate) async fn connect_for_migrations(config: &Config) -> anyhow::Result<Db> {
    match &config.database {
        Database::Embedded => connect(config).await,
        Database::Postgres(url) => Db::postgres_for_migrations(url).await.context(UNREACHABLE),
    }
}

fn lock_file(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Makes the data folder, for the owner only.
pub(crate) fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    let path = &config.data_dir;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("HUBBUB_DATA_DIR: cannot make the folder {}", path.display()))
}

/// The configured key or, embedded only, the one in the data folder, made at the first start.
fn master_key(config: &Config) -> anyhow::Result<[u8; Vault::KEY_BYTES]> {
    if let Some(key) = config.master_key {
        return Ok(key);
    }
    let path = config.data_dir.join("master.key");
    let fresh = BASE64_STANDARD.encode(random_bytes::<{ Vault::KEY_BYTES }>());
    if write_once(&path, &format!("{fresh}\n"))? {
        tracing::info!(
            "made a master key in {}; without it the secrets in the database cannot be read",
            path.display()
        );
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = BASE64_STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    bytes.with_context(|| format!("{} does not hold 32 bytes in base64", path.display()))
}

/// Writes a file for the owner only, unless it exists; true when it was written. It appears whole or not at all.
pub(crate) fn write_once(path: &Path, text: &str) -> anyhow::Result<bool> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| format!("cannot write {}", draft.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
