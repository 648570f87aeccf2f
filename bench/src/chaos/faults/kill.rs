//! kill -9, again and again, of each role in turn; each eighth time of everything at once.

use std::{sync::Arc, time::Duration};

use rand::seq::SliceRandom as _;

use super::{BACK, Progress, World};
use crate::histogram::Histogram;

/// Within this time after all are at it somebody dies.
const MOMENT: Duration = Duration::from_millis(150);
const ALL_AT_ONCE: u32 = 8;

pub(super) async fn run(world: &mut World<'_>) -> anyhow::Result<()> {
    let (ready, back) = (Histogram::new(), Histogram::new());
    let count = world.cluster.nodes.len();
    let mut deck: Vec<usize> = Vec::new();
    let mut died = vec![0_u32; count];
    let progress = Progress::new(world.options.kills);
    for number in 1..=world.options.kills {
        if !world.busy().await {
            break;
        }
        world.pause(MOMENT).await;
        let victims = if number % ALL_AT_ONCE == 0 {
            (0..count).collect()
        } else {
            if deck.is_empty() {
                deck = (0..count).collect();
                deck.shuffle(&mut world.chance);
            }
            vec![deck.pop().unwrap_or_default()]
        };
        for &victim in &victims {
            world.cluster.nodes[victim].kill()?;
        }
        let mark = world.ledger.mark();
        for &victim in &victims {
            world.cluster.nodes[victim].start()?;
            died[victim] += 1;
        }
        let ledger = Arc::clone(&world.ledger);
        let nodes = &mut world.cluster.nodes;
        let restarted = async {
            for &victim in &victims {
                ready.record(nodes[victim].ready().await?);
            }
            anyhow::Ok(())
        };
        // Whoever is served by another node does not wait for this one.
        let (acked, restarted) = tokio::join!(ledger.all_acked(&mark, 2, BACK), restarted);
        restarted?;
        match acked {
            Some(time) => back.record(time),
            // Then it says who was not.
            None if !world.back(&mark, "a kill", &back).await => break,
            None => {}
        }
        progress.tell(number);
    }
    for (node, died) in std::iter::zip(&world.cluster.nodes, died) {
        world
            .report
            .figure(format!("kills_of_{}", node.name), f64::from(died));
    }
    world.waits("start", &ready);
    world.waits("back_after_kill", &back);
    Ok(())
}
