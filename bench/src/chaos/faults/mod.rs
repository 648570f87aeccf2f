//! What is done to the nodes and what is around them. Each fault goes by, and then everybody has to be acknowledged
//! again without anybody's help.

mod clock;
mod disk;
mod kill;
mod outage;
mod proxy;
mod rolling;

use std::time::{Duration, Instant};

use rand::RngExt as _;

use super::{
    ledger::Mark,
    options::{Fault, Topology},
    world::World,
};
use crate::{
    histogram::Histogram,
    report::{Report, milliseconds},
};

/// How long it may take until every sender is acknowledged again once the cause is gone.
const BACK: Duration = Duration::from_secs(30);
/// How long gaps in what is heard may take to heal.
const HEALED: Duration = Duration::from_secs(20);
/// How long it may take until everybody is at it.
const BUSY: Duration = Duration::from_secs(30);

/// Runs every fault that was asked for, in that order. Ends early when the nodes do not get over one.
pub(super) async fn all(world: &mut World<'_>) -> anyhow::Result<()> {
    let faults = world.options.fault.clone();
    let names: Vec<String> = faults
        .iter()
        .map(|fault| format!("{fault:?}").to_lowercase())
        .collect();
    let topology = format!("{:?}", world.options.topology).to_lowercase();
    let report = std::mem::replace(&mut world.report, Report::new("chaos"));
    world.report = report
        .setting("topology", topology)
        .setting("faults", names.join(" "))
        .setting("seed", world.options.seed);
    for fault in faults {
        let name = format!("{fault:?}").to_lowercase();
        let before = world.report.is_sound();
        eprintln!("chaos: {name}");
        match fault {
            Fault::Kill => kill::run(world).await?,
            Fault::Rabbitmq if clustered(world, &name) => outage::rabbitmq(world).await?,
            Fault::Postgres if clustered(world, &name) => outage::postgres(world).await?,
            Fault::Rolling if clustered(world, &name) => rolling::run(world).await?,
            Fault::Rabbitmq | Fault::Postgres | Fault::Rolling => {}
            Fault::Proxy => proxy::run(world).await?,
            Fault::Disk => disk::run(world).await?,
            Fault::Clock => clock::run(world).await?,
        }
        for fallen in world.cluster.fallen() {
            world.report.fault(format!("after {name}, {fallen}"));
        }
        if before && !world.report.is_sound() {
            break;
        }
    }
    Ok(())
}

/// Whether there is such a thing to break.
fn clustered(world: &World<'_>, name: &str) -> bool {
    let clustered = world.options.topology == Topology::Cluster;
    if !clustered {
        eprintln!("chaos: {name} is skipped: an embedded node has none of that");
    }
    clustered
}

impl World<'_> {
    /// Waits until everybody is acknowledged: what follows happens under load.
    async fn busy(&mut self) -> bool {
        let mark = self.ledger.mark();
        let busy = self.ledger.all_acked(&mark, 1, BUSY).await.is_some();
        if !busy {
            self.report.fault(format!(
                "not every sender was acknowledged in {BUSY:?} in which nothing was broken"
            ));
        }
        busy
    }

    /// Waits until everybody is acknowledged again after something; notes how long that took.
    async fn back(&mut self, since: &Mark, after: &str, took: &Histogram) -> bool {
        if let Some(time) = self.ledger.all_acked(since, 2, BACK).await {
            took.record(time);
            return true;
        }
        let behind = self.ledger.behind(since, 2);
        self.report.fault(format!(
            "not every sender was acknowledged again within {BACK:?} after {after}: {behind:?} were not"
        ));
        false
    }

    /// Waits until all who listen have everything that is acknowledged by now.
    async fn healed(&mut self, after: &str, took: &Histogram) -> bool {
        if let Some(time) = self.caught_up(HEALED).await {
            took.record(time);
            return true;
        }
        self.report.fault(format!(
            "not everybody heard within {HEALED:?} after {after} what had been acknowledged"
        ));
        false
    }

    /// A pause that chance chooses.
    async fn pause(&mut self, at_most: Duration) {
        let pause = self.chance.random_range(Duration::ZERO..at_most);
        tokio::time::sleep(pause).await;
    }

    /// Adds the median and the longest of some waits, in milliseconds.
    fn waits(&mut self, of: &str, histogram: &Histogram) {
        for (name, share) in [("p50", 0.5), ("max", 1.0)] {
            if let Some(value) = histogram.quantile(share) {
                self.report.figure(format!("{of}_{name}_ms"), milliseconds(value));
            }
        }
    }
}

/// Tells how a loop is getting on, now and then.
struct Progress {
    of: u32,
    began: Instant,
}

impl Progress {
    fn new(of: u32) -> Self {
        Self {
            of,
            began: Instant::now(),
        }
    }

    fn tell(&self, done: u32) {
        if done.is_multiple_of(25) {
            eprintln!("chaos: {done} of {} in {:.0?}", self.of, self.began.elapsed());
        }
    }
}
