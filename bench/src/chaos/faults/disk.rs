//! The disk is full: what cannot be kept is refused, and all goes on when there is room again.

use std::{
    fs::File,
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::World;
use crate::{chaos::options::Topology, histogram::Histogram};

/// How often what has become free is taken again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long it may take until somebody is refused: the database has room of its own before.
const REFUSED: Duration = Duration::from_secs(60);

pub(super) async fn run(world: &mut World<'_>) -> anyhow::Result<()> {
    let Some(disk) = world.ground.disk.clone() else {
        eprintln!("chaos: disk is skipped: only root can mount a small one");
        world.report.figure("disk_skipped", 1.0);
        return Ok(());
    };
    let (back, healed) = (Histogram::new(), Histogram::new());
    let mut refusals = 0;
    for _ in 0..world.options.rounds {
        if !world.busy().await {
            break;
        }
        let before = world.ledger.mark();
        let mut filler = Filler::new(disk.join("filler"))?;
        let began = Instant::now();
        // Full for as long as an outage is to last, and until it has been felt.
        let mut refused = 0;
        while began.elapsed() < world.options.outage() || (refused == 0 && began.elapsed() < REFUSED) {
            filler.fill();
            sleep(AGAIN).await;
            (refused, _) = world.ledger.since(&before);
        }
        refusals += refused;
        if refused == 0 {
            world
                .report
                .fault(format!("nobody was refused in {REFUSED:?} with a full disk"));
        }
        filler.remove()?;
        // Postgres gives up on a full disk; whoever runs it starts it again.
        if world.options.topology == Topology::Cluster
            && let Some(services) = &world.ground.services
        {
            services.ask(&["start-postgres"]).await?;
        }
        let mark = world.ledger.mark();
        if !world.back(&mark, "a full disk", &back).await || !world.healed("a full disk", &healed).await {
            break;
        }
    }
    world.report.figure("refused_while_disk_full", refusals as f64);
    world.waits("back_after_disk", &back);
    world.waits("healed_after_disk", &healed);
    Ok(())
}

/// A file that takes all the room there is.
struct Filler {
    path: PathBuf,
    file: File,
}

impl Filler {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path)?;
        Ok(Self { path, file })
    }

    /// Writes until nothing more goes in, down to the last byte.
    fn fill(&mut self) {
        let block = [0; 64 * 1024];
        for size in [block.len(), 4096, 1] {
            while self.file.write_all(&block[..size]).is_ok() {}
        }
    }

    fn remove(self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.path)?)
    }
}
