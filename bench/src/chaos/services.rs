//! Postgres and RabbitMQ that may be broken: instances of `deploy/services` that nobody else uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use sea_orm::ConnectionTrait as _;
use tokio::task::spawn_blocking;
use url::Url;

/// The instances, with a database and a virtual host of this run's own.
pub(crate) struct Services {
    script: PathBuf,
    folder: PathBuf,
    /// Whether they were made for this run and go with it.
    own: bool,
    name: String,
    pub(crate) database: Url,
    pub(crate) broker: Url,
}

impl Services {
    /// Starts those in the folder, or new ones below `parent`.
    pub(crate) async fn start(script: &Path, folder: Option<&Path>, parent: &Path) -> anyhow::Result<Self> {
        let script = fs::canonicalize(script)
            .with_context(|| format!("{} is not there: give --services", script.display()))?;
        let mut services = Self {
            script,
            folder: folder.map_or_else(|| parent.join("services"), Path::to_owned),
            own: folder.is_none(),
            name: format!("chaos_{}", uuid::Uuid::new_v4().simple()),
            database: Url::parse("postgres://unknown")?,
            broker: Url::parse("amqp://unknown")?,
        };
        services.ask(&["start"]).await?;
        let told = services.ask(&["env"]).await?;
        let variable = |name: &str| -> anyhow::Result<Url> {
            let value = told
                .lines()
                .find_map(|line| {
                    line.strip_prefix("export ")?
                        .strip_prefix(name)?
                        .strip_prefix('=')
                })
                .with_context(|| format!("the services tell no {name}"))?;
            Ok(Url::parse(value)?)
        };
        services.database = variable("HUBBUB_DATABASE_URL")?;
        services.broker = variable("HUBBUB_AMQP_URL")?;
        services.statement("create database", "").await?;
        let name = services.name.clone();
        services.ask(&["rabbitmqctl", "-q", "add_vhost", &name]).await?;
        let rights = [
            "rabbitmqctl",
            "-q",
            "set_permissions",
            "-p",
            &name,
            "guest",
            ".*",
            ".*",
            ".*",
        ];
        services.ask(&rights).await?;
        services.database.set_path(&name);
        services.broker.set_path(&name);
        Ok(services)
    }

    /// Runs a command of the script: `stop-postgres` and its like.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.script);
        command.args(arguments).env("HUBBUB_SERVICES_DIR", &self.folder);
        let what = arguments.join(" ");
        let done = spawn_blocking(move || command.output()).await??;
        if !done.status.success() {
            bail!("services {what}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(String::from_utf8(done.stdout)?)
    }

    async fn statement(&self, before: &str, after: &str) -> anyhow::Result<()> {
        let mut url = self.database.clone();
        url.set_path("hubbub");
        let database = sea_orm::Database::connect(url.as_str()).await?;
        database
            .execute_unprepared(&format!("{before} {}{after}", self.name))
            .await?;
        database.close().await?;
        Ok(())
    }

    /// Takes away what was this run's.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        if self.own {
            self.ask(&["wipe"]).await?;
            return Ok(());
        }
        self.ask(&["start"]).await?;
        self.ask(&["rabbitmqctl", "-q", "delete_vhost", &self.name])
            .await?;
        self.statement("drop database", " with (force)").await
    }
}
