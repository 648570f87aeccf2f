//! `hubbub-bench SCENARIO`: puts load on a running Hubbub through its public doors, and checks what came of it.
//!
//! Everything is prepared over REST with account credentials; users speak Socket.IO over WebSockets. See
//! `bench/README.md` for the method.

mod board;
mod chaos;
mod compare;
mod crowd;
mod deaf;
mod histogram;
mod http;
mod meter;
mod options;
mod packet;
mod processes;
mod receiver;
mod report;
mod rest;
mod scenarios;
mod socket;
mod stage;
mod tally;
mod target;
mod websocket;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    options::{Options, Scenario},
    processes::Processes,
    report::Report,
    target::Target,
};

/// Descriptors beyond the sockets: the runtime's, files of /proc, REST connections.
const SPARE_DESCRIPTORS: u64 = 256;

/// What every scenario works with.
struct Bench {
    target: Target,
    processes: Processes,
    /// Whether the service stays when the scenario is over.
    keep: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Scenario::Compare(files) = &options.scenario {
        compare::run(&files.ours, &files.theirs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    let sockets = u64::from(options.scenario.sockets());
    anyhow::ensure!(
        descriptors >= sockets + SPARE_DESCRIPTORS,
        "{sockets} sockets need more than the {descriptors} open files that are allowed here (ulimit -n)"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.common.threads as usize)
        .enable_all()
        .build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let report = match &options.scenario {
        Scenario::Chaos(chaos) => chaos::run(chaos).await?,
        _ => measure(&options).await?,
    };
    report.print(options.common.json);
    Ok(if report.is_sound() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Puts a scenario's load on a server that runs.
async fn measure(options: &Options) -> anyhow::Result<Report> {
    let target = Target::new(&options.common)?;
    let processes = Processes::find(&options.common, &target)?;
    let bench = Bench {
        target,
        processes,
        keep: options.common.keep,
    };
    match &options.scenario {
        Scenario::Send(options) => scenarios::send::run(&bench, options).await,
        Scenario::Fanout(options) => scenarios::fanout::run(&bench, options).await,
        Scenario::Idle(options) => scenarios::idle::run(&bench, options).await,
        Scenario::Rest(options) => scenarios::rest::run(&bench, options).await,
        Scenario::Channels(options) => scenarios::channels::run(&bench, options).await,
        Scenario::History(options) => scenarios::history::run(&bench, options).await,
        Scenario::Resume(options) => scenarios::resume::run(&bench, options).await,
        Scenario::Storm(options) => scenarios::storm::run(&bench, options).await,
        Scenario::Slow(options) => scenarios::slow::run(&bench, options).await,
        Scenario::Query(options) => scenarios::query::run(&bench, options).await,
        Scenario::Rows(options) => scenarios::rows::run(&bench, options).await,
        Scenario::Curves(options) => scenarios::curves::run(&bench, options).await,
        Scenario::Webhooks(options) => scenarios::webhooks::run(&bench, options).await,
        Scenario::Campaign(options) => scenarios::campaign::run(&bench, options).await,
        Scenario::Chaos(_) | Scenario::Compare(_) => anyhow::bail!("no server that runs is needed"),
    }
}
