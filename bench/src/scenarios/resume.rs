//! `resume`: everybody is cut off at the transport, misses messages, and comes back with a cursor.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;

use super::{PATIENCE, SETTLE, spread};
use crate::{
    Bench,
    board::{Board, Ear},
    crowd::{Crowd, GENTLY, judge},
    meter::Meter,
    options::ResumeOptions,
    report::{Report, milliseconds},
    stage::Stage,
};

/// How long it may take until everybody has caught up.
const CATCHING_UP: Duration = Duration::from_secs(120);

pub(crate) async fn run(bench: &Bench, options: &ResumeOptions) -> anyhow::Result<Report> {
    let (rooms, members) = spread(options.sockets, options.members);
    let stage = Arc::new(Stage::set(bench, rooms, members).await?);
    let board = Board::new();
    let sockets = stage.seats.len() as u64;

    // Everybody has heard one message, so that the cursors stand somewhere.
    let ears = stage.seats.iter().map(|_| Ear::with_cursors(&board)).collect();
    let crowd = Crowd::connect(&stage, ears, GENTLY).await?;
    let mut announced = stage.announce(&["before".to_owned()]).await?;
    let heard = board.until(PATIENCE, || board.deliveries() >= sockets).await;
    ensure!(heard, "of {sockets} deliveries only {} came", board.deliveries());

    let dropped = Instant::now();
    let ears = crowd.drop_transports().await?;
    let bodies = vec!["missed".to_owned(); options.missed as usize];
    for (indexes, missed) in announced.iter_mut().zip(stage.announce(&bodies).await?) {
        indexes.extend(missed);
    }
    tokio::time::sleep(SETTLE).await;
    let away = dropped.elapsed();

    let before = Meter::read(bench, &board).await?;
    let began = Instant::now();
    let crowd = Crowd::connect(&stage, ears, options.concurrency).await?;
    let caught_up = board.until(CATCHING_UP, || board.synced().0 >= sockets).await;
    let took = began.elapsed();
    let measured = Meter::read(bench, &board).await?.since(&before);
    let (synced, incomplete) = board.synced();
    let greetings = Arc::clone(&crowd.greetings);
    let ears = crowd.drop_transports().await?;
    let verdict = judge(&stage, &[], &announced, &ears);
    stage.clear().await?;

    let mut report = Report::new("resume")
        .setting("sockets", sockets)
        .setting("members", members)
        .setting("missed", options.missed)
        .setting("concurrency", options.concurrency)
        .setting("away", format_args!("{:.1} s", away.as_secs_f64()));
    report.figure("all_synced_ms", milliseconds(took));
    report.latency("connect", &greetings);
    report.cost("resume", sockets, &measured);
    report.load(&measured);
    report.verdict(verdict);
    if !caught_up {
        report.none_of("sockets were not synced", sockets - synced);
    }
    report.none_of("sockets were told of a gap", incomplete);
    Ok(report)
}
