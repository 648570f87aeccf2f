//! What is measured: each scenario prepares its stage, runs, checks what came of it and reports.

pub(crate) mod campaign;
pub(crate) mod channels;
pub(crate) mod curves;
pub(crate) mod fanout;
pub(crate) mod history;
pub(crate) mod idle;
pub(crate) mod query;
pub(crate) mod rest;
pub(crate) mod resume;
pub(crate) mod rows;
pub(crate) mod send;
mod sender;
pub(crate) mod slow;
pub(crate) mod storm;
pub(crate) mod webhooks;

use std::{process::Command, time::Duration};

use anyhow::ensure;

/// How long what is on its way when a run ends may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a server may take to come to rest before memory and cost are read.
const SETTLE: Duration = Duration::from_secs(2);

/// How many rooms hold so many sockets, and how many members each has.
fn spread(sockets: u32, members: u32) -> (u32, u32) {
    let members = members.min(sockets);
    (sockets / members, members)
}

/// Runs what a database does in its own time, before it is measured.
fn upkeep(command: Option<&str>) -> anyhow::Result<()> {
    if let Some(command) = command {
        let done = Command::new("sh").arg("-c").arg(command).status()?;
        ensure!(done.success(), "{command} failed");
    }
    Ok(())
}
