//! Connections misbehave: those of clients, and those of the nodes to Postgres and RabbitMQ.

use std::time::Duration;

use rand::RngExt as _;

use super::World;
use crate::{
    chaos::{
        options::{Place, Topology},
        proxy::Mode,
    },
    histogram::Histogram,
};

const MODES: [Mode; 5] = [
    Mode::Delay(Duration::from_millis(200)),
    Mode::Cut,
    Mode::Torn,
    Mode::SlowClose,
    Mode::HalfOpen,
];
/// So long what swallowed is cut off before it works again, at the doors: whatever stood before a door has forgotten
/// these connections. Those to Postgres and RabbitMQ are left as they are, for the nodes to find out.
const FORGETTING: Duration = Duration::from_millis(200);

pub(super) async fn run(world: &mut World<'_>) -> anyhow::Result<()> {
    let places = match world.options.topology {
        Topology::Embedded => &[Place::Doors][..],
        Topology::Cluster => &[Place::Doors, Place::Broker, Place::Database][..],
    };
    for &place in places {
        let chosen = &world.options.place;
        if !chosen.is_empty() && !chosen.contains(&place) {
            continue;
        }
        let back = Histogram::new();
        let healed = Histogram::new();
        for round in 0..world.options.rounds {
            for mode in MODES {
                if !world.busy().await {
                    return Ok(());
                }
                let name = format!("{mode:?} at the {place:?} in round {round}").to_lowercase();
                eprintln!("chaos: {name}");
                let proxies = world.cluster.at(place);
                // One node alone, or all.
                let lonely = world.chance.random_range(0..2 * proxies.len());
                for (number, proxy) in proxies.iter().enumerate() {
                    if lonely >= proxies.len() || number == lonely {
                        proxy.set(mode);
                    }
                }
                tokio::time::sleep(world.options.outage()).await;
                if place == Place::Doors && mode == Mode::HalfOpen {
                    for proxy in proxies {
                        proxy.set(Mode::Cut);
                    }
                    tokio::time::sleep(FORGETTING).await;
                }
                world.cluster.heal();
                let mark = world.ledger.mark();
                if !world.back(&mark, &name, &back).await || !world.healed(&name, &healed).await {
                    return Ok(());
                }
            }
        }
        let place = format!("{place:?}").to_lowercase();
        world.waits(&format!("back_after_{place}"), &back);
        world.waits(&format!("healed_after_{place}"), &healed);
    }
    Ok(())
}
