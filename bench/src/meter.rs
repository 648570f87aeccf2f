//! What a stretch of time cost: CPU of everybody who takes part, and transactions of the group commit.

use std::time::{Duration, Instant};

use crate::{Bench, board::Board, options::Load, processes::Cpu, rest};

/// The server's counters of the group commit.
const COUNTERS: [&str; 2] = ["hubbub_messages_stored_total", "hubbub_message_commits_total"];

/// The state of all counters at one moment.
pub(crate) struct Meter {
    at: Instant,
    cpu: Cpu,
    counters: [Option<f64>; 2],
    sends: u64,
    deliveries: u64,
}

/// What happened between two moments.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) cpu: Cpu,
    /// Messages stored for each transaction, when the server tells.
    pub(crate) messages_per_commit: Option<f64>,
    pub(crate) sends: u64,
    pub(crate) deliveries: u64,
}

impl Meter {
    /// Reads everything.
    pub(crate) async fn read(bench: &Bench, board: &Board) -> anyhow::Result<Self> {
        let counters = rest::metrics(&bench.target, COUNTERS).await?;
        Ok(Self {
            at: Instant::now(),
            cpu: bench.processes.cpu()?,
            counters,
            sends: board.sends(),
            deliveries: board.deliveries(),
        })
    }

    /// Lets the load run for so long before it is measured, and for so long while it is.
    pub(crate) async fn observe(bench: &Bench, board: &Board, load: &Load) -> anyhow::Result<Measured> {
        let pause = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        pause(load.warmup).await;
        let before = Self::read(bench, board).await?;
        board.measure(true);
        pause(load.seconds).await;
        board.measure(false);
        Ok(Self::read(bench, board).await?.since(&before))
    }

    pub(crate) fn since(&self, before: &Self) -> Measured {
        let [stored, commits] = [0, 1].map(|at| Some(self.counters[at]? - before.counters[at]?));
        Measured {
            seconds: self.at.duration_since(before.at).as_secs_f64(),
            cpu: self.cpu.since(before.cpu),
            messages_per_commit: match (stored, commits) {
                (Some(stored), Some(commits)) if commits > 0.0 => Some(stored / commits),
                _ => None,
            },
            sends: self.sends - before.sends,
            deliveries: self.deliveries - before.deliveries,
        }
    }
}
