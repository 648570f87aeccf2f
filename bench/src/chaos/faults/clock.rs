//! The wall clock jumps, of all nodes at once as that of a machine does, or of one by less than what nodes may differ.

use std::time::{Duration, Instant};

use rand::{RngExt as _, seq::SliceRandom as _};

use jiff::Timestamp;
use uuid::Uuid;

use super::World;
use crate::{histogram::Histogram, rest::Backend};

/// Jumps of all together, in seconds from the time before.
const TOGETHER: [i64; 6] = [5, 30, 600, -5, -60, -300];
/// How far one may be from the others.
const APART: i64 = 4;
/// A node looks for its new time about once a second.
const SEEN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);

/// Between a message and the look at its date.
const TOLERANCE: i64 = 2;

pub(super) async fn run(world: &mut World<'_>) -> anyhow::Result<()> {
    let Some(faketime) = &world.ground.faketime else {
        eprintln!("chaos: clock is skipped: install faketime (Debian's package), or give --faketime");
        world.report.figure("clock_skipped", 1.0);
        return Ok(());
    };
    let (back, healed) = (Histogram::new(), Histogram::new());
    let mut now = 0;
    let mut jumps = 0;
    'all: for _ in 0..world.options.rounds {
        let mut steps = TOGETHER;
        steps.shuffle(&mut world.chance);
        for step in steps {
            if !world.busy().await {
                break 'all;
            }
            now += step;
            let alone = world.chance.random_range(0..world.cluster.nodes.len());
            let apart = world.chance.random_range(-APART..=APART);
            for (number, node) in world.cluster.nodes.iter().enumerate() {
                let shift = if number == alone { now + apart } else { now };
                faketime.shift(&node.name, shift)?;
            }
            let api = world.cluster.nodes.iter().position(|node| node.name == "api");
            let of_api = now + if api.unwrap_or(0) == alone { apart } else { 0 };
            jumps += 1;
            let name = format!("a jump of {step} s, one node {apart} s apart");
            eprintln!("chaos: {name}");
            let mark = world.ledger.mark();
            tokio::time::sleep(world.options.outage() / 4).await;
            if !world.tells_time(of_api).await? {
                world.report.fault(format!(
                    "after {name} the clock was not {of_api} s off within {SEEN:?}"
                ));
                break 'all;
            }
            if !world.back(&mark, &name, &back).await || !world.healed(&name, &healed).await {
                break 'all;
            }
        }
    }
    world.report.figure("clock_jumps", f64::from(jumps));
    world.waits("back_after_clock", &back);
    world.waits("healed_after_clock", &healed);
    Ok(())
}

impl World<'_> {
    /// Waits until the control plane's clock is so many seconds off.
    async fn tells_time(&self, off: i64) -> anyhow::Result<bool> {
        let began = Instant::now();
        while (self.told_time().await? - off).abs() > TOLERANCE {
            if began.elapsed() > SEEN {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(true)
    }

    /// How many seconds the control plane's clock is off, by the date of something new.
    async fn told_time(&self) -> anyhow::Result<i64> {
        let mut backend = Backend::connect(&self.cluster.target).await?;
        let channel = backend
            .create_channel(self.service(), &format!("clock-{}", Uuid::new_v4()))
            .await?;
        let path = format!("/v2/Services/{}/Channels/{channel}", self.service());
        let made = backend.get(&path).await?;
        let date: Timestamp = made["date_created"].as_str().unwrap_or_default().parse()?;
        Ok(date.as_second() - Timestamp::now().as_second())
    }
}
