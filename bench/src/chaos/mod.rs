//! `chaos`: starts nodes of its own, has people talk, breaks one thing after the other, and holds what was acknowledged
//! against what is there in the end.

mod checker;
mod cluster;
mod faults;
mod ground;
mod ledger;
mod node;
pub(crate) mod options;
mod people;
mod proxy;
mod receiver;
mod services;
mod world;

use anyhow::Context as _;

use tokio::signal::unix::{SignalKind, signal};

use self::{ground::Ground, options::ChaosOptions};
use crate::report::Report;

/// Runs it all, and takes everything away again that was started.
pub(crate) async fn run(options: &ChaosOptions) -> anyhow::Result<Report> {
    anyhow::ensure!(
        options.server.exists(),
        "{} is not there: give --server or HUBBUB_BIN",
        options.server.display()
    );
    let mut ground = Ground::prepare(options)
        .await
        .context("before anything was broken")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let outcome = tokio::select! {
        outcome = world::run(options, &ground) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("told to end")),
    };
    let sound = outcome.as_ref().is_ok_and(Report::is_sound);
    let cleared = ground.clear(sound).await;
    let mut report = outcome?;
    if let Err(error) = cleared {
        report.fault(format!("what was started could not be taken away: {error:#}"));
    }
    Ok(report)
}
