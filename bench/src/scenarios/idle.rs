//! `idle`: sockets come, and then do nothing.

use std::{sync::Arc, time::Duration};

use super::{SETTLE, spread};
use crate::{
    Bench, board::Board, crowd::Crowd, meter::Meter, options::IdleOptions, report::Report, stage::Stage,
};

pub(crate) async fn run(bench: &Bench, options: &IdleOptions) -> anyhow::Result<Report> {
    let (rooms, members) = spread(options.sockets, options.members);
    let stage = Arc::new(Stage::set(bench, rooms, members).await?);
    let board = Board::new();
    tokio::time::sleep(SETTLE).await;

    let memory_before = bench.processes.server_memory()?;
    let before = Meter::read(bench, &board).await?;
    let crowd = Crowd::gather(&stage, &board, options.concurrency).await?;
    let connecting = Meter::read(bench, &board).await?.since(&before);
    tokio::time::sleep(SETTLE).await;
    let memory_after = bench.processes.server_memory()?;
    let before = Meter::read(bench, &board).await?;
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let idling = Meter::read(bench, &board).await?.since(&before);
    let memory_later = bench.processes.server_memory()?;
    let lost = crowd
        .sockets
        .iter()
        .filter(|socket| !socket.is_connected())
        .count();

    let sockets = crowd.sockets.len() as u64;
    let mut report = Report::new("idle")
        .setting("sockets", sockets)
        .setting("members", members)
        .setting("concurrency", options.concurrency)
        .setting("seconds", options.seconds);
    report.figure("connects_per_s", sockets as f64 / crowd.took.as_secs_f64());
    report.latency("connect", &crowd.greetings);
    report.cost("connect", sockets, &connecting);
    let each = |memory: u64| memory.saturating_sub(memory_before) as f64 / 1024.0 / sockets as f64;
    report.figure("server_before_mib", memory_before as f64 / (1024.0 * 1024.0));
    report.figure("memory_per_socket_kib", each(memory_after));
    report.figure("memory_per_socket_later_kib", each(memory_later));
    report.load(&idling);
    report.none_of("idle sockets were ended", lost as u64);
    crowd.drop_transports().await?;
    stage.clear().await?;
    Ok(report)
}
