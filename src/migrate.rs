//! `hubbub migrate`: the schema by hand.

use clap::Args;
use hubbub_migrations::{Migrator, MigratorTrait as _};

use crate::{config::Config, store};

/// What to do with the schema.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Revert this many steps instead of applying what is missing. Reverting a step drops what it made.
    #[arg(long, value_name = "STEPS")]
    down: Option<u32>,
}

/// Runs the subcommand.
pub(crate) async fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<()> {
    store::make_data_dir(config)?;
    if arguments.down.is_none() {
        store::migrate_up(config).await?;
    }
    let db = store::connect_for_migrations(config).await?;
    if let Some(steps) = arguments.down {
        Migrator::down(db.writer(), Some(steps)).await?;
    }
    let applied = Migrator::get_applied_migrations(db.writer()).await?.len();
    eprintln!("{applied} of {} steps are applied", Migrator::migrations().len());
    db.close().await;
    Ok(())
}
