//! `storm`: everybody is dropped at once and comes back at once with a cursor, while messages go on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{PATIENCE, spread};
use crate::{
    Bench,
    board::{Board, Ear},
    crowd::{Crowd, GENTLY, judge},
    meter::{Measured, Meter},
    options::StormOptions,
    report::{Report, milliseconds},
    stage::Stage,
};

/// How long it may take until everybody has caught up.
const CATCHING_UP: Duration = Duration::from_secs(120);
/// Bytes of a message's body.
const BODY: u32 = 100;

pub(crate) async fn run(bench: &Bench, options: &StormOptions) -> anyhow::Result<Report> {
    let (rooms, members) = spread(options.sockets, options.members);
    let stage = Arc::new(Stage::set(bench, rooms, members).await?);
    let board = Board::new();
    let sockets = stage.seats.len() as u64;
    let ears = stage.seats.iter().map(|_| Ear::with_cursors(&board)).collect();
    let crowd = Crowd::connect(&stage, ears, GENTLY).await?;

    let every = Duration::from_millis(options.every);
    let (announced, storm) = tokio::try_join!(
        talk(&stage, &board, every),
        weather(bench, &stage, &board, crowd, options)
    )?;
    let messages: usize = announced.iter().map(Vec::len).sum();
    let due = messages as u64 * u64::from(members);
    board.until(PATIENCE, || board.deliveries() >= due).await;
    let Storm {
        crowd,
        let_in,
        took,
        measured,
        caught_up,
    } = storm;
    let (synced, incomplete) = board.synced();
    let greetings = Arc::clone(&crowd.greetings);
    let ears = crowd.drop_transports().await?;
    let verdict = judge(&stage, &[], &announced, &ears);
    stage.clear().await?;

    let mut report = Report::new("storm")
        .setting("sockets", sockets)
        .setting("members", members)
        .setting("every", format_args!("{} ms", options.every))
        .setting("seconds", options.seconds);
    report.figure("all_let_in_ms", milliseconds(let_in));
    report.figure("all_synced_ms", milliseconds(took));
    report.latency("connect", &greetings);
    report.latency("delivery_after", &board.arrivals);
    report.figure("messages", messages as f64);
    report.cost("resume", sockets, &measured);
    report.load(&measured);
    report.verdict(verdict);
    if !caught_up {
        report.none_of("sockets were not synced", sockets - synced);
    }
    report.none_of("sockets were told of a gap", incomplete);
    Ok(report)
}

/// What the storm left behind.
struct Storm {
    crowd: Crowd,
    let_in: Duration,
    took: Duration,
    measured: Measured,
    caught_up: bool,
}

/// Calm, the storm, and calm again; then it is over.
async fn weather(
    bench: &Bench,
    stage: &Arc<Stage>,
    board: &Arc<Board>,
    crowd: Crowd,
    options: &StormOptions,
) -> anyhow::Result<Storm> {
    let pause = Duration::from_secs(options.seconds);
    tokio::time::sleep(pause).await;
    let sockets = stage.seats.len() as u64;
    let before = Meter::read(bench, board).await?;
    let began = Instant::now();
    let ears = crowd.drop_transports().await?;
    let crowd = Crowd::connect(stage, ears, options.sockets).await?;
    let let_in = began.elapsed();
    let caught_up = board.until(CATCHING_UP, || board.synced().0 >= sockets).await;
    let took = began.elapsed();
    let measured = Meter::read(bench, board).await?.since(&before);
    board.measure(true);
    tokio::time::sleep(pause).await;
    board.measure(false);
    board.end();
    Ok(Storm {
        crowd,
        let_in,
        took,
        measured,
        caught_up,
    })
}

/// Sends to every room, again and again, until it is over; answers the indexes, room by room.
async fn talk(stage: &Stage, board: &Board, every: Duration) -> anyhow::Result<Vec<Vec<i64>>> {
    let mut indexes: Vec<Vec<i64>> = vec![Vec::new(); stage.rooms.len()];
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !board.is_over() {
        ticks.tick().await;
        let body = board.body(Instant::now(), BODY);
        for (room, new) in indexes.iter_mut().zip(stage.announce(&[body]).await?) {
            room.extend(new);
        }
    }
    Ok(indexes)
}
