//! One thing, done again and again for a while: how long it takes, and what it costs.

use std::time::{Duration, Instant};

use crate::{
    Bench,
    histogram::Histogram,
    processes::Cpu,
    report::{figure, milliseconds},
};

/// How often each thing is done at least, and at most.
const ROUNDS: (u32, u32) = (10, 5_000);
/// What takes long is not done for longer than so many times what is asked for.
const PATIENCE: u32 = 5;

/// What something takes and costs at one size.
pub(super) struct Point {
    pub(super) what: &'static str,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    cpu: Cpu,
    rounds: u32,
    /// How often it was done, with what was not measured.
    pub(super) done: u64,
}

impl Point {
    /// Microseconds of CPU for each time it was done, by process.
    pub(super) fn cpu(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(self.rounds);
        [
            ("server", Some(self.cpu.server)),
            ("database", self.cpu.database),
            ("broker", self.cpu.broker),
        ]
        .into_iter()
        .filter_map(move |(name, time)| Some((name, each(time?))))
    }

    pub(super) fn total_us(&self) -> f64 {
        self.cpu().map(|(_, microseconds)| microseconds).sum()
    }

    pub(super) fn costs(&self) -> String {
        self.cpu()
            .map(|(_, microseconds)| figure(microseconds.round()))
            .collect::<Vec<_>>()
            .join(" + ")
    }
}

/// Does it for so long. It answers how long what counts of it took.
pub(super) async fn again_and_again(
    bench: &Bench,
    what: &'static str,
    seconds: u64,
    mut work: impl AsyncFnMut(u32) -> anyhow::Result<Duration>,
) -> anyhow::Result<Point> {
    let wanted = Duration::from_secs(seconds);
    // The first one reads what later ones find in memory.
    work(0).await?;
    let histogram = Histogram::new();
    let before = bench.processes.cpu()?;
    let began = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS.1
        && (began.elapsed() < wanted || rounds < ROUNDS.0)
        && (began.elapsed() < wanted * PATIENCE || rounds == 0)
    {
        rounds += 1;
        histogram.record(work(rounds).await?);
    }
    let cpu = bench.processes.cpu()?.since(before);
    let at = |share| histogram.quantile(share).map_or(f64::NAN, milliseconds);
    Ok(Point {
        what,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cpu,
        rounds,
        done: u64::from(rounds) + 1,
    })
}
