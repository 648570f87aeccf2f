//! `slow`: sockets that never read sit in rooms where others talk. First the others talk alone, then among them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    PATIENCE, SETTLE,
    sender::{Pace, Sender},
};
use crate::{
    Bench,
    board::Board,
    crowd::{Crowd, GENTLY, collect, judge},
    deaf::Deaf,
    meter::{Measured, Meter},
    options::SlowOptions,
    report::Report,
    rest,
    stage::Stage,
    tally::Verdict,
};

/// What the server says of it.
const WAITING: &str = "hubbub_gateway_waiting_bytes";
const CUT_OFF: &str = "hubbub_gateway_cut_off_total";

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What a thread writes before it sees that too much waits is more than may wait, a little.
const SLACK: f64 = 1.02;

/// One of the two halves of the run.
struct Half {
    board: Arc<Board>,
    measured: Measured,
    verdict: Verdict,
    lost: u64,
    peak: Peak,
}

/// The most that was seen, in bytes.
#[derive(Default)]
struct Peak {
    memory: u64,
    waiting: f64,
}

pub(crate) async fn run(bench: &Bench, options: &SlowOptions) -> anyhow::Result<Report> {
    let stage = Arc::new(Stage::set(bench, options.rooms, options.members).await?);
    let alone = half(bench, &stage, options).await?;

    let deaf_board = Board::new();
    let [cut_before] = rest::metrics(&bench.target, [CUT_OFF]).await?;
    let before = bench.processes.server_memory()?;
    let began = Instant::now();
    let deaf = Deaf::connect(&stage, &deaf_board, options.sockets as usize).await?;
    let connecting = began.elapsed();
    tokio::time::sleep(SETTLE).await;
    let connected = bench.processes.server_memory()?;
    let among = half(bench, &stage, options).await?;
    let [cut_after] = rest::metrics(&bench.target, [CUT_OFF]).await?;
    drop(deaf);
    stage.clear().await?;

    let mebibytes = |bytes: f64| bytes / (1024.0 * 1024.0);
    let mut report = Report::new("slow")
        .setting("sockets", options.sockets)
        .setting("rooms", options.rooms)
        .setting("members", options.members)
        .setting("rate", format_args!("{}/s", options.rate))
        .setting("body", options.load.body)
        .setting("seconds", options.load.seconds);
    report.latency("alone_delivery", &alone.board.arrivals);
    report.latency("delivery", &among.board.arrivals);
    report.latency("alone_ack", &alone.board.acks);
    report.latency("ack", &among.board.acks);
    report.figure("connecting_s", connecting.as_secs_f64());
    report.figure("server_before_mib", mebibytes(before as f64));
    report.figure("server_connected_mib", mebibytes(connected as f64));
    report.figure("server_peak_mib", mebibytes(among.peak.memory as f64));
    report.figure("waiting_peak_mib", mebibytes(among.peak.waiting));
    if let (Some(before), Some(after)) = (cut_before, cut_after) {
        report.figure("cut_off", after - before);
    }
    report.cost("send", alone.measured.sends, &alone.measured);
    report.load(&among.measured);
    let mut verdict = alone.verdict;
    verdict += among.verdict;
    report.verdict(verdict);
    let total = f64::from(options.total) * 1024.0 * 1024.0;
    if among.peak.waiting > total * SLACK {
        report.fault(format!("{:.0} MiB waited", mebibytes(among.peak.waiting)));
    }
    for half in [&alone, &among] {
        report.none_of("sends were refused", half.board.refusals());
        report.none_of("senders did not come back", half.lost);
    }
    Ok(report)
}

/// The members come, talk, and go.
async fn half(bench: &Bench, stage: &Arc<Stage>, options: &SlowOptions) -> anyhow::Result<Half> {
    let board = Board::new();
    let crowd = Crowd::gather(stage, &board, GENTLY).await?;
    let apart = Duration::from_secs(1) / options.rate;
    let first = Instant::now();
    let senders = (0..options.rooms)
        .map(|room| {
            let pace = Pace::Steady {
                first: first + apart * room,
                every: apart * options.rooms,
            };
            let place = (room * options.members) as usize;
            Sender::new(
                stage,
                &crowd,
                &board,
                std::iter::once(place),
                pace,
                options.load.body,
            )
            .start()
        })
        .collect();
    let until = Instant::now() + Duration::from_secs(options.load.warmup + options.load.seconds);
    let (measured, peak) =
        tokio::try_join!(Meter::observe(bench, &board, &options.load), watch(bench, until))?;
    board.end();
    let (sent, lost) = collect(senders, PATIENCE).await;
    let due = sent.len() as u64 * u64::from(options.members - 1);
    board.until(PATIENCE, || board.deliveries() >= due).await;
    let ears = crowd.drop_transports().await?;
    Ok(Half {
        verdict: judge(stage, &sent, &[], &ears),
        board,
        measured,
        lost,
        peak,
    })
}

async fn watch(bench: &Bench, until: Instant) -> anyhow::Result<Peak> {
    let mut peak = Peak::default();
    while Instant::now() < until {
        peak.memory = peak.memory.max(bench.processes.server_memory()?);
        let [waiting] = rest::metrics(&bench.target, [WAITING]).await?;
        peak.waiting = peak.waiting.max(waiting.unwrap_or_default());
        tokio::time::sleep(LOOK).await;
    }
    Ok(peak)
}
