//! What a run stands on: a folder, a disk of its own, services.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use super::{
    cluster::Faketime,
    options::{ChaosOptions, Fault, Topology},
    services::Services,
};

/// How large the disk is that is filled: on a cluster Postgres and RabbitMQ live there, which wants 50 MB free.
const EMBEDDED_DISK: &str = "size=128m";
const CLUSTER_DISK: &str = "size=768m";

/// Made before the run and taken away after it.
pub(crate) struct Ground {
    pub(crate) folder: PathBuf,
    pub(crate) services: Option<Services>,
    pub(crate) faketime: Option<Faketime>,
    /// Where a small disk is mounted.
    pub(crate) disk: Option<PathBuf>,
}

impl Ground {
    pub(crate) async fn prepare(options: &ChaosOptions) -> anyhow::Result<Self> {
        let folder = match &options.folder {
            Some(folder) => folder.clone(),
            None => PathBuf::from(format!("/var/tmp/hubbub-chaos-{}", std::process::id())),
        };
        fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        let folder = fs::canonicalize(folder)?;
        let mut ground = Self {
            faketime: options
                .has(Fault::Clock)
                .then(|| Faketime::find(options.faketime.as_deref(), &folder))
                .flatten(),
            services: None,
            disk: None,
            folder,
        };
        if let Err(error) = ground.furnish(options).await {
            let _ = ground.clear(false).await;
            return Err(error);
        }
        Ok(ground)
    }

    async fn furnish(&mut self, options: &ChaosOptions) -> anyhow::Result<()> {
        let clustered = options.topology == Topology::Cluster;
        if options.has(Fault::Disk) {
            ensure!(
                !clustered || options.services_dir.is_none(),
                "a full disk needs services of the run's own: leave --services-dir out"
            );
            // The embedded node's data, or the services'.
            let (name, size) = if clustered {
                ("disk", CLUSTER_DISK)
            } else {
                ("all-data", EMBEDDED_DISK)
            };
            let disk = self.folder.join(name);
            fs::create_dir_all(&disk)?;
            if mount(&disk, size) {
                self.disk = Some(disk);
            }
        }
        if clustered {
            let given = options.services_dir.as_deref();
            let parent = self.disk.as_deref().unwrap_or(&self.folder);
            self.services = Some(Services::start(&options.services, given, parent).await?);
        }
        Ok(())
    }

    /// Takes everything away; logs and data stay when something was wrong.
    pub(crate) async fn clear(&mut self, sound: bool) -> anyhow::Result<()> {
        if let Some(services) = self.services.take() {
            services.clear().await?;
        }
        if let Some(disk) = self.disk.take() {
            let done = Command::new("umount").arg(&disk).status()?;
            ensure!(done.success(), "{} could not be unmounted", disk.display());
        }
        if sound {
            fs::remove_dir_all(&self.folder)?;
        } else {
            eprintln!("logs and data are in {}", self.folder.display());
        }
        Ok(())
    }
}

/// Whether a small disk could be mounted: that needs root.
fn mount(at: &Path, size: &str) -> bool {
    Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("{size},mode=0755"), "hubbub-chaos"])
        .arg(at)
        .status()
        .is_ok_and(|status| status.success())
}
