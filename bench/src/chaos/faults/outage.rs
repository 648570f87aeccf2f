//! RabbitMQ or Postgres is away for a while.

use std::time::Duration;

use rand::RngExt as _;

use super::World;
use crate::{chaos::services::Services, histogram::Histogram, report::milliseconds};

/// A send may take so long while RabbitMQ is away; a moment more for this machine.
const ACKED_WITHIN: Duration = Duration::from_millis(5_500);

/// Every send is acknowledged in time, nobody is cut off, and what listeners have not heard they hear soon after.
pub(super) async fn rabbitmq(world: &mut World<'_>) -> anyhow::Result<()> {
    let (back, healed) = (Histogram::new(), Histogram::new());
    let mut slowest = Duration::ZERO;
    for _ in 0..world.options.rounds {
        if !world.busy().await {
            break;
        }
        let (leave, name) = if world.chance.random() {
            ("stop-rabbitmq", "a stop of RabbitMQ")
        } else {
            ("kill-rabbitmq", "a kill of RabbitMQ")
        };
        world.ledger.take_slowest();
        let left = world.ledger.mark();
        ask(world, leave).await?;
        let away = world.ledger.mark();
        tokio::time::sleep(world.options.outage()).await;
        let acked = world.ledger.all_acked(&away, 1, ACKED_WITHIN).await.is_some();
        let took = world.ledger.take_slowest();
        slowest = slowest.max(took);
        if !acked || took > ACKED_WITHIN {
            world.report.fault(format!(
                "in {name} not every send was acknowledged within {ACKED_WITHIN:?}: the slowest took {took:?}"
            ));
        }
        ask(world, "start-rabbitmq").await?;
        let returned = world.ledger.mark();
        if !world.healed(name, &healed).await || !world.back(&returned, name, &back).await {
            break;
        }
        unmoved(world, &left, name);
    }
    world
        .report
        .figure("rabbitmq_away_ack_max_ms", milliseconds(slowest));
    world.waits("healed_after_rabbitmq", &healed);
    world.waits("back_after_rabbitmq", &back);
    Ok(())
}

/// Sends are refused in so many words, nobody is cut off, and all goes on by itself.
pub(super) async fn postgres(world: &mut World<'_>) -> anyhow::Result<()> {
    let (back, healed) = (Histogram::new(), Histogram::new());
    let mut refusals = 0;
    for _ in 0..world.options.rounds {
        if !world.busy().await {
            break;
        }
        let (leave, name) = if world.chance.random() {
            ("stop-postgres", "a stop of Postgres")
        } else {
            ("crash-postgres", "a crash of Postgres")
        };
        let left = world.ledger.mark();
        ask(world, leave).await?;
        tokio::time::sleep(world.options.outage()).await;
        let (refused, _) = world.ledger.since(&left);
        refusals += refused;
        if refused == 0 {
            world.report.fault(format!("in {name} nobody was refused"));
        }
        unmoved(world, &left, name);
        ask(world, "start-postgres").await?;
        let returned = world.ledger.mark();
        if !world.back(&returned, name, &back).await || !world.healed(name, &healed).await {
            break;
        }
    }
    world
        .report
        .figure("refused_while_postgres_away", refusals as f64);
    world.waits("back_after_postgres", &back);
    world.waits("healed_after_postgres", &healed);
    Ok(())
}

async fn ask(world: &World<'_>, command: &str) -> anyhow::Result<()> {
    if let Some(services) = &world.ground.services {
        Services::ask(services, &[command]).await?;
    }
    Ok(())
}

/// Sockets stay open whatever is away behind the gateways.
fn unmoved(world: &mut World<'_>, since: &crate::chaos::ledger::Mark, name: &str) {
    let (_, cut_off) = world.ledger.since(since);
    if cut_off > 0 {
        world
            .report
            .fault(format!("{cut_off} sockets were cut off by {name}"));
    }
}
